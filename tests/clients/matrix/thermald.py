"""thermald, the daemon that limits power. It measures where it has to find out the maximum: not where one of up to 100 W
is stated."""

import re

from client import Client, Figure

_ZONES = {"1": ("package-0", "package-1"), "2": ("dram-0", "dram-1")}
_ENERGY = re.compile(r"\[\d+\]\[DEBUG\] energy (\d):0:(\d+) mj: (\d+) mw")


def parse(runs):
    """"[1795241617][DEBUG] energy 1:0:1074540 mj: 61650 mw", zone by zone. Its clock counts whole seconds; how many, the
    energy tells. The first round has nothing to compare with."""
    for run in runs:
        last = {}
        lines = {kind: 0 for kind in _ZONES}
        for at_s, line in run.lines:
            if match := _ENERGY.match(line):
                kind, millijoules, milliwatts = match[1], int(match[2]), int(match[3])
                zone = _ZONES[kind][lines[kind] % len(_ZONES[kind])]
                lines[kind] += 1
                if milliwatts > 0:
                    own_s = round((millijoules - last[zone]) / milliwatts)
                    yield Figure((zone,), at_s, milliwatts / 1e3, own_s=own_s)
                last[zone] = millijoules


CLIENT = Client(
    name="thermald", package="thermald", parse=parse, reads="nested, constraints",
    command="thermald --no-daemon --loglevel=debug --test-mode --ignore-cpuid-check --poll-interval 4",
    # What it would like to have beside RAPL, and a guest has not; and that it may not set limits.
    harmless="[Tt]hermal|zone cpu|INT3400|time window|acpi|write failed|failed to write|max power limit range",
)
