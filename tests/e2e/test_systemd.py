#!/usr/bin/python3
"""The units as they are installed, under the systemd and the kernel of a whole machine: a guest that is itself a hypervisor.
Its agent lays the host's tree over its own powercap; with that as their hardware wattportd, wattport-fs and
wattport-exporter serve a machine in the guest. Restarts, crashes, stops and starts, and what each process may still do."""

import json
import os
import re
import sys
import unittest

from lab import systemd
from lab.domain import EMULATOR, Share
from lab.laboratory import NODE_EXPORTER, Laboratory
from lab.process import LabError, wait_for
from lab.prometheus import parse
from lab.raplsim import RaplSim
from lab.reader import FOREVER, GuestReader
from lab.runner import run
from lab.wattport import TREE, Wattport

HOST_UNITS = ("wattportd", "wattport-fs", "wattport-exporter")
GUEST_UNITS = ("wattport-agent-mount", "wattport-agent")
UNITS = GUEST_UNITS + HOST_UNITS
EXPORTER_PORT = 9771
AGENT_PORT = 9772

# A machine in the guest: for wattportd a QEMU is what is called so and has a uuid.
INNER = "5eed0000-0000-4000-8000-00000000beef"
QEMU = f"{systemd.BIN}/qemu-system-x86_64"
QEMU_SCRIPT = "#!/bin/sh\\nwhile sleep 1; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; done\\n"
COUNTER = "class/powercap/intel-rapl:0/energy_uj"
INNER_COUNTER = f"/run/wattport/vm/{INNER}/{COUNTER}"
OWN_COUNTER = f"/sys/{COUNTER}"
# Opens it anew each time, and ends when it cannot be read or is not more than before.
FRESH = f'last=0; while read -r now <{INNER_COUNTER} && [ "$now" -gt "$last" ]; do last=$now; sleep 0.2; done; echo "$now after $last"'
READ_US = 50000
MOUNTED = " /run/wattport/vm "

# Of linux/capability.h.
DAC_READ_SEARCH, KILL, SETGID, SETUID, SETPCAP, NET_ADMIN, PERFMON = (1 << number for number in (2, 5, 6, 7, 8, 12, 38))
# What each process still has, by docs/security.md: user, effective capabilities, bounding set. Who never was root cannot
# take anything from the last.
POWERS = {
    "wattportd": ("root", PERFMON, 0),
    "wattport-fs": ("root", KILL | SETGID | SETUID | SETPCAP, 0),
    "worker": ("wattport", 0, 0),
    "wattport-exporter": ("wattport", 0, 0),
    "wattport-agent": ("wattport", 0, DAC_READ_SEARCH | NET_ADMIN),
}
# Refused in everyday use, and of no consequence (docs/security.md): clone3, and memory to write and execute.
REFUSED = {"435", "9"}


