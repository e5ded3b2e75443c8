"""A host at work: who runs where, what it draws, and who has caused it.

The truth is the Shapley value of the game whose players are the threads that run at a moment, at the frequencies that
were, taken part by part, for it is additive:

* a core: two threads beside each other cost v(ab) = base + what is left of each one's speed; each is due the mean of what it adds alone
  and what it adds to the other. This can credit a thread for slowing its sibling down.
* waking a package: one price whatever the number; of those that run, each is due the same.
* uncore and open memory banks: concave in the sum of many small demands; the diagonal formula of Aumann and Shapley,
  which is the value's limit for many small players, divides them in proportion to demand.
* leakage beyond that of a cold package: of the heat, which is linear in what each has drawn before; the same formula.
* lines from memory: each its own.

Idle power is what the host draws with nothing to do at the air's temperature: each vCPU of a running machine carries
one L-th of it, L = the CPUs, or the vCPUs where these are more; of DIMMs, by memory held. The rest is the host's.
"""

import math

from load import NOISE, POLL_IPC, POLL_NJ

HOST_THREADS = 3
NODES = (0.0694318442, 0.3300094782, 0.6699905218, 0.9305681558)  # Gauss-Legendre on [0, 1]
NODE_WEIGHTS = (0.1739274226, 0.3260725774, 0.3260725774, 0.1739274226)
MISS_DEMAND = 1 / 25e6  # so many misses a second ask of the uncore what a busy core does


class Thread:
    """A thread of the host, and its counters."""

    __slots__ = (
        "account", "cpu", "package", "wants", "share", "noise", "nj_cycle", "sibling", "pressure", "ipc", "misses",
        "prefetch", "wide", "poll", "time_s", "cycles", "instructions", "missed",
    )  # fmt: skip

    def __init__(self, account, cpu, package):
        self.account = account
        self.cpu = cpu
        self.package = package
        self.wants = 0.0
        self.share = 0.0  # of its CPU, in the last step
        self.noise = 0.5  # of what it wants, from step to step
        self.pressure = 1.0
        self.wide = False
        self.poll = self.time_s = self.cycles = self.instructions = self.missed = 0.0


