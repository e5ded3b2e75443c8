"""The hardware of a simulated host, drawn at random: its topology, and what draws how much power in it.

Orders of magnitude are those of server processors from 2014 to 2024 as they are published: a core draws 1 to 3 W for
being awake (clock tree, caches, leakage) and as much again for what it executes; an instruction costs 0.2 to 0.5 nJ,
a vector instruction three to five times as much, a line from memory 10 to 20 nJ in the processor and 25 to 60 nJ in
the DIMM. Energies hold at the nominal frequency, where the voltage is 1; they grow with its square.
"""

import random

# Nanojoules of one instruction's work at nominal voltage, before the process's own scale; (lowest, highest).
OPERATIONS = {
    "integer": (0.17, 0.32),
    "branch": (0.20, 0.36),
    "memory": (0.34, 0.60),  # a load or store that the first cache answers
    "scalar": (0.40, 0.75),
    "vector": (1.20, 2.40),
    "second": (1.1, 2.0),  # on top, where the second cache answers
    "third": (3.0, 7.0),  # on top, where the third does
}

CLASSES = ("equal", "mixed", "dvfs", "smt", "light", "packed", "bursty", "sleepy")

PACKAGE_UNIT_NJ = 61035  # 2^-14 J as the kernel rounds it: 2^32 - 1 of them are 262143328850 µJ
MEMORY_UNIT_NJ = 15258  # 2^-16 J: 65532610987 µJ
COUNTER_BITS = 32


class Machine:
    """One host. Powers are in watts, frequencies in GHz, energies of single events in nJ."""

    def __init__(self, rng: random.Random, kind: str):
        self.packages = rng.choice((1, 1, 2))
        self.cores = rng.choice((4, 6, 8, 10, 12, 16) if self.packages == 1 else (4, 6, 8, 10))
        self.threads = 2 if kind == "smt" else rng.choice((1, 2, 2))
        # As Linux numbers them: every core's first thread, package by package, then the second threads.
        self.cpus = [
            (core + package * self.cores, package)
            for _ in range(self.threads)
            for package in range(self.packages)
            for core in range(self.cores)
        ]
        self._draw_frequency(rng, kind)
        self._draw_package(rng, kind)
        self._draw_memory(rng)
        self.polls = rng.random() < 0.4  # whether KVM polls before it lets a halted vCPU sleep
        self.sample_lag_s = rng.uniform(0, 0.002)  # how much later than the RAPL counters the CPU times are read

    def _draw_frequency(self, rng, kind):
        self.dvfs = kind == "dvfs"
        self.nominal_ghz = rng.uniform(2.0, 3.2)
        self.lowest_ghz = rng.uniform(0.8, 1.3)
        self.all_core_ghz = self.nominal_ghz + rng.uniform(0.2, 0.5)
        self.turbo_ghz = self.all_core_ghz + rng.uniform(0.2, 0.8)
        self.per_core_frequency = rng.random() < 0.6
        self.vector_license = rng.uniform(0.84, 0.95)  # of the frequency, where wide vectors run
        self.voltage_slope = rng.uniform(0.30, 0.50)
        self.voltage_bend = rng.uniform(0.05, 0.30)

    def _draw_package(self, rng, kind):
        scale = rng.uniform(0.8, 1.5)  # the process: older ones cost more
        self.operation_nj = {name: scale * rng.uniform(*span) for name, span in OPERATIONS.items()}
        self.core_clock_w = scale * rng.uniform(0.7, 1.6)
        self.core_leak_w = scale * rng.uniform(0.2, 0.6)
        self.miss_nj = rng.uniform(8, 20)
        # What a package draws with nothing to do: the uncore at its lowest, I/O, what leaks.
        static_w = rng.uniform(4, 12) + rng.uniform(0.5, 1.4) * self.cores
        self.static_w = [static_w * rng.uniform(0.96, 1.04) for _ in range(self.packages)]
        self.uncore_w = rng.uniform(0.15, 0.5) * self.cores * (0 if rng.random() < 0.4 else 1)
        self.uncore_power = rng.uniform(1.6, 2.6)  # how its power grows with its frequency
        self.uncore_lowest = rng.uniform(0.4, 0.7)  # its lowest frequency, in parts of the highest
        self.uncore_half = rng.uniform(0.15, 0.5)  # the demand, in busy cores' worth a core, that asks for half
        # Deep package sleep: what the first thread that wakes up costs on top. Hosts of virtual machines seldom
        # sleep; the class "sleepy" shows what it does to the figures.
        self.wake_w = static_w * (rng.uniform(0.3, 1.0) if kind == "sleepy" else rng.uniform(0, 0.04))
        self.leak_w = rng.uniform(0.10, 0.25) * static_w + 0.1 * self.core_leak_w * self.cores
        self.leak_per_kelvin = rng.uniform(0.008, 0.018)
        self.kelvin_per_watt = rng.uniform(0.15, 0.35)
        self.heat_s = rng.uniform(12, 40)  # time constant of the heat sink
        self.inlet_swing = rng.uniform(0, 0.012)  # of the static power, with the air that comes in
        self.inlet_period_s = rng.uniform(900, 4000)

    def _draw_memory(self, rng):
        self.dimms = rng.choice((2, 4, 6, 8))  # of a package
        self.memory_bytes = self.dimms * self.packages * rng.choice((16, 32)) << 30
        self.dimm_w = rng.uniform(0.35, 1.0)  # at rest, with refresh
        self.line_nj = rng.uniform(25, 60)
        self.write_back = rng.uniform(0.2, 0.5)  # lines written for each that is read
        self.bank_w = rng.uniform(0, 0.25) * self.dimms  # row buffers kept open under load
        self.bank_half = rng.uniform(20e6, 80e6)  # lines a second that keep half of them open
        self.psys = rng.random() < 0.35
        self.board_w = rng.uniform(15, 60)
        self.supply_best = rng.uniform(0.90, 0.95)
        self.supply_loss_w = rng.uniform(3, 10)

    def voltage(self, ghz: float) -> float:
        """What a core needs at that frequency, 1 at the nominal one: affine, bent upwards, with a floor."""
        beyond = ghz / self.nominal_ghz - 1
        return max(0.72, 1 + self.voltage_slope * beyond + self.voltage_bend * beyond * abs(beyond))

    def core_w(self, ghz: float) -> float:
        """A core that is awake, whatever it executes."""
        volt = self.voltage(ghz)
        return self.core_clock_w * ghz / self.nominal_ghz * volt * volt + self.core_leak_w * volt

    def instruction_nj(self, parts: dict) -> float:
        """One instruction of a mix: {operation: how many an instruction}."""
        return sum(self.operation_nj[name] * count for name, count in parts.items())

    def uncore(self, demand: float) -> float:
        """What the uncore draws above its lowest, by the demand of all cores of a package."""
        level = demand / (demand + self.uncore_half * self.cores)
        ratio = self.uncore_lowest + (1 - self.uncore_lowest) * level
        return self.uncore_w * (ratio**self.uncore_power - self.uncore_lowest**self.uncore_power)

    def at_the_wall(self, watts: float) -> float:
        """What the supply takes for what is behind it."""
        return (watts + self.board_w) / self.supply_best + self.supply_loss_w

    def parameters(self) -> dict:
        """All that was drawn, for the record beside the truth."""
        return {name: value for name, value in vars(self).items() if name != "cpus"}
