"""power-calibrate, which keeps a CPU busy by 0, 50 and 100 % for ten seconds each, and says what that drew."""

import re

from client import Client, Figure

SPAN_S = 10


def parse(runs):
    """"   50% x 1  25.1   0.4  74.5  1.5   904.2  627.1 333.5M   0.0    0.0  59.992": packages alone."""
    for run in runs:
        for at_s, line in run.lines:
            if match := re.match(r" *\d+% x 1 .* ([\d.]+)$", line):
                yield Figure(("package-0", "package-1"), at_s, float(match[1]), SPAN_S)


CLIENT = Client(
    name="power-calibrate", package="power-calibrate", command=f"power-calibrate -R -n 1 -d 0 -r {SPAN_S} -s 3",
    parse=parse, reads="flat", every_s=1, busy=True,
    harmless="perf fail|trend analysis",  # What it cannot have has nothing to do with RAPL: perf's counters.
)