class Host:
    """The machine, its guests, and the energy of each account by zone since the start, in joules.

    An account is a guest's vCPUs (2 * number), its emulator (2 * number + 1), or the host's own work (the last).
    """

    def __init__(self, rng, machine, population):
        self.rng = rng
        self.machine = machine
        self.population = population
        self.guests = population.guests
        self.now_s = 0.0
        cpus = len(machine.cpus)
        self.accounts = 2 * len(self.guests) + 1
        packages = range(machine.packages)
        self.busy_s = [0.0] * cpus
        self.load = [0.0] * cpus
        self.sibling_of = [self._sibling(cpu) for cpu in range(cpus)]
        self.cpus_of = [[cpu for cpu in range(cpus) if machine.cpus[cpu][1] == package] for package in packages]
        self.ghz = [machine.nominal_ghz] * (machine.cores * machine.packages)
        self.own = [Thread(self.accounts - 1, rng.randrange(cpus), 0) for _ in range(HOST_THREADS)]
        for thread in self.own:
            self._set(thread, 0.28, 0.9, 0.66, 2.0, 1.2)
        for number, guest in enumerate(self.guests):
            self._make_threads(number, guest)
        # What was drawn as physics has it, and, apart, what each account is due of it.
        self.package_j = [0.0 for _ in packages]
        self.memory_j = [0.0 for _ in packages]
        self.wall_j = 0.0
        self.due_package_j = [[0.0] * self.accounts for _ in packages]
        self.due_memory_j = [[0.0] * self.accounts for _ in packages]
        self.due_wall_j = [0.0] * self.accounts
        self.booked_j = [0.0] * self.accounts  # of all dues, at the last second
        self.idle = {}  # zone -> (list by guest, the host's), joules
        self.static_j = {}  # zone -> joules
        self.heat_w = [[0.0] * self.accounts for _ in packages]

    def _sibling(self, cpu):
        half = self.machine.cores * self.machine.packages
        return (cpu + half) % (2 * half) if self.machine.threads == 2 else -1

    def _make_threads(self, number, guest):
        rng = self.rng
        for index in range(guest.vcpus + 1):
            cpu = rng.choice(self.cpus_of[guest.home])
            guest.threads.append(Thread(2 * number + (index == guest.vcpus), cpu, guest.home))
            self._set(guest.threads[-1], 0.3, 0.8, 0.68, 2.5, 1.3)

    @staticmethod
    def _set(thread, instruction_nj, ipc, sibling, misses, prefetch):
        thread.nj_cycle = instruction_nj * ipc
        thread.ipc = ipc
        thread.sibling = sibling
        thread.misses = misses / 1000
        thread.prefetch = prefetch

    # ---- demand and placement ----

    def _plan(self):
        """The next second of all threads: what their machines want."""
        for guest in self.guests:
            work = guest.work
            if not guest.runs(self.now_s):
                for thread in guest.threads:
                    thread.wants = 0.0
                continue
            work.second(self.now_s)
            mean = sum(work.levels) / guest.vcpus
            poll = work.poll * (1 - mean)
            for thread, level in zip(guest.threads, work.levels):
                thread.wants = level * (1 + poll)
                thread.wide = work.wide
                thread.pressure = work.pressure
                thread.noise = NOISE[work.shape]
                self._set(thread, work.nj_now, work.ipc_now, work.sibling, work.misses_now, work.prefetch)
                thread.poll = part = poll / (1 + poll)
                thread.nj_cycle = (1 - part) * thread.nj_cycle + part * POLL_IPC * POLL_NJ
                thread.ipc = (1 - part) * work.ipc_now + part * POLL_IPC
                thread.misses *= (1 - part) * work.ipc_now / thread.ipc
            guest.threads[-1].wants = min(1.0, work.emulator * sum(work.levels) + 0.001)
        for thread in self.own:
            thread.wants = 0.01 + (0.5 if self.rng.random() < 0.02 else 0.02 * self.rng.random())

    def _place(self, thread):
        """Where a thread that wakes goes: stays if there is room, else the quietest of a few at random."""
        rng, load, sibling_of = self.rng, self.load, self.sibling_of
        machine, here = self.machine, thread.cpu
        beside = sibling_of[here]
        there = load[here] - thread.share
        if there < 0.15 and (beside < 0 or load[beside] < 0.3):
            return
        package = thread.package
        if machine.packages > 1 and rng.random() < 0.04:
            package = rng.randrange(machine.packages)
        best, least = here, there + (0.5 * load[beside] if beside >= 0 else 0) - 0.1
        choice = self.cpus_of[package]
        for _ in range(4):
            cpu = choice[int(rng.random() * len(choice))]
            beside = sibling_of[cpu]
            cost = load[cpu] + (0.5 * load[beside] if beside >= 0 else 0)
            if cost < least:
                best, least = cpu, cost
        if best != here:
            load[here] -= thread.share
            load[best] += thread.wants
            thread.cpu, thread.package = best, package

    def _frequencies(self, queues):
        """What the governor and the turbo table allow each core; as the load was in the step before."""
        machine = self.machine
        cores = machine.cores
        for package in range(machine.packages):
            busy, wide = [0.0] * cores, [False] * cores
            for cpu in self.cpus_of[package]:
                core = machine.cpus[cpu][0] - package * cores
                busy[core] = max(busy[core], min(1.0, self.load[cpu]))
                wide[core] = wide[core] or any(thread.wide for thread in queues[cpu])
            awake = sum(level > 0.1 for level in busy)
            top = machine.all_core_ghz
            if awake <= cores // 2:
                top += (machine.turbo_ghz - top) * (1 - 2 * max(0, awake - 2) / max(1, cores))
            if not machine.per_core_frequency:
                busy = [max(busy)] * cores
            for core in range(cores):
                goal = machine.lowest_ghz + (top - machine.lowest_ghz) * min(1.0, 1.25 * busy[core])
                if wide[core]:
                    goal *= machine.vector_license
                index = core + package * cores
                self.ghz[index] += 0.6 * (goal - self.ghz[index])

    def _queues(self):
        """The threads that run in the next step, by CPU, with the part of it that each wants."""
        rng = self.rng
        queues = [[] for _ in self.load]
        load = [0.0] * len(self.load)
        nominal_ghz = self.machine.nominal_ghz
        threads = [self.own]
        for guest in self.guests:
            if guest.runs(self.now_s):
                threads.append(guest.threads)
                if guest.work.shape == "pulses":
                    guest.work.tenth(self.now_s)
                    for thread, level in zip(guest.threads, guest.work.levels):
                        thread.wants = level
        for group in threads:
            for thread in group:
                wants = thread.wants
                if wants < 0.9:
                    wants *= 1 + thread.noise * (2 * rng.random() - 1)
                    if self.machine.dvfs:  # the same work takes longer on a slower core
                        wants *= nominal_ghz / self.ghz[self.machine.cpus[thread.cpu][0]]
                if wants < 0.0005:
                    thread.share = 0.0
                    continue
                # A thread that sleeps in between is placed anew when it wakes; a busy one is seldom moved.
                lot = rng.random()
                if thread.share == 0 or lot < (0.3 if wants < 0.5 else 0.03) or self.load[thread.cpu] > 1.05:
                    self._place(thread)
                wants = thread.share = min(wants, 1.0)
                queues[thread.cpu].append((thread, wants))
                load[thread.cpu] += wants
        self.load = load
        return queues

    # ---- power ----

    def step(self, step_s):
        """A part of a second, in which nothing moves."""
        queues = self._queues()
        if self.machine.dvfs:
            self._frequencies([[thread for thread, _ in queue] for queue in queues])
        machine = self.machine
        half = machine.cores * machine.packages
        for package in range(machine.packages):
            running = []  # (account, part of the step, demand of the uncore, lines a second)
            energy_j = 0.0
            for core in range(package * machine.cores, (package + 1) * machine.cores):
                first = queues[core]
                second = queues[core + half] if machine.threads == 2 else ()
                if first or second:
                    energy_j += self._core(core, (first, second), step_s, running, package)
            if running:
                self._shared(package, running, energy_j, step_s)
        self.now_s += step_s

    def _core(self, core, queues, step_s, running, package):
        """One core's energy, and its threads' dues; what they ask of others is appended to `running`."""
        machine, due = self.machine, self.due_package_j[package]
        ghz = self.ghz[core]
        volt = machine.voltage(ghz) if machine.dvfs else 1.0
        square = ghz * volt * volt
        base_w = machine.core_w(ghz)
        parts = [0.0, 0.0]
        scales = [1.0, 1.0]
        lost_w = [0.0, 0.0]  # what a sibling of pressure 1 would take from those that run here
        pressures = [0.0, 0.0]
        for side in (0, 1):
            if not queues[side]:
                continue
            total = sum(wants for _, wants in queues[side])
            scales[side] = 1 / total if total > 1 else 1.0
            parts[side] = min(total, 1.0)
            for thread, wants in queues[side]:
                lost_w[side] += wants * scales[side] * thread.nj_cycle * square * (1 - thread.sibling)
                pressures[side] += wants * thread.pressure / total
            self.busy_s[core + side * machine.cores * machine.packages] += parts[side] * step_s
        overlap = 0.0
        if parts[0] > 0 and parts[1] > 0:
            # By chance, more or less: siblings that wake each other run together more often.
            overlap = parts[0] * parts[1] * (0.75 + 0.5 * self.rng.random())
            overlap = min(max(overlap, parts[0] + parts[1] - 1, 0.0), parts[0], parts[1])
        core_w = base_w * (parts[0] + parts[1] - overlap)
        misses_w = 0.0
        for side in (0, 1):
            if not queues[side]:
                continue
            paired = overlap / parts[side]
            credit_w = 0.5 * lost_w[1 - side] * (overlap / (parts[0] * parts[1])) if overlap > 0 else 0.0
            for thread, wants in queues[side]:
                part = wants * scales[side]
                own_w = thread.nj_cycle * square
                slow = (1 - thread.sibling) * pressures[1 - side]  # of its speed, beside a sibling
                speed = 1 - slow * paired
                instructions = part * ghz * 1e9 * thread.ipc * speed
                missed = instructions * thread.misses
                miss_w = missed * machine.miss_nj * 1e-9
                core_w += part * own_w * speed
                misses_w += miss_w
                due_w = (1 - paired) * (base_w + own_w) + 0.5 * paired * (base_w + own_w * (2 - slow))
                due[thread.account] += (part * (due_w - thread.pressure * credit_w) + miss_w) * step_s
                thread.time_s += part * step_s
                thread.cycles += part * ghz * 1e9 * step_s
                thread.instructions += instructions * step_s
                thread.missed += missed * step_s
                running.append((thread.account, part, part + missed * MISS_DEMAND, missed * thread.prefetch))
        return (core_w + misses_w) * step_s

    def _shared(self, package, running, energy_j, step_s):
        """What the package and its memory draw for all that run on it."""
        machine, due = self.machine, self.due_package_j[package]
        demand = sum(entry[2] for entry in running)
        uncore_j = machine.uncore(demand) * step_s
        for account, _, wants, _ in running:
            due[account] += uncore_j * wants / demand
        energy_j += uncore_j
        if machine.wake_w > 0:
            energy_j += self._wake(due, running, step_s)
        self.package_j[package] += energy_j
        lines = sum(entry[3] for entry in running)
        memory_w = lines * (1 + machine.write_back) * machine.line_nj * 1e-9
        memory_w += machine.bank_w * lines / (lines + machine.bank_half)
        self.memory_j[package] += memory_w * step_s
        due = self.due_memory_j[package]
        for account, _, _, own in running:
            due[account] += memory_w * step_s * own / lines

    def _wake(self, due, running, step_s):
        """The price of being awake: the value of a thread is E[1 / those that run] while it does, an integral."""
        machine = self.machine
        products = [math.prod(1 - part * (1 - node) for _, part, _, _ in running) for node in NODES]
        values = []
        for _, part, _, _ in running:
            value = 0.0
            for node, weight, product in zip(NODES, NODE_WEIGHTS, products):
                value += weight * product / (1 - part * (1 - node))
            values.append(part * value)
        awake = 1 - math.prod(1 - part for _, part, _, _ in running)
        wake_j = machine.wake_w * awake * step_s
        scale = wake_j / sum(values)
        for (account, _, _, _), value in zip(running, values):
            due[account] += value * scale
        return wake_j

    def second(self, length_s, steps):
        """About a second in so many steps, and what is slower than a step: heat, idle power, the supply."""
        self._plan()
        polls = [(guest, [(thread, thread.time_s) for thread in guest.threads[:-1]]) for guest in self.guests]
        before = [list(zone) for zone in self.due_package_j]
        for _ in range(steps):
            self.step(length_s / steps)
        for guest, times in polls:
            guest.halt_poll_ns += sum((thread.time_s - time_s) * thread.poll for thread, time_s in times) * 1e9
        for package in range(self.machine.packages):
            self._leak(package, before[package], length_s)
        self._rest(length_s)

    def _leak(self, package, before, length_s):
        machine, due, heat = self.machine, self.due_package_j[package], self.heat_w[package]
        keep = math.exp(-length_s / machine.heat_s)
        for account in range(self.accounts):
            power_w = (due[account] - before[account]) / length_s
            heat[account] = max(0.0, keep * heat[account] + (1 - keep) * power_w)
        total_w = sum(heat)
        if total_w <= 0:
            return
        kelvin = machine.kelvin_per_watt * total_w
        leak_j = machine.leak_w * (math.exp(machine.leak_per_kelvin * kelvin) - 1) * length_s
        self.package_j[package] += leak_j
        for account in range(self.accounts):
            due[account] += leak_j * heat[account] / total_w

    def _rest(self, length_s):
        """Idle power, and the wall."""
        machine = self.machine
        static_w = 0.0
        running = [guest.runs(self.now_s - length_s / 2) for guest in self.guests]
        rented = sum(guest.vcpus for guest, there in zip(self.guests, running) if there)
        carriers = max(rented, len(machine.cpus))
        by_vcpu = [guest.vcpus / carriers if there else 0.0 for guest, there in zip(self.guests, running)]
        by_memory = [
            guest.memory_bytes / machine.memory_bytes if there else 0.0 for guest, there in zip(self.guests, running)
        ]
        inlet = 1 + machine.inlet_swing * math.sin(2 * math.pi * self.now_s / machine.inlet_period_s)
        for package in range(machine.packages):
            zone_w = machine.static_w[package] * inlet
            self._book_idle(f"package-{package}", zone_w * length_s, by_vcpu)
            self.package_j[package] += zone_w * length_s
            dimms_w = machine.dimm_w * machine.dimms
            self._book_idle(f"dram-{package}", dimms_w * length_s, by_memory)
            self.memory_j[package] += dimms_w * length_s
            static_w += zone_w + dimms_w
        if machine.psys:
            self._wall(static_w, length_s, by_vcpu)

    def _wall(self, static_w, length_s, by_vcpu):
        machine = self.machine
        total = [sum(zone[account] for zone in self.due_package_j + self.due_memory_j) for account in range(self.accounts)]
        own = [now - then for now, then in zip(total, self.booked_j)]
        self.booked_j = total
        drawn_w = sum(own) / length_s
        idle_j = machine.at_the_wall(static_w) * length_s
        work_j = machine.at_the_wall(static_w + drawn_w) * length_s - idle_j
        self._book_idle("psys", idle_j, by_vcpu)
        self.wall_j += idle_j + work_j
        for account in range(self.accounts):
            self.due_wall_j[account] += work_j * own[account] / (drawn_w * length_s) if drawn_w > 0 else 0.0

    def _book_idle(self, zone, energy_j, parts):
        by_guest, host = self.idle.get(zone, ([0.0] * len(self.guests), 0.0))
        for number, part in enumerate(parts):
            by_guest[number] += energy_j * part
        self.idle[zone] = (by_guest, host + energy_j * (1 - sum(parts)))
        self.static_j[zone] = self.static_j.get(zone, 0.0) + energy_j

    def zones(self):
        """(zone, package or None, joules so far, dues of the accounts), in the order of the trace's head."""
        found = []
        for package in range(self.machine.packages):
            found.append((f"package-{package}", package, self.package_j[package], self.due_package_j[package]))
            found.append((f"dram-{package}", package, self.memory_j[package], self.due_memory_j[package]))
        if self.machine.psys:
            found.append(("psys", None, self.wall_j, self.due_wall_j))
        return found
