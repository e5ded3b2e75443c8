#!/usr/bin/python3
"""Three services of a machine, one of them in a container, are told what each of them truly used, by control groups of either
version: in a guest, and on a bare host of two packages. Held against the simulated hardware's truth, and against the zones to
the microjoule. And a thousand processes that each end before anybody could look are told, too."""

import dataclasses
import http.client
import json
import sys
import time
import unittest

from lab import bare, services, stats
from lab.account import AGENT_PORT, Account
from lab.domain import Share
from lab.host import EXACT, start_host
from lab.laboratory import Laboratory
from lab.process import LabError, wait_for
from lab.runner import run
from lab.truth import cpu_s
from lab.wattport import TREE, microjoules, parse

WINDOW_S = 20
LOOKS = 4
TOLERANCE = 0.05
# Each service's cgroup, and how much of a CPU it wants, in percent.
SERVICES = {"system.slice/web.service": 40, "system.slice/db.service": 20,
            f"system.slice/docker-{services.CONTAINER}.scope": 10}
NAMES = [path.rsplit("/", 1)[1] for path in SERVICES]
OWN = "wattport_unit_energy_joules_total"
IDLE = "wattport_guest_idle_joules_total"
OTHER = "wattport_guest_other_joules_total"
DIVIDED = "wattport_guest_divided_joules_total"

BATCH = "system.slice/batch.service"
BATCH_PROCESSES = 1000
BATCH_EACH_MS = 20
BATCH_USER = "4711"
BATCH_TIMEOUT_S = 300
UNTOLD_PORT = 9100  # forwarded, and nobody's there
SETTLED_NS = 500_000_000
NOBODYS = 0.02  # of that work, at most


@dataclasses.dataclass
class Truth:
    """What has truly been used so far, in a machine's own unit: by each service, by all work, by all zones."""

    services: list
    work: float
    zones: float = 0

    def between(self, other):
        """The truth halfway to another one."""
        return Truth([(one + two) / 2 for one, two in zip(self.services, other.services)], (self.work + other.work) / 2,
                     (self.zones + other.zones) / 2)


@dataclasses.dataclass
class Look:
    """What the agent tells, in microjoules: by unit; and work that is no unit's, rest, and all that was divided. And the truth
    of that instant."""

    units: dict
    sums: dict
    truth: Truth
    took_s: float


class Machine:
    """A machine with an agent and the services. Subclasses know what these truly used."""

    def __init__(self, guest, idle_w):
        self.guest = guest
        self.name = guest.domain.name
        self.idle_w = idle_w
        self.pids = []
        self.agent = None
        self.before = None

    def read_both(self):
        """The agent's page, the truth of that instant, and for how long that was looked for."""
        raise NotImplementedError

    def spent(self, before, told_j, after):
        """Joules of each service, and of all work, between two truths; the services were told so much."""
        raise NotImplementedError

    def start(self, root):
        """Starts the services, which spread over its CPUs, below that root of the control groups; and the agent."""
        self.pids = [services.start(self.guest, f"{root}{cgroup}", f"guest_probe spin {number % self.guest.domain.vcpus} {percent}")
                     for number, (cgroup, percent) in enumerate(SERVICES.items())]
        self.agent = self.start_agent(AGENT_PORT)
        wait_for("the agent to know the services", self.knows_all, 60, 0.5)
        self.before = self.look()

    def start_agent(self, port, through=""):
        """Starts one, through another program if one is named."""
        return self.guest.spawn(f"{through} wattport-agent --http.listen=0.0.0.0:{port} --accounts.period=200ms "
                                f"--accounts.idle-power={self.idle_w:.6f}W", log=f"/tmp/agent-{port}.log")

    def knows_all(self):
        """Whether the agent has told something of each service; LabError where it has ended."""
        if self.guest.run(f"kill -0 {self.agent}").status != 0:
            raise LabError(f"{self.name}: the agent has ended:\n{self.guest.read(f'/tmp/agent-{AGENT_PORT}.log')}")
        try:
            units = self.look().units
        except (OSError, LabError):
            return False
        return all(units.get(name, 0) > 0 for name in NAMES)

    def look(self):
        """Of some looks the quickest."""
        return min((self.look_once() for _ in range(LOOKS)), key=lambda look: look.took_s)

    def look_once(self):
        """The agent's page between two readings of the truth."""
        page, truth, took_s = self.read_both()
        units, sums = {}, dict.fromkeys((OTHER, IDLE, DIVIDED), 0)
        for (name, labels), value in parse(page).items():
            if name == OWN:
                units[dict(labels)["unit"]] = microjoules(value)
            elif name in sums:
                sums[name] += microjoules(value)
        return Look(units, sums, truth, took_s)

    def hold(self, test):
        """What the agent has told since start(), against the truth."""
        before, after = self.before, self.look()
        test.assertEqual(sum(after.units.values()) + after.sums[OTHER] + after.sums[IDLE], after.sums[DIVIDED])
        told_j = {name: (told - before.units.get(name, 0)) / 1e6 for name, told in after.units.items()}
        grown_j = {name: (after.sums[name] - before.sums[name]) / 1e6 for name in after.sums}
        used_j, work_j = self.spent(before.truth, [told_j[name] for name in NAMES], after.truth)
        print(f"{self.name}: looks took {before.took_s:.3f} s and {after.took_s:.3f} s")
        for name, true_j in zip(NAMES, used_j):
            self.compare(test, name, told_j[name], true_j)
        self.compare(test, "all work", sum(told_j.values()) + grown_j[OTHER], work_j)
        if after.truth.zones:
            self.compare(test, "all", grown_j[DIVIDED], (after.truth.zones - before.truth.zones) / 1e6)

    def compare(self, test, what, told_j, true_j):
        """Says how far off the agent is, and checks that."""
        error = stats.relative_error(told_j, true_j)
        print(f"{self.name}: {what[:25]}: {told_j:.1f} J of {true_j:.1f} J: off by {error:.2%}")
        with test.subTest(f"{self.name}: {what}"):
            test.assertLess(error, TOLERANCE)

    def stop(self):
        """Ends what start() has started."""
        for pid in (self.agent, *self.pids):
            self.guest.kill(pid)


