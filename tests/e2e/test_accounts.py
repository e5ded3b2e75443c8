#!/usr/bin/python3
"""Three services of a guest, one of them in a container, are told what each of them truly used, by control groups of either
version: held against the simulated hardware's truth, and against the zones to the microjoule."""

import sys
import time
import unittest

from lab import services, stats
from lab.account import AGENT_PORT, Account
from lab.domain import Share
from lab.laboratory import Laboratory
from lab.process import LabError, wait_for
from lab.raplsim import RaplSim
from lab.runner import run
from lab.truth import cpu_s
from lab.wattport import TREE, Wattport, microjoules, parse

WINDOW_S = 20
TOLERANCE = 0.05
CONTAINER = f"docker-{services.CONTAINER}.scope"
# Each service's cgroup, and how much of the guest's vCPU it wants, in percent.
SERVICES = {"system.slice/web.service": 40, "system.slice/db.service": 20, f"system.slice/{CONTAINER}": 10}
OWN = "wattport_unit_energy_joules_total"
IDLE = "wattport_guest_idle_joules_total"
OTHER = "wattport_guest_other_joules_total"
DIVIDED = "wattport_guest_divided_joules_total"


class AccountsTest(unittest.TestCase):
    """One guest on one vCPU, whose services go on while the agents come and go."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_programs=("guest/wattport-agent",)))
        cls.sim = RaplSim(lab)
        lab.start_libvirtd()
        cls.host = Wattport(lab, cls.sim.sysroot)
        cls.host.start({"guest-view.mode": "exact", "attribution.idle-power": f"{cls.sim.power.idle_w}W"})
        cls.guest = lab.guest("services", Share(TREE, "9p"))
        cls.guest.wait_up()
        cls.guest.check("wattport-agent mount")
        cls.host.wait_known(cls.guest.uuid)
        cls.idle_w = Account(cls.host, cls.sim.power, {cls.guest: cls.guest.domain.vcpus}).idle_share_w(cls.guest)

    def look(self, pids):
        """What the agent tells, in microjoules by unit; work that is no unit's, rest, all that was divided; and how long each process ran."""
        units, sums = {}, dict.fromkeys((OTHER, IDLE, DIVIDED), 0)
        for (name, labels), value in parse(self.guest.get(AGENT_PORT, "/metrics")).items():
            if name == OWN:
                units[dict(labels)["unit"]] = microjoules(value)
            elif name in sums:
                sums[name] += microjoules(value)
        ran = self.guest.check("cat " + " ".join(f"/proc/{pid}/schedstat" for pid in pids)).splitlines()
        return units, sums, [int(line.split()[0]) for line in ran]

    def hold(self, pids):
        """All that is told of a while, against the truth. The services' work is alike, so each has caused of what the machine
        drew beyond rest what it had of the vCPU's time."""
        agent = self.guest.spawn(f"wattport-agent --http.listen=0.0.0.0:{AGENT_PORT} --accounts.period=200ms "
                                 f"--accounts.idle-power={self.idle_w}W", log="/tmp/agent.log")
        names = [path.rsplit("/", 1)[1] for path in SERVICES]

        def known():
            try:
                units = self.look(pids)[0]
            except (OSError, LabError):
                return False
            return all(units.get(name, 0) > 0 for name in names)

        wait_for("the agent to know the services", known, 60, 0.5)
        before_s, (before, sums_before, ran_before) = cpu_s(self.guest.pid()), self.look(pids)
        time.sleep(WINDOW_S)
        after_s, (after, sums, ran_after) = cpu_s(self.guest.pid()), self.look(pids)
        self.guest.kill(agent)
        self.assertEqual(sum(after.values()) + sums[OTHER] + sums[IDLE], sums[DIVIDED])
        told_uj = {name: after[name] - before.get(name, 0) for name in after}
        worked_j = (sum(told_uj.values()) + sums[OTHER] - sums_before[OTHER]) / 1e6
        true_j = self.sim.power.busy_w * (after_s - before_s)
        print(f"all work: {worked_j:.1f} J of {true_j:.1f} J: off by {stats.relative_error(worked_j, true_j):.2%}")
        ran = [later - earlier for earlier, later in zip(ran_before, ran_after)]
        # What is no service's is the agent's own, the kernel's, and that of the emulator.
        services_j = sum(told_uj[name] for name in names) / 1e6
        for name, ran_ns in zip(names, ran):
            with self.subTest(name):
                share_j = services_j * ran_ns / sum(ran)
                error = stats.relative_error(told_uj[name] / 1e6, share_j)
                print(f"{name}: {told_uj[name] / 1e6:.1f} J of {share_j:.1f} J: off by {error:.2%}")
                self.assertLess(error, TOLERANCE)
        self.assertLess(stats.relative_error(worked_j, true_j), TOLERANCE)

    def test_control_groups_of_version_2(self):
        services.mount(self.guest)
        pids = [services.start(self.guest, cgroup, f"guest_probe spin 0 {percent}") for cgroup, percent in SERVICES.items()]
        self.hold(pids)
        for pid in pids:
            self.guest.kill(pid)
        self.guest.check(f"umount {services.CGROUPS}")

    def test_control_groups_of_version_1(self):
        root = f"{services.CGROUPS}/cpuacct"
        self.guest.check(f"mount -t tmpfs tmpfs {services.CGROUPS} && mkdir {root} && mount -t cgroup -o cpuacct cgroup {root}")
        pids = [services.start(self.guest, f"cpuacct/{cgroup}", f"guest_probe spin 0 {percent}")
                for cgroup, percent in SERVICES.items()]
        self.hold(pids)
        for pid in pids:
            self.guest.kill(pid)
        self.guest.check(f"umount {root} {services.CGROUPS}")


if __name__ == "__main__":
    sys.exit(run(("generic",)))
