#!/usr/bin/python3
"""The power of a square-wave load, read in the guest at three rates against the truth; and beside it, in the same run,
what counters would tell that are refreshed every second or every five, as other tools do."""

import os
import sys
import threading
import time
import unittest

from lab import stats
from lab.account import Account
from lab.domain import Share
from lab.host import EXACT, start_host
from lab.laboratory import Laboratory
from lab.runner import run
from lab.truth import CpuRecorder
from lab.wattport import TREE

DURATION_S = 45
WAVE_MS = 3700  # no multiple or part of any period below
READ_HZ = 10
RATES_HZ = (10, 1, 0.2)
REFRESH_S = (1, 5)
LOCAL = "/sys/class/powercap/intel-rapl:0/energy_uj"
COPIES = "/mnt/copies"
# A counter that is computed when it is read must beat one that is refreshed every second by far, where the reader is
# quicker than that; a shared, noisy machine costs both the same.
ADVANTAGE = 3


class Copier(threading.Thread):
    """Copies a counter in place again and again: what a tree of plain files is that somebody refreshes."""

    def __init__(self, source, target, period_s):
        super().__init__(daemon=True)
        self._source, self._target, self._period_s = source, target, period_s
        self._ending = threading.Event()

    def run(self):
        descriptor = os.open(self._target, os.O_WRONLY | os.O_CREAT, 0o644)
        due_s = time.monotonic()
        while True:
            with open(self._source, "rb") as file:
                os.pwrite(descriptor, file.read(), 0)
            due_s += self._period_s
            if self._ending.wait(max(0, due_s - time.monotonic())):
                break
        os.close(descriptor)

    def stop(self):
        """Ends it."""
        self._ending.set()
        self.join()


class AliasingTest(unittest.TestCase):
    """One guest whose vCPU works and rests by turns."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim, cls.host = start_host(lab, EXACT)
        copies = lab.path("copies")
        os.makedirs(copies)
        cls.guest = lab.guest("wave", Share(TREE, "9p"), Share(copies, "9p", tag="copies"), cores=2)
        cls.guest.wait_up()
        cls.guest.check("wattport-agent mount")
        cls.guest.check(f"mkdir -p {COPIES} && mount -t 9p -o ro,trans=virtio,version=9p2000.L copies {COPIES}")
        cls.guest.start_clock()
        cls.host.wait_known(cls.guest.uuid)
        cls.account = Account(cls.host, cls.sim.power, {cls.guest: cls.guest.domain.vcpus})
        cls.copiers = [
            Copier(cls.host.tree(cls.guest.uuid, "class/powercap/intel-rapl:0/energy_uj"), os.path.join(copies, str(period_s)),
                   period_s) for period_s in REFRESH_S
        ]
        for copier in cls.copiers:
            copier.start()
            cls.addClassCleanup(copier.stop)
        cls.guest.spawn(f"guest_probe wave 0 {WAVE_MS}")

    def read_all(self):
        """{counter: [(guest's time in s, joules)]} of counters that are read side by side; the CPU time that the machine
        used meanwhile; and the line from the guest's clock to the host's."""
        paths = {"wattport": LOCAL, **{f"every {period_s} s": f"{COPIES}/{period_s}" for period_s in REFRESH_S}}
        recorder = CpuRecorder([self.guest.pid()]).start()
        clocks = [self.guest.clock()]
        finishers = {
            name: self.guest.begin(f"guest_probe read {path} {1_000_000 // READ_HZ} {DURATION_S * READ_HZ}", 3 * DURATION_S)
            for name, path in paths.items()
        }
        reads = {}
        for name, finish in finishers.items():
            result = finish()
            self.assertEqual(result.status, 0, result.err)
            rows = [tuple(map(int, line.split())) for line in result.out.splitlines()]
            reads[name] = [((before_ns + after_ns) / 2e9, value_uj / 1e6) for before_ns, after_ns, value_uj in rows]
        clocks.append(self.guest.clock())
        return reads, recorder.stop()[self.guest.pid()], stats.line_through([(guest_s, host_s) for host_s, guest_s, _ in clocks])

    def error(self, reads, cpu, line, rate_hz):
        """RMS error of the power between reads at that rate: every so-many-th of those that were made."""
        offset_s, slope = line
        step = round(READ_HZ / rate_hz)
        pairs = []
        # Each phase of the slower reader is as good as any other: all of them together are one steady figure.
        for phase in range(step):
            kept = reads[phase::step]
            for (start_s, start_j), (end_s, end_j) in zip(kept, kept[1:]):
                true_w = self.account.true_w(self.guest, cpu, offset_s + slope * start_s, offset_s + slope * end_s)
                pairs.append(((end_j - start_j) / (end_s - start_s), true_w))
        return stats.rms_error(pairs)

    def test_power_of_a_square_wave(self):
        reads, cpu, line = self.read_all()
        errors = {
            name: {rate_hz: self.error(series, cpu, line, rate_hz) for rate_hz in RATES_HZ} for name, series in reads.items()
        }
        for name, by_rate in errors.items():
            print(f"RMS error of power, {name}: " + ", ".join(f"{rate} Hz {error:.1%}" for rate, error in by_rate.items()))
        for name in errors:
            if name != "wattport":
                self.assertLess(errors["wattport"][10] * ADVANTAGE, errors[name][10])
        self.assertLess(errors["wattport"][1] * ADVANTAGE, errors["every 1 s"][1])
        self.assertLess(errors["wattport"][0.2] * ADVANTAGE, errors["every 5 s"][0.2])


if __name__ == "__main__":
    sys.exit(run(("generic",)))
