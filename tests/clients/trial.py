"""One run of the whole matrix: a simulated host, Wattport on it, a guest over one transport, and all clients in it at the
same time, while the power changes, processes are killed and the source fails."""

import dataclasses
import time

import client as client_module
from judge import TOLERANCE, Phase, Truth, Verdict, judge
from lab import stats
from lab.domain import Share
from lab.laboratory import Laboratory
from lab.raplsim import Power, RaplSim
from lab.reader import GuestReader
from lab.wattport import TREE, Wattport
from record import TreeRecorder
from seat import TAG, Seat

# Three vCPUs, two of them in the first socket: so its zone gets two thirds of the static power, and the zones differ.
TOPOLOGY = {"sockets": 2, "cores": 2, "unplugged": 1}
SHARES = {"package-0": 2 / 3, "package-1": 1 / 3}
MEMORY_MIB = 512
LOW_W, HIGH_W = 90, 150  # of the host's package
BUSY_W = 15
DRAM_W = 60  # of the guest, about: its part of the memory decides

# All power is static, and the guest rents all CPUs: what it gets does not depend on what its clients burn.
EXACT = {"guest-view.mode": "exact", "attribution.idle-power": "1000W", "attribution.idle-power-dram": "100kW"}
# As it is by default, which is readable for everyone.
ISOLATED = {**EXACT, "guest-view.mode": "isolated", "attribution.idle-power": f"{HIGH_W}W"}

WARM_UP_S = 8
PHASE_S = 16
SETTLE_S = 1.5  # after something happened, until what it held back has been shown
AWAY_S = 2
FAULTS = ("eio", "missing")
LOAD_PERCENT = 60
PROBE_PERIOD_S = 0.05
LATE_S = 0.005  # what is less is not worth counting
PROGRAMS = ("guest/wattport-agent", "tests/clients/stamp")
COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"


def dram_watts():
    """The power of the host's memory of which the guest gets DRAM_W."""
    with open("/proc/meminfo", encoding="ascii") as file:
        total_kib = int(file.readline().split()[1])
    return DRAM_W * total_kib // (MEMORY_MIB * 1024)


class Watch:
    """What is seen from outside while the clients of a guest are at work: its clock, when it was late, what happened."""

    def __init__(self, guest, sim, probed=COUNTER):
        self._guest = guest
        self._sim = sim
        guest.start_clock()
        self._clocks = [guest.clock()]
        self._probe = GuestReader(guest, probed, int(PROBE_PERIOD_S * 1e6))
        self._probe.start()
        self._line = None
        self.phases = []
        self.simulated = {}  # {phase: what the simulator said at its start and at its end}
        self.late = []

    def phase(self, name):
        """What has been set holds for a while, which is a phase of its own."""
        time.sleep(SETTLE_S)
        start_s = time.monotonic()
        before = self._sim.truth()
        time.sleep(PHASE_S)
        self.simulated[name] = before, self._sim.truth()
        self.phases.append(Phase(name, start_s, time.monotonic()))

    def end(self):
        """No more phases."""
        reads = self._probe.stop()
        self._clocks.append(self._guest.clock())
        self._line = stats.line_through([(guest_s, host_s) for host_s, guest_s, _ in self._clocks])
        self.late = [
            (self._host_s(earlier_s), self._host_s(later_s), later_s - earlier_s - PROBE_PERIOD_S)
            for (earlier_s, _, _), (later_s, _, _) in zip(reads, reads[1:]) if later_s - earlier_s > PROBE_PERIOD_S + LATE_S
        ]

    def _host_s(self, guest_s):
        offset_s, slope = self._line
        return offset_s + slope * guest_s

    def verdict(self, client, runs, truth, tolerance=TOLERANCE):
        """On one client."""
        try:
            shown = client_module.figures(client, runs)
        except (ValueError, LookupError) as error:
            return Verdict(tolerance, complaints=[f"prints what nobody understands: {error!r}"])
        figures = [dataclasses.replace(figure, at_s=self._host_s(figure.at_s)) for figure in shown]
        verdict = judge(figures, truth, self.phases, self.late, tolerance)
        verdict.complaints += [f"prints: {line}" for line in client_module.errors(client, runs)]
        # The first runs of one that asks may have done so before there was anyone to ask.
        ended = [run.status for run in runs[2:] if run.status] if client.every_s else [run.status for run in runs if run.end_s]
        verdict.complaints += [f"ended with status {status}" for status in ended]
        return verdict


class Trial:
    """.verdicts {client's name: Verdict}; .spent() is what the tree and the simulator say of some phases."""

    def __init__(self, transport, root, clients):
        with Laboratory(guest_programs=PROGRAMS) as lab:
            self._sim = RaplSim(lab, "--dram", f"--dram-watts={dram_watts()}", power=Power(LOW_W, 0))
            lab.start_libvirtd()
            self._host = Wattport(lab, self._sim.sysroot)
            self._host.start(EXACT)
            self._guest = lab.guest("clients", Share(TREE, transport), Share(root, "9p", tag=TAG), memory_mib=MEMORY_MIB, **TOPOLOGY)
            self._guest.wait_up()
            self._guest.check("wattport-agent mount")
            seat = Seat(self._guest)
            recorder = TreeRecorder(self._host.tree(self._guest.uuid)).start()
            self._watch = Watch(self._guest, self._sim)
            seat.start([client for client in clients if client.user == 0])
            time.sleep(WARM_UP_S)
            self._play(lambda: seat.start([client for client in clients if client.user != 0]))
            self._truth = Truth(recorder.stop())
            self._watch.end()
            self.verdicts = {client.name: self._watch.verdict(client, seat.runs(client), self._truth) for client in clients}

    def _play(self, start_unprivileged):
        """All that happens while the clients look on."""
        host, sim, phase = self._host, self._sim, self._watch.phase
        phase("low")
        sim.ctl("set", "idle-watts", str(HIGH_W))
        phase("high")
        host.kill_worker()
        host.restart_fs()
        host.exporter.kill()
        host.start_exporter()
        host.meter.stop()
        host.start_meter(EXACT)
        time.sleep(AWAY_S)
        host.meter.kill()
        sim.ctl("set", "busy-watts", str(BUSY_W))
        host.start_meter(ISOLATED)
        start_unprivileged()
        self._guest.spin(0, LOAD_PERCENT)
        phase("after restarts, isolated")
        host.kill_worker()
        host.restart_fs(kill=False)
        host.meter.kill()
        host.start_meter(ISOLATED)
        for fault in FAULTS:
            sim.ctl("fault", "intel-rapl:0", "energy_uj", fault)
            time.sleep(AWAY_S)
            sim.ctl("clear")
            time.sleep(AWAY_S)
        phase("after failures")

    def spent(self, first, last):
        """From the start of one phase to the end of another: (J of each package in the tree, what the simulator says of the
        host's package)."""
        before, after = self._watch.simulated[first][0], self._watch.simulated[last][1]
        shown_j = {zone: self._truth.between((zone,), before["t_ns"] / 1e9, after["t_ns"] / 1e9) for zone in SHARES}
        before, after = (truth["zones"]["package-0"] for truth in (before, after))
        return shown_j, {part: (after[f"{part}_uj"] - before[f"{part}_uj"]) / 1e6 for part in ("true", "idle")}
