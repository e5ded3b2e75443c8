#!/usr/bin/python3
"""The tree in its place in a guest: `wattport-agent mount` over each transport and on each kernel, with one set of checks
for all of them."""

import dataclasses
import sys
import unittest

from lab.domain import Share
from lab.laboratory import Laboratory
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import TREE, Wattport

CLASS = "/sys/class/powercap"
DEVICES = "/sys/devices/virtual/powercap"
SOCKETS = 2
# Zone -> its path below DEVICES. The simulated host measures DRAM, so each package has that child.
ZONES = {
    f"intel-rapl:{index}{child}": f"intel-rapl/intel-rapl:{index}" + (child and f"/intel-rapl:{index}{child}")
    for index in range(SOCKETS) for child in ("", ":0")
}
READS = 400
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
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim = RaplSim(lab, f"--packages={SOCKETS}", "--dram")
        lab.start_libvirtd()
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start({"tree.mode": cls.tree} if cls.tree != "fuse" else {})
        cls.rows = [row for row in ROWS if row.tree == cls.tree]
        cls.guests = {
            name: lab.guest(
                name, *(row.share() for row in cls.rows if row.transport in kernel.transports), flavour=kernel.flavour,
                cmdline=kernel.cmdline, sockets=SOCKETS, memory_mib=192,
            )
            for name, kernel in KERNELS.items()
        }
        for guest in cls.guests.values():
            guest.wait_up()
            guest.check("mkdir /run/wattport")  # Wattport's directory, which stays.

    def test_every_row_on_every_kernel(self):
        for name, kernel in KERNELS.items():
            for row in self.rows:
                if row.transport in kernel.transports:
                    with self.subTest(f"{row}, kernel {name}"):
                        self.check_row(self.guests[name], row, kernel)

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

    @staticmethod
    def state(guest):
        """What a mount changes: the mounts, and what the directories hold."""
        mounts = guest.check("cut -d' ' -f3- /proc/self/mountinfo")
        return [mounts] + [guest.check(f"ls -1a {path}") for path in ("/sys/class", "/sys/devices/virtual", "/run/wattport")]

    @staticmethod
    def mount(guest, row):
        """Lays the row's tree; what the agent said."""
        return guest.check(f"wattport-agent mount --tag {row.tag} --transport {row.transport}")

    def check_spellings(self, guest):
        """Flat links, nested directories and the devices' own path lead to the same zones, links and all."""
        self.assertEqual(guest.check(f"ls -1 {CLASS}").split(), sorted(["intel-rapl", *ZONES]))
        for zone, path in {"intel-rapl": "intel-rapl", **ZONES}.items():
            device = f"{DEVICES}/{path}"
            self.assertEqual(guest.check(f"readlink {CLASS}/{zone}").strip(), f"../../devices/virtual/powercap/{path}")
            resolved = guest.check(f"realpath {CLASS}/{zone} {CLASS}/{path} {device} {device}/subsystem").split()
            self.assertEqual(resolved, [device] * 3 + [CLASS])
        files = " ".join(f"{{{CLASS}/{zone},{CLASS}/{path},{DEVICES}/{path}}}/name" for zone, path in ZONES.items())
        names = [f"package-{zone.split(':')[1]}" if zone.count(":") == 1 else "dram" for zone in ZONES]
        spelled = [word for group in files.split() for word in self.braces(group)]
        self.assertEqual(guest.check(f"cat {' '.join(spelled)}").split(), [name for name in names for _ in range(3)])

    @staticmethod
    def braces(text):
        """What a larger shell than the guest's makes of one pair of braces."""
        head, _, rest = text.partition("{")
        choices, _, tail = rest.partition("}")
        return [head + choice + tail for choice in choices.split(",")]

    def check_values(self, guest):
        """The guest reads what the host reads before and after it, of each zone, and by all spellings."""
        for zone, path in ZONES.items():
            before_uj = self.host.energy_uj(guest.uuid, zone)
            values_uj = [
                int(guest.read(f"{place}/energy_uj")) for place in (f"{CLASS}/{zone}", f"{CLASS}/{path}", f"{DEVICES}/{path}")
            ]
            after_uj = self.host.energy_uj(guest.uuid, zone)
            self.assertEqual([before_uj, *values_uj, after_uj], sorted({before_uj, *values_uj, after_uj}), zone)

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
        for path in (f"{CLASS}/intel-rapl:0/energy_uj", f"{DEVICES}/intel-rapl/intel-rapl:0/enabled", f"{CLASS}/intel-rapl:0"):
            result = guest.run(f"guest_probe tamper {path}")
            self.assertEqual(result.status, 0, f"{path}:\n{result.out}{result.err}")

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