class Virtual(Machine):
    """A guest that reads its own energy. The services' work is alike, so each has caused of what they have caused together
    what it had of the vCPU's time; what is no service's is the agent's own, the kernel's, and that of the emulator."""

    def __init__(self, guest, idle_w, power):
        super().__init__(guest, idle_w)
        self.power = power

    def read_both(self):
        begun_s, earlier = time.monotonic(), self.truth()
        page = self.guest.get(AGENT_PORT, "/metrics")
        return page, earlier.between(self.truth()), time.monotonic() - begun_s

    def truth(self):
        """Nanoseconds that the services ran, and the seconds of all work."""
        ran = self.guest.check("cat " + " ".join(f"/proc/{pid}/schedstat" for pid in self.pids)).splitlines()
        return Truth([int(line.split()[0]) for line in ran], cpu_s(self.guest.pid()))

    def spent(self, before, told_j, after):
        ran_ns = [later - earlier for earlier, later in zip(before.services, after.services)]
        return [sum(told_j) * each_ns / sum(ran_ns) for each_ns in ran_ns], self.power.busy_w * (after.work - before.work)


class Bare(Machine):
    """A machine with its own RAPL, of which the simulator in it tells all."""

    def __init__(self, host):
        super().__init__(host.guest, host.power.idle_w)
        self.host = host
        self.batch = None

    def read_both(self):
        truth = self.host.truth_command(*self.pids)
        earlier, *page, later = self.guest.check(f"{truth}; wget -qO- http://127.0.0.1:{AGENT_PORT}/metrics; {truth}").splitlines()
        (earlier_ns, earlier), (later_ns, later) = map(self.truth, (earlier, later))
        return "\n".join(page) + "\n", earlier.between(later), (later_ns - earlier_ns) / 1e9

    @staticmethod
    def truth(line):
        """The time, and all in microjoules, of what the simulator said."""
        truth = json.loads(line)
        zones = truth["zones"].values()
        return truth["t_ns"], Truth([process["true_uj"] for process in truth["processes"]],
                                    sum(zone["busy_uj"] for zone in zones), sum(zone["true_uj"] for zone in zones))

    def spent(self, before, _told_j, after):
        return ([(later - earlier) / 1e6 for earlier, later in zip(before.services, after.services)],
                (after.work - before.work) / 1e6)

    def accounts(self, port):
        """All that an agent tells, as soon as it is there, and of a tick that began after this was asked."""
        since_ns = None

        def later():
            nonlocal since_ns
            try:
                view = json.loads(self.guest.get(port, "/api/v1/accounts"))
            except (OSError, http.client.HTTPException, LabError):
                return None
            since_ns = since_ns or view["wall_ns"]
            return view if view["wall_ns"] > since_ns + SETTLED_NS and view["groups"]["user"]["pending_uj"] == 0 else None

        try:
            return wait_for("another tick", later, 60, 0.1)
        except LabError as error:
            raise LabError(f"{error}\n{self.guest.read(f'/tmp/agent-{port}.log')}") from None

    def begin_batch(self):
        """Starts the short processes, and an agent to which the kernel tells nothing of their ends."""
        untold = self.start_agent(UNTOLD_PORT, f"{bare.SETPRIV} --bounding-set=-net_admin --inh-caps=-net_admin")
        self.batch = {port: self.accounts(port) for port in (AGENT_PORT, UNTOLD_PORT)}
        self.pids.append(untold)
        services.start(self.guest, BATCH, f"crowd short {BATCH_PROCESSES} {BATCH_EACH_MS} {BATCH_USER} >/tmp/batch.log")

    def wait_batch(self):
        """Waits for their end. A command in the guest is a dozen short processes more, so the agent is asked first."""

        def told():
            return self.exits("ended") >= BATCH_PROCESSES

        wait_for("the short processes' ends", told, BATCH_TIMEOUT_S, 1)
        wait_for("who began them", lambda: self.guest.run("test -s /tmp/batch.log").status == 0, BATCH_TIMEOUT_S, 1)

    def exits(self, name):
        """How many the kernel has told of since the batch began."""
        view = json.loads(self.guest.get(AGENT_PORT, "/api/v1/accounts"))
        return view["exits"][name] - self.batch[AGENT_PORT]["exits"][name]

    def hold_batch(self, test):
        """Their unit has what they have truly used, and their user, whoever tells of their ends. If the kernel does, hardly
        anything of it is nobody's; and else that is told."""
        ended_j, all_j = (int(word) / 1e9 * self.host.power.busy_w for word in self.guest.read("/tmp/batch.log").split())
        print(f"{BATCH_PROCESSES} processes of {BATCH_EACH_MS} ms: {ended_j:.1f} J, with who began them {all_j:.1f} J")
        nobodys = {}
        for port, before in self.batch.items():
            after = self.accounts(port)
            for kind, name in (("unit", BATCH.rsplit("/", 1)[1]), ("user", BATCH_USER)):
                accounts = {each["name"]: each["energy_uj"] / 1e6 for each in after["groups"][kind]["accounts"]}
                self.compare(test, f"{port}: {kind} {name}", accounts[name], all_j)
            nobodys_uj = [view["groups"]["user"]["rest"]["energy_uj"] + view["groups"]["process"]["lost_uj"]
                          for view in (before, after)]
            nobodys[port] = (nobodys_uj[1] - nobodys_uj[0]) / 1e6 / ended_j
            print(f"{self.name}: {port}: nobody's are {nobodys[port]:.2%}; exits {after['exits']}")
            test.assertEqual(after["exits"]["counted"], port == AGENT_PORT)
        test.assertLess(nobodys[AGENT_PORT], NOBODYS)
        test.assertGreater(nobodys[UNTOLD_PORT], nobodys[AGENT_PORT])
        test.assertGreaterEqual(self.exits("ended"), BATCH_PROCESSES)
        test.assertEqual(self.exits("lost"), 0)


