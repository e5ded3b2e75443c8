"""What a VM really spent, measured past Wattport: the CPU clock of its QEMU process, read at a high rate."""

import time

from .recorder import Recorder


def cpu_s(pid):
    """CPU seconds of a process and all its threads, to the nanosecond and to this moment. Unlike schedstat, the
    process's CPU clock (MAKE_PROCESS_CPUCLOCK of the kernel's posix-timers.h) counts up to the running instant."""
    return time.clock_gettime(~pid << 3 | 2)


class CpuRecorder(Recorder):
    """The CPU time of processes, by their number."""

    PERIOD_S = 0.005

    def read(self, name):
        return cpu_s(name)
