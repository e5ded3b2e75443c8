"""Who lives on a host: its virtual machines, when they come and go, and how their work changes."""

import uuid

import load

# By class: the vCPUs that are let for each CPU of the host, and the span of mean levels.
RENTED = {
    "equal": (0.5, 1.1),
    "mixed": (0.5, 1.1),
    "dvfs": (0.5, 1.1),
    "smt": (0.8, 1.3),
    "light": (0.1, 0.4),
    "packed": (1.0, 1.8),
    "bursty": (0.5, 1.2),
    "sleepy": (0.3, 0.9),
}
LEVELS = {
    "equal": (0.10, 0.70),
    "mixed": (0.10, 0.70),
    "dvfs": (0.10, 0.70),
    "smt": (0.30, 0.90),
    "light": (0.03, 0.25),
    "packed": (0.60, 0.98),
    "bursty": (0.10, 0.50),
    "sleepy": (0.05, 0.60),
}
SAME_WORK = ("equal", "smt")  # classes in which all machines of a host run the same program


class Guest:
    """One virtual machine and its threads' counters."""

    def __init__(self, rng, machine, number, vcpus, memory_bytes, work):
        self.uuid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        self.name = f"vm-{number}"
        self.memory_bytes = memory_bytes
        self.work = work
        self.arrives_s = 0.0
        self.leaves_s = float("inf")
        self.home = rng.randrange(machine.packages)
        self.vcpus = vcpus
        self.threads = []  # the vCPUs', then the emulator's; the host fills it
        self.halt_poll_ns = 0.0

    def runs(self, now_s):
        """Whether it is there."""
        return self.arrives_s <= now_s < self.leaves_s


class Population:
    """All machines of a host, over its whole time."""

    def __init__(self, rng, machine, kind, seconds, change_s):
        self.rng = rng
        self.machine = machine
        self.kind = kind
        self.change_s = change_s
        self.common = rng.choice([habit for habit in load.HABITS if habit[1] in ("wave", "phases")])
        self.traffic = load.Traffic(rng) if rng.random() < 0.5 else None
        self.guests = []
        self._move_in()
        self._come_and_go(seconds)

    def _habit(self):
        rng, span = self.rng, LEVELS[self.kind]
        mix, shape, _ = rng.choices(load.HABITS, [habit[2] for habit in load.HABITS])[0]
        if self.kind in SAME_WORK:
            mix, shape = self.common[:2]
        elif self.kind == "bursty":
            shape = "pulses" if rng.random() < 0.7 else shape
        elif self.kind == "packed":
            shape = rng.choice(("steady", "steady", "wave", "phases"))
        elif self.kind == "light":
            shape = rng.choice(("wave", "drowsy", "timer", "steady"))
        return mix, shape, span

    def _move_in(self):
        rng, machine = self.rng, self.machine
        cpus = len(machine.cpus)
        wanted = max(2, round(rng.uniform(*RENTED[self.kind]) * cpus))
        free_bytes = 0.95 * machine.memory_bytes
        while wanted > 0:
            vcpus = min(rng.choice((1, 2, 2, 4, 4, 8)), wanted, max(1, cpus // 2))
            memory_bytes = min(vcpus * rng.choice((1, 2, 4)) << 30, int(free_bytes / 4))
            memory_bytes = int(memory_bytes * rng.uniform(0.5, 1)) & ~0xFFF
            free_bytes -= memory_bytes
            work = load.Load(rng, machine, vcpus, self._habit())
            if self.kind in SAME_WORK:
                work.take_mix(self.common[0], 0.03)
            work.traffic = self.traffic if rng.random() < 0.6 else None
            self.guests.append(Guest(rng, machine, len(self.guests), vcpus, memory_bytes, work))
            wanted -= vcpus

    def _come_and_go(self, seconds):
        """Up to a third of them are not there all the time; never the first two."""
        for guest in self.guests[2:]:
            lot = self.rng.random()
            moment = self.rng.uniform(0.05, 0.9) * seconds
            if lot < 0.12:
                guest.arrives_s = moment
            elif lot < 0.24:
                guest.leaves_s = moment

    def change(self):
        """The mix of work becomes another: some run other programs, most are as busy as they were not before."""
        for guest in self.guests:
            lot = self.rng.random()
            habit = self._habit()
            if lot < 0.35 and self.kind not in SAME_WORK:
                guest.work.take_mix(habit[0])
            if lot < 0.8:
                guest.work.take_shape(*habit[1:])