class AccountsTest(unittest.TestCase):
    """A guest on one vCPU and a bare host on two, whose windows of time are the same; their services go on while the agents
    come and go."""

    @classmethod
    def setUpClass(cls):
        lab = cls.enterClassContext(Laboratory(guest_programs=bare.PROGRAMS))
        sim, host = start_host(lab, EXACT)
        guests = [lab.guest("services", Share(TREE, "9p")), lab.guest("bare", sockets=2)]
        for guest in guests:
            guest.wait_up()
        guests[0].check("wattport-agent mount")
        host.wait_known(guests[0].uuid)
        idle_w = Account(host, sim.power, {guest: guest.domain.vcpus for guest in guests}).idle_share_w(guests[0])
        cls.bare = Bare(bare.BareHost(guests[1]))
        cls.machines = [Virtual(guests[0], idle_w, sim.power), cls.bare]

    def hold(self, root, batch=False):
        """Both machines at once, over a while."""
        for machine in self.machines:
            machine.start(root)
        if batch:
            self.bare.begin_batch()
        time.sleep(WINDOW_S)
        if batch:
            self.bare.wait_batch()
        for machine in self.machines:
            machine.hold(self)
        if batch:
            self.bare.hold_batch(self)
        for machine in self.machines:
            machine.stop()

    def test_control_groups_of_version_2(self):
        for machine in self.machines:
            services.mount(machine.guest)
        self.hold("", batch=True)
        for machine in self.machines:
            machine.guest.check(f"umount {services.CGROUPS}")

    def test_control_groups_of_version_1(self):
        root = f"{services.CGROUPS}/cpuacct"
        for machine in self.machines:
            machine.guest.check(f"mount -t tmpfs tmpfs {services.CGROUPS} && mkdir {root} && mount -t cgroup -o cpuacct cgroup {root}")
        self.hold("cpuacct/")
        for machine in self.machines:
            machine.guest.check(f"umount {root} {services.CGROUPS}")


if __name__ == "__main__":
    sys.exit(run(("generic",)))
