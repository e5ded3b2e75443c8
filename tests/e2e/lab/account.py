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

NODE_EXPORTER_PORT = 9100
AGENT_PORT = 9772
PARTS = ("active", "idle", "overhead")


@dataclasses.dataclass
class Reading:
    """One look at a guest; joules by instant."""

    before: tuple  # (time, {part: J}) in the ledger
    node_exporter: tuple  # (time, J)
    agent: tuple
    after: tuple


@dataclasses.dataclass
class Spent:
    """What two readings are apart."""

    start_s: float
    end_s: float
    ledger_j: float
    idle_j: float
    node_exporter_j: float
    ledger_at_node_exporter_j: float
    agent_j: float
    ledger_at_agent_j: float

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
        """Waits until both clients in the guest answer."""

        def answer():
            try:
                return self._client(guest, NODE_EXPORTER_PORT, "node_rapl_package_joules_total")[1] > 0 and \
                    self._client(guest, AGENT_PORT, "wattport_guest_energy_joules_total")[1] > 0
            except OSError:
                return False

        wait_for(f"the clients in {guest.domain.name}", answer, 30, 0.25)

    def read_all(self):
        """A Reading of every guest."""
        return {guest: self._read(guest) for guest in self._vcpus}

    def _read(self, guest):
        before = self._ledger(guest)
        node_exporter = self._client(guest, NODE_EXPORTER_PORT, "node_rapl_package_joules_total")
        agent = self._client(guest, AGENT_PORT, "wattport_guest_energy_joules_total")
        return Reading(before, node_exporter, agent, self._ledger(guest))

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
    def _client(guest, port, metric):
        start = time.monotonic()
        samples = parse(guest.get(port, "/metrics"))
        instant = (start + time.monotonic()) / 2
        return instant, sum(float(value) for (name, _), value in samples.items() if name == metric)

    @staticmethod
    def between(first, last):
        """What was spent from one reading to another."""

        def ledger_at(reading, time_s):
            series = [(at, sum(parts.values())) for at, parts in (reading.before, reading.after)]
            return stats.at(series, time_s)

        def ledger_between(client):
            return ledger_at(last, getattr(last, client)[0]) - ledger_at(first, getattr(first, client)[0])

        return Spent(
            start_s=first.before[0], end_s=last.after[0],
            ledger_j=sum(last.after[1].values()) - sum(first.before[1].values()),
            idle_j=last.after[1]["idle"] - first.before[1]["idle"],
            node_exporter_j=last.node_exporter[1] - first.node_exporter[1],
            ledger_at_node_exporter_j=ledger_between("node_exporter"),
            agent_j=last.agent[1] - first.agent[1], ledger_at_agent_j=ledger_between("agent"),
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
