#!/usr/bin/python3
"""tree.mode = tmpfs with real guests: machines that nobody knew before they started get their trees by libvirt's hook, over
9p and over virtiofs, and no reader in them notices that the writer is killed."""

import sys
import unittest

from lab.domain import Share
from lab.laboratory import Laboratory
from lab.process import LabError, wait_for
from lab.raplsim import RaplSim
from lab.reader import GuestReader
from lab.runner import run
from lab.wattport import TREE, Wattport, install_hook

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
SETTINGS = {"tree.mode": "tmpfs"}
TRANSPORTS = ("9p", "virtiofs")


class PlainTest(unittest.TestCase):
    """One guest a transport, both transient."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim = RaplSim(lab)
        install_hook(lab, SETTINGS)
        lab.start_libvirtd()
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start(SETTINGS)
        cls.guests = [lab.guest(transport, Share(TREE, transport), memory_mib=192) for transport in TRANSPORTS]
        for guest in cls.guests:
            guest.wait_up()
            guest.check("wattport-agent mount")

    def test_readers_notice_nothing(self):
        readers = [GuestReader(guest, COUNTER) for guest in self.guests]
        for reader in readers:
            reader.start()
        for end in ("kill", "stop", "kill"):
            getattr(self.host.filesystem, end)()
            self.host.start_filesystem()
        for guest in self.guests:
            before = int(guest.read(COUNTER))
            wait_for("the counter to go on", lambda guest=guest, before=before: int(guest.read(COUNTER)) > before + 1e5, 10, 0.1)
        for reader in readers:
            values = [value for _, _, value in reader.stop()]
            print(f"{reader}: {len(values)} reads, {len(set(values))} values")
            self.assertGreater(len(set(values)), len(values) / 4)

    def test_nothing_can_be_changed(self):
        for guest in self.guests:
            for command in (f"echo 1 >{COUNTER}", f"chmod 666 {COUNTER}", f"rm {COUNTER}", f"truncate -s 0 {COUNTER}"):
                self.assertNotEqual(guest.run(command).status, 0, command)
            self.assertEqual(guest.check(f"wc -l <{COUNTER}").strip(), "1")


if __name__ == "__main__":
    sys.exit(run(("generic",)))
