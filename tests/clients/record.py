"""What the tree's counters said, at a high rate, read on the host beside the clients: the truth they are held against."""

import os
import threading
import time

PERIOD_S = 0.05
NICE = -19
ZONES = {"package-0": "intel-rapl:0", "package-1": "intel-rapl:1", "dram-0": "intel-rapl:0/intel-rapl:0:0",
         "dram-1": "intel-rapl:1/intel-rapl:1:0"}


class Recorder:
    """Records from start() to stop(): {zone: [(CLOCK_MONOTONIC in s, J)]}. A read that fails or goes back is a failure, which
    stop() raises."""

    def __init__(self, tree):
        self._paths = {zone: f"{tree}/devices/virtual/powercap/intel-rapl/{path}/energy_uj" for zone, path in ZONES.items()}
        self.series = {zone: [] for zone in ZONES}
        self._error = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def start(self):
        """Begins to record."""
        self._sample()
        self._thread.start()
        return self

    def stop(self):
        """Ends, and returns the series."""
        self._ending.set()
        self._thread.join()
        if self._error:
            raise self._error
        return self.series

    def _record(self):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            while not self._ending.wait(PERIOD_S):
                self._sample()
        except (OSError, ValueError) as error:
            self._error = error

    def _sample(self):
        for zone, path in self._paths.items():
            before = time.monotonic()
            with open(path, encoding="utf-8") as file:
                joules = int(file.read()) / 1e6
            series = self.series[zone]
            if series and joules < series[-1][1]:
                raise ValueError(f"{zone} went back from {series[-1][1]} J to {joules} J")
            series.append(((before + time.monotonic()) / 2, joules))
