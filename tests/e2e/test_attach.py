#!/usr/bin/python3
"""One command gives a machine its tree: `wattport attach` on a running guest and on one that is off, with the cloud
kernel that has no 9p and no powercap class of its own; and nobody reads another one's tree."""

import glob
import os
import re
import sys
import unittest

from lab.domain import Domain, Share
from lab.laboratory import Laboratory
from lab.process import LabError, wait_for
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import RUNTIME, TREE, Wattport

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
DEVICE = "<target dir='wattport'/>"
FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "domains", "*.xml")
FIXTURES_MIN = 20  # that the libvirt and the QEMU of this machine accept


class AttachTest(unittest.TestCase):
    """Two guests: one without a share, one with its own and, by an operator's mistake, another's."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent", "tests/e2e/guest_probe")))
        cls.sim = RaplSim(lab)
        lab.start_libvirtd(cgroups=True)
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start({"guest-view.mode": "exact"})
        cls.plain = lab.guest("plain", flavour="cloud", memory_mib=192)
        cls.curious = lab.guest(
            "curious", Share(TREE), Share(TREE.replace("{uuid}", cls.plain.uuid), tag="stranger"), memory_mib=192,
        )
        for guest in (cls.plain, cls.curious):
            guest.wait_up()

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
        # One descriptor is kept: with a cache on the way it would show the same value for ever.
        lines = guest.check(f"guest_probe read {COUNTER} 100000 11").splitlines()
        values = [int(line.split()[2]) for line in lines]
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

    # The contract's section 6 promises it; the tree does not keep it where QEMU or virtiofsd is root, nor in the isolated
    # view. Whoever mends that removes this mark, or the test fails.
    @unittest.expectedFailure
    def test_nobody_reads_anothers_tree(self):
        guest = self.curious
        guest.check("wattport-agent mount && cat /sys/class/powercap/intel-rapl:0/energy_uj")
        result = guest.run("mkdir /tmp/stranger && mount -t 9p -o trans=virtio,version=9p2000.L stranger /tmp/stranger"
                           " && cat /tmp/stranger/class/powercap/intel-rapl:0/energy_uj")
        self.assertNotEqual(result.status, 0)
        self.assertIn("ermission denied", result.err)
        self.assertEqual(result.out, "")


if __name__ == "__main__":
    sys.exit(run(("generic", "cloud")))
