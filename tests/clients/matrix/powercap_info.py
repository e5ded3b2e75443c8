"""powercap-utils: one zone's counter, once."""

from client import Client, Reading


def parse(runs):
    """The number alone."""
    for run in runs:
        for at_s, line in run.lines:
            if line.isdigit():
                yield Reading("package-1", at_s, int(line) / 1e6)


CLIENT = Client(
    name="powercap-info", package="powercap-utils", command="powercap-info intel-rapl -z 1 -j", every_s=4, parse=parse,
    reads="nested, one counter",
)