class SystemdTest(unittest.TestCase):
    """One boot. Each test leaves all units active."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(guest_handover=systemd.HANDOVER))
        cls.sim = RaplSim(lab)
        lab.start_libvirtd()
        host = Wattport(lab, cls.sim.sysroot)
        # So the guest's counters are its root's alone, like real ones.
        host.start({"guest-view.mode": "exact"})
        installed = lab.path("installed")
        systemd.install(installed)
        with open(f"{installed}/etc/wattport/wattport.conf", "w", encoding="utf-8") as file:
            file.write("[vms]\nprovider = procfs\n")
        os.chmod(installed, 0o755)
        cls.guest = guest = lab.guest("hypervisor", Share(TREE), *systemd.shares(installed), cores=2, memory_mib=768,
                                      cmdline=systemd.CMDLINE)
        guest.wait_up()
        host.wait_known(guest.uuid)
        cls.manager = systemd.Manager(guest)
        guest.check(f"printf '{QEMU_SCRIPT}' >{QEMU} && chmod 755 {QEMU}")
        guest.check(f"systemd-run --quiet --unit=inner {QEMU} -name inner -uuid {INNER} -m 64")
        cls.start(*GUEST_UNITS)
        cls.start(*HOST_UNITS)
        wait_for("the inner machine's account", lambda: cls.account() > 0, 60, 0.5)
        # What their programs, not systemd itself, have said that was more than a piece of news.
        cls.complaints = cls.manager.journal("-p warning " + " + ".join(f"_SYSTEMD_UNIT={unit}.service" for unit in UNITS))

    @classmethod
    def start(cls, *units):
        """As an operator would."""
        cls.manager.systemctl("enable --now " + " ".join(units))

    @classmethod
    def status(cls):
        """`wattport status`."""
        return json.loads(cls.guest.check("wattport status --json"))

    @classmethod
    def account(cls):
        """What the inner machine was booked, in microjoules."""
        return sum(vm["energy_uj"] for vm in cls.status()["vms"] if vm["uuid"] == INNER)

    def page(self, port, path="/metrics"):
        """A page, as somebody in the guest gets it."""
        return self.guest.check(f"{systemd.BIN}/busybox wget -q -O - http://127.0.0.1:{port}{path}")

    def read_uj(self, path=INNER_COUNTER):
        """A counter, read once."""
        return int(self.guest.check(f"cat {path}"))

    @classmethod
    def tearDownClass(cls):
        """Of all that has befallen the units, no system call was refused that is of consequence, and no filter has killed."""
        lines = cls.manager.journal("--grep 'type=1326'").splitlines()
        refused = [line for line in lines if 'comm="wattport' in line and
                   (" sig=0 " not in line or re.search(r"syscall=(\d+)", line).group(1) not in REFUSED)]
        if refused:
            raise LabError(f"system calls were refused: {refused}")

    def tearDown(self):
        self.assertEqual(self.state_of(*UNITS), [("active", "success")] * len(UNITS))

    def state_of(self, *units):
        """What systemd says of each."""
        return [(told["ActiveState"], told["Result"]) for told in self.manager.show(*units)]

    def test_units_do_their_work(self):
        """In all of their sandboxes: energy is measured, served and shown, and nobody complains."""
        self.assertEqual(self.complaints, "")
        self.assertEqual(self.guest.check(f"stat -c '%a %U' {OWN_COUNTER} {INNER_COUNTER}"), "400 root\n444 root\n")
        first, first_uj = self.status(), self.account()
        self.assertEqual((first["source"], first["estimate"], first["fresh"]), ("powercap", False, True), first)
        wait_for("more energy", lambda: self.status()["host"]["energy_uj"] > first["host"]["energy_uj"], 30, 0.5)
        wait_for("more of the machine's", lambda: self.account() > first_uj, 30, 0.5)
        self.assertGreater(self.read_uj(), 0)
        samples = parse(self.page(EXPORTER_PORT))
        self.assertTrue(any(name == "wattport_vm_energy_joules_total" and ("uuid", INNER) in labels and float(value) > 0
                            for (name, labels), value in samples.items()), samples)
        self.assertIn("<html", self.page(EXPORTER_PORT, "/"))

    def mounted(self):
        """The mount of the inner machines' trees, with its number: what it was before, or another one."""
        return [line for line in self.guest.check("cat /proc/self/mountinfo").splitlines() if MOUNTED in line]

    def disturb(self, unit, command):
        """Something that makes a unit's main process another one."""
        before = self.manager.main_pid(unit)
        self.manager.systemctl(f"{command} {unit}")
        print(f"{command} {unit}: process {self.manager.wait_replaced(unit, before)} after {before}")

    def test_restarts_and_crashes_are_not_noticed(self):
        """The mount stays, by the descriptors that systemd keeps; no reader errs, no counter goes back."""
        mounted = self.mounted()
        self.assertEqual(len(mounted), 1)
        kept = GuestReader(self.guest, INNER_COUNTER, READ_US)
        kept.start()
        fresh = self.guest.spawn(f"sh -c '{FRESH}'", log="/tmp/fresh")
        try:
            for unit, command in (("wattport-fs", "restart"), ("wattport-fs", "kill --signal=KILL --kill-who=main"),
                                  ("wattport-fs", "kill --signal=KILL --kill-who=all"), ("wattportd", "restart"),
                                  ("wattportd", "kill --signal=KILL"), ("wattport-exporter", "kill --signal=KILL")):
                with self.subTest(unit=unit, command=command):
                    self.disturb(unit, command)
                    self.assertEqual(self.mounted(), mounted)
                    self.assertEqual(self.manager.show("wattport-fs")[0]["NFileDescriptorStore"], "2")
                    self.assertEqual(self.guest.run(f"kill -0 {fresh} || {{ cat /tmp/fresh; false; }}").out, "")
            rows = kept.stop()
            print(f"kept: {len(rows)} reads, the longest {max(after - before for before, after, _ in rows):.3f} s")
        finally:
            self.guest.kill(fresh)
        wait_for("the exporter", lambda: INNER in self.page(EXPORTER_PORT), 30, 0.5)

    def test_stop_leaves_nothing_and_start_goes_on(self):
        """All of the host's side, as before and after a change of the configuration."""
        before_uj, account_uj = self.read_uj(), self.account()
        self.manager.systemctl("stop " + " ".join(HOST_UNITS))
        self.assertEqual(self.state_of(*HOST_UNITS), [("inactive", "success")] * len(HOST_UNITS))
        self.assertEqual(self.mounted(), [])
        self.assertEqual(self.manager.show("wattport-fs")[0]["NFileDescriptorStore"], "0")
        self.assertEqual(self.guest.run(f"pgrep -x '{'|'.join(name[:15] for name in HOST_UNITS)}'").out, "")
        self.assertEqual(self.guest.check("stat -c '%a %U' /var/lib/wattport /var/lib/wattport/ledger.state"),
                         "700 root\n600 root\n")
        self.manager.systemctl("start " + " ".join(HOST_UNITS))
        wait_for("the account", lambda: self.account() >= account_uj, 60, 0.5)
        self.assertGreater(self.read_uj(), before_uj)

    def agent(self):
        """Whether the agent can read the counter, that in joules or None, and the units' energies."""
        samples = parse(self.page(AGENT_PORT))
        units = {dict(labels)["unit"]: float(value) for (name, labels), value in samples.items()
                 if name == "wattport_unit_energy_joules_total"}
        energy_j = [float(value) for (name, _), value in samples.items() if name == "wattport_guest_energy_joules_total"]
        return float(samples[("wattport_up", ())]), energy_j[0] if energy_j else None, units

    def knows_more(self, energy_j):
        """Whether the agent reads more than that. It may have gone to come back with the right to open the counter."""
        try:
            return (self.agent()[1] or 0) > energy_j
        except LabError:
            return False

    def laid(self):
        """What the agent has mounted, as all processes see it but those with mounts of their own."""
        return self.guest.check("grep -c ^wattport.*9p /proc/self/mounts; true").strip()

    def test_agent_divides_among_units(self):
        """Units that systemd has made, by what they do."""
        for name, percent in (("much", 40), ("little", 10)):
            self.guest.check(f"systemd-run --quiet --unit={name} guest_probe spin 0 {percent}")
        wait_for("both to be told apart", lambda: (lambda units: units.get("much.service", 0) > 2 * units.get("little.service", 0) > 0)
                 (self.agent()[2]), 60, 1)
        self.assertGreater(self.agent()[2]["inner.service"], 0)
        pid = self.manager.main_pid("wattportd")
        self.assertIn(f'{{pid="{pid}",comm="wattportd"}}', self.page(AGENT_PORT))
        self.manager.systemctl("stop much little")

    def test_reload_changes_nothing(self):
        """Both of the guest's units can be reloaded."""
        before, laid = self.manager.main_pid("wattport-agent"), self.laid()
        self.manager.systemctl("reload " + " ".join(GUEST_UNITS))
        self.assertEqual((self.manager.main_pid("wattport-agent"), self.laid()), (before, laid))
        self.assertIn("lies already over /sys/class/powercap", self.manager.journal("-u wattport-agent-mount -n 5"))
        self.assertEqual(self.agent()[0], 1)

    def test_tree_is_laid_for_all_and_taken_away(self):
        """Whoever looks sees it, also who has had mounts of his own before; a program that keeps it open is told of."""
        look = "nsenter --target {} --mount cat /sys/class/powercap/intel-rapl:0/name"
        exporter = self.manager.main_pid("wattport-exporter")
        energy_j = self.agent()[1]
        # It keeps the counters of its source open.
        self.manager.systemctl("stop wattportd")
        self.manager.systemctl("restart wattport-agent-mount")
        # The agent ends, to come back with the right to open the counter anew; its start would lay the tree again.
        wait_for("the agent to be back", lambda: self.knows_more(energy_j), 60, 0.5)
        self.manager.systemctl("stop wattport-agent-mount")
        self.assertEqual(self.laid(), "0")
        self.assertNotEqual(self.guest.run(look.format(exporter)).status, 0)
        wait_for("the agent to know nothing", lambda: self.agent()[:2] == (0, None), 30, 0.5)
        self.manager.systemctl("start wattport-agent-mount")
        for pid in ("self", 1, exporter):
            self.assertEqual(self.guest.check(look.format(pid).replace("--target self --mount ", "")), "package-0\n")
        wait_for("the agent to know more", lambda: self.knows_more(energy_j), 60, 0.5)
        holder = self.guest.spawn(f"guest_probe read {OWN_COUNTER} 100000 {FOREVER}")
        self.manager.systemctl("stop wattport-agent-mount")
        with self.assertRaisesRegex(LabError, "programs still have files open of a tree that was taken away"):
            self.manager.systemctl("start wattport-agent-mount")
        self.guest.kill(holder)
        self.manager.systemctl("start wattport-agent-mount wattportd")
        wait_for("the account", lambda: self.account() > 0, 60, 0.5)
        wait_for("the agent to know more again", lambda: self.knows_more(energy_j), 60, 0.5)

    def test_processes_have_the_powers_that_are_told(self):
        """As docs/security.md has them."""
        processes = [(unit, self.manager.main_pid(unit)) for unit in POWERS if unit != "worker"]
        keeper = dict(processes)["wattport-fs"]

        def workers():
            """The one that serves and the spare one, once they are nobody."""
            found = self.guest.run(f"pgrep -P {keeper} -u wattport").out.split()
            return len(found) == 2 and [("worker", int(pid)) for pid in found]

        processes += wait_for("a worker and a spare one", workers, 30, 0.5)
        users = {"root": "0", "wattport": self.guest.check("id -u wattport").strip()}
        for name, pid in processes:
            with self.subTest(name, pid=pid):
                user, effective, bounding = POWERS[name]
                has = self.manager.process(pid)
                self.assertEqual(set(has["Uid"].split()), {users[user]})
                self.assertEqual([int(has[f"Cap{which}"], 16) for which in ("Eff", "Prm", "Inh", "Amb", "Bnd")],
                                 [effective, effective, 0, 0, bounding])
                self.assertEqual((has["NoNewPrivs"], has["Seccomp"]), ("1", "2"))
        self.assertEqual(self.manager.main_pid("wattport-agent-mount"), 0)


NEEDED = ("libvirtd", "virsh", EMULATOR, "busybox", NODE_EXPORTER, "cmake", *systemd.NEEDED)

if __name__ == "__main__":
    sys.exit(run(("generic",), NEEDED))
