#!/usr/bin/python3
"""Each of Wattport's processes is killed at random moments, while readers on kept descriptors poll the tree on the host and
in guests, over 9p and over virtiofs: nobody reads an error, nothing goes back, what stops is told from what is idle, and what
was measured while wattportd was away is booked. KILLS in the environment says how often, SEED at which moments."""

import os
import random
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

KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", "1"))
STALL_LIMIT_S = 0.1
SETTLE_S = (0.02, 0.5)  # between two kills
AWAY_S = (0.1, 0.6)
HOST_READERS = 3
GUEST_READERS = 8
GUEST_PERIOD_US = 20000
BOOKED_LIMIT_J = 150  # a second of what the simulated host draws
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
        self.random = random.Random(SEED)
        print(f"{KILLS} kills at the moments of seed {SEED}")
        self.readers = [*(HostReader(self.lab, tree, number) for number in range(HOST_READERS)),
                        *(GuestReader(self.guest, COUNTER, GUEST_PERIOD_US, number) for number in range(GUEST_READERS))]
        for reader in self.readers:
            self.addCleanup(reader.stop)
            reader.start()

    def wait(self, span_s=SETTLE_S):
        """Lets a random time pass."""
        time.sleep(self.random.uniform(*span_s))

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
        print(f"{what} {KILLS} times: {sum(map(len, reads[:HOST_READERS]))} reads on the host, longest {longest_s * 1e3:.1f} ms; "
              f"{sum(map(len, reads[HOST_READERS:]))} in guests, longest {max(stalls_s[HOST_READERS:]) * 1e3:.1f} ms")
        return longest_s

    def booked(self):
        """Joules that the host's zones have booked, of that to nobody who is known, and the truth."""
        metrics = self.host.metrics()
        truth_j = sum(zone["true_uj"] for zone in self.sim.truth()["zones"].values()) / 1e6

        def total(name):
            return sum(float(value) for (metric, _), value in metrics.items() if metric == name)

        return total("wattport_host_energy_joules_total"), total("wattport_host_away_joules_total"), truth_j

    def test_worker_is_killed(self):
        for _ in range(KILLS):
            self.wait()
            self.host.kill_worker()
        self.wait()
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
            self.wait()
            self.host.restart_fs(kill=number % 2 == 0)
        self.wait()
        self.say_stalls("wattport-fs restarted")

    def test_meter_is_killed(self):
        power_w = self.power_w()
        self.assertGreater(power_w, 5)
        before_j, _, true_before_j = self.booked()
        for _ in range(KILLS):
            self.wait()
            self.host.meter.kill()
            killed_s, frozen_uj = time.monotonic(), self.host.energy_uj(self.guest.uuid)
            self.wait(AWAY_S)
            least_ms = (time.monotonic() - killed_s) * 1e3
            age_ms = self.age_ms()
            risen_uj = self.host.energy_uj(self.guest.uuid) - frozen_uj
            passed_ms = (time.monotonic() - killed_s) * 1e3
            # Clients take a counter that stands still for a wrap, so it creeps: a microjoule each millisecond.
            self.assertLessEqual(risen_uj, passed_ms + 2)
            self.assertGreaterEqual(age_ms, int(least_ms))
            before_uj = self.host.energy_uj(self.guest.uuid)
            self.host.start_meter(self.host.settings)
            wait_for("fresh data", lambda: self.age_ms() < (time.monotonic() - killed_s) * 1e3, 5)
            self.assertGreater(self.host.energy_uj(self.guest.uuid), before_uj)
        again_w = self.power_w()
        after_j, away_j, true_after_j = self.booked()
        reads = self.reads()
        print(f"meter killed {KILLS} times: {sum(map(len, reads))} reads; {power_w:.1f} W before, "
              f"{again_w:.1f} W after; {after_j - before_j:.1f} J booked of {true_after_j - true_before_j:.1f} J")
        # What nobody has sampled yet is little; the machine was there all the time.
        self.assertLess(abs(after_j - before_j - true_after_j + true_before_j), BOOKED_LIMIT_J)
        self.assertEqual(away_j, 0)
        self.assertLess(abs(again_w - power_w), power_w / 2)

    def test_exporter_is_killed(self):
        series = [key for key in self.host.metrics() if key[0].endswith("_joules_total")]
        self.assertTrue(series)
        for _ in range(KILLS):
            self.wait()
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
