"""powerstat, which shows zones and their sum."""

import re

from client import Client, Figure

INTERVAL_S = 4


def parse(runs):
    """A heading that ends in "Watts pkg-1 dram pkg-0", and a row each interval; of memory it takes the first zone alone."""
    for run in runs:
        zones = []
        for at_s, line in run.lines:
            head, _, names = line.partition(" Watts ")
            if names:
                zones = [("dram-0",) if name == "dram" else (name.replace("pkg", "package"),) for name in names.split()]
            elif zones and re.match(r" *\d\d:\d\d:\d\d ", head):
                watts = [float(word) for word in line.split()[-len(zones) - 1:]]
                for zone, value in zip([sum(zones, ()), *zones], watts):
                    yield Figure(zone, at_s, value)


CLIENT = Client(
    name="powerstat", package="powerstat", command=f"powerstat -R -D -d 0 {INTERVAL_S} 1000", parse=parse,
    reads="flat, stdio",
)
