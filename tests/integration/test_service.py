#!/usr/bin/python3
"""The units that are shipped, run by a real systemd, which is process 1 of a machine of its own (namespaces): restarts
and crashes of wattport-fs are not noticed by a reader, and a stop leaves nothing; the others do their work; and each
process has given up what docs/security.md says.

Exit status 77: it cannot run here (no root, no systemd, no cgroups of its own).
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import test_fusefs
import test_handover
from test_fusefs import ENERGY, PATIENCE_S, PROGRAMS, SKIPPED, VM, until

SYSTEMD = "/lib/systemd/systemd"
UNIT = "wattport-fs.service"
PORT = 9771
AGENT_PORT = 9772
TREE = f"/run/wattport/vm/{VM}"

# What a unit depends on by default, with nothing behind it.
TARGETS = ("basic", "default", "multi-user", "shutdown", "sysinit", "umount")

CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
# Of linux/capability.h.
CAP_DAC_READ_SEARCH = 2
CAP_NET_ADMIN = 12
KILL, SETGID, SETUID, SETPCAP, ADMIN, PERFMON = (1 << number for number in (5, 6, 7, 8, 21, 38))

# Becomes process 1: with its own processes, cgroups and /run, and else the files of this machine.
INIT = """
set -e
{python} -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 state /var/lib
umount --lazy /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# As on any machine: what is mounted here is seen in the sandboxes of services, and not the other way round.
mount --make-rshared /
export container=wattport-test SYSTEMD_UNIT_PATH="$1"
exec {systemd} --system --unit=default.target --log-target=console --show-status=0
"""


def cgroup2():
    """Where the unified hierarchy is, or None."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2" and fields[3] == "/":
                return fields[4]
    return None


