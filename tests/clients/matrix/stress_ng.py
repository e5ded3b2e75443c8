"""stress-ng, which stresses a little and measures."""

import re

from client import Client, Figure

INTERVAL_S = 4


def parse(runs):
    """"raplstat:  dram  pkg-0  pkg-1" and rows of watts; of memory it takes the first zone alone."""
    for run in runs:
        columns = []
        for at_s, line in run.lines:
            words = line.partition("raplstat:")[2].split()
            if words and not re.match(r"[\d.]+$", words[0]):
                columns = [("dram-0",) if word == "dram" else (word.replace("pkg", "package"),) for word in words]
            else:
                for zones, watts in zip(columns, words):
                    yield Figure(zones, at_s, float(watts))


CLIENT = Client(
    name="stress-ng", package="stress-ng", parse=parse, reads="flat, stdio", busy=True,
    command=f"stress-ng --cpu 1 --cpu-load 5 --rapl --raplstat {INTERVAL_S} -t 1h",
)
