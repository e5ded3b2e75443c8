#!/usr/bin/python3
"""wattport replay and wattportd as a person meets them: what they print, the remedy, and the exit status."""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import unittest

FAILED, USAGE = 1, 2
TIMEOUT_S = 60
PROGRAMS = argparse.Namespace()
HEAD = {
    "wattport_trace": 1, "clock_tick_ns": 10000000, "cpus": [{"cpu": 0, "core": 0, "package": 0}],
    "zones": [{"id": "package-0", "package": 0, "kind": "package", "range_uj": 10**9}],
}
VM = "00000000-0000-0000-0000-00000000000a"


def sample(time_s, energy_uj, vm_s):
    """A line of a trace."""
    return {
        "t_ns": time_s * 10**9, "raw_uj": {"package-0": energy_uj}, "cpu_busy_ns": [vm_s * 10**9],
        "vms": [{"uuid": VM, "name": "web", "vcpus": [{"time_ns": vm_s * 10**9, "cpu": 0}]}],
    }


class ProgramTest(unittest.TestCase):
    """A directory of its own, and programs run in it."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="wattport-cli-")
        self.addCleanup(directory.cleanup)
        self.path = directory.name

    def write(self, name, text):
        """A file in the directory; returns its path."""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_program(self, *command):
        """Runs a program to its end."""
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


class ReplayTest(ProgramTest):
    """wattport replay."""

    def trace(self, *lines):
        """A trace of these lines."""
        return self.write("trace", "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))

    def replay(self, *arguments):
        """wattport replay with these arguments."""
        return self.run_program(PROGRAMS.wattport, "replay", *arguments)

    def test_json_is_exact_and_each_begins_at_zero(self):
        path = self.trace(HEAD, sample(1, 100, 0), sample(2, 1000100, 1), sample(3, 3000100, 2))
        done = self.replay("--each", "--attribution.idle-power=0W", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["vms"][VM]["package-0"]["active_uj"] for line in lines], [0, 1000000, 3000000])
        self.assertEqual([line["conservation_error_uj"] for line in lines], [0, 0, 0])
        last = self.replay("--json", "--attribution.idle-power=0W", path)
        self.assertEqual(json.loads(last.stdout), lines[-1])
        self.assertEqual(last.stdout, done.stdout.splitlines(keepends=True)[-1])

    def test_the_table_names_the_machine(self):
        done = self.replay(self.trace(HEAD, sample(1, 0, 0), sample(2, 10**6, 1)))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("web", done.stdout)
        self.assertIn("package-0", done.stdout)

    def test_settings_of_this_machine_do_not_apply_but_a_file_does(self):
        path = self.trace(HEAD, sample(1, 0, 0), sample(2, 10**6, 1))
        conf = self.write("conf", "[attribution]\nidle = none\nidle-power = 0.4W\n")
        idle = json.loads(self.replay("--json", "--config", conf, path).stdout)["idle_uj"]
        self.assertEqual(idle, {"package-0": 400000})

    def test_failures_tell_what_and_where(self):
        done = self.replay(self.trace(HEAD, sample(1, 0, 0), "garbage"))
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("trace: line 3", done.stderr)
        done = self.replay(os.path.join(self.path, "none"))
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("none", done.stderr)
        for arguments, said in (
            ((), "name the trace"), (("a", "b"), "unexpected argument: b"), (("--attribution.idel=vcpu", "a"), "idle"),
            (("--nothing", "a"), "nothing"),
        ):
            with self.subTest(arguments):
                done = self.replay(*arguments)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_a_full_disk_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [PROGRAMS.wattport, "replay", "--json", self.trace(HEAD, sample(1, 0, 0))], stdout=full,
                stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("cannot print", done.stderr)


class AttachTest(ProgramTest):
    """wattport attach and detach, without a libvirt: what comes of it is tests/e2e/test_attach.py's."""

    def test_wrong_usage_is_told(self):
        for line, said in {
            ("attach",): "the name or uuid of a domain is missing, or --all",
            ("detach",): "the name or uuid of a domain is missing, or --all",
            ("attach", "--all", "web"): "either --all or a domain, not both: web",
            ("attach", "web", "db"): "unexpected argument: db",
            ("attach", "web", "--transport=nfs"): "--transport is auto, 9p or virtiofs, not nfs",
            ("detach", "web", "--transport=9p"): "unrecognized option '--transport=9p'",
        }.items():
            with self.subTest(line):
                done = self.run_program(PROGRAMS.wattport, *line)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(said, done.stderr)

    def test_no_libvirt_is_a_failure(self):
        for line in (("attach", "web"), ("attach", "--all", "--dry-run"), ("detach", "--all")):
            done = self.run_program(PROGRAMS.wattport, *line, "--vms.uri=qemu+unix:///system?socket=/nonexistent")
            self.assertEqual(done.returncode, FAILED)
            self.assertIn("cannot reach libvirt at qemu+unix:///system?socket=/nonexistent", done.stderr)


