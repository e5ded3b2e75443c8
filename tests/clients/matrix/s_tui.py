"""s-tui, at a terminal, with its log in CSV."""

import csv
import re

from client import Client, Figure

INTERVAL_S = 4
LOG = "/tmp/s-tui.csv"


def parse(runs):
    """Time,...,"Power:package-0,0","Power:dram,0",...: one heading and one row each interval."""
    for run in runs:
        columns = []
        for at_s, line in run.lines:
            cells = next(csv.reader([line]))
            if cells[0] == "Time":
                columns = cells
            else:
                for column, cell in zip(columns, cells):
                    if match := re.match(r"Power:(?:package-\d|(dram)),(\d)$", column):
                        zone = f"dram-{match[2]}" if match[1] else column[6:15]
                        yield Figure((zone,), at_s, float(cell))


CLIENT = Client(
    name="s-tui", package="s-tui", command=f"s-tui -c --csv-file {LOG} -r {INTERVAL_S}", parse=parse, fifo=LOG,
    reads="flat, by listdir",
)
