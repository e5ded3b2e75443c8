"""What a host's meters and clocks show of it, as lines of a trace; and the truth beside them."""

import json

from machine import COUNTER_BITS, MEMORY_UNIT_NJ, PACKAGE_UNIT_NJ

TICK_S = 0.01


class Meter:
    """A RAPL counter: so many bits of units, refreshed every millisecond, at any value when the trace begins."""

    def __init__(self, rng, zone):
        self.rng = rng
        self.zone = zone
        self.unit_nj = MEMORY_UNIT_NJ if zone.startswith("dram") else PACKAGE_UNIT_NJ
        self.start = rng.getrandbits(COUNTER_BITS)
        if rng.random() < 0.5:  # many traces shall see it wrap
            self.start = 2**COUNTER_BITS - 1 - rng.getrandbits(COUNTER_BITS - 6)
        self.shown_j = 0.0

    def range_uj(self):
        """As the kernel's max_energy_range_uj."""
        return (2**COUNTER_BITS - 1) * self.unit_nj // 1000

    def read(self, energy_j, power_w):
        """The raw value in µJ of what the last refresh left."""
        self.shown_j = max(self.shown_j, energy_j - power_w * 0.001 * self.rng.random())
        units = self.start + int(self.shown_j * 1e9 / self.unit_nj)
        return units % 2**COUNTER_BITS * self.unit_nj // 1000


class Recorder:
    """Writes the trace line by line, and keeps snapshots of the truth."""

    def __init__(self, rng, host, file, events=True):
        self.host = host
        self.file = file
        self.events = events
        self.meters = {zone: Meter(rng, zone) for zone, _, _, _ in host.zones()}
        self.offsets_ns = {}
        self.rng = rng
        self.start_ns = rng.randrange(10**12, 10**15)
        self.busy_start_s = [rng.uniform(0, 1e6) for _ in host.busy_s]
        self.last_j = {}
        self.snapshots = []

    def head(self):
        """Line 1."""
        machine = self.host.machine
        cpus = [{"cpu": cpu, "core": core, "package": package} for cpu, (core, package) in enumerate(machine.cpus)]
        zones = []
        for zone, package, _, _ in self.host.zones():
            entry = {"id": zone, "kind": zone.split("-")[0], "range_uj": self.meters[zone].range_uj()}
            if package is not None:
                entry["package"] = package
            zones.append(entry)
        head = {"wattport_trace": 1, "clock_tick_ns": 10_000_000, "cpus": cpus, "zones": zones}
        self.file.write(json.dumps(head, separators=(",", ":")) + "\n")

    def sample(self, length_s):
        """One line: what is read at the end of an interval of that length (0: the first)."""
        host = self.host
        raw = {}
        for zone, _, energy_j, _ in host.zones():
            power_w = (energy_j - self.last_j.get(zone, 0.0)) / length_s if length_s > 0 else 0.0
            self.last_j[zone] = energy_j
            raw[zone] = self.meters[zone].read(energy_j, power_w)
        busy = [
            int((start_s + busy_s) / TICK_S) * 10_000_000 for start_s, busy_s in zip(self.busy_start_s, host.busy_s)
        ]
        there = [guest for guest in host.guests if guest.runs(host.now_s)]
        line = {
            "t_ns": self.start_ns + int(host.now_s * 1e9),
            "raw_uj": raw,
            "cpu_busy_ns": busy,
            "memory_total_bytes": host.machine.memory_bytes,
            "memory_used_bytes": sum(guest.memory_bytes for guest in there) + (2 << 30),
            "vms": [self._guest(guest) for guest in there],
        }
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _guest(self, guest):
        entry = {
            "uuid": guest.uuid,
            "name": guest.name,
            "memory_bytes": guest.memory_bytes,
            "sockets": 1,
            "overhead_ns": int(guest.threads[-1].time_s * 1e9),
        }
        if self.host.machine.polls:
            entry["halt_poll_ns"] = int(guest.halt_poll_ns)
        vcpus = []
        for thread in guest.threads[:-1]:
            vcpu = {"time_ns": int(thread.time_s * 1e9), "cpu": thread.cpu}
            if self.events:
                vcpu["cycles"] = int(thread.cycles)
                vcpu["instructions"] = int(thread.instructions)
                vcpu["llc_misses"] = int(thread.missed)
            vcpus.append(vcpu)
        entry["vcpus"] = vcpus
        return entry

    def snapshot(self):
        """The truth so far, in joules: by zone what was drawn, and what each account is due."""
        host = self.host
        zones = {}
        for zone, _, energy_j, due_j in host.zones():
            by_guest, idle_j = host.idle.get(zone, ([0.0] * len(host.guests), 0.0))
            zones[zone] = {
                "energy_j": energy_j,
                "static_j": host.static_j.get(zone, 0.0),
                "active_j": due_j[0:-1:2],
                "overhead_j": due_j[1:-1:2],
                "idle_j": list(by_guest),
                "host_j": due_j[-1],
                "host_idle_j": idle_j,
            }
        self.snapshots.append({"t_ns": self.start_ns + int(host.now_s * 1e9), "zones": zones})

    def truth(self, names):
        """All there is to know, for the judge."""
        guests = [
            {"uuid": guest.uuid, "name": guest.name, "vcpus": guest.vcpus, "work": name}
            for guest, name in zip(self.host.guests, names)
        ]
        return {"guests": guests, "machine": self.host.machine.parameters(), "snapshots": self.snapshots}