class MeterTest(ProgramTest):
    """wattportd with what an operator gets wrong."""

    def setUp(self):
        super().setUp()
        self.write("root/sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n")
        self.write("root/sys/devices/system/cpu/cpu0/topology/core_id", "0\n")
        for name in ("online", "present", "possible"):
            self.write(f"root/sys/devices/system/cpu/{name}", "0\n")
        os.symlink("/proc", f"{self.path}/root/proc")

    def command(self, *arguments):
        """wattportd in directories of the test."""
        return [
            PROGRAMS.wattportd, "--sysroot", f"{self.path}/root", "--runtime-dir", f"{self.path}/run", "--state-dir",
            f"{self.path}/state", "--config", "/dev/null", "--vms.provider=procfs", *arguments,
        ]

    def refused(self, status, said, *arguments):
        """wattportd ends by itself with that status, and says that."""
        done = self.run_program(*self.command(*arguments))
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(said, done.stderr)
        self.assertEqual(done.stdout, "")

    def start(self, *arguments):
        """wattportd that runs, and what it said until it was ready."""
        process = subprocess.Popen(self.command(*arguments), stderr=subprocess.PIPE, bufsize=0)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, self.read_until(process, "ready")

    def read_until(self, process, word):
        """What a program says, up to the line with that word."""
        said = ""
        while True:
            self.assertTrue(select.select([process.stderr], [], [], TIMEOUT_S)[0], said)
            line = process.stderr.readline().decode()
            said += line
            if word in line:
                return said
            self.assertTrue(line, said)

    def stop(self, process):
        """Stops it as systemd would."""
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT_S), 0)

    def zone(self, energy):
        """A powercap tree of one package."""
        base = "root/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
        for name, value in (("name", "package-0"), ("energy_uj", energy), ("max_energy_range_uj", "262143328850")):
            self.write(f"{base}/{name}", value + "\n")
        links = f"{self.path}/root/sys/class/powercap"
        os.makedirs(links)
        for name in ("intel-rapl", "intel-rapl/intel-rapl:0"):
            os.symlink(f"../../devices/virtual/powercap/{name}", f"{links}/{os.path.basename(name)}")

    def test_no_powercap_tells_which_module_to_load(self):
        self.refused(FAILED, "intel_rapl_msr", "--meter.source=powercap")

    def test_garbage_in_the_counter_is_told_and_books_nothing(self):
        self.zone("garbage")
        process, said = self.start("--meter.source=powercap")
        self.assertIn("what cannot be read books nothing", said)
        done = self.run_program(PROGRAMS.wattport, "status", "--json", "--runtime-dir", f"{self.path}/run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.stop(process)

    def test_unknown_keys_are_usage_with_file_and_line(self):
        self.refused(USAGE, "--meter.periode=1s: unknown key meter.periode; there are: source", "--meter.periode=1s")
        conf = self.write("conf", "[meter]\nperiod = 1s\n\nsauce = model\n")
        self.refused(USAGE, f"{conf}:4: unknown key meter.sauce", "--config", conf)
        self.refused(USAGE, "none.conf", "--config", f"{self.path}/none.conf")
        self.refused(USAGE, "unexpected argument: word", "word")

    def test_directories_that_cannot_be_made_name_the_option(self):
        self.refused(FAILED, "name another with --state-dir", "--state-dir", "/proc/none", "--meter.source=model")
        self.refused(FAILED, "name another with --runtime-dir", "--runtime-dir", "/proc/none", "--meter.source=model")

    def test_a_second_one_is_refused_and_the_first_goes_on(self):
        process, _ = self.start("--meter.source=model")
        self.refused(FAILED, "another wattportd writes this ledger", "--meter.source=model")
        done = self.run_program(PROGRAMS.wattport, "status", "--runtime-dir", f"{self.path}/run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.stop(process)
        self.assertTrue(os.path.exists(f"{self.path}/state/ledger.state"))

    def test_without_libvirtd_it_runs_and_says_so(self):
        process, said = self.start("--meter.source=model", "--vms.provider=libvirt",
                                   "--vms.uri=qemu+unix:///system?socket=/nonexistent", "--meter.period=20ms")
        if "libvirt" not in said:
            said = self.read_until(process, "libvirt")
        self.assertIn("libvirt", said)
        self.stop(process)


def main():
    """Takes the programs from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wattport", required=True)
    parser.add_argument("--wattportd", required=True)
    _, rest = parser.parse_known_args(namespace=PROGRAMS)
    if os.geteuid() != 0:
        print("skipped: wattportd needs root")
        return 77
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
