#!/usr/bin/python3
"""Every command of docs/tutorial.md, in its order, on simulated hardware and a real guest called web1.

What the laboratory lacks has a stand-in here: systemd (a unit's ExecStart is read from the file that was installed, and
run), sudo (the tests are root), ssh. A fence of the page says where its commands belong: "host", "guest", "built" (another
test builds), or "not-run: " and why.
"""

import os
import re
import shlex
import subprocess
import sys
import time
import unittest

from lab import namespace, services
from lab.laboratory import BUILD, ROOT, Laboratory
from lab.process import LabError, wait_for
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import Wattport

PAGE = os.path.join(ROOT, "docs/tutorial.md")
PATIENCE_S = 300  # of each command, on a machine that others use, too
# What a page may leave to its readers.
REASONS = ("package repository", "browser")
# The tree that was built, and no waiting for the next scrape.
SUBSTITUTES = {"build/release": BUILD, "15s": "1s"}
UNITS = ("/usr/local/lib/systemd/system", "/lib/systemd/system")
# What only the laboratory's host needs to be told.
PROGRAM_OPTIONS = {"wattportd": "--sysroot {sysroot} --state-dir {state}"}
# systemd makes these, or packages do that come from a repository.
GRAFANA = ("/etc/grafana/provisioning/datasources", "/etc/grafana/provisioning/dashboards")
# What the page writes to; it vanishes with the private machine.
PRIVATE = ("/etc", "/usr/local", "/tmp", "/var/lib/prometheus")
GUEST_PATH = "export PATH=/usr/local/bin:$PATH; cd /tmp; "

