#!/usr/bin/python3
"""`wattport-agent mount` with real bind mounts and overlays, and what the other commands then read."""

import glob
import json
import os
import signal
import subprocess
import sys
import unittest

import machine

CUT_OFFS_MAX = 40  # more than there are mounts in these machines
CUT_OFF = os.environ.get("WATTPORT_CUT_OFF", "")
AGENT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None


class MountTest(unittest.TestCase):
    """One machine each; what is left mounted after --undo must be what was there before."""

    maxDiff = None

    def setUp(self):
        os.umask(0o022)
        self.machine = machine.Machine(AGENT)
        self.addCleanup(self.machine.close)

    def mount(self, *options):
        """Mounts, expects success, and returns the list of mounts."""
        status, _, errors = self.machine.run("mount", *options)
        self.assertEqual((status, errors), (0, ""))
        return self.machine.mounts()

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
        self.assertEqual(self.machine.mounts(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.machine.at)), ["tree"])
        self.assertEqual(machine.read(self.machine.sys + "/devices/virtual/block/zram0/disksize"), "1048576\n")
        self.assertEqual(machine.read(self.machine.sys + "/devices/virtual/net/br0/mtu"), "1500\n")

    def check_cycle(self):
        """Mount, repeat, undo, repeat."""
        self.machine.add_share()
        before = self.machine.mounts()
        laid = self.mount()
        self.check_laid(5000000)
        self.check_rest_is_the_kernels()
        self.machine.set_energy(6000000)
        self.check_laid(6000000)
        status, output, _ = self.machine.run("mount")
        self.assertEqual(status, 0)
        self.assertIn("lies already", output)
        self.assertEqual(self.machine.mounts(), laid)
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
        before = self.machine.mounts()
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
        before = self.machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("intel-rapl:0", errors)
        self.assertEqual(self.machine.mounts(), before)
        self.mount("--force")
        self.check_laid(5000000)
        status, output, _ = self.machine.run("mount", "--force")
        self.assertEqual(status, 0)
        self.assertIn("It covers a RAPL of this machine's own (intel-rapl:0).", output)
        self.check_rest_is_the_kernels()
        self.check_undone(before)
        self.check_laid(77)

    def test_leaves_nothing_behind_when_it_fails(self):
        machine.write(self.machine.share + "/unrelated", "\n")
        machine.mount("--bind", self.machine.share, self.machine.at)
        before = self.machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("is no tree of Wattport's", errors)
        self.assertEqual(self.machine.mounts(), before)

    def test_leaves_nothing_behind_when_it_fails_half_way(self):
        self.machine.add_share()
        filesystems = self.machine.directory + "/filesystems"
        machine.write(filesystems, "nodev\ttmpfs\n")
        machine.mount("--bind", filesystems, self.machine.root + "/proc/filesystems")
        before = self.machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("has no module 'overlay'", errors)
        self.assertIn("--share-only", errors)
        self.assertEqual(self.machine.mounts(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.machine.at)), ["tree"])

    def test_tells_that_there_is_no_share(self):
        before = self.machine.mounts()
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 1)
        self.assertIn("wattport attach DOMAIN", errors)
        self.assertEqual(self.machine.mounts(), before)

    def test_mounts_but_warns_when_the_host_is_away(self):
        self.machine.add_share(age_ms=60000)
        status, _, errors = self.machine.run("mount")
        self.assertEqual(status, 0)
        self.assertIn("60 s old", errors)

    def test_undo_does_not_wait_for_readers(self):
        self.machine.add_share()
        before = self.machine.mounts()
        self.mount()
        with open(self.machine.sys + "/class/powercap/intel-rapl:0/energy_uj", encoding="ascii") as kept:
            status, output, _ = self.machine.run("mount", "--undo")
            self.assertEqual(status, 0)
            self.assertIn(f"still have files of it open: python3 ({os.getpid()}); it goes", output)
            self.assertEqual(kept.read(), "5000000\n")
        self.assertEqual(self.machine.mounts(), before)

    def check_refused(self, message, *options, through=()):
        """Mounting fails with that message, and changes nothing."""
        before = self.machine.mounts()
        status, output, errors = self.machine.run("mount", *options, through=through)
        self.assertEqual((status, output), (1, ""))
        self.assertIn(message, errors)
        self.assertEqual(self.machine.mounts(), before)

    def check_links(self):
        """All that the share did not carry."""
        for base in (self.machine.sys, self.machine.at):
            device = base + "/devices/virtual/powercap/intel-rapl"
            for name, path in (("intel-rapl", device), ("intel-rapl:0", device + "/intel-rapl:0")):
                self.assertEqual(os.path.realpath(f"{base}/class/powercap/{name}"), path)
                self.assertEqual(os.path.realpath(path + "/subsystem"), base + "/class/powercap")
        self.check_laid(5000000)

    def test_makes_the_links_of_a_share_without(self):
        self.machine.add_share_without_links()
        before = self.machine.mounts()
        laid = self.mount()
        self.check_links()
        self.machine.set_energy(6000000)
        self.check_laid(6000000)
        self.machine.set_energy(5000000)
        self.assertIn("lies already", self.machine.run("mount")[1])
        self.assertEqual(self.machine.mounts(), laid)
        # Cut off before the links were in their place; at its worst, before they were complete.
        for place in ("/class/powercap", "/devices/virtual/powercap"):
            subprocess.run(["umount", self.machine.sys + place], check=True)
        subprocess.run(["umount", self.machine.at], check=True)
        os.unlink(self.machine.at + "-frame/links/class/powercap/intel-rapl")
        self.assertEqual(self.mount(), laid)
        self.check_links()
        self.check_rest_is_the_kernels()
        self.check_undone(before)

    def cut_off(self, at, *arguments):
        """Runs the agent, which is killed at that mount or unmount of its; whether it came so far."""
        preload = {"LD_PRELOAD": CUT_OFF, "CUT_OFF_AT": str(at), "ASAN_OPTIONS": "verify_asan_link_order=0"}
        done = subprocess.run(self.machine.command(*arguments), capture_output=True, env={**os.environ, **preload},
                              check=False)
        if done.returncode != -signal.SIGKILL:
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.returncode == -signal.SIGKILL

    def check_cut_offs(self):
        """Wherever `mount` or `--undo` was cut off, another run of it completes it, and --undo leaves nothing."""
        before = self.machine.mounts()
        laid = self.mount()
        self.assertEqual(self.machine.run("mount", "--undo")[0], 0)
        for at in range(1, CUT_OFFS_MAX):
            with self.subTest(at=at):
                cut = self.cut_off(at, "mount")
                self.assertEqual(self.machine.run("mount", "--undo")[0], 0)
                self.assertEqual(self.machine.mounts(), before)
                self.cut_off(at, "mount")
                self.assertEqual(self.mount(), laid)
                self.check_laid(5000000)
                self.cut_off(at, "mount", "--undo")
                self.assertEqual(self.machine.run("mount", "--undo")[0], 0)
                self.assertEqual(self.machine.mounts(), before)
                self.assertEqual(os.listdir(os.path.dirname(self.machine.at)), ["tree"])
            if not cut:
                break
        self.assertIn(at, range(8, CUT_OFFS_MAX - 1))

    def test_cut_off_anywhere(self):
        self.machine.add_share()
        self.check_cut_offs()

    def test_cut_off_anywhere_with_links_to_make(self):
        self.machine.add_share_without_links()
        self.check_cut_offs()

    def test_share_without_links_needs_an_overlay(self):
        self.machine.add_share_without_links()
        filesystems = self.machine.directory + "/filesystems"
        machine.write(filesystems, "nodev\ttmpfs\n")
        machine.mount("--bind", filesystems, self.machine.root + "/proc/filesystems")
        self.check_refused("the share carries no symbolic links (accessmode='mapped')")
        self.assertEqual(os.listdir(os.path.dirname(self.machine.at)), ["tree"])

    def test_share_alone(self):
        self.machine.add_share_without_links()
        before = self.machine.mounts()
        status, output, errors = self.machine.run("mount", "--share-only")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn(f"The host's tree is now at {self.machine.at}.", output)
        self.assertEqual(machine.read(self.machine.at + "/class/powercap/intel-rapl:0/energy_uj"), "5000000\n")
        self.assertFalse(os.path.exists(self.machine.sys + "/class/powercap"))
        self.assertEqual(self.machine.run("mount", "--undo")[:2], (0, "The tree is unmounted.\n"))
        self.assertEqual(self.machine.mounts(), before)

    def test_what_a_share_may_be_instead_of_a_tree(self):
        machine.mount("--bind", self.machine.share, self.machine.at)
        self.check_refused("is empty: the host serves no tree there")
        machine.write(self.machine.share + "/unrelated", "\n")
        self.check_refused("is no tree of Wattport's")
        self.machine.set_info(3)
        for path in ("class", "devices/virtual"):
            os.makedirs(f"{self.machine.share}/{path}/powercap")
        self.check_refused("holds no zones")

    def test_no_share_where_none_is_asked_for(self):
        before = self.machine.mounts()
        nothing = (0, "No share tagged 'wattport' is here: nothing is mounted.\n", "")
        self.assertEqual(self.machine.run("mount", "--optional"), nothing)
        self.machine.add_zone(self.machine.sys, 0, 77)
        self.assertEqual(self.machine.run("mount", "--optional"), nothing)
        self.assertEqual(self.machine.mounts(), before)
        self.check_refused("this machine has a RAPL of its own")
        machine.mount("--bind", self.machine.share, self.machine.at)
        self.check_refused("this machine has a RAPL of its own", "--optional")

    def test_waits_no_longer_than_it_should(self):
        self.check_refused("has no share tagged 'wattport'", "--wait", "10ms")

    def test_who_may_mount(self):
        self.machine.add_share()
        os.chmod(self.machine.directory, 0o755)
        self.check_refused("run it with sudo", through=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        self.check_refused("this root may not mount: it lacks CAP_SYS_ADMIN",
                           through=("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"))
        nested = ("unshare", "--user", "--map-root-user")
        if subprocess.run([*nested, "true"], capture_output=True, check=False).returncode == 0:
            self.check_refused("the kernel does not let this process mount on ", through=nested)

    def test_sysfs_may_be_read_only_but_must_be_there(self):
        self.machine.add_share()
        machine.write(self.machine.sys + "/class/powercap/.keep", "\n")
        machine.mount("-o", "remount,ro", self.machine.sys)
        self.mount()
        self.check_laid(5000000)
        self.assertEqual(self.machine.run("mount", "--undo")[0], 0)
        machine.mount("-t", "tmpfs", "empty", self.machine.sys)
        self.check_refused("sysfs, which has to be mounted there")

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
        before = made.mounts()
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
        self.assertEqual(made.mounts(), before)


if __name__ == "__main__":
    machine.main(AGENT)
