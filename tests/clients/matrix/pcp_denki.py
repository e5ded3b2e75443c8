"""Performance Co-Pilot's denki agent, loaded by pmval itself."""

import re

from client import Client, Figure

INTERVAL_S = 4

# Its names come with the package; to gather them is the work of its maintainer script.
NAMES = "root { denki }\ndenki { rapl }\ndenki.rapl { sysfs 156:0:0 }\n"


def parse(runs):
    """A heading of "0-package-0  0-dram  1-package-1  1-dram", then rows of watts."""
    for run in runs:
        zones = []
        for at_s, line in run.lines:
            if re.match(r" +\d-package", line):
                zones = [re.sub(r"(\d)-(package|dram).*", r"\2-\1", word) for word in line.split()]
            elif zones and re.match(r"[ \d.]+$", line):
                for zone, watts in zip(zones, line.split()):
                    yield Figure((zone,), at_s, float(watts))


CLIENT = Client(
    name="PCP denki", package="pcp", parse=parse, reads="nested, as many packages as the CPUs have sockets",
    files={"/tmp/denki": NAMES},
    command="pmval -n /tmp/denki -L -K clear -K add,156,/usr/lib/pcp/pmdas/denki/pmda_denki.so,denki_init "
            f"-t {INTERVAL_S} denki.rapl.sysfs",
    harmless="help text",
)