_FENCE = re.compile(r"^```sh ([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE = re.compile(r"<<'?(\w+)'?")


def blocks(text):
    """[(where, [command, ...]), ...] of a page. A command goes on over backslashes and to the end of its here-document."""
    found = []
    for match in _FENCE.finditer(text):
        commands, lines = [], iter(match.group(2).splitlines())
        for line in lines:
            while line.endswith("\\"):
                line += "\n" + next(lines)
            here = _HERE.search(line)
            while here and line.splitlines()[-1] != here.group(1):
                line += "\n" + next(lines)
            commands.append(line)
        found.append((match.group(1), commands))
    return found


def lay_over(path, scratch):
    """Makes a directory writable for this private machine alone."""
    upper, work = f"{scratch}/upper{path}", f"{scratch}/work{path}"
    os.makedirs(upper)
    os.makedirs(work)
    namespace.mount("-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "overlay", path)


class Host:
    """Runs commands on the hypervisor."""

    def __init__(self, lab, sysroot):
        self._lab = lab
        self._sysroot = sysroot
        self._units = {}

    def run(self, command):
        """The exit status and what was said."""
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stdout + done.stderr

    def read_unit(self, name):
        """The text of a unit that was installed."""
        for directory in UNITS:
            path = f"{directory}/{name}.service"
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    return file.read()
        return None

    def start(self, name, command):
        """Starts a unit."""
        program = os.path.basename(command.split()[0])
        options = PROGRAM_OPTIONS.get(program, "").format(sysroot=self._sysroot, state=self._lab.path("tutorial-state"))
        words = [word for word in shlex.split(f"{command} {options}") if not word.startswith("$")]
        self._units[name] = self._lab.process(name, words)

    def stop(self, name, _command):
        """Stops it, if it runs. After a stop, not after a restart, the unit of wattport-fs takes its mount away."""
        if name in self._units:
            self._units.pop(name).stop()
        if name == "wattport-fs":
            subprocess.run(["wattport-fs", "--unmount"], check=True)


class Inside:
    """Runs commands in the guest."""

    def __init__(self, guest):
        self._guest = guest
        self._units = {}

    def run(self, command):
        """The exit status and what was said."""
        done = self._guest.run(GUEST_PATH + command, PATIENCE_S)
        return done.status, done.out + done.err

    def read_unit(self, name):
        """The text of a unit that was installed."""
        done = self._guest.run(f"cat {UNITS[0]}/{name}.service")
        return done.out if done.status == 0 else None

    def start(self, name, command):
        """Starts a unit; one that only does something does it at once."""
        if "Type=oneshot" in self.read_unit(name):
            self._guest.check(command)
        else:
            self.run_service(name, command)

    def run_service(self, name, command):
        """Starts a command as a service."""
        self._units[name] = services.start(self._guest, f"system.slice/{name}.service", command)

    def stop(self, name, command):
        """Stops it as its unit says."""
        if name in self._units:
            self._guest.kill(self._units.pop(name))
        if command:
            self._guest.check(command)


class TutorialTest(unittest.TestCase):
    """One hypervisor, one machine, one page."""

    @classmethod
    def setUpClass(cls):
        cls.begun = time.monotonic()
        with open(PAGE, encoding="utf-8") as file:
            cls.blocks = blocks(file.read())
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim = RaplSim(lab)
        lab.start_libvirtd(cgroups=True)
        os.makedirs(lab.path("tutorial-state"))
        Wattport(lab, cls.sim.sysroot)  # For its runtime directory alone; the page starts the programs.
        cls.web1 = lab.guest("web1", cores=2, defined=True)
        cls.web1.start()
        with open("/etc/hosts", "a", encoding="utf-8") as file:
            file.write(f"{cls.web1.address} web1\n")
        for directory in GRAFANA:
            os.makedirs(directory, exist_ok=True)
        cls.web1.wait_up()
        services.mount(cls.web1)
        cls.places = {"host": Host(lab, cls.sim.sysroot), "guest": Inside(cls.web1)}

    def test_what_is_not_run_has_a_reason(self):
        for where, commands in self.blocks:
            with self.subTest(commands[0]):
                if where.startswith("not-run: "):
                    self.assertTrue(any(reason in where for reason in REASONS), where)
                elif where.startswith("built"):
                    self.assertEqual(commands, ["cmake --preset release && cmake --build --preset release"])
                else:
                    self.assertIn(where, self.places)
        run_here = sum(len(commands) for where, commands in self.blocks if where in self.places)
        self.assertGreater(run_here, 5 * sum(len(commands) for where, commands in self.blocks if where.startswith("not-run")))

    def test_the_page(self):
        for where, commands in self.blocks:
            for command in commands:
                if where in self.places:
                    self.obey(self.places[where], where, command)

    def obey(self, place, where, command):
        """Runs one command, which must succeed: where the one before is still on its way, after a while. (systemd would have
        waited for it.)"""
        print(f"{time.monotonic() - self.begun:.0f} s: {where}: {command}")
        for old, new in SUBSTITUTES.items():
            command = command.replace(old, new)
        command = command.removeprefix("sudo ")
        if self.stand_in(place, command):
            return
        said = ""

        def succeeds():
            nonlocal said
            status, said = place.run(command)
            return status == 0

        try:
            wait_for(f"success of: {command}", succeeds, PATIENCE_S, 0.5)
        except LabError as error:
            raise LabError(f"{error}\n{said}") from None
        print(said)

    def stand_in(self, place, command):
        """Does what the laboratory has no program for; whether it did."""
        if command == "systemctl daemon-reload":
            return True
        words = shlex.split(command) if command.startswith(("systemctl ", "systemd-run ", "scp ")) else []
        if words[:2] in (["systemctl", "enable"], ["systemctl", "restart"], ["systemctl", "disable"]):
            for name in words[2:]:
                if name != "--now":
                    self.control(place, words[1], name)
        elif words[:1] == ["systemd-run"]:
            name = words[1].removeprefix("--unit=")
            self.assertNotEqual(name, words[1])
            path = f"/tmp/{name}.sh"
            place.run(f"cat >{path} <<'END'\n{command.partition(words[1])[2]}\nEND")
            place.run_service(name, f"sh {path}")
        elif words[:1] == ["scp"]:
            self.carry(words[1], words[2])
        return bool(words)

    def control(self, place, verb, name):
        """systemctl's verbs, by the unit that was installed."""
        unit = place.read_unit(name)
        self.assertIsNotNone(unit, f"{name}.service is not installed")
        start, stop = ((re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE) + [""])[0] for key in ("ExecStart", "ExecStop"))
        if verb != "enable":
            place.stop(name, stop)
        if verb != "disable":
            place.start(name, start)

    def carry(self, path, target):
        """scp, over the guest's control channel."""
        machine, _, directory = target.partition(":")
        self.assertEqual(machine, "web1")
        encoded = subprocess.run(["base64", path], check=True, capture_output=True, text=True).stdout
        self.web1.check(f"base64 -d >{directory}{os.path.basename(path)} <<'END'\n{encoded}END")


def tests():
    """Runs in the private machine, before the laboratory is made: what the page changes is changed for it alone."""
    os.mkdir("/run/tutorial")
    for path in PRIVATE:
        lay_over(path, "/run/tutorial")
    program = unittest.main("__main__", verbosity=2, exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(run(("generic",), main=tests))
