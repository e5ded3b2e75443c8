"""Numbers that are read at a high rate in a thread beside all else: the truth of both kinds of test."""

import os
import threading
import time

NICE = -19


class Recorder:
    """Records from start() to stop(): {name: [(CLOCK_MONOTONIC in s, value)]}. A subclass says how one is read; what that
    raises, stop() raises."""

    PERIOD_S = 0.05

    def __init__(self, names):
        self.series = {name: [] for name in names}
        self._error = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def read(self, name):
        """The value now."""
        raise NotImplementedError

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
        self._sample()
        return self.series

    def _record(self):
        # A thread's own nice value: the recorder must come to run also where guests take every CPU.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            while not self._ending.wait(self.PERIOD_S):
                self._sample()
        except (OSError, ValueError) as error:
            self._error = error

    def _sample(self):
        for name, series in self.series.items():
            before = time.monotonic()
            value = self.read(name)
            series.append(((before + time.monotonic()) / 2, value))
