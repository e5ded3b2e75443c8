#!/usr/bin/python3
"""`wattport-agent mount` with real bind mounts and overlays, and what the other commands then read."""

import glob
import json
import os
import subprocess
import sys
import unittest

import machine

AGENT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None


class MountTest(unittest.TestCase):
    """One machine each; what is left mounted after --undo must be what was there before."""

    def setUp(self):
        os.umask(0o022)
        self.machine = machine.Machine(AGENT)
        self.addCleanup(self.machine.close)

    def mount(self, *options):
        """Mounts, expects success, and returns the list of mounts."""
        status, _, errors = self.machine.run("mount", *options)
        self.assertEqual((status, errors), (0, ""))
        return machine.mounts()

    def check_laid(self, energy_uj):
        """Both ways to the counter lead to the share, and the links between them resolve."""
        sys_path = self.machine.sys
        link = sys_path + "/class/powercap/intel-rapl:0"
        self.assertEqual(machine.read(link + "/energy_uj"), f"{energy_uj}\n")
        self.assertEqual(os.path.realpath(link), sys_path + "/devices/virtual/powercap/intel-rapl/intel-rapl:0")
        self.assertTrue(os.path.isdir(sys_path + "/class/powercap/intel-rapl"))

    def check_rest_is_the_kernels(self):
        """Tunables are written through, and what appears later is seen."""
        sys_path = self.machine.sys
        machine.write(sys_path + "/devices/virtual/block/zram0/disksize", "1048576\n")
        machine.write(sys_path + "/devices/virtual/net/br0/mtu", "1500\n")
        machine.write(sys_path + "/class/net/bonding_masters", "bond0\n")
        self.assertEqual(machine.read(sys_path + "/devices/virtual/net/lo/mtu"), "65536\n")
        self.assertIn("net", os.listdir(sys_path + "/class"))

    def check_undone(self, before):
        """Nothing is left but what was written through."""
        status, output, errors = self.machine.run("mount", "--undo")
        self.assertEqual((status, output, errors), (0, "The tree is unmounted.\n", ""))
        self.assertEqual(machine.mounts(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.machine.at)), ["tree"])
        self.assertEqual(machine.read(self.machine.sys + "/devices/virtual/block/zram0/disksize"), "1048576\n")
        self.assertEqual(machine.read(self.machine.sys + "/devices/virtual/net/br0/mtu"), "1500\n")

    def check_cycle(self):
        """Mount, repeat, undo, repeat."""
        self.machine.add_share()
        before = machine.mounts()
        laid = self.mount()
        self.check_laid(5000000)
        self.check_rest_is_the_kernels()
        self.machine.set_energy(6000000)
        self.check_laid(6000000)
        status, output, _ = self.machine.run("mount")
        self.assertEqual(status, 0)
        self.assertIn("lies already", output)
        self.assertEqual(machine.mounts(), laid)
        self.check_undone(before)
        self.assertEqual(self.machine.run("mount", "--undo"), (0, "Nothing was mounted.\n", ""))

    def test_kernel_with_the_class(self):
        os.makedirs(self.machine.sys + "/class/powercap")
        self.check_cycle()

    def test_kernel_without_the_class(self):
        self.check_cycle()

    def test_kernel_with_a_control_type_but_no_zone(self):
        machine.write(self.machine.sys + "/devices/virtual/powercap/intel-rapl/enabled", "1\n")
        machine.write(self.machine.sys + "/class/powercap/intel-rapl/enabled", "1\n")
        self.check_cycle()

    def test_goes_on_where_it_was_cut_off(self):
        self.machine.add_share()
        before = machine.mounts()
        laid = self.mount()
        for place in ("/devices/virtual/powercap", "/devices/virtual/net", "/class/powercap"):
            subprocess.run(["umount", self.machine.sys + place], check=True)
        self.assertEqual(self.mount(), laid)
        self.check_laid(5000000)
        self.check_rest_is_the_kernels()
        self.check_undone(before)

    def test_a_narrow_umask_narrows_nothing(self):
        self.machine.add_share()
        former = os.umask(0o077)
        self.addCleanup(os.umask, former)
        self.mount()
        for path in ("/class", "/devices/virtual", "/class/net"):
            self.assertEqual(os.stat(self.machine.sys + path).st_mode & 0o777, 0o755, path)

    def test_spares_a_rapl_of_its_own(self):
        self.machine.add_zone(self.machine.sys, 0, 77)
        self.machine.add_share()
        before = machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("intel-rapl:0", errors)
        self.assertEqual(machine.mounts(), before)
        self.mount("--force")
        self.check_laid(5000000)
        self.check_rest_is_the_kernels()
        self.check_undone(before)
        self.check_laid(77)

    def test_leaves_nothing_behind_when_it_fails(self):
        machine.write(self.machine.share + "/unrelated", "\n")
        machine.mount("--bind", self.machine.share, self.machine.at)
        before = machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("serves no tree", errors)
        self.assertEqual(machine.mounts(), before)

    def test_leaves_nothing_behind_when_it_fails_half_way(self):
        self.machine.add_share()
        filesystems = self.machine.directory + "/filesystems"
        machine.write(filesystems, "nodev\ttmpfs\n")
        machine.mount("--bind", filesystems, self.machine.root + "/proc/filesystems")
        before = machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("no overlay file system", errors)
        self.assertEqual(machine.mounts(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.machine.at)), ["tree"])

    def test_tells_that_there_is_no_share(self):
        before = machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("wattport attach DOMAIN", errors)
        self.assertEqual(machine.mounts(), before)

    def test_mounts_but_warns_when_the_host_is_away(self):
        self.machine.add_share(age_ms=60000)
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 0)
        self.assertIn("60 s old", errors)

    def test_undo_does_not_wait_for_readers(self):
        self.machine.add_share()
        before = machine.mounts()
        self.mount()
        with open(self.machine.sys + "/class/powercap/intel-rapl:0/energy_uj", encoding="ascii") as kept:
            status, output, _ = self.machine.run("mount", "--undo")
            self.assertEqual(status, 0)
            self.assertIn("still have files of it open", output)
            self.assertEqual(kept.read(), "5000000\n")
        self.assertEqual(machine.mounts(), before)

    def test_status_reads_the_tree_laid_and_not_laid(self):
        self.machine.add_share(source="model")
        for _ in range(2):
            status, output, errors = self.machine.run("status", "--json", "--period", "1ms")
            self.assertEqual((status, errors), (0, ""))
            shown = json.loads(output)
            self.assertEqual((shown["up"], shown["source"], shown["estimate"]), (True, "tree", True))
            self.assertEqual(shown["zones"][0]["energy_uj"], 5000000)
            self.mount()
        self.machine.set_info(60000)
        status, output, _ = self.machine.run("status", "--json", "--period", "1ms")
        self.assertEqual(status, 1)
        self.assertIsNone(json.loads(output)["zones"][0]["power_uw"])

    def test_exec_measures_a_command(self):
        self.machine.add_share()
        self.mount()
        energy = self.machine.sys + "/class/powercap/intel-rapl:0/energy_uj"
        report = self.machine.directory + "/report"
        script = f"echo said; echo 7500000 > {energy}; exit 5"
        status, output, errors = self.machine.run("exec", "-o", report, "--json", "--", "sh", "-c", script)
        self.assertEqual((status, output, errors), (5, "said\n", ""))
        shown = json.loads(machine.read(report))
        self.assertEqual(shown["exit_status"], 5)
        self.assertEqual(shown["zones"][0]["energy_uj"], 2500000)
        self.assertGreater(shown["zones"][0]["power_uw"], 0)
        status, output, errors = self.machine.run("exec", "echo", "--json")
        self.assertEqual((status, output), (0, "--json\n"))
        self.assertIn("package-0", errors)
        self.assertEqual(self.machine.run("exec", "/nonexistent")[0], 127)
        self.assertEqual(self.machine.run("exec", "/")[0], 126)

    def test_mistakes_of_usage(self):
        for arguments in (["mount", "x"], ["mount", "--wait", "soon"], ["mount", "--transport", "nfs"], ["exec"],
                          ["status", "--period", "0s"], ["status", "--source", "sun"], ["dance"],
                          ["--http.listen", "nowhere"]):
            done = subprocess.run([AGENT, *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, arguments)
        self.assertEqual(self.machine.run("mount", "--at", "relative")[0], 1)
        self.assertEqual(self.machine.run("mount", "--at", "/tmp/a:b")[0], 1)


class RealSysTest(unittest.TestCase):
    """The same on this machine's own /sys, whose directories are the kernel's."""

    def test_this_machine(self):
        if glob.glob("/sys/class/powercap/*:*"):
            self.skipTest("this machine has a RAPL of its own")
        made = machine.Machine(AGENT)
        self.addCleanup(made.close)
        made.add_share()
        before = machine.mounts()
        listed = {path: os.listdir(path) for path in ("/sys/class", "/sys/devices/virtual")}
        done = subprocess.run([AGENT, "mount", "--at", made.at], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for path, names in listed.items():
            self.assertEqual(set(os.listdir(path)) - {"powercap"}, set(names) - {"powercap"})
        for path in ("/sys/class/powercap", "/sys/devices/virtual/powercap/intel-rapl"):
            self.assertEqual(machine.read(path + "/intel-rapl:0/energy_uj"), "5000000\n")
        # A tunable below the overlay: a read-only file system would be told before a bad value is.
        self.assertFalse(os.statvfs("/sys/devices/virtual/net/lo").f_flag & os.ST_RDONLY)
        done = subprocess.run([AGENT, "mount", "--undo", "--at", made.at], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(machine.mounts(), before)


if __name__ == "__main__":
    if AGENT is not None:
        sys.argv.append(AGENT)
        machine.unshared()
        sys.argv.pop()
    unittest.main()
