#!/usr/bin/python3
"""One command gives a machine its tree: `wattport attach` on a running guest and on one that is off, with the cloud
kernel that has no 9p and no powercap class of its own; and nobody reads another one's tree."""

import sys
import time
import unittest

from lab.domain import Domain, Share
from lab.laboratory import Laboratory
from lab.process import wait_for
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import RUNTIME, TREE, Wattport

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"


class AttachTest(unittest.TestCase):
    """Two guests: one without a share, one with its own and, by an operator's mistake, another's."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
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

    def test_running_guest_is_given_its_tree_and_loses_it(self):
        guest = self.plain
        self.assertNotEqual(guest.run("wattport-agent mount").status, 0, "there is no share yet")
        self.wattport("attach", "plain")
        guest.check("until wattport-agent mount; do usleep 200000; done", 30)
        before_uj = int(guest.read(COUNTER))
        time.sleep(1)
        self.assertGreater(int(guest.read(COUNTER)), before_uj + 1e6)
        status = guest.check("wattport-agent status")
        self.assertIn("package-0", status)
        self.wattport("attach", "plain")  # Once more is no harm.
        self.assertEqual(self.lab.libvirtd.virsh("dumpxml", guest.uuid).count("<target dir='wattport'/>"), 1)
        guest.check("umount -l /sys/class/powercap; umount -l /sys/devices/virtual/powercap;"
                    " umount -l /sys/devices/virtual; umount -l /run/wattport/tree; true")
        self.wattport("detach", "plain")
        wait_for("the device to go", lambda: "<target dir='wattport'/>" not in
                 self.lab.libvirtd.virsh("dumpxml", guest.uuid), 20, 0.25)

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
