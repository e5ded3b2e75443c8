#!/usr/bin/python3
"""What may befall a share in a guest: it comes late, goes, comes back, its host goes away. What `wattport-agent mount` then
says, what it mends by itself, and that --undo always leaves the guest as it was."""

import sys
import unittest

from lab.domain import Share
from lab.host import start_host
from lab.laboratory import Laboratory
from lab.process import wait_for
from lab.reader import GuestReader
from lab.runner import run
from lab.wattport import TREE

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
TREE_AT = "/run/wattport/tree"
OVER_9P = "--tag fixed --transport 9p"


class GuestMountTest(unittest.TestCase):
    """One guest with a 9p share from the start; a virtiofs one comes and goes."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim, cls.host = start_host(lab, cgroups=True)
        cls.late = Share(TREE, "virtiofs")
        cls.guest = lab.guest("guest", Share(TREE, tag="fixed"), memory_mib=192)
        cls.guest.wait_up()
        cls.guest.check("mkdir /run/wattport")
        cls.before = cls.state()

    @classmethod
    def state(cls):
        """What a mount changes. (bdi/ is the kernel's, for the first file system without a device.)"""
        return [cls.guest.check(command) for command in (
            "cut -d' ' -f3- /proc/self/mountinfo", "ls -1a /run/wattport /sys/class /sys/devices/virtual | grep -vx bdi",
        )]

    def agent(self, words, status=0):
        """Runs the agent, which ends with that status; all that it said."""
        result = self.guest.run(f"wattport-agent {words}")
        print(f"wattport-agent {words}: {result.status}: {(result.out + result.err).strip()}")
        self.assertEqual(result.status, status, result.out + result.err)
        return result.out + result.err

    def undo(self):
        """Takes all away; nothing is left."""
        said = self.agent("mount --undo")
        self.assertEqual(self.state(), self.before)
        return said

    def plug(self):
        """The late share comes."""
        self.guest.attach(self.late)

    def unplug(self):
        """It goes, whether the guest likes it or not."""
        devices = "cat /sys/bus/virtio/devices/*/device"
        self.guest.detach(self.late)
        wait_for("the device to go", lambda: "0x001a" not in self.guest.check(devices), 20, 0.1)

    def energy_uj(self):
        """What a client reads."""
        return int(self.guest.read(COUNTER))

    # The steps build on one another: a share's life from its beginning to its end.
    def test_life_of_a_share(self):
        for step in (
            self.check_no_share, self.check_late_share, self.check_busy_tree, self.check_tree_unmounted_by_hand,
            self.check_unplugged_share, self.check_share_that_came_back, self.check_dead_host,
        ):
            with self.subTest(step.__name__):
                step()

    def check_no_share(self):
        """It is told at once, with the tags that there are; for a service it is no failure."""
        said = self.agent("mount", 1)
        self.assertIn("no share tagged 'wattport' (there are shares tagged 'fixed'); on the host: wattport attach", said)
        self.assertIn("nothing is mounted", self.agent("mount --optional"))
        self.assertEqual(self.state(), self.before)

    def check_late_share(self):
        """It is waited for."""
        waiting = self.guest.begin("wattport-agent mount --wait 60s")
        self.plug()
        result = waiting()
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertIn("now lies over /sys/class/powercap", result.out)
        self.assertGreater(self.energy_uj(), 0)

    def check_busy_tree(self):
        """--undo does not wait for readers, names them, and disturbs none."""
        reader = GuestReader(self.guest, COUNTER)
        reader.start()
        said = self.undo()
        self.assertRegex(said, r"still have files of it open: guest_probe \(\d+\);")
        self.assertGreater(len(reader.stop()), 1)

    def check_tree_unmounted_by_hand(self):
        """What still lies over /sys holds the 9p device; mount takes it away, and --undo knows it, too."""
        self.agent(f"mount {OVER_9P}")
        self.guest.check(f"umount {TREE_AT}")
        self.assertIn("now lies", self.agent(f"mount {OVER_9P}"))
        self.assertGreater(self.energy_uj(), 0)
        self.guest.check(f"umount {TREE_AT}")
        self.undo()

    def check_unplugged_share(self):
        """A mount without a device only errs: that is said, and --undo works."""
        self.agent("mount")
        self.unplug()
        for words in ("mount", "mount --optional", "status"):
            self.assertIn(f"the device of the share at {TREE_AT} is gone", self.agent(words, 1))
        self.undo()

    def check_share_that_came_back(self):
        """The next mount lays it in the dead one's place."""
        self.plug()
        self.guest.check("until wattport-agent mount; do usleep 100000; done", 20)
        last_uj = self.energy_uj()
        self.unplug()
        self.plug()
        self.agent("mount --wait 20s")
        self.assertGreater(self.energy_uj(), last_uj)
        self.assertIn("lies already", self.agent("mount"))

    def check_dead_host(self):
        """wattport-fs ends with all that it served. It is told over both transports; a share that is plugged anew once it
        is back needs one mount, and the counter goes on."""
        last_uj = self.energy_uj()
        self.host.kill_filesystem()
        self.assertIn("does not answer", self.agent("status", 1))
        self.assertIn("does not answer", self.agent("mount", 1))
        self.assertIn("the host serves nothing through it", self.agent(f"mount {OVER_9P}", 1))
        self.undo()
        self.unplug()
        self.host.start_filesystem()
        self.plug()
        self.agent("mount --wait 20s")
        self.assertGreater(self.energy_uj(), last_uj)
        self.undo()


if __name__ == "__main__":
    sys.exit(run(("generic",)))
