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
from lab.host import start_host
from lab.laboratory import Laboratory
from lab.process import wait_for
from lab.reader import GuestReader, HostReader
from lab.runner import run
from lab.wattport import TREE

KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", "1"))
SETTLE_S = (0.02, 0.5)  # between two kills
MET_S = 0.02  # after a kill its worker is gone
GROWN_S = (1.1, 1.5)
AWAY_S = (0.1, 0.6)
HOST_READERS = 3
GUEST_READERS = 8
GUEST_PERIOD_US = 20000
STEP_J = 0.5
READS_LEAST = 30  # fewer would prove nothing
COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"


class KillingTest(unittest.TestCase):
    """One busy guest; each check runs its own readers over all of its kills."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim, cls.host = start_host(lab, {"guest-view.mode": "exact"})
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

    def age_ms(self):
        """What the tree says of the age of its data."""
        with open(self.host.tree(self.guest.uuid, "wattport/age_ms"), encoding="utf-8") as file:
            return int(file.read())

    def say_stalls(self, what, kills_s=()):
        """Ends the readers, and says how long the longest read took, which may be this machine's load, and the one that a kill
        met on the host, in the middle of all kills."""
        reads = self.reads()
        stalls_s = [max(after - before for before, after, _ in series) for series in reads]
        longest_s = max(stalls_s[:HOST_READERS])
        print(f"{what} {KILLS} times: {sum(map(len, reads[:HOST_READERS]))} reads on the host, longest {longest_s * 1e3:.1f} ms; "
              f"{sum(map(len, reads[HOST_READERS:]))} in guests, longest {max(stalls_s[HOST_READERS:]) * 1e3:.1f} ms")
        if not kills_s:
            return
        met = [max((after - before for series in reads[:HOST_READERS] for before, after, _ in series
                    if before < kill_s + MET_S and after > kill_s), default=0) for kill_s in kills_s]
        middle_s = sorted(met)[len(met) // 2]
        print(f"reads that a kill met: {middle_s * 1e3:.1f} ms in the middle, {sum(stall_s > 0.01 for stall_s in met)} of {len(met)} "
              "over 10 ms")

    def total(self, name):
        """A metric of the exporter, all of its series together."""
        return sum(float(value) for (metric, _), value in self.host.metrics().items() if metric == name)

    def booked(self):
        """Joules that the host's zones have booked, and true joules shortly before that sample and after it."""
        early_j, samples = self.true_j(), self.total("wattport_samples_total")
        wait_for("another sample", lambda: self.total("wattport_samples_total") > samples + 1, 20)
        booked_j = self.total("wattport_host_energy_joules_total")
        return booked_j, early_j, self.true_j()

    def true_j(self):
        """What the simulated host has drawn."""
        return sum(zone["true_uj"] for zone in self.sim.truth()["zones"].values()) / 1e6

    def test_worker_is_killed(self):
        kills_s = []
        for number in range(KILLS):
            # Of those that keep dying young the keeper takes its time to replace the seventeenth.
            self.wait(GROWN_S if number % 16 == 15 else SETTLE_S)
            kills_s.append(time.monotonic())
            self.host.kill_worker()
        self.wait()
        self.say_stalls("worker killed", kills_s)

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
        before_j, *early_j = self.booked()
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
        after_j, *late_j = self.booked()
        reads = self.reads()
        print(f"meter killed {KILLS} times: {sum(map(len, reads))} reads; {after_j - before_j:.1f} J "
              f"booked of {late_j[0] - early_j[1]:.1f} to {late_j[1] - early_j[0]:.1f} J")
        # As the kernel does, the simulator counts in steps.
        self.assertGreater(after_j - before_j, late_j[0] - early_j[1] - STEP_J)
        self.assertLess(after_j - before_j, late_j[1] - early_j[0] + STEP_J)
        # The machine was there all the time.
        self.assertEqual(self.total("wattport_host_away_joules_total"), 0)

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
