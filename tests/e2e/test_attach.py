#!/usr/bin/python3
"""One command gives a machine its tree: `wattport attach` on a running guest and on one that is off, with the cloud
kernel that has no 9p and no powercap class of its own; and nobody reads another one's tree."""

import glob
import os
import re
import sys
import unittest

from lab.domain import Domain, Share
from lab.host import start_host
from lab.laboratory import Laboratory
from lab.process import LabError, wait_for
from lab.runner import run
from lab.wattport import RUNTIME, TREE

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
DEVICE = "<target dir='wattport'/>"
FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "domains", "*.xml")
FIXTURES_MIN = 20  # that the libvirt and the QEMU of this machine accept


class AttachTest(unittest.TestCase):
    """A guest without a share."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent", "tests/e2e/guest_probe")))
        cls.sim, cls.host = start_host(lab, {"guest-view.mode": "exact"}, cgroups=True)
        cls.plain = lab.guest("plain", flavour="cloud", memory_mib=192)
        cls.plain.wait_up()

    def wattport(self, *arguments):
        """Runs `wattport ...`, which must succeed; what it said."""
        done = self.host.run(*arguments)
        print(f"wattport {' '.join(arguments)}: {done.returncode}: {done.stdout}{done.stderr}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def dump(self, uuid, *options):
        """The XML of a domain."""
        return self.lab.libvirtd.virsh("dumpxml", uuid, *options)

    def wait_gone(self, uuid):
        """Waits until a running domain has given the device back."""
        wait_for("the device to go", lambda: DEVICE not in self.dump(uuid), 20, 0.25)

    def test_running_guest_is_given_its_tree_and_loses_it(self):
        guest = self.plain
        self.assertNotEqual(guest.run("wattport-agent mount").status, 0, "there is no share yet")
        said = self.wattport("attach", "plain", "--dry-run")
        self.assertIn("would be plugged into the running machine", said)
        self.assertNotIn(DEVICE, self.dump(guest.uuid))
        self.assertIn("was plugged into the running machine", self.wattport("attach", "plain"))
        guest.check("until wattport-agent mount; do usleep 200000; done", 30)
        # One descriptor is kept: with a cache on the way it would show a value for a second, or for ever.
        lines = guest.check(f"guest_probe read {COUNTER} 100000 11").splitlines()
        values = [int(line.split()[2]) for line in lines]
        self.assertEqual(values, sorted(set(values)))
        self.assertGreater(values[-1] - values[0], 1e6, values)
        status = guest.check("wattport-agent status")
        self.assertIn("package-0", status)
        self.wattport("attach", "plain")  # Once more is no harm.
        self.assertEqual(self.dump(guest.uuid).count(DEVICE), 1)
        self.assertIn("The running machine has it", self.wattport("attach", "plain"))
        guest.check("umount -l /sys/class/powercap; umount -l /sys/devices/virtual/powercap;"
                    " umount -l /sys/devices/virtual; umount -l /run/wattport/tree; true")
        self.wattport("detach", "plain")
        self.wait_gone(guest.uuid)

    def test_machine_that_is_off_has_its_tree_when_it_starts(self):
        running = self.lab.domain(Domain("sleeper", memory_mib=64), start=False)
        for transport in ("9p", "virtiofs"):
            with self.subTest(transport):
                self.wattport("attach", "sleeper", f"--transport={transport}")
                self.assertIn(f"{RUNTIME}/vm/{running.uuid}", self.lab.libvirtd.virsh("dumpxml", running.uuid))
                running.start()
                running.destroy()
                self.wattport("detach", "sleeper")
                self.assertNotIn(RUNTIME, self.lab.libvirtd.virsh("dumpxml", running.uuid))

    def test_saved_machine_is_told_of(self):
        saved = self.lab.domain(Domain("saved", memory_mib=64), start=True)
        self.lab.libvirtd.virsh("managedsave", saved.uuid)
        self.assertIn("saved state is from before", self.wattport("attach", "saved"))
        self.lab.libvirtd.virsh("managedsave-remove", saved.uuid)
        self.assertNotIn("saved state", self.wattport("attach", "saved"))

    def define_fixture(self, path):
        """Defines a domain of the fixtures; its uuid, or None where libvirt does not take it."""
        with open(path, encoding="utf-8", newline="") as file:
            xml = re.sub("type=(['\"])kvm['\"]", r"type=\1qemu\1", file.read(), count=1)
        try:
            self.lab.libvirtd.virsh("define", "/dev/stdin", text_in=xml)
        except LabError:
            return None
        uuid = re.search("<uuid>(.*?)</uuid>", xml).group(1)
        # Ports that libvirt has added find their place when it reads its own text again.
        self.lab.libvirtd.virsh("define", "/dev/stdin", text_in=self.dump(uuid, "--inactive"))
        return uuid

    def all_but_one_work(self, *command):
        """Runs `wattport ... --all`, which leaves the domain alone whose tag is another's; what it said."""
        done = self.host.run(*command, "--all")
        print(f"wattport {' '.join(command)}: {done.stdout}{done.stderr}")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("taken: the domain has a file system with the tag wattport already, of /srv/mine", done.stderr)
        self.assertRegex(done.stderr, "1 of [0-9]+ domains were left as they are")
        return done.stdout

    def test_all_machines_are_as_they_were_before(self):
        uuids = [uuid for uuid in map(self.define_fixture, sorted(glob.glob(FIXTURES))) if uuid]
        virsh = self.lab.libvirtd.virsh
        self.addCleanup(virsh, "; ".join(f"undefine {uuid}" for uuid in uuids))
        self.addCleanup(self.host.run, "detach", "plain")
        self.assertGreaterEqual(len(uuids), FIXTURES_MIN)

        def definitions():
            return virsh("; ".join(f"dumpxml --inactive {uuid}" for uuid in uuids))

        before = definitions()
        self.assertEqual(before.count(DEVICE), 1, "the one that is another's")
        said = self.all_but_one_work("attach", "--dry-run")
        self.assertEqual(said.count("+++ "), len(uuids) - 1)
        self.assertIn("would be made shared", said)
        self.assertEqual(definitions(), before)
        self.assertNotIn(DEVICE, self.dump(self.plain.uuid))
        self.all_but_one_work("attach")
        between = definitions()
        self.assertEqual(between.count(DEVICE), len(uuids))
        self.assertGreater(between.count("<cache mode='none'/>"), len(uuids) // 2)
        self.assertIn(DEVICE, self.dump(self.plain.uuid), "it is transient and runs")
        self.all_but_one_work("attach")
        self.assertEqual(definitions(), between)
        self.all_but_one_work("detach")
        self.assertEqual(definitions(), before)
        self.wait_gone(self.plain.uuid)

    def test_unknown_machine_is_refused(self):
        done = self.host.run("attach", "nobody")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody", done.stderr)



class IsolationTest(unittest.TestCase):
    """Nobody reads another's tree, in the view in which everybody might take its figures for harmless. A machine whose
    operator has given it, beside its own tree, another one's and the directory of all of them, over both transports: QEMU
    and virtiofsd are root here. It starts, and reads its own."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim, cls.host = start_host(lab, cgroups=True)
        cls.other = lab.domain(Domain("other", memory_mib=64))
        cls.host.wait_known(cls.other.uuid)
        cls.shares = {
            f"{what}-{transport}": Share(path, transport, f"{what}-{transport}") for transport in ("9p", "virtiofs")
            for what, path in (("own", TREE), ("other", TREE.replace("{uuid}", cls.other.uuid)), ("all", f"{RUNTIME}/vm"))
        }
        cls.guest = lab.guest("curious", *cls.shares.values(), memory_mib=192)
        cls.guest.wait_up()
        cls.host.wait_known(cls.guest.uuid)

    def mounted(self, tag):
        """The directory in the guest where that share is mounted; None if that was refused."""
        path = f"/tmp/{tag}"
        how = "-t virtiofs" if tag.endswith("virtiofs") else "-t 9p -o trans=virtio,version=9p2000.L"
        result = self.guest.run(f"mkdir -p {path} && {{ grep -q ' {path} ' /proc/mounts || mount {how} {tag} {path}; }}")
        if result.status != 0:
            self.assertIn("ermission denied", result.err)
            return None
        return path

    def assert_refused(self, command):
        """In the guest, as root and as nobody: no word of it comes, for want of permission and not of a file."""
        for prefix in ("", "su -s /bin/sh nobody -c "):
            result = self.guest.run(f"{prefix}'{command}'" if prefix else command)
            print(f"{prefix}{command}: {result}")
            self.assertNotEqual(result.status, 0)
            self.assertEqual(result.out, "")
            self.assertIn("ermission denied", result.err)

    def assert_tree_is_refused(self, path):
        """The tree of another machine."""
        self.assertEqual(self.guest.run(f"ls -A {path}").out, "")
        for command in (f"cat {path}/class/powercap/intel-rapl:0/energy_uj", f"cat {path}/wattport/uuid", f"ls {path}/class"):
            self.assert_refused(command)

    def test_own_tree_is_read(self):
        for transport in ("9p", "virtiofs"):
            path = self.mounted(f"own-{transport}")
            for command in ("cat {}", "su -s /bin/sh nobody -c 'cat {}'"):
                with self.subTest(transport, command=command):
                    counter = command.format(f"{path}/class/powercap/intel-rapl:0/energy_uj")
                    before_uj = int(self.guest.check(counter))
                    self.assertGreater(int(self.guest.check(counter)), before_uj)
                    self.assertEqual(self.guest.check(command.format(f"{path}/wattport/uuid")).strip(), self.guest.uuid)

    def test_tree_of_another_is_refused(self):
        for transport in ("9p", "virtiofs"):
            with self.subTest(transport):
                path = self.mounted(f"other-{transport}")
                if path:
                    self.assert_tree_is_refused(path)

    def test_directory_of_all_trees_tells_nothing(self):
        for transport in ("9p", "virtiofs"):
            with self.subTest(transport):
                path = self.mounted(f"all-{transport}")
                # busybox takes a directory that errs for an empty one.
                self.assertEqual(self.guest.run(f"ls -A {path}").out, "")
                # Whoever looks at the other's tree on the host makes the kernel remember it.
                self.host.energy_uj(self.other.uuid)
                self.assert_tree_is_refused(f"{path}/{self.other.uuid}")
                # Whether there is such a machine or not looks the same.
                made_up = "99999999-0000-4000-8000-000000000001"
                self.assert_tree_is_refused(f"{path}/{made_up}")
                kinds = self.guest.check(f"stat -c '%A %h %s %Y' {path}/{self.other.uuid} {path}/{made_up}").split("\n")
                self.assertEqual(kinds[0], kinds[1])
        # Over 9p it is QEMU that asks, who has a tree of its own; a virtiofsd that shares all of them is nobody's.
        self.guest.check(f"cat {self.mounted('all-9p')}/{self.guest.uuid}/class/powercap/intel-rapl:0/energy_uj")
        self.assert_tree_is_refused(f"{self.mounted('all-virtiofs')}/{self.guest.uuid}")


if __name__ == "__main__":
    sys.exit(run(("generic", "cloud")))
