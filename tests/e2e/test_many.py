#!/usr/bin/python3
"""More than one of everything: packages, machines, sizes, names, lives. Each machine has one account, which is its own
and goes on."""

import os
import sys
import time
import unittest

from lab import stats
from lab.domain import SPINNING_DISK, Domain
from lab.laboratory import Laboratory
from lab.process import wait_for
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import ADDENDS, RUNTIME, Wattport, microjoules

PACKAGES = 2
RESTARTS = 10
CHECKPOINT_S = 5  # meter.checkpoint's default
RETENTION_S = 2  # vms.retention, where it is not left at its default
NAMES = {1: "one vCPU with spaces", 2: "zwei vCPUs \u00fcber 虚拟机 🔌", 4: "4" * 200}
ODD_NAMES = (".", "..x", "-dash", 'quote"\'<&>', "back\\slash", "tab\there", " lead", "comma,eq=1", "guest={x}%s$")


class Host:
    """What every class here needs: a host of two packages, and Wattport on it."""

    settings = {"guest-view.mode": "exact", "attribution.idle-power": "20W"}

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Laboratory())
        cls.sim = RaplSim(cls.lab, "--packages", str(PACKAGES), "--dram")
        cls.start_virtualisation()
        cls.host = Wattport(cls.lab, cls.sim.sysroot)
        cls.host.start(cls.settings)

    @classmethod
    def start_virtualisation(cls):
        """libvirt, where the class has it."""
        cls.lab.start_libvirtd()

    def booked_uj(self, uuid, part=None):
        """What the ledger has booked to a VM, by zone; of all parts, or of one. Sampled at this moment."""
        self.host.energy_uj(uuid)
        booked = {}
        for (name, labels), value in self.host.metrics().items():
            labels = dict(labels)
            if name == "wattport_vm_energy_joules_total" and labels["uuid"] == uuid and part in (None, labels["part"]):
                booked[labels["zone"]] = booked.get(labels["zone"], 0) + microjoules(value)
        return booked

    def names(self):
        """{uuid: name} as the exporter has them."""
        return {
            dict(labels)["uuid"]: dict(labels)["name"] for name, labels in self.host.metrics() if name == "wattport_vm_info"
        }

    def assert_conserved(self):
        """Every account of the host adds up, to the microjoule."""
        sums = {}
        for (name, labels), value in self.host.metrics().items():
            zone = dict(labels).get("zone")
            sign = ADDENDS.get(name)
            if sign:
                sums[zone] = sums.get(zone, 0) + sign * microjoules(value)
            if name == "wattport_conservation_error_microjoules":
                self.assertEqual(float(value), 0, zone)
        self.assertEqual(len(sums), 2 * PACKAGES, sums)
        self.assertEqual(set(sums.values()), {0}, sums)


