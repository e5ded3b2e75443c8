#!/usr/bin/python3
"""Shows that the client matrix can fail: the same clients and the same judge, with trees that are broken on purpose. The tree
is the simulator's own here, which can break its files; the truth is what the simulator spends, a constant power.

    sudo tests/clients/breakages.py     writes clients/breakages.json in the build directory; takes some minutes

Not part of the suite: what it shows is a property of the clients and of the judge, for docs/clients.md.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "e2e")]

# pylint: disable=wrong-import-position
import client as client_module  # noqa: E402
from judge import TOO_BUSY, Truth  # noqa: E402
from lab.domain import Share  # noqa: E402
from lab.laboratory import Laboratory  # noqa: E402
from lab.raplsim import Power, RaplSim  # noqa: E402
from lab.runner import run  # noqa: E402
from seat import TAG, Seat  # noqa: E402
from results import root, write  # noqa: E402
from trial import MEMORY_MIB, PROGRAMS, WARM_UP_S, Watch  # noqa: E402

POWER_W, DRAM_W = 60, 20
BROKEN_S = 9
TOLERANCE = 0.3  # no matter of percents: what is looked for is kilowatts, nothing at all, and the dead
# Of the one come three figures in half a minute; the other reads what only Wattport's own tree has.
LEFT_OUT = ("power-calibrate", "Scaphandre --vm")
ZONES = ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1", "intel-rapl:1:0")

SHARE = "/run/wattport/tree"
FAITHFUL = f"""
mkdir -p {SHARE}
mount -t 9p -o trans=virtio,version=9p2000.L,ro wattport {SHARE}
mount -t overlay -o lowerdir={SHARE}/devices/virtual:/sys/devices/virtual overlay /sys/devices/virtual
mount --bind {SHARE}/class/powercap /sys/class/powercap
"""
FLAT = f"""
mkdir -p {SHARE}
mount -t 9p -o trans=virtio,version=9p2000.L,ro wattport {SHARE}
mount -t tmpfs tmpfs /sys/class/powercap
for zone in intel-rapl {" ".join(ZONES)}; do mkdir /sys/class/powercap/$zone; done
for zone in {" ".join(ZONES)}; do
	for file in name energy_uj max_energy_range_uj enabled; do
		touch /sys/class/powercap/$zone/$file
		mount --bind {SHARE}/class/powercap/$zone/$file /sys/class/powercap/$zone/$file
	done
done
"""

# Name, how the guest mounts the tree, and what happens: (file, fault) from the start, or in mid-run.
BREAKAGES = (
    ("nothing", FAITHFUL, None, None),
    ("directories flat, no links", FLAT, None, None),
    ("no max_energy_range_uj", FAITHFUL, ("max_energy_range_uj", "missing"), None),
    ("energy_uj stands still", FAITHFUL, None, ("energy_uj", "freeze")),
    ("energy_uj goes back", FAITHFUL, None, ("energy_uj", "backward")),
    ("energy_uj is empty", FAITHFUL, None, ("energy_uj", "empty")),
    ("energy_uj gives EIO", FAITHFUL, None, ("energy_uj", "eio")),
)


def constant(sim):
    """The truth: each zone draws what it draws, from the start on."""
    now_s = sim.truth()["t_ns"] / 1e9
    return lambda end_s: Truth({
        f"{kind}-{package}": [(now_s - 1000, 0), (end_s, (end_s - now_s + 1000) * watts)]
        for kind, watts in (("package", POWER_W), ("dram", DRAM_W)) for package in range(2)
    })


def broken(mounts, from_start, in_between, clients):
    """What the judge says of each client on such a tree."""

    def fault(file, kind):
        for zone in ZONES:
            sim.ctl("fault", zone, file, kind)

    with Laboratory(guest_programs=PROGRAMS) as lab:
        sim = RaplSim(lab, "--packages", "2", "--dram", f"--dram-watts={DRAM_W}", power=Power(POWER_W, 0))
        truth = constant(sim)
        lab.start_libvirtd()
        guest = lab.guest("broken", Share(f"{sim.sysroot}/sys", "9p"), Share(root(), "9p", tag=TAG), memory_mib=MEMORY_MIB,
                          sockets=2)
        guest.wait_up()
        guest.check(mounts)
        if from_start:
            fault(*from_start)
        seat = Seat(guest)
        watch = Watch(guest, sim, f"{SHARE}/class/powercap/intel-rapl:0/enabled")
        seat.start(clients)
        time.sleep(WARM_UP_S)
        watch.phase("before")
        if in_between:
            fault(*in_between)
            time.sleep(BROKEN_S)
            sim.ctl("clear")
        watch.phase("after")
        end_s = time.monotonic()
        watch.end()
        return {client.name: watch.verdict(client, seat.runs(client), truth(end_s), TOLERANCE) for client in clients}


def main():
    """All breakages, one after the other; {breakage: {client that notices: its first complaint}}."""
    clients = [client for client in client_module.load().values() if client.user == 0 and client.name not in LEFT_OUT]
    results = {}
    for name, mounts, from_start, in_between in BREAKAGES:
        verdicts = broken(mounts, from_start, in_between, clients)
        for verdict in verdicts.values():
            verdict.complaints = [complaint for complaint in verdict.complaints if TOO_BUSY not in complaint]
        noticed = {client: verdict.complaints[0] for client, verdict in verdicts.items() if verdict.complaints}
        print(f"{name}: noticed by {len(noticed)} of {len(clients)}")
        for client, complaint in noticed.items():
            print(f"    {client}: {complaint}")
        sys.stdout.flush()
        results[name] = noticed
    write("breakages", results)


if __name__ == "__main__":
    root()
    sys.exit(run(("generic",), main=main))
