#!/usr/bin/python3
"""A machine moves between two hosts on this machine, each with its own libvirtd, Wattport and simulated RAPL: alive, saved
and restored, and while it is off. Its guest never sees its counter go back, and each host has booked what it measured
itself.

The guest's share is 9p. QEMU 7.2 refuses to migrate a machine that has it mounted, so the guest unmounts it before, and
reads again after it has mounted it on the other host. Readers on the hosts keep their descriptors, and read all the time:
the one on the first host stands for a guest that could have read until the last moment."""

import sys
import time
import unittest
from xml.etree import ElementTree

from lab.domain import Domain, Share
from lab.laboratory import Laboratory
from lab.otherhost import OtherHost
from lab.process import LabError, wait_for
from lab.raplsim import RaplSim
from lab.reader import GuestReader, HostReader
from lab.runner import run
from lab.wattport import TREE, Wattport

ZONE = "package-0"
NAMESPACE = "urn:wattport:account:1"
TREE_COUNTER = "class/powercap/intel-rapl:0/energy_uj"
COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
SETTINGS = {"vms.metadata": "1h"}  # So what is written in time is written for a reason.
READ_S = 2
COLD_AHEAD_UJ = 10**6  # The last word is exact; so much for what a counter does on its own.
BLOCKED = "VirtFS export path"


