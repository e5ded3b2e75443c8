"""What a VM really spent, measured past Wattport: the CPU clock of its QEMU process, read at a high rate."""

import os
import threading
import time

PERIOD_S = 0.005
RECORDER_NICE = -19


def cpu_s(pid):
    """CPU seconds of a process and all its threads, to the nanosecond and to this moment. Unlike schedstat, the
    process's CPU clock (MAKE_PROCESS_CPUCLOCK of the kernel's posix-timers.h) counts up to the running instant."""
    return time.clock_gettime(~pid << 3 | 2)


class CpuRecorder:
    """Records the CPU time of processes from start() to stop(); a series each, with CLOCK_MONOTONIC as time."""

    def __init__(self, pids):
        self._series = {pid: [] for pid in pids}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def start(self):
        """Begins to record."""
        self._sample()
        self._thread.start()
        return self

    def stop(self):
        """Ends, and returns {pid: series}."""
        self._ending.set()
        self._thread.join()
        self._sample()
        return self._series

    def _record(self):
        # A thread's own nice value: the recorder must come to run also where guests take every CPU.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), RECORDER_NICE)
        while not self._ending.wait(PERIOD_S):
            self._sample()

    def _sample(self):
        for pid, series in self._series.items():
            before = time.monotonic()
            used = cpu_s(pid)
            series.append(((before + time.monotonic()) / 2, used))
