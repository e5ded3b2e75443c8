#!/usr/bin/python3
"""Each of Wattport's processes is killed ten times, while readers on kept descriptors poll the tree on the host and in
guests, over 9p and over virtiofs: nobody reads an error, nothing goes back, and what stops is told from what is idle."""

import sys
import time
import unittest

from lab.domain import Share
from lab.laboratory import Laboratory
from lab.process import wait_for
from lab.raplsim import RaplSim
from lab.reader import GuestReader, HostReader
from lab.runner import run
from lab.wattport import TREE, Wattport

KILLS = 10
STALL_LIMIT_S = 0.1
SETTLE_S = 0.3  # between two kills, so that each meets readers in full swing
AWAY_S = 0.6
HOST_READERS = 3
READS_LEAST = 30  # fewer would prove nothing
COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"


class KillingTest(unittest.TestCase):
    """One busy guest; each check runs its own readers over all of its kills."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim = RaplSim(lab)
        lab.start_libvirtd()
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start({"guest-view.mode": "exact"})
        cls.guest = lab.guest("busy", Share(TREE, "9p"))
        cls.guest.wait_up()
        cls.guest.check("wattport-agent mount")
        cls.guest.spin(0)
        cls.host.wait_known(cls.guest.uuid)

    def setUp(self):
        tree = self.host.tree(self.guest.uuid, "class/powercap/intel-rapl:0/energy_uj")
        self.readers = [*(HostReader(self.lab, tree, number) for number in range(HOST_READERS)), GuestReader(self.guest, COUNTER)]
        for reader in self.readers:
            self.addCleanup(reader.stop)
            reader.start()

    def reads(self):
        """Ends the readers; their reads as lists of (before, after, value), checked for errors and for order."""
        series = [reader.stop() for reader in self.readers]
        for reader, reads in zip(self.readers, series):
            self.assertGreater(len(reads), READS_LEAST, reader)
            for (_, earlier_s, earlier), (later_s, _, later) in zip(reads, reads[1:]):
                if later_s - earlier_s >= 0.001:
                    self.assertGreater(later, earlier, f"{reader}: stood still for {later_s - earlier_s} s")
                self.assertGreaterEqual(later, earlier, f"{reader} went back")
        return series

    def power_w(self, duration_s=1.0):
        """The guest's power by its own counter, as the host sees it."""
        start_s, start_uj = time.monotonic(), self.host.energy_uj(self.guest.uuid)
        time.sleep(duration_s)
        return (self.host.energy_uj(self.guest.uuid) - start_uj) / 1e6 / (time.monotonic() - start_s)

    def age_ms(self):
        """What the tree says of the age of its data."""
        with open(self.host.tree(self.guest.uuid, "wattport/age_ms"), encoding="utf-8") as file:
            return int(file.read())

    def say_stalls(self, what):
        """Ends the readers, and says how long the longest read took; returns that of the host, in seconds."""
        reads = self.reads()
        stalls_s = [max(after - before for before, after, _ in series) for series in reads]
        longest_s = max(stalls_s[:HOST_READERS])
        print(f"{what} {KILLS} times: {sum(map(len, reads[:HOST_READERS]))} reads on the host, longest {longest_s * 1e3:.1f} ms"
              + "".join(f"; {len(series)} in a guest, longest {stall_s * 1e3:.1f} ms"
                        for series, stall_s in zip(reads[HOST_READERS:], stalls_s[HOST_READERS:])))
        return longest_s

    def test_worker_is_killed(self):
        for _ in range(KILLS):
            time.sleep(SETTLE_S)
            self.host.kill_worker()
        time.sleep(SETTLE_S)
        self.assertLess(self.say_stalls("worker killed"), STALL_LIMIT_S)

    def test_filesystem_is_restarted(self):
        """The keeper is killed, and another one started after a while or at once in the place of one that lives."""
        idle = self.lab.guest("idle", Share(TREE, "virtiofs"))
        self.addCleanup(idle.remove)
        idle.wait_up()
        idle.check("wattport-agent mount")
        reader = GuestReader(idle, COUNTER)
        self.addCleanup(reader.stop)
        reader.start()
        self.readers.append(reader)
        for number in range(KILLS):
            time.sleep(SETTLE_S)
            self.host.restart_fs(kill=number % 2 == 0)
        time.sleep(SETTLE_S)
        self.say_stalls("wattport-fs restarted")

    def test_meter_is_killed(self):
        power_w = self.power_w()
        self.assertGreater(power_w, 5)
        for _ in range(KILLS):
            self.host.meter.kill()
            away_s, frozen_uj = time.monotonic(), self.host.energy_uj(self.guest.uuid)
            time.sleep(AWAY_S)
            age_ms = self.age_ms()
            risen_uj = self.host.energy_uj(self.guest.uuid) - frozen_uj
            passed_ms = (time.monotonic() - away_s) * 1e3
            # Clients take a counter that stands still for a wrap, so it creeps: a microjoule each millisecond.
            self.assertLessEqual(risen_uj, passed_ms + 2)
            self.assertGreaterEqual(age_ms, AWAY_S * 1e3)
            before_uj = self.host.energy_uj(self.guest.uuid)
            self.host.start_meter(self.host.settings)
            wait_for("fresh data", lambda: self.age_ms() < AWAY_S * 1e3, 5)
            self.assertGreater(self.host.energy_uj(self.guest.uuid), before_uj)
        again_w = self.power_w()
        reads = self.reads()
        print(f"meter killed {KILLS} times: {sum(map(len, reads))} reads; {power_w:.1f} W before, "
              f"{again_w:.1f} W after")
        self.assertLess(abs(again_w - power_w), power_w / 2)

    def test_exporter_is_killed(self):
        series = [key for key in self.host.metrics() if key[0].endswith("_joules_total")]
        self.assertTrue(series)
        for _ in range(KILLS):
            before = self.host.metrics()
            self.host.exporter.kill()
            self.host.start_exporter()
            after = self.host.metrics()
            for key in series:
                self.assertGreaterEqual(float(after[key]), float(before[key]), key)
        self.reads()
        self.assertIsNone(self.host.meter.status())
        self.assertIsNone(self.host.filesystem.status())


if __name__ == "__main__":
    sys.exit(run(("generic",)))