class MigrationTest(unittest.TestCase):
    """One guest, booted once; the steps follow each other."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.other = OtherHost(lab)
        lab.start_libvirtd()
        cls.other.start_libvirtd()
        cls.sim = RaplSim(lab)
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start(SETTINGS)
        with cls.other.entered():
            cls.there = Wattport(cls.other, RaplSim(cls.other).sysroot)
            cls.there.settings = SETTINGS
            cls.there.start_meter(SETTINGS)
            cls.there.start_filesystem()
            # Both see all processes of this machine; libvirt's number of a domain tells the QEMUs apart.
            cls.other.libvirtd.virsh("create", "/dev/stdin", text_in=Domain("first", memory_mib=32).xml())
            cls.other.libvirtd.virsh("destroy", "first")
        cls.guest = lab.guest("mover", Share(TREE), defined=True, memory_mib=192)
        cls.guest.start()
        cls.guest.wait_up()
        cls.seen_uj = cls.carried_uj = 0

    def generation(self, host):
        """What the tree says."""
        with open(host.tree(self.guest.uuid, "wattport/generation"), encoding="utf-8") as file:
            return int(file.read())

    def account(self, host):
        """The machine in `wattport status`, in which nothing else of the host may be lost either."""
        status = host.json("status")
        for zone in status["zones"]:
            self.assertEqual(zone["conservation_error_uj"], 0, zone["id"])
        return next(vm for vm in status["vms"] if vm["uuid"] == self.guest.uuid)

    def record(self, libvirtd):
        """What the machine would take along, if it were to move now."""
        xml = ElementTree.fromstring(libvirtd.virsh("dumpxml", self.guest.uuid))
        record = xml.find(f"metadata/{{{NAMESPACE}}}account")
        return None if record is None else dict(record.attrib)

    def read_in_guest(self, step):
        """The guest mounts what it finds, reads for a while on one descriptor, and unmounts: never less than before."""
        self.guest.check("wattport-agent mount")
        reader = GuestReader(self.guest, COUNTER)
        reader.start()
        time.sleep(READ_S)
        values = [value for _, _, value in reader.stop()]
        self.guest.check("wattport-agent mount --undo")
        self.assertGreaterEqual(values[0], self.seen_uj, step)
        self.seen_uj = values[-1]
        print(f"{step}: {len(values)} reads in the guest, {values[0] / 1e6:.3f} J to {values[-1] / 1e6:.3f} J")

    def migrate(self):
        """To the other host, alive. QEMU forwards ports to the guest there, too, and both run on this machine: so at
        another address."""
        xml = self.lab.libvirtd.virsh("dumpxml", "--migratable", self.guest.uuid)
        self.carried_uj = int(ElementTree.fromstring(xml).find(f"metadata/*/{{{NAMESPACE}}}zone").get("told"))
        address = self.guest.address.replace("127.0.0.", "127.0.1.")
        path = self.lab.path("target.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(xml.replace(f"tcp:{self.guest.address}:", f"tcp:{address}:"))
        self.lab.libvirtd.virsh("migrate", "--live", "--persistent", "--undefinesource", "--xml", path, self.guest.uuid,
                                self.other.uri(), "--migrateuri", "tcp://127.0.0.1")
        self.guest.address = address

    def test_moves(self):
        guest = self.guest
        self.addCleanup(self.other.remove_machines)
        self.read_in_guest("on the first host")
        wait_for("a record", lambda: self.record(self.lab.libvirtd), 10)
        spinner = guest.spin(0)  # busy while it moves
        reader = HostReader(self.lab, self.host.tree(guest.uuid, TREE_COUNTER))
        reader.start()
        generation = self.generation(self.host)
        refused = self.refused_while_mounted()
        begun_s = time.monotonic()
        self.migrate()
        seen_uj = self.host.energy_uj(guest.uuid)
        print(f"migrated in {time.monotonic() - begun_s:.1f} s; while the share was mounted: {refused}")
        with self.other.entered():
            arrived_uj = self.there.energy_uj(guest.uuid)
        self.assertGreaterEqual(arrived_uj, seen_uj, "the other host tells less than the first one did")
        with self.other.entered():
            there = HostReader(self.other, self.there.tree(guest.uuid, TREE_COUNTER))
            there.start()
            self.assertGreater(self.generation(self.there), generation)
        print(f"the first host told {seen_uj / 1e6:.3f} J, the other {arrived_uj / 1e6:.3f} J")
        guest.kill(spinner)
        left_uj = self.account(self.host)["energy_uj"]
        self.read_in_guest("on the other host")
        self.check_accounts(left_uj)
        with self.other.entered():
            self.save_and_restore()
            there.stop()
        reader.stop()
        self.read_in_guest("restored there")
        self.come_back_cold()
        self.assertEqual(self.account(self.host)["energy_uj"], left_uj)

    def refused_while_mounted(self):
        """What this hypervisor says of a machine whose guest has the share mounted."""
        self.guest.check("wattport-agent mount")
        with self.assertRaises(LabError) as caught:
            self.migrate()
        self.guest.check("wattport-agent mount --undo")
        self.assertIn(BLOCKED, str(caught.exception))
        return BLOCKED

    def check_accounts(self, left_uj):
        """The first host books no more; the other only what it measured since; and the guest is told both."""
        first = self.account(self.host)
        with self.other.entered():
            other = self.account(self.there)
            told_uj = self.there.energy_uj(self.guest.uuid)
        self.assertEqual(first["energy_uj"], left_uj)
        self.assertNotEqual(first["state"], "running")
        used_uj = first["guest_zones"][ZONE]["energy_uj"]
        zone = other["guest_zones"][ZONE]
        self.assertGreaterEqual(zone["brought_uj"], self.carried_uj)
        self.assertGreater(zone["brought_uj"], used_uj / 2)
        self.assertGreater(zone["energy_uj"], 0)
        self.assertLess(zone["energy_uj"], zone["brought_uj"])
        self.assertGreaterEqual(told_uj, zone["brought_uj"] + zone["energy_uj"])
        print(f"booked on the first host {left_uj / 1e6:.3f} J, on the other {other['energy_uj'] / 1e6:.3f} J; "
              f"brought {zone['brought_uj'] / 1e6:.3f} J, told {told_uj / 1e6:.3f} J")

    def save_and_restore(self):
        """On the other host, while a reader there keeps its descriptor."""
        libvirtd, uuid = self.other.libvirtd, self.guest.uuid
        generation, before_uj = self.generation(self.there), self.there.energy_uj(uuid)
        libvirtd.virsh("managedsave", uuid)
        wait_for("it to be off", lambda: self.account(self.there)["state"] == "off", 10, 0.1)
        libvirtd.virsh("start", uuid)
        wait_for("it to run", lambda: self.account(self.there)["state"] == "running", 10, 0.1)
        self.assertGreater(self.there.energy_uj(uuid), before_uj)
        self.assertEqual(self.generation(self.there), generation + 1)

    def come_back_cold(self):
        """Its definition is carried from the other host to the first one while it is off."""
        uuid = self.guest.uuid
        with self.other.entered():
            generation = self.generation(self.there)
            serial = self.record(self.other.libvirtd)["serial"]
            self.other.libvirtd.virsh("destroy", uuid)
            wait_for("it to be off", lambda: self.account(self.there)["state"] == "off", 10, 0.1)
            told_uj = self.there.energy_uj(uuid)
            wait_for("its last word", lambda: self.record(self.other.libvirtd)["serial"] != serial, 10, 0.1)
            xml = self.other.libvirtd.virsh("dumpxml", "--inactive", uuid)
            self.other.libvirtd.virsh("undefine", uuid)
        self.lab.libvirtd.virsh("define", "/dev/stdin", text_in=xml)
        wait_for("it to be known", lambda: self.account(self.host)["state"] == "off", 10, 0.1)
        again_uj = self.host.energy_uj(uuid)
        self.assertGreaterEqual(again_uj, told_uj)
        self.assertLess(again_uj, told_uj + COLD_AHEAD_UJ)
        self.assertGreater(self.generation(self.host), generation)
        print(f"off on the other host at {told_uj / 1e6:.3f} J, defined on the first at {again_uj / 1e6:.3f} J")


if __name__ == "__main__":
    sys.exit(run(("generic",)))
