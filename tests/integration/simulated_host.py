"""Programs on a simulated host: they run until the test ends, and a process poses as a machine."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SKIPPED = 77
PROGRAMS = argparse.Namespace()
PATIENCE_S = 60


class HostTest(unittest.TestCase):
    """The host and the runtime directory are below `path`, with the log of all programs."""

    period_s = 0.1  # of the samples, some of which may have to be waited for

    def setUp(self):
        self.path = tempfile.mkdtemp(prefix="wattport-test.")
        os.chmod(self.path, 0o755)
        self.addCleanup(shutil.rmtree, self.path)
        self.runtime = f"{self.path}/run"
        self.sysroot = f"{self.path}/host"
        os.mkdir(self.runtime)

    def start(self, ready, *command):
        """A program that runs until the test ends; `ready` is what is there when it has begun."""
        with open(f"{self.path}/log", "ab") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, PATIENCE_S)
        self.addCleanup(process.terminate)
        self.wait(lambda: ready(process) or self.assertIsNone(process.poll(), self.log()))
        return process

    def wait(self, condition):
        """Until it holds."""
        end = time.monotonic() + PATIENCE_S + 10 * self.period_s
        while not condition():
            self.assertLess(time.monotonic(), end, self.log())
            time.sleep(0.02)

    def log(self):
        """What all programs have said."""
        with open(f"{self.path}/log", encoding="utf-8") as file:
            return file.read()

    def start_host(self, script, vcpus, arguments, *zones):
        """The simulated RAPL, and a machine: a Python script that writes a line for each vCPU that it has begun."""
        self.start(lambda _: os.path.isdir(f"{self.sysroot}/sys/class/powercap"),
                   PROGRAMS.raplsim, "run", self.sysroot, "--foreground", "--packages=1", *zones, "--idle-watts=20",
                   "--busy-watts=40")
        qemu = f"{self.path}/qemu-system-x86_64"
        os.symlink(os.path.realpath(sys.executable), qemu)
        self.start(lambda process: all([process.stdout.readline() for _ in range(vcpus)]), qemu, "-c", script, *arguments)

    def wattport(self, *arguments):
        """What it prints."""
        done = subprocess.run([PROGRAMS.wattport, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def status(self):
        """The host's accounts."""
        return json.loads(self.wattport("status", "--json", "--runtime-dir", self.runtime))


def main(description, programs, *namespaces):
    """The tests of the script that was called, in namespaces of its own: options of unshare(1)."""
    parser = argparse.ArgumentParser(description=description)
    for name in programs:
        parser.add_argument(f"--{name}", type=os.path.abspath, required=True)
    _, rest = parser.parse_known_args(namespace=PROGRAMS)
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("skipped: it needs root and /dev/fuse")
        sys.exit(SKIPPED)
    if "WATTPORT_TEST_UNSHARED" not in os.environ:
        os.environ["WATTPORT_TEST_UNSHARED"] = "yes"
        os.execvp("unshare", ["unshare", *namespaces, sys.executable, "-B", *sys.argv])
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
