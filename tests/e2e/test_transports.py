#!/usr/bin/python3
"""The tree in its place in a guest: `wattport-agent mount` over each transport and on each kernel, with one set of checks
for all of them."""

import dataclasses
import os
import re
import sys
import unittest

from lab.domain import Share
from lab.laboratory import ROOT, Laboratory
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import TREE, Wattport, microjoules

CLASS = "/sys/class/powercap"
DEVICES = "/sys/devices/virtual/powercap"
SOCKETS = 2
# Zone -> its path below DEVICES. The simulated host measures DRAM, so each package has that child.
ZONES = {
    f"intel-rapl:{index}{child}": f"intel-rapl/intel-rapl:{index}" + (child and f"/intel-rapl:{index}{child}")
    for index in range(SOCKETS) for child in ("", ":0")
}
READS = 200
# A reader is never behind the ledger, and ahead of it by what it was promised until the next sample is booked.
LEDGER_SLACK_UJ = 5e6
READ_PERIOD_US = 2000
# An emulated guest's clock runs by the host's, within this.
GUEST_MS_NS = 1.05e6


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to deliver a tree. Its guest finds it by the tag."""

    transport: str
    accessmode: str = "passthrough"  # of 9p
    tree: str = "fuse"  # what serves it: the settings' tree.mode

    def __str__(self):
        return f"{self.tree} over {self.transport}" + (f", {self.accessmode}" if self.transport == "9p" else "")

    @property
    def tag(self):
        """Tells the guest's shares apart."""
        return f"{self.transport}-{self.accessmode}"

    def share(self):
        """The device."""
        return Share(TREE, self.transport, tag=self.tag, accessmode=self.accessmode)


ROWS = (
    Row("9p"),
    Row("9p", "squash"),
    Row("9p", "mapped"),
    Row("virtiofs"),
)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A guest's kernel, and what it can carry."""

    flavour: str
    cmdline: str = ""
    transports: tuple = ("9p", "virtiofs")
    has_class: bool = True


# All of Debian's kernels have CONFIG_POWERCAP=y; told not to run its initcall, one has no such class.
KERNELS = {
    "generic": Kernel("generic"),
    "cloud": Kernel("cloud", transports=("virtiofs",)),
    "without the class": Kernel("generic", "initcall_blacklist=powercap_init", has_class=False),
}


