"""What a virtual machine does: a mix of instructions, and a shape of demand over time.

A mix says what an instruction consists of, how many are executed a cycle, and how often memory is needed. A shape says
how busy the vCPUs are. Each machine's own figures scatter around its mix's, and drift while it runs.
"""

import math
import random

# ipc: instructions a cycle, alone on a core; sibling: the speed that is left beside a busy sibling; pressure: how hard
# it is on a sibling; misses: of the last-level cache, by 1000 instructions; prefetch: lines that come from memory for each miss that is counted;
# emulator: CPU time of QEMU's other threads by the vCPUs' own; polls: the part of short waits that KVM polls away.
MIXES = {
    "web": {
        "parts": {"integer": 0.47, "branch": 0.20, "memory": 0.33, "second": 0.030, "third": 0.006},
        "ipc": 0.95, "sibling": 0.66, "pressure": 0.95, "misses": 1.6, "prefetch": 1.2, "emulator": 0.12, "polls": 0.15,
    },
    "integer": {
        "parts": {"integer": 0.56, "branch": 0.16, "memory": 0.28, "second": 0.012, "third": 0.001},
        "ipc": 2.0, "sibling": 0.58, "pressure": 1.1, "misses": 0.15, "prefetch": 1.1, "emulator": 0.005, "polls": 0.0,
    },
    "database": {
        "parts": {"integer": 0.42, "branch": 0.18, "memory": 0.40, "second": 0.060, "third": 0.020},
        "ipc": 0.65, "sibling": 0.74, "pressure": 0.85, "misses": 9.0, "prefetch": 1.3, "emulator": 0.10, "polls": 0.10,
    },
    "stream": {
        "parts": {"integer": 0.30, "branch": 0.08, "memory": 0.52, "scalar": 0.10, "second": 0.08, "third": 0.02},
        "ipc": 0.85, "sibling": 0.70, "pressure": 1.05, "misses": 14.0, "prefetch": 2.0, "emulator": 0.005, "polls": 0.0,
    },
    "vector": {
        "parts": {"integer": 0.25, "branch": 0.05, "memory": 0.36, "scalar": 0.06, "vector": 0.28, "second": 0.02},
        "ipc": 1.7, "sibling": 0.56, "pressure": 1.2, "misses": 0.8, "prefetch": 1.6, "emulator": 0.005, "polls": 0.0,
    },
    "script": {
        "parts": {"integer": 0.48, "branch": 0.22, "memory": 0.30, "second": 0.025, "third": 0.004},
        "ipc": 1.25, "sibling": 0.62, "pressure": 1.0, "misses": 1.0, "prefetch": 1.2, "emulator": 0.03, "polls": 0.05,
    },
}  # fmt: skip

SHAPES = ("wave", "phases", "steady", "drowsy", "timer", "pulses")
NOISE = {"wave": 0.5, "phases": 0.5, "steady": 0.1, "drowsy": 0.9, "timer": 0.5, "pulses": 0.5}  # within a second

# What goes together on real hosts: (mix, shape, how often).
HABITS = (
    ("web", "wave", 6),
    ("script", "wave", 2),
    ("integer", "phases", 4),
    ("integer", "steady", 1),
    ("database", "wave", 4),
    ("stream", "phases", 2),
    ("vector", "phases", 3),
    ("script", "timer", 2),
    ("script", "drowsy", 2),
    ("web", "steady", 1),
)
POLL_IPC = 0.6
POLL_NJ = 0.16  # a pause costs little


