#!/usr/bin/python3
"""Attached once, and then whatever happens to a machine in its life: it reboots, is stopped and started, libvirtd and each
of Wattport's processes are restarted, the host reboots and loses its power. No hand is laid on the guest: what it starts
at each boot reads on, and its counter never decreases."""

import http.client
import random
import sys
import time
import unittest

from lab.host import start_host
from lab.laboratory import Laboratory
from lab.process import LabError, wait_for
from lab.prometheus import parse
from lab.runner import run

EXPORTER_PORT = 9100
METRIC = "node_rapl_package_joules_total"
START = """wattport-agent mount --wait=60 || exit
exec prometheus-node-exporter --collector.disable-defaults --collector.rapl"""
BOOT_S = 90
ORDERS = 3
SEED = 3
CHECKPOINT_S = 5  # meter.checkpoint's default
TRANSPORTS = ("9p", "virtiofs")


class CycleTest(unittest.TestCase):
    """Two persistent domains, one a transport; the steps follow each other."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",), guest_start=START))
        cls.sim, cls.host = start_host(lab)
        cls.guests = [lab.guest(transport, defined=True, reboots=True, memory_mib=192) for transport in TRANSPORTS]
        for guest, transport in zip(cls.guests, TRANSPORTS):
            done = cls.host.run("attach", guest.domain.name, f"--transport={transport}")
            if done.returncode != 0:
                raise LabError(f"wattport attach: {done.stderr}")
            guest.start()
        cls.told_j = dict.fromkeys(cls.guests, 0.0)

    @staticmethod
    def counter_j(guest):
        """What the client in the guest shows now; None while it does not answer or has nothing."""
        try:
            samples = parse(guest.get(EXPORTER_PORT, "/metrics"))
        except (OSError, LabError, http.client.HTTPException):
            return None
        return next((float(value) for (name, _), value in samples.items() if name == METRIC), None)

    def check_read_on(self, step):
        """Each client shows more than it has ever shown."""
        for guest in self.guests:
            first_j = wait_for(f"{guest.domain.name}: the client to show energy after {step}", lambda guest=guest:
                               self.counter_j(guest), BOOT_S, 0.25)
            self.assertGreaterEqual(first_j, self.told_j[guest], f"{guest.domain.name}: {step}")
            wait_for(f"{guest.domain.name}: the counter to go on after {step}", lambda guest=guest, first_j=first_j:
                     (self.counter_j(guest) or 0) > first_j, 10, 0.1)
            self.told_j[guest] = self.counter_j(guest)
        print(f"after {step}: " + ", ".join(f"{guest.domain.name} {told_j:.3f} J" for guest, told_j in self.told_j.items()))

    def reboot_guests(self):
        """From within."""
        for guest in self.guests:
            boots = guest.console().count("guest is up")
            guest.spawn("sh -c 'sleep 1; reboot -f'")  # after its answer
            wait_for("it to boot again", lambda guest=guest, boots=boots: guest.console().count("guest is up") > boots, BOOT_S,
                     0.25)

    def stop_guests(self):
        """By the plug."""
        for guest in self.guests:
            guest.destroy()

    def start_guests(self):
        """As `virsh autostart` does at boot."""
        for guest in self.guests:
            guest.start()

    def restart_libvirtd(self):
        """Killed, not asked."""
        self.lab.libvirtd.kill()
        self.lab.libvirtd.start()

    def reboot_host(self, orderly):
        """The machines go down with it."""
        time.sleep(CHECKPOINT_S + 1)  # the more there is to lose since the last checkpoint, the better
        self.stop_guests()
        self.lab.libvirtd.stop()
        told_uj = {guest: self.host.energy_uj(guest.uuid) for guest in self.guests}
        self.host.reboot(orderly)
        again_uj = {guest: self.host.energy_uj(guest.uuid) for guest in self.guests}
        self.lab.libvirtd.start()
        # Before a guest boots, and uses what would hide a loss.
        for guest in self.guests:
            self.assertGreaterEqual(again_uj[guest], told_uj[guest], guest.domain.name)
        self.start_guests()

    def test_life(self):
        self.check_read_on("the first start")
        self.reboot_guests()
        self.check_read_on("a reboot of the guest")
        self.stop_guests()
        self.start_guests()
        self.check_read_on("destroy and start")
        self.restart_libvirtd()
        self.check_read_on("a restart of libvirtd")
        restarts = [self.host.restart_meter, self.host.restart_fs, self.host.restart_exporter]
        shuffle = random.Random(SEED)
        for _ in range(ORDERS):
            shuffle.shuffle(restarts)
            for restart in restarts:
                restart()
                self.check_read_on(restart.__name__)
        self.reboot_host(True)
        self.check_read_on("a reboot of the host")
        self.reboot_host(False)
        self.check_read_on("a power cut")


if __name__ == "__main__":
    sys.exit(run(("generic",)))
