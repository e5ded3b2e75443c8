"""Scaphandre, as on bare metal."""

import re

from client import Client, Figure

STEP_S = 4
DRAM = ("dram-0", "dram-1")


def parse(runs):
    """"Host: 74.99 W", and "Socket0 29.99 W | ..." of the packages alone, once a step."""
    for run in runs:
        for at_s, line in run.lines:
            if match := re.match(r"Host:\s+([\d.]+) W", line):
                yield Figure(("package-0", "package-1", *DRAM), at_s, float(match[1]))
            elif match := re.match(r"Socket(\d)\s+([\d.]+) W", line):
                yield Figure((f"package-{match[1]}",), at_s, float(match[2]))


CLIENT = Client(
    name="Scaphandre", package="scaphandre", command=f"scaphandre stdout --timeout=-1 -s {STEP_S}", parse=parse,
    reads="flat, by readdir",
    # It looks for the modules of a host; a tree does not need them.
    harmless="kernel modules|find intel_rapl modules",
)