class LibvirtTest(Host, unittest.TestCase):
    """Domains of libvirt."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        disk = cls.lab.path("spinning.img")
        with open(disk, "wb") as file:
            file.write(SPINNING_DISK)
        cls.vms = {
            vcpus: cls.lab.domain(Domain(name, sockets=min(vcpus, 2), cores=(vcpus + 1) // 2, memory_mib=64,
                                         disk=disk if vcpus == 2 else ""))
            for vcpus, name in NAMES.items()
        }
        for running in cls.vms.values():
            cls.host.wait_known(running.uuid)

    def tearDown(self):
        self.assert_conserved()

    def test_each_has_its_name_and_its_tree(self):
        for vcpus, name in NAMES.items():
            uuid = self.vms[vcpus].uuid
            self.assertEqual(self.names()[uuid], name)
            self.assertTrue(os.path.samefile(f"{RUNTIME}/by-name/{name}", self.host.tree(uuid)))
            zones = sorted(os.listdir(self.host.tree(uuid, "class/powercap")))
            packages = [zone for zone in zones if zone.count(":") == 1]
            self.assertEqual(len(packages), min(vcpus, 2), zones)

    def test_idle_power_goes_by_vcpus(self):
        before = {vcpus: self.booked_uj(vm.uuid, "idle") for vcpus, vm in self.vms.items()}
        time.sleep(4)
        after = {vcpus: self.booked_uj(vm.uuid, "idle") for vcpus, vm in self.vms.items()}
        # A transient or odd machine of another check is gone by now: seven vCPUs share what the two packages draw.
        rents = {}
        for vcpus in NAMES:
            packages = [zone for zone in after[vcpus] if "package" in zone and "dram" not in zone]
            self.assertEqual(len(packages), PACKAGES, after)
            rents[vcpus] = sum(after[vcpus][zone] - before[vcpus].get(zone, 0) for zone in packages)
        print(f"idle energy booked by vCPUs: {rents}")
        for vcpus, rent_uj in rents.items():
            self.assertLess(stats.relative_error(rent_uj / vcpus, rents[1]), 0.05)

    def test_load_is_booked_to_who_makes_it(self):
        before = {vcpus: self.booked_uj(vm.uuid, "active") for vcpus, vm in self.vms.items()}
        time.sleep(3)
        active = {}
        for vcpus, vm in self.vms.items():
            after = self.booked_uj(vm.uuid, "active")
            active[vcpus] = sum(uj - before[vcpus].get(zone, 0) for zone, uj in after.items() if "dram" not in zone)
        print(f"active energy booked: {active}")
        self.assertGreater(active[2], 5 * max(active[1], active[4]))

    def test_transient_domain_comes_and_goes(self):
        running = self.lab.domain(Domain("transient", memory_mib=64), transient=True)
        self.host.wait_known(running.uuid)
        wait_for("energy", lambda: sum(self.booked_uj(running.uuid).values()) > 0, 10, 0.1)
        running.destroy()
        wait_for("its name to go", lambda: not os.path.lexists(f"{RUNTIME}/by-name/transient"), 10, 0.1)

    def test_odd_names_are_names(self):
        for name in ODD_NAMES:
            with self.subTest(name):
                running = self.lab.domain(Domain(name, memory_mib=64), transient=True)
                self.host.wait_known(running.uuid)
                self.assertEqual(self.names()[running.uuid], name)
                running.destroy()
        for vcpus, name in NAMES.items():
            self.assertTrue(os.path.samefile(f"{RUNTIME}/by-name/{name}", self.host.tree(self.vms[vcpus].uuid)))

    def test_name_taken_over_by_another_machine_is_another_account(self):
        first = self.lab.domain(Domain("twin", memory_mib=64), transient=True)
        self.host.wait_known(first.uuid)
        time.sleep(1)
        first.destroy()
        rest = self.booked_uj(first.uuid)
        second = self.lab.domain(Domain("twin", memory_mib=64), transient=True)
        self.host.wait_known(second.uuid)
        link = f"{RUNTIME}/by-name/twin"
        wait_for("the name to lead on", lambda: os.path.samefile(link, self.host.tree(second.uuid)), 10, 0.1)
        time.sleep(1)
        second_total = sum(self.booked_uj(second.uuid).values())
        self.assertLess(second_total, 60e6, "the new machine carries on from the old one")
        self.assertEqual(self.booked_uj(first.uuid), rest, "a machine that is gone is booked")
        second.destroy()

    def test_counters_go_on_over_ten_restarts(self):
        running = self.vms[2]
        counter_uj, booked = 0, {}
        for _ in range(RESTARTS):
            running.destroy()
            self.assertGreaterEqual(self.host.energy_uj(running.uuid), counter_uj)
            running.start()
            off_uj = self.host.energy_uj(running.uuid)
            self.assertGreaterEqual(off_uj, counter_uj)
            before, booked = booked, self.booked_uj(running.uuid)
            for zone, uj in before.items():
                self.assertGreaterEqual(booked[zone], uj)
            counter_uj = self.host.energy_uj(running.uuid)
            self.assertGreater(counter_uj, off_uj)
        wait_for("energy after the last start", lambda: sum(self.booked_uj(running.uuid).values()) > sum(booked.values())
                 + 1e6, 10, 0.1)
        self.assertEqual(self.names()[running.uuid], NAMES[2])

    def test_restart_of_libvirtd_is_survived(self):
        self.lab.libvirtd.kill()
        counters = {vcpus: self.host.energy_uj(vm.uuid) for vcpus, vm in self.vms.items()}
        self.lab.libvirtd.start()
        late = self.lab.domain(Domain("after the restart", memory_mib=64), transient=True)
        self.host.wait_known(late.uuid, 20)
        late.destroy()
        for vcpus, vm in self.vms.items():
            self.assertGreater(self.host.energy_uj(vm.uuid), counters[vcpus] + 1e5)


class RebootTest(Host, unittest.TestCase):
    """The host goes down and comes back; Prometheus and the guests' clients would take a step back for a wrap."""

    settings = {**Host.settings, "vms.retention": f"{RETENTION_S}s"}

    def check(self, orderly):
        """What a machine was told stays told, and what it was booked stays booked."""
        running = self.lab.domain(Domain(f"before the reboot {orderly}", memory_mib=64), transient=True)
        self.host.wait_known(running.uuid)
        time.sleep(CHECKPOINT_S + 2)
        told_uj, booked = self.host.energy_uj(running.uuid), self.booked_uj(running.uuid)
        self.assertGreater(told_uj, 1e6)
        self.host.reboot(orderly)
        again_uj = self.host.energy_uj(running.uuid)
        print(f"reboot {'in order' if orderly else 'by power cut'}: {told_uj} uJ before, {again_uj} uJ after")
        self.assertGreaterEqual(again_uj, told_uj)
        self.host.wait_known(running.uuid)
        for zone, uj in self.booked_uj(running.uuid).items():
            self.assertGreaterEqual(uj, booked[zone] if orderly else 0)
        wait_for("it to go on", lambda: self.host.energy_uj(running.uuid) > again_uj + 1e6, 10, 0.1)
        self.assert_conserved()
        running.destroy()

    def test_orderly_reboot(self):
        self.check(True)

    def test_power_cut(self):
        self.check(False)

    def test_host_that_was_off_for_longer_than_an_account_waits(self):
        running = self.lab.domain(Domain("before libvirt", memory_mib=64), transient=True)
        self.host.wait_known(running.uuid)
        told_uj = self.host.energy_uj(running.uuid)
        self.lab.libvirtd.kill()
        self.host.reboot(True)
        # Nobody says which machines there are. By the next checkpoint all of them have been gone for too long.
        time.sleep(CHECKPOINT_S + RETENTION_S)
        again_uj = self.host.energy_uj(running.uuid)
        self.assertGreater(again_uj, told_uj)
        self.lab.libvirtd.start()
        self.host.wait_known(running.uuid, 20)
        self.assertGreaterEqual(self.host.energy_uj(running.uuid), again_uj)
        running.destroy()


