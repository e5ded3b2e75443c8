"""What guests are booked, what their clients show, and what they truly spent: read side by side and compared.

The readings are seconds of wall time apart by a few milliseconds. Each is stamped with the host's CLOCK_MONOTONIC, and
the ledger is read before and after the clients, so that its value at a client's instant can be interpolated.
"""

import dataclasses
import os
import time

from . import stats
from .process import wait_for
from .prometheus import parse
from .wattport import microjoules

AGENT_PORT = 9772
NODE_EXPORTER = "node_rapl_package_joules_total"
AGENT = "wattport_guest_energy_joules_total"
CLIENTS = {NODE_EXPORTER: 9100, AGENT: AGENT_PORT}  # what each shows the guest's energy as, and its port
# A client was right at some instant of a reading, so a quick one leaves little in doubt. On a machine that others use, too, it
# has to be waited for.
QUICK_S = 0.08
TRIES = 20
PARTS = ("active", "idle", "overhead")


@dataclasses.dataclass
class Reading:
    """One look at what a client shows, between two looks at the ledger."""

    time_s: float
    energy_j: float
    before: tuple  # (time, {part: J}) in the ledger
    after: tuple

    def duration_s(self):
        """How long it took: the shorter, the better the two can be compared."""
        return self.after[0] - self.before[0]

    def ledger_j(self):
        """What the ledger had at the client's instant."""
        return stats.at([(at, sum(parts.values())) for at, parts in (self.before, self.after)], self.time_s)


@dataclasses.dataclass
class Spent:
    """What two looks at a guest are apart."""

    start_s: float
    end_s: float
    ledger_j: float
    idle_j: float
    clients: dict  # {metric: (J by the client, J by the ledger)}

    @property
    def duration_s(self):
        """From the first look at the ledger to the last."""
        return self.end_s - self.start_s


class Account:
    """Compares for a set of guests on one simulated package. vcpus: {guest: its vCPUs}, of all running guests."""

    def __init__(self, host, power, vcpus):
        self._host = host
        self._power = power
        self._vcpus = vcpus

    def wait_for_clients(self, guest):
        """Waits until all clients in the guest answer."""

        def answer():
            try:
                return all(self._client(guest, metric)[1] > 0 for metric in CLIENTS)
            except OSError:
                return False

        wait_for(f"the clients in {guest.domain.name}", answer, 30, 0.25)

    def read_all(self):
        """{guest: {metric: Reading}}."""
        return {guest: {metric: self._read(guest, metric) for metric in CLIENTS} for guest in self._vcpus}

    def _read(self, guest, metric):
        """The first that is quick, or the quickest of all: a guest that is busy may take its time to answer."""
        readings = []
        while len(readings) < TRIES:
            before = self._ledger(guest)
            time_s, energy_j = self._client(guest, metric)
            readings.append(Reading(time_s, energy_j, before, self._ledger(guest)))
            if readings[-1].duration_s() < QUICK_S:
                break
        return min(readings, key=Reading.duration_s)

    def _ledger(self, guest):
        # Reading the tree takes a sample; what the exporter shows right after is of that instant.
        start = time.monotonic()
        self._host.energy_uj(guest.uuid)
        instant = (start + time.monotonic()) / 2
        parts = dict.fromkeys(PARTS, 0.0)
        for (name, labels), value in self._host.metrics().items():
            labels = dict(labels)
            if name == "wattport_vm_energy_joules_total" and labels["uuid"] == guest.uuid:
                parts[labels["part"]] += microjoules(value) / 1e6
        return instant, parts

    @staticmethod
    def _client(guest, metric):
        start = time.monotonic()
        samples = parse(guest.get(CLIENTS[metric], "/metrics"))
        instant = (start + time.monotonic()) / 2
        return instant, sum(float(value) for (name, _), value in samples.items() if name == metric)

    @staticmethod
    def between(first, last):
        """What was spent between two looks of read_all() at one guest."""
        start, end = next(iter(first.values())).before, list(last.values())[-1].after
        return Spent(
            start_s=start[0], end_s=end[0], ledger_j=sum(end[1].values()) - sum(start[1].values()),
            idle_j=end[1]["idle"] - start[1]["idle"],
            clients={
                metric: (last[metric].energy_j - first[metric].energy_j, last[metric].ledger_j() - first[metric].ledger_j())
                for metric in first
            },
        )

    def idle_share_w(self, guest):
        """What `idle = vcpu` makes a guest carry of the static power."""
        logical_cpus = max(os.cpu_count(), sum(self._vcpus.values()))
        return self._power.idle_w * self._vcpus[guest] / logical_cpus

    def true_w(self, guest, cpu, start_s, end_s):
        """The mean power that a guest deserves, by the CPU time its QEMU used."""
        used_s = stats.at(cpu, end_s) - stats.at(cpu, start_s)
        return self.idle_share_w(guest) + self._power.busy_w * used_s / (end_s - start_s)

    def true_j(self, guest, cpus, spent):
        """The joules that a guest deserves. cpus: {pid: series} of a CpuRecorder."""
        return self.true_w(guest, cpus[guest.pid()], spent.start_s, spent.end_s) * spent.duration_s
