#!/usr/bin/python3
"""The units that are shipped, run by a real systemd, which is process 1 of a machine of its own (namespaces): restarts
and crashes of wattport-fs are not noticed by a reader, and a stop leaves nothing; wattport-exporter answers.

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
from test_fusefs import ENERGY, PROGRAMS, SKIPPED, VM, until

SYSTEMD = "/lib/systemd/systemd"
UNIT = "wattport-fs.service"
PORT = 9771
TREE = f"/run/wattport/vm/{VM}"

# What a unit depends on by default, with nothing behind it.
TARGETS = ("basic", "default", "multi-user", "shutdown", "sysinit", "umount")

# Becomes process 1: with its own processes, cgroups and /run, and else the files of this machine.
INIT = """
set -e
{python} -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 run /run
umount --lazy /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
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
        return subprocess.run(self.command(*command), capture_output=True, text=True, timeout=30, check=False)

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

    def show(self, name):
        return self.systemctl("show", "--value", f"--property={name}", UNIT)

    def runs(self):
        return self.run("systemctl", "is-system-running").stdout.strip() == "running"

    def close(self):
        if self.outer.poll() is None:
            for init in self.children():
                os.kill(int(init), signal.SIGKILL)
        self.outer.wait(20)
        self.log.close()
        for directory, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(directory)


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="wattport-test-service.")
        self.addCleanup(shutil.rmtree, self.directory)
        self.machine = Machine(self.directory)
        self.addCleanup(self.machine.close)
        until(lambda: self.machine.runs() or self.machine.outer.poll() is not None, "systemd", 20)
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

    def install(self, name):
        """A unit and its program: a copy, which an upgrade can put another file in the place of; not in /tmp, which a
        unit may have for itself."""
        program = f"/run/{name}"
        self.machine.check("cp", PROGRAMS[name], program)
        with open(os.path.join(PROGRAMS["units"], f"{name}.service"), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(self.machine.units, f"{name}.service"), "w", encoding="utf-8") as file:
            file.write(text.replace(os.path.join(PROGRAMS["sbin"], name), program).replace("=wattport\n", "=nobody\n")
                       .replace("Group=nobody", "Group=nogroup"))
            # There is no journal.
            file.write(f"\n[Service]\nStandardOutput=append:{self.machine.log.name}\nStandardError=append:{self.machine.log.name}\n")
        self.machine.systemctl("daemon-reload")
        return program

    def end_writer(self):
        self.writer.stdin.close()
        self.writer.stdout.close()
        self.writer.wait(10)

    def reader(self, kind):
        return test_handover.Reader(kind, f"{TREE}/{ENERGY}", self.machine.command())

    def main_pid(self):
        return self.machine.show("MainPID")

    def change(self, *arguments):
        """Asks systemctl for something that starts the service anew, and waits for it."""
        before = self.main_pid()
        self.machine.systemctl(*arguments, UNIT)
        until(lambda: self.main_pid() not in (before, "0") and self.machine.show("ActiveState") == "active", arguments, 20)

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
        self.assertEqual(machine.text().count("going on with the mount"), 5, machine.text())
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
        until(lambda: machine.show("ActiveState") == "inactive", "the stop at shutdown", 20)
        self.assertNotIn("/run/wattport/vm", machine.check("cat", "/proc/self/mountinfo"))

    def test_exporter_answers(self):
        """Under all the restrictions of its unit."""
        self.install("wattport-exporter")
        self.machine.systemctl("start", "wattport-exporter")
        try:
            until(lambda: self.asked() == 200, "its metrics", 10)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.systemctl('show', 'wattport-exporter')}\n{self.machine.text()}") from None
        self.machine.systemctl("reload", "wattport-exporter")
        until(lambda: "there is no web configuration to read again" in self.machine.text(), "the reload", 10)
        self.assertEqual(self.asked(), 200)

    def asked(self):
        script = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{PORT}/metrics', timeout=5).status)"
        done = self.machine.run(sys.executable, "-c", script)
        return int(done.stdout or 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--units", required=True, help="where the units are, as they are installed")
    parser.add_argument("--sbin", required=True, help="where the programs are that they name")
    parser.add_argument("--wattport-exporter", required=True)
    arguments, sys.argv[1:] = parser.parse_known_args()
    rest = test_fusefs.prepare(__doc__)
    PROGRAMS.update({"units": arguments.units, "sbin": arguments.sbin, "wattport-fs": PROGRAMS["wattport_fs"],
                     "wattport-exporter": os.path.abspath(arguments.wattport_exporter)})
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
