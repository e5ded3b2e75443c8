"""powercap-utils: all zones, once."""

import re

from client import Client, Reading


def parse(runs):
    """"Zone 1", "  name: package-1", "  energy_uj: 5", "  Subzone 0", "    name: dram", "    energy_uj: 7"."""
    for run in runs:
        zone = name = ""
        for at_s, line in run.lines:
            if match := re.match(r"Zone (\d+)$", line):
                zone = match[1]
            elif match := re.match(r" *name: (package|dram)\b", line):
                name = f"{match[1]}-{zone}"
            elif match := re.match(r" *energy_uj: (\d+)$", line):
                yield Reading(name, at_s, int(match[1]) / 1e6)


CLIENT = Client(
    name="rapl-info", package="powercap-utils", command="rapl-info", every_s=4, parse=parse,
    reads="nested, every file of every zone",
)