class Transports:
    """The checks; the subclasses name the tree's mode."""

    maxDiff = None
    tree = None

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent", "tests/e2e/tree_assault")))
        cls.sim = RaplSim(lab, f"--packages={SOCKETS}", "--dram")
        lab.start_libvirtd()
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start({"tree.mode": cls.tree} if cls.tree != "fuse" else {})
        cls.rows = [row for row in ROWS if row.tree == cls.tree]
        cls.guests = {
            name: lab.guest(
                name, *(row.share() for row in cls.rows), flavour=kernel.flavour, cmdline=kernel.cmdline, sockets=SOCKETS,
                memory_mib=192,
            )
            for name, kernel in KERNELS.items()
        }
        for guest in cls.guests.values():
            guest.wait_up()
            guest.check("mkdir /run/wattport")  # Wattport's directory, which stays.

    def test_every_row_on_every_kernel(self):
        for name, kernel in KERNELS.items():
            for row in self.rows:
                with self.subTest(f"{row}, kernel {name}"):
                    if row.transport in kernel.transports:
                        self.check_row(self.guests[name], row, kernel)
                    else:
                        self.check_refusal(self.guests[name], row)

    def check_row(self, guest, row, kernel):
        """All checks; the guest is in the end as it was."""
        before = self.state(guest)
        self.assertEqual("powercap" in before[1].split(), kernel.has_class)
        try:
            self.mount(guest, row)
            self.check_spellings(guest)
            self.check_values(guest)
            self.check_kept_descriptor(guest)
            self.check_others_may_read(guest)
            self.check_tampering_is_refused(guest)
            self.check_mount_is_idempotent(guest, row)
        finally:
            undone = guest.run("wattport-agent mount --undo")
        self.assertEqual((undone.status, undone.out, undone.err), (0, "The tree is unmounted.\n", ""))
        self.assertEqual(self.state(guest), before)
        self.assertEqual(guest.check("wattport-agent mount --undo"), "Nothing was mounted.\n")

    def check_refusal(self, guest, row):
        """A kernel that cannot carry it: what is missing is named, and nothing is left of the attempt."""
        before = self.state(guest)
        result = guest.run(self.command(row))
        self.assertEqual((result.status, result.out), (1, ""))
        release = guest.check("uname -r").strip()
        self.assertIn(f"the share is {row.transport}, and this kernel ({release}) has no module", result.err)
        self.assertEqual(self.state(guest), before)

    def test_udev_knows_the_drivers(self):
        with open(os.path.join(ROOT, "packaging/90-wattport-agent.rules"), encoding="utf-8") as file:
            wanted = re.search(r'DRIVER=="([^"]+)"', file.read()).group(1).split("|")
        drivers = self.guests["generic"].check(
            "cd /sys/bus/virtio/devices; for d in *; do grep -q -e 0x0009 -e 0x001a $d/device && grep ^DRIVER= $d/uevent; done"
        )
        self.assertEqual({line.partition("=")[2] for line in drivers.split()}, set(wanted))

    @staticmethod
    def state(guest):
        """What a mount changes: the mounts, and what the directories hold."""
        mounts = guest.check("cut -d' ' -f3- /proc/self/mountinfo")
        return [mounts] + [guest.check(f"ls -1a {path}") for path in ("/sys/class", "/sys/devices/virtual", "/run/wattport")]

    @staticmethod
    def command(row):
        """What lays the row's tree."""
        return f"wattport-agent mount --tag {row.tag} --transport {row.transport}"

    def mount(self, guest, row):
        """Lays it; what the agent said."""
        return guest.check(self.command(row))

    def check_spellings(self, guest):
        """Flat links, nested directories and the devices' own path lead to the same zones, links and all."""
        self.assertEqual(guest.check(f"ls -1 {CLASS}").split(), sorted(["intel-rapl", *ZONES]))
        places = {"intel-rapl": "intel-rapl", **ZONES}
        targets = guest.check("; ".join(f"readlink {CLASS}/{zone}" for zone in places)).split()
        self.assertEqual(targets, [f"../../devices/virtual/powercap/{path}" for path in places.values()])
        spelled = [
            f"{CLASS}/{zone} {CLASS}/{path} {DEVICES}/{path} {DEVICES}/{path}/subsystem" for zone, path in places.items()
        ]
        resolved = [place for path in places.values() for place in (*[f"{DEVICES}/{path}"] * 3, CLASS)]
        self.assertEqual(guest.check(f"realpath {' '.join(spelled)}").split(), resolved)
        names = [f"package-{zone.split(':')[1]}" if zone.count(":") == 1 else "dram" for zone in ZONES]
        spelled = [self.spell(zone, "name") for zone in ZONES]
        self.assertEqual(guest.check(f"cat {' '.join(spelled)}").split(), [name for name in names for _ in range(3)])

    @staticmethod
    def spell(zone, file):
        """A zone's file, spelled in three ways."""
        return f"{CLASS}/{zone}/{file} {CLASS}/{ZONES[zone]}/{file} {DEVICES}/{ZONES[zone]}/{file}"

    def check_values(self, guest):
        """The guest reads, by all spellings, what the host reads before and after it, of each zone; and in sum what the
        ledger has booked for it."""
        booked_uj = self.booked_uj(guest)
        read_uj = 0
        for zone in ZONES:
            before_uj = self.host.energy_uj(guest.uuid, zone)
            values_uj = [int(line) for line in guest.check(f"cat {self.spell(zone, 'energy_uj')}").split()]
            after_uj = self.host.energy_uj(guest.uuid, zone)
            self.assertEqual([before_uj, *values_uj, after_uj], sorted({before_uj, *values_uj, after_uj}), zone)
            read_uj += values_uj[0]
        self.assertLessEqual(booked_uj, read_uj)
        self.assertLess(read_uj, self.booked_uj(guest) + LEDGER_SLACK_UJ)

    def booked_uj(self, guest):
        """The guest's view of all its zones, as the ledger has it."""
        return sum(
            microjoules(value) for (name, labels), value in self.host.metrics().items()
            if name == "wattport_vm_guest_view_joules_total" and ("uuid", guest.uuid) in labels
        )

    def check_kept_descriptor(self, guest):
        """It reads fresh values, and of two reads a millisecond apart the second is larger."""
        lines = guest.check(f"guest_probe read {CLASS}/intel-rapl:0/energy_uj {READ_PERIOD_US} {READS}").splitlines()
        reads = [tuple(map(int, line.split())) for line in lines]
        self.assertEqual(len(reads), READS)
        later = 0
        for _, after, value in reads[: READS // 2]:
            while reads[later][0] - after < GUEST_MS_NS:
                later += 1
            self.assertLess(value, reads[later][2])

    def check_others_may_read(self, guest):
        """In the isolated view counters are not root's alone."""
        value = guest.check(f"su -s /bin/sh nobody -c 'cat {CLASS}/intel-rapl:0/energy_uj'")
        self.assertGreater(int(value), 0)

    def check_tampering_is_refused(self, guest):
        """Nothing in the tree can be changed, by root least of all."""
        for path in (f"{CLASS}/", DEVICES):
            entries, attempts = map(int, guest.check(f"tree_assault {path}").split())
            self.assertGreater(attempts, entries)

    def check_mount_is_idempotent(self, guest, row):
        """Once more changes nothing."""
        before = self.state(guest)
        self.assertIn("lies already", self.mount(guest, row))
        self.assertEqual(self.state(guest), before)


class FuseTest(Transports, unittest.TestCase):
    """The tree is served by wattport-fs."""

    tree = "fuse"


if __name__ == "__main__":
    sys.exit(run({kernel.flavour for kernel in KERNELS.values()}))