class Machine:
    """A systemd and what it runs."""

    def __init__(self, directory):
        self.units = os.path.join(directory, "units")
        self.cgroup = os.path.join(cgroup2(), f"wattport-test-{os.getpid()}")
        os.mkdir(self.units)
        os.mkdir(self.cgroup)
        for target in TARGETS:
            with open(os.path.join(self.units, f"{target}.target"), "w", encoding="utf-8") as file:
                file.write("[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n")
        self.log = open(os.path.join(directory, "log"), "a", encoding="utf-8")
        self.outer = subprocess.Popen(
            ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--kill-child",
             "sh", "-c", INIT.format(systemd=SYSTEMD, python=sys.executable), "sh", self.units],
            stdout=self.log, stderr=self.log, preexec_fn=self._enter_cgroup)
        until(lambda: self.children() or self.outer.poll() is not None, "process 1")

    def _enter_cgroup(self):
        with open(os.path.join(self.cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")

    def children(self):
        with open(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children", encoding="ascii") as file:
            return file.read().split()

    def command(self, *command):
        (init,) = self.children()
        return ["nsenter", "--target", init, "--mount", "--uts", "--ipc", "--net", "--pid", *command]

    def run(self, *command):
        return subprocess.run(self.command(*command), capture_output=True, text=True, timeout=60, check=False)

    def check(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}\n{self.text()}"
        return done.stdout.strip()

    def text(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def systemctl(self, *arguments):
        return self.check("systemctl", *arguments)

    def show(self, name, unit=UNIT):
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def status(self, pid):
        """/proc/PID/status, what is of interest there."""
        lines = (line.split(":", 1) for line in self.check("cat", f"/proc/{pid}/status").splitlines())
        return {name: value.split()[0] for name, value in lines if name in ("Uid", "NoNewPrivs", "Seccomp") or name in CAPABILITIES}

    def runs(self):
        return self.run("systemctl", "is-system-running").stdout.strip() == "running"

    def close(self):
        if self.outer.poll() is None:
            for init in self.children():
                os.kill(int(init), signal.SIGKILL)
        self.outer.wait(PATIENCE_S)
        self.log.close()
        for directory, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(directory)


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="wattport-test-service.")
        self.addCleanup(shutil.rmtree, self.directory)
        self.machine = Machine(self.directory)
        self.addCleanup(self.machine.close)
        until(lambda: self.machine.runs() or self.machine.outer.poll() is not None, "systemd")
        if self.machine.outer.poll() is not None:
            self.skipTest(f"systemd does not start here: {self.machine.text()}")
        self.machine.check("mkdir", "-p", "/run/wattport")
        self.writer = subprocess.Popen(self.machine.command(PROGRAMS["ledger_writer"], "/run/wattport"),
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in ("host isolated replay package dram", f"vm {VM} 1 running 1", f"energy {VM} 0 1000000 1000000", "publish"):
            self.writer.stdin.write(line + "\n")
            self.writer.stdin.flush()
            self.assertEqual(self.writer.stdout.readline(), "ok\n")
        self.addCleanup(self.end_writer)

    def install(self, name, unit=None, settings=""):
        """A unit and its program: a copy, which an upgrade can put another file in the place of; not in /tmp, which a
        unit may have for itself."""
        program = f"/run/{name}"
        unit = unit or name
        self.machine.check("cp", PROGRAMS[name], program)
        with open(os.path.join(PROGRAMS["units"], f"{unit}.service"), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(self.machine.units, f"{unit}.service"), "w", encoding="utf-8") as file:
            file.write(text.replace(os.path.join(PROGRAMS["sbin"], name), program).replace(os.path.join(PROGRAMS["bin"], name), program).replace("User=wattport", "User=nobody")
                       .replace("Group=wattport", "Group=nogroup"))
            # There is no journal.
            file.write(f"\n[Unit]\nConditionVirtualization=\n[Service]\n{settings}StandardOutput=append:{self.machine.log.name}\nStandardError=append:{self.machine.log.name}\n")
        self.machine.systemctl("daemon-reload")
        return program

    def end_writer(self):
        self.writer.stdin.close()
        self.writer.stdout.close()
        self.writer.wait(PATIENCE_S)

    def reader(self, kind):
        return test_fusefs.Reader(kind, f"{TREE}/{ENERGY}", self.machine.command())

    def main_pid(self, unit=UNIT):
        return self.machine.show("MainPID", unit)

    def change(self, *arguments):
        """Asks systemctl for something that starts the service anew, and waits for it."""
        before = self.main_pid()
        self.machine.systemctl(*arguments, UNIT)
        until(lambda: self.main_pid() not in (before, "0") and self.machine.show("ActiveState") == "active", arguments)

    def test_only_a_stop_is_noticed(self):
        machine = self.machine
        program = self.install("wattport-fs")
        machine.systemctl("start", UNIT)
        self.assertEqual(machine.show("NFileDescriptorStore"), "2")
        readers = [self.reader("kept"), self.reader("fresh")]
        self.addCleanup(lambda: [reader.process.kill() for reader in readers])
        for arguments in (("restart",), ("try-restart",), ("kill", "--signal=KILL", "--kill-who=main"),
                          ("kill", "--signal=KILL", "--kill-who=all")):
            self.change(*arguments)
            time.sleep(0.1)
        # An upgrade: another file of that name, and then what a package's scripts do.
        machine.check("cp", program, f"{program}.new")
        machine.check("mv", f"{program}.new", program)
        self.change("restart")
        for reader in readers:
            seen = reader.stop(100)
            print(f"\n    {reader.kind}: {seen['reads']} reads, worst {seen['worst_ms']:.0f} ms", end="")
            self.assertEqual([seen[what] for what in ("errors", "decreases", "equals", "texts")], [0, 0, 0, []], machine.text())
        # The first start as well: from the step that mounts.
        self.assertEqual(machine.text().count("going on with the mount"), 6, machine.text())
        self.assertEqual(machine.show("NFileDescriptorStore"), "2")
        machine.systemctl("stop", UNIT)
        self.assertEqual((machine.show("ActiveState"), machine.show("Result")), ("inactive", "success"), machine.text())
        self.assertNotIn("/run/wattport/vm", machine.check("cat", "/proc/self/mountinfo"))
        self.assertEqual(machine.run("pgrep", "-x", "wattport-fs").stdout, "")
        self.assertEqual(machine.show("NFileDescriptorStore"), "0")
        machine.systemctl("start", UNIT)
        self.assertGreater(int(machine.check("cat", f"{TREE}/{ENERGY}")), 1000000)
        # A machine that goes down stops all its units.
        machine.systemctl("isolate", "--no-block", "shutdown.target")
        until(lambda: machine.show("ActiveState") == "inactive", "the stop at shutdown")
        self.assertNotIn("/run/wattport/vm", machine.check("cat", "/proc/self/mountinfo"))

    def test_exporter_answers(self):
        """Under all the restrictions of its unit."""
        self.install("wattport-exporter")
        self.machine.systemctl("start", "wattport-exporter")
        try:
            until(lambda: self.asked() == 200, "its metrics")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.systemctl('show', 'wattport-exporter')}\n{self.machine.text()}") from None
        self.machine.systemctl("reload", "wattport-exporter")
        until(lambda: "there is no web configuration to read again" in self.machine.text(), "the reload")
        self.assertEqual(self.asked(), 200)

        self.assert_given_up(self.main_pid("wattport-exporter"), 0)

    def asked(self, port=PORT):
        script = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{port}/metrics', timeout=5).status)"
        done = self.machine.run(sys.executable, "-c", script)
        return int(done.stdout or 0)

    def assert_given_up(self, pid, capabilities, root=False, bounds=0):
        """What a process still has: these capabilities, a filter, and no way to more. bounds: who never was root cannot take
        anything from what nobody can reach any more."""
        status = self.machine.status(pid)
        wanted = dict.fromkeys(CAPABILITIES, 0) | {"CapPrm": capabilities, "CapEff": capabilities, "CapBnd": bounds}
        self.assertEqual({name: int(status[name], 16) for name in CAPABILITIES}, wanted)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"], status["Uid"] == "0"), ("1", "2", root))

    def workers(self, keeper):
        """Of this keeper, inside: the one that serves and the spare one, once they are nobody."""
        found = []

        def are_nobody():
            found[:] = self.machine.run("pgrep", "-P", keeper).stdout.split()
            return len(found) == 2 and all(self.machine.status(number)["Uid"] != "0" for number in found)

        until(are_nobody, "a worker and a spare one that are nobody")
        return found

    def test_tree_is_served_without_power(self):
        """Keeper and workers, by their unit; and the worker that comes after it."""
        machine = self.machine
        self.install("wattport-fs")
        machine.systemctl("start", UNIT)
        for _ in range(2):
            keeper = self.main_pid()
            workers = self.workers(keeper)
            self.assert_given_up(keeper, KILL | SETGID | SETUID | SETPCAP, root=True)
            for worker in workers:
                self.assert_given_up(worker, 0)
            worker = machine.check("cat", "/run/wattport/fs-worker.pid")
            self.assertIn(worker, workers)
            machine.check("kill", "-KILL", worker)
            until(lambda: machine.check("cat", "/run/wattport/fs-worker.pid") != worker, "another worker")
            self.assertGreater(int(machine.check("cat", f"{TREE}/{ENERGY}")), 1000000)
        machine.systemctl("stop", UNIT)

    def test_plain_files(self):
        """The same as plain files: mounted by the first step, written by a process that can do no more than that."""
        machine = self.machine
        self.install("wattport-fs")
        unit = os.path.join(machine.units, UNIT)
        with open(unit, encoding="utf-8") as file:
            text = file.read()
        with open(unit, "w", encoding="utf-8") as file:
            file.write(text.replace("/run/wattport-fs --", "/run/wattport-fs --tree.mode=tmpfs --"))
        machine.systemctl("daemon-reload")
        machine.systemctl("start", UNIT)
        before = machine.check("cat", f"{TREE}/{ENERGY}")
        self.assert_given_up(self.main_pid(), 0)
        self.assertEqual(machine.show("NFileDescriptorStore"), "1")
        self.change("restart")
        self.assertGreaterEqual(int(machine.check("cat", f"{TREE}/{ENERGY}")), int(before))
        machine.systemctl("stop", UNIT)
        self.assertNotIn("/run/wattport/vm", machine.check("cat", "/proc/self/mountinfo"))

    def test_meter(self):
        """wattportd as it is shipped: without libvirt and without a counter, it estimates and goes on."""
        machine = self.machine
        self.end_writer()
        self.install("wattportd")
        machine.systemctl("start", "wattportd")
        had = int(machine.status(1)["CapBnd"], 16)
        self.assert_given_up(self.main_pid("wattportd"), PERFMON & had, root=True)
        machine.systemctl("restart", "wattportd")
        machine.systemctl("stop", "wattportd")
        self.assertEqual(machine.show("Result", "wattportd"), "success", machine.text())
        self.assertEqual(machine.check("stat", "--format=%a %U", "/var/lib/wattport/ledger.state"), "600 root")
        self.assertEqual(machine.check("stat", "--format=%a %U", "/run/wattport/ledger"), "644 root")

    def test_filters_of_their_own(self):
        """By hand, without a service manager's filters and its other help, they give up the same."""
        machine = self.machine
        places = ("--runtime-dir", "/run/hand", "--config", "/dev/null")
        had = int(machine.status(1)["CapEff"], 16)
        for name, options, capabilities, root in (
                ("wattportd", (*places, "--state-dir", "/run/hand-state"), PERFMON, True),
                ("wattport-fs", places, ADMIN | KILL | SETGID | SETUID | SETPCAP, True),
                ("wattport-exporter", (*places, "--http.listen", "127.0.0.1:19771"), 0, False),
                ("wattport-agent", ("--http.listen=127.0.0.1:19772",), 0, False)):
            process = subprocess.Popen(machine.command("sh", "-c", 'echo $$; exec "$@"', "sh", PROGRAMS[name], *options),
                                       stdout=subprocess.PIPE, stderr=machine.log, text=True)
            self.addCleanup(process.wait, PATIENCE_S)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.terminate)
            # The number that it has inside; terminate() reaches it by nsenter, which waits for nobody else.
            pid = process.stdout.readline().strip()
            self.addCleanup(machine.run, "kill", pid)
            until(lambda number=pid: machine.status(number)["Seccomp"] == "2", f"the filter of {name}")
            self.assert_given_up(pid, capabilities & had, root)
            if name == "wattport-fs":
                for worker in self.workers(pid):
                    self.assert_given_up(worker, 0)

    def test_agent(self):
        """It reads a counter that is root's alone, and then is nobody."""
        machine = self.machine
        root = "/run/root/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
        machine.check("sh", "-ec", f"umask 022; mkdir -p {root} /run/root/sys/class/powercap /run/root/proc; cd {root}; "
                      "echo package-0 > name; echo 1000 > energy_uj; echo 262143328850 > max_energy_range_uj; chmod 0400 energy_uj; "
                      "ln -s ../../devices/virtual/powercap/intel-rapl/intel-rapl:0 /run/root/sys/class/powercap/")
        self.install("wattport-agent", settings="ExecStart=\nExecStart=/run/wattport-agent --sysroot /run/root --source powercap\n")
        machine.systemctl("start", "wattport-agent")
        until(lambda: self.asked(AGENT_PORT) == 200, "the agent's metrics")
        page = machine.check(sys.executable, "-c", "import urllib.request; "
                             f"print(urllib.request.urlopen('http://127.0.0.1:{AGENT_PORT}/metrics', timeout=5).read().decode())")
        self.assertIn("\nwattport_up 1\n", page, machine.text())
        self.assert_given_up(self.main_pid("wattport-agent"), 0, bounds=1 << CAP_DAC_READ_SEARCH | 1 << CAP_NET_ADMIN)

    def test_agent_mounts_for_all(self):
        """The unit that lays the tree: what is mounted under its restrictions is there for every process."""
        machine = self.machine
        machine.check("mkdir", "/run/laid", "/run/lower", "/run/lower/found")
        self.install("wattport-agent", "wattport-agent-mount",
                     "ExecStart=/bin/mount -t overlay -o lowerdir=/run/lower:/run/laid overlay /run/laid\nExecStop=/bin/umount /run/laid\n")
        machine.systemctl("start", "wattport-agent-mount")
        self.assertEqual(machine.check("ls", "/run/laid"), "found", machine.text())
        machine.systemctl("stop", "wattport-agent-mount")
        self.assertEqual(machine.check("ls", "/run/laid"), "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--units", required=True, help="where the units are, as they are installed")
    parser.add_argument("--sbin", required=True, help="where the programs are that they name")
    parser.add_argument("--bin", required=True, help="the same for those of everybody")
    for name in ("wattport-exporter", "wattportd", "wattport-agent"):
        parser.add_argument(f"--{name}", required=True)
    arguments, sys.argv[1:] = parser.parse_known_args()
    rest = test_fusefs.prepare(__doc__)
    PROGRAMS.update({"units": arguments.units, "sbin": arguments.sbin, "wattport-fs": PROGRAMS["wattport_fs"],
                     "bin": arguments.bin, "wattport-exporter": os.path.abspath(arguments.wattport_exporter),
                     "wattportd": os.path.abspath(arguments.wattportd),
                     "wattport-agent": os.path.abspath(arguments.wattport_agent)})
    for what, missing in (("systemd", not os.access(SYSTEMD, os.X_OK)), ("unified hierarchy of cgroups", cgroup2() is None)):
        if missing:
            print(f"skipped: there is no {what}")
            sys.exit(SKIPPED)
    if not os.access(cgroup2(), os.W_OK) or os.statvfs(cgroup2()).f_flag & os.ST_RDONLY:
        print("skipped: no cgroups can be made here")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