class ProcfsTest(Host, unittest.TestCase):
    """QEMU without libvirt; here a name may hold anything."""

    settings = {**Host.settings, "vms.provider": "procfs"}
    names_here = ("a/b", "../../etc", "/", "new\nline")

    @classmethod
    def start_virtualisation(cls):
        pass

    def tearDown(self):
        self.assert_conserved()

    def test_bare_qemus_have_accounts_and_names_lead_nowhere_else(self):
        machines = {}
        for number, name in enumerate(self.names_here, 1):
            uuid = f"00000000-0000-4000-8000-{number:012}"
            machines[uuid] = name
            self.lab.process(f"qemu-{number}", [
                "qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-m", "64", "-display", "none", "-monitor", "none",
                "-serial", "none", "-nodefaults", "-uuid", uuid, "-name", f"guest={name},debug-threads=on",
            ])
        for uuid, name in machines.items():
            self.host.wait_known(uuid)
            self.assertEqual(self.names()[uuid], name)
            wait_for("energy", lambda uuid=uuid: sum(self.booked_uj(uuid).values()) > 0, 10, 0.1)
        for root, directories, links in os.walk(f"{RUNTIME}/by-name"):
            for link in directories + links:
                target = os.path.realpath(os.path.join(root, link))
                self.assertEqual(os.path.dirname(target), os.path.realpath(f"{RUNTIME}/vm"), link)


if __name__ == "__main__":
    sys.exit(run())