class Traffic:
    """Requests of the world outside, which several machines serve at the same time: their loads go together."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.period_s = rng.uniform(200, 900)
        self.noise = 0.0
        self.now_s = -1.0
        self.value = 0.0

    def at(self, now_s):
        """From -1.3 to 1.3, the same for all who ask at that time."""
        if now_s != self.now_s:
            self.now_s = now_s
            self.noise = 0.9 * self.noise + self.rng.gauss(0, 0.13)
            self.value = min(1.3, max(-1.3, math.sin(2 * math.pi * now_s / self.period_s) + self.noise))
        return self.value


def scatter(rng, value, part):
    """The value, up to that part off."""
    return value * rng.uniform(1 - part, 1 + part)


class Load:
    """One machine's work. `levels` is how busy each of its vCPUs wants to be, of a CPU at nominal frequency."""

    def __init__(self, rng: random.Random, machine, vcpus: int, habit):
        self.rng = rng
        self.machine = machine
        self.vcpus = vcpus
        self.levels = [0.0] * vcpus
        self.traffic = None  # a wave that it has in common with others
        self.take_mix(habit[0])
        self.take_shape(habit[1], habit[2])

    def take_mix(self, name, part=0.12):
        """Another program: what its instructions are."""
        mix, rng = MIXES[name], self.rng
        self.mix = name
        self.nj = self.nj_now = scatter(rng, self.machine.instruction_nj(mix["parts"]), part)
        self.ipc = scatter(rng, mix["ipc"], part)
        self.sibling = min(0.85, scatter(rng, mix["sibling"], part / 2))
        self.pressure = mix["pressure"]
        self.misses = scatter(rng, mix["misses"], 2 * part)
        self.prefetch = max(1.0, scatter(rng, mix["prefetch"], part))
        self.emulator = scatter(rng, mix["emulator"], 3 * part)
        self.poll = scatter(rng, mix["polls"], 3 * part) if self.machine.polls else 0.0
        self.wide = name == "vector"
        self.drift = [0.0, 0.0, 0.0]

    def take_shape(self, name, span):
        """Another demand: its sort, and (lowest, highest) mean level."""
        rng = self.rng
        self.shape = name
        self.mean = rng.uniform(*span)
        self.swing = rng.uniform(0.2, 0.7)
        self.period_s = rng.uniform(150, 900)
        self.phase = rng.uniform(0, 2 * math.pi)
        self.on_s = rng.uniform(15, 150)
        self.off_s = self.on_s * (1 - self.mean) / max(self.mean, 0.05)
        self.busy = rng.random() < self.mean
        self.until_s = rng.uniform(0, self.on_s)
        self.every_s = rng.choice((60, 60, 120, 300))
        self.runs_s = rng.uniform(3, 15)
        self.noise = 0.0
        # How its work lies on its vCPUs: some are built for one, some use all.
        self.width = rng.choice((1, max(1, self.vcpus // 2), self.vcpus, self.vcpus))

    def second(self, now_s):
        """The next second: how busy, and what the drift has done to the mix."""
        rng = self.rng
        drift = self.drift
        drift[0] = 0.97 * drift[0] + rng.gauss(0, 0.012)
        drift[1] = 0.95 * drift[1] + rng.gauss(0, 0.04)
        drift[2] = 0.99 * drift[2] + rng.gauss(0, 0.006)
        self.nj_now = self.nj * (1 + drift[2])
        self.ipc_now = self.ipc * max(0.6, 1 + drift[0])
        self.misses_now = self.misses * max(0.3, 1 + drift[1])
        level = getattr(self, "_" + self.shape)(now_s)
        rest = 0.15 * level if self.shape != "timer" else 0.02
        for vcpu in range(self.vcpus):
            self.levels[vcpu] = level if vcpu < self.width else rest

    def _wave(self, now_s):
        self.noise = 0.9 * self.noise + self.rng.gauss(0, 0.06)
        wave = math.sin(2 * math.pi * now_s / self.period_s + self.phase)
        if self.traffic is not None:
            wave = self.traffic.at(now_s)
        return min(1.0, max(0.01, self.mean * (1 + self.swing * wave + self.noise)))

    def _phases(self, now_s):
        if now_s >= self.until_s:
            self.busy = not self.busy
            self.until_s = now_s + self.rng.expovariate(1 / (self.on_s if self.busy else max(self.off_s, 2)))
        return 0.99 if self.busy else 0.01

    def _steady(self, _now_s):
        return self.mean

    def _drowsy(self, _now_s):
        return 0.002 + 0.03 * self.mean + (0.1 * self.rng.random() if self.rng.random() < 0.03 else 0)

    def _timer(self, now_s):
        return 0.97 if (now_s + self.phase * 100) % self.every_s < self.runs_s else 0.004

    def _pulses(self, _now_s):
        return self.mean

    def tenth(self, now_s):
        """Bursts are shorter than a second: whether one runs in this step."""
        if now_s >= self.until_s:
            self.busy = not self.busy
            on_s = 0.02 * self.on_s  # 0.3 to 3 s
            off_s = on_s * (1 - self.mean) / max(self.mean, 0.05)
            self.until_s = now_s + self.rng.expovariate(1 / (on_s if self.busy else off_s + 0.1))
        level = 1.0 if self.busy else 0.004
        for vcpu in range(self.width):
            self.levels[vcpu] = level
