#!/usr/bin/python3
"""The agent divides this machine's energy among real control groups and processes, and its metrics add up."""

import errno
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import machine

AGENT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None

ZONE = "/devices/virtual/powercap/intel-rapl/intel-rapl:0"
CROWD = os.environ.get("WATTPORT_CROWD")
SHORT_PROCESSES = int(os.environ.get("WATTPORT_TEST_SHORT_PROCESSES", "50"))
SHORT_MS = 20
USER = "4711"
SANITIZED = "WATTPORT_SANITIZED" in os.environ  # slow, and its memory is not the agent's
LIVING_PROCESSES = 1000 if SANITIZED else 5000
TOP = 50
# docs/metrics.md and docs/performance.md promise these.
SERIES_MAX = 8 * (TOP + 1) + 50
RESIDENT_KIB_MAX = 32 * 1024
RESIDENT_KIB_EACH = 1
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? ([0-9.]+)$', re.M)


class AccountsTest(unittest.TestCase):
    """A sysroot with this machine's own control groups, and a zone whose counter the test moves."""

    def setUp(self):
        self.machine = machine.Machine(AGENT)
        self.addCleanup(self.machine.close)
        root = self.machine.sys
        for path in ("/fs/cgroup", "/devices/system/cpu"):
            os.makedirs(root + path, exist_ok=True)
            machine.mount("--rbind", "/sys" + path, root + path)
        self.energy_uj = 1000000
        machine.write(root + "/devices/virtual/powercap/intel-rapl/enabled", "1\n")
        machine.write(root + ZONE + "/name", "package-0\n")
        machine.write(root + ZONE + "/max_energy_range_uj", f"{machine.RANGE}\n")
        machine.write(root + ZONE + "/energy_uj", f"{self.energy_uj}\n")
        os.makedirs(root + "/class/powercap")
        os.symlink("../../devices/virtual/powercap/intel-rapl", root + "/class/powercap/intel-rapl")
        os.symlink("../../devices/virtual/powercap/intel-rapl/intel-rapl:0", root + "/class/powercap/intel-rapl:0")
        self.port = self.pid = None

    def start(self, *options, through=()):
        """Starts the service, through another program if one is named, and waits until it says where it listens."""
        command = [*through, AGENT, "--sysroot", self.machine.root, "--source", "powercap", "--http.listen", "127.0.0.1:0",
                   "--accounts.period", "200ms", *options]
        with tempfile.TemporaryFile("w+") as messages:
            service = subprocess.Popen(command, stderr=messages)  # pylint: disable=consider-using-with
            self.pid = service.pid
            self.addCleanup(service.wait)
            self.addCleanup(service.terminate)
            while self.port is None:
                self.assertIsNone(service.poll())
                messages.seek(0)
                found = re.search(r"listening on port (\d+)", messages.read())
                self.port = int(found.group(1)) if found else None
                time.sleep(0.02)

    def get(self, path):
        """The body of a page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return response.read().decode()

    def draw(self, energy_uj):
        """The zone draws so much."""
        self.energy_uj += energy_uj
        machine.write(self.machine.sys + ZONE + "/energy_uj", f"{self.energy_uj}\n")

    def divided(self):
        """The accounts, once all that was drawn is divided, also among processes."""
        first = None
        while True:
            view = json.loads(self.get("/api/v1/accounts"))
            if view["up"] and view["age_ns"] > 0:
                first = view["wall_ns"] if first is None else first
                if view["wall_ns"] > first + 400000000 and view["groups"]["user"]["pending_uj"] == 0:
                    return view
            time.sleep(0.05)

    def check_sums(self):
        """As docs/metrics.md says: units, idle and other are all that was divided. Returns that, and the number of series."""
        sums = {}
        samples = SAMPLE.findall(self.get("/metrics"))
        for name, _labels, value in samples:
            sums[name] = sums.get(name, 0) + int(value.replace(".", ""))
        energy = sums["wattport_guest_divided_joules_total"]
        beside = sums["wattport_guest_idle_joules_total"] + sums["wattport_guest_other_joules_total"]
        self.assertEqual(sums["wattport_unit_energy_joules_total"] + beside, energy)
        for kind in ("process", "user"):
            self.assertEqual(sums[f"wattport_{kind}_energy_joules_total"] + beside +
                             sums["wattport_guest_pending_joules"], energy, kind)
        return energy, len(samples)

    def test_the_metrics_add_up(self):
        self.start("--accounts.idle-power", "1W")
        self.divided()
        self.draw(50000000)
        self.divided()
        self.assertGreaterEqual(self.check_sums()[0], 50000000)

    def account(self, view, kind, name):
        """One account by its name, or None."""
        found = [account for account in view["groups"][kind]["accounts"] if account["name"] == name]
        return found[0] if found else None

    def cgroup(self):
        """A control group of the test's own in this machine's hierarchy of CPU time, which goes with the test."""
        for base in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"):
            if os.path.exists(base + "/cgroup.procs"):
                path = f"{base}/wattport-test-{os.getpid()}.service"
                os.mkdir(path)
                self.addCleanup(self.remove_cgroup, path)
                return path
        self.skipTest("there are no control groups here")
        return None

    @staticmethod
    def remove_cgroup(path):
        """Its last process may still be on its way out."""
        while True:
            try:
                os.rmdir(path)
                return
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                time.sleep(0.02)

    def crowd(self, cgroup, *words):
        """A crowd in that control group; what it says comes to its stdout."""
        return subprocess.Popen(["/bin/sh", "-c", f'echo $$ >{cgroup}/cgroup.procs && exec "$0" "$@"', CROWD, *map(str, words)],
                                stdout=subprocess.PIPE, text=True)

    def burn(self, cgroup):
        """Short processes in that control group, while the zone draws 40 W; returns what CPU time they have used."""
        with self.crowd(cgroup, "short", SHORT_PROCESSES, SHORT_MS, USER) as burning:
            while burning.poll() is None:
                self.draw(2000000)
                time.sleep(0.05)
            self.assertEqual(burning.returncode, 0)
            used_ns = int(burning.stdout.read().split()[1])
        self.draw(2000000)
        return used_ns

    def hold_short(self, what, before, after, used_ns, name):
        """The unit has all that its processes have used, and so has their user; returns the energies of that unit, and of
        work that is nobody's."""
        unit, user = self.account(after, "unit", name), self.account(after, "user", USER)
        self.assertIsNotNone(unit)
        self.assertIsNotNone(user)
        self.assertGreater(unit["cpu_ns"], used_ns * 0.98)
        self.assertGreater(unit["energy_uj"], 0)
        # The shell that becomes that user is root's at first.
        self.assertGreater(user["energy_uj"], unit["energy_uj"] * 0.95)
        nobodys = [view["groups"]["user"]["rest"]["energy_uj"] + view["groups"]["process"]["lost_uj"] for view in (before, after)]
        work = [view["total"]["energy_uj"] - view["total"]["idle_uj"] for view in (before, after)]
        print(f"{SHORT_PROCESSES} processes of {SHORT_MS} ms, {what}: {used_ns / 1e9:.3f} s, their unit {unit['cpu_ns'] / 1e9:.3f} s, "
              f"{unit['energy_uj'] / 1e6:.3f} J; their user {user['energy_uj'] / 1e6:.3f} J; nobody's "
              f"{(nobodys[1] - nobodys[0]) / 1e6:.3f} J of {(work[1] - work[0]) / 1e6:.3f} J")
        return nobodys[1] - nobodys[0], work[1] - work[0]

    def test_status_tells_of_exits(self):
        command = self.machine.command("status", "--json", "--period", "200ms")
        told = {"counted": True, "ended": 0}
        # Again where this machine had no time for any.
        while told["counted"] and told["ended"] == 0:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as status:
                while status.poll() is None:
                    subprocess.run(["true"], check=True)
                told = json.loads(status.stdout.read())["exits"]
        if not told["counted"]:
            self.assertIsNone(told["ended"])
            self.skipTest(told["reason"])
        self.assertIsNone(told["reason"])
        # Without the right to ask, it says so, and does all else.
        code, said, _ = self.machine.run("status", "--period", "1ms", through=("setpriv", "--bounding-set=-net_admin"))
        self.assertEqual(code, 0)
        self.assertIn("exits     not told: the kernel tells of ended processes to root alone", said)

    def test_short_processes_are_not_lost(self):
        """Processes that end before anybody could look: the kernel tells of each, and their unit, their user and they
        themselves have their energy; less than 2 % is nobody's. (tests/e2e/test_accounts.py has a thousand of them.)"""
        cgroup = self.cgroup()
        self.start("--accounts.idle-power", "1W")
        before = self.divided()
        if not before["exits"]["counted"]:
            self.skipTest(before["exits"]["reason"])
        used_ns = self.burn(cgroup)
        after = self.divided()
        self.assertGreaterEqual(after["exits"]["ended"] - before["exits"]["ended"], SHORT_PROCESSES)
        self.assertEqual(after["exits"]["lost"], before["exits"]["lost"])
        nobodys_uj, work_uj = self.hold_short("told", before, after, used_ns, os.path.basename(cgroup))
        self.assertLess(nobodys_uj, work_uj * 0.02)

    def test_short_processes_of_which_the_kernel_does_not_tell(self):
        """An agent that may not ask for it: their unit and their user have all the same what they have used, and what no
        process has is told."""
        cgroup = self.cgroup()
        self.start("--accounts.idle-power", "1W", through=["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
        before = self.divided()
        self.assertFalse(before["exits"]["counted"])
        self.assertIn("CAP_NET_ADMIN", before["exits"]["reason"])
        used_ns = self.burn(cgroup)
        after = self.divided()
        self.hold_short("not told", before, after, used_ns, os.path.basename(cgroup))
        processes = after["groups"]["process"]
        self.assertGreaterEqual(processes["rest"]["energy_uj"], processes["lost_uj"])
        self.assertGreater(processes["lost_uj"], before["groups"]["process"]["lost_uj"])

    def resident_kib(self):
        """What the agent holds in memory."""
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def test_thousands_of_processes_live(self):
        """More of them use energy than are shown: the number of series is bounded, so is memory, and all still adds up."""
        cgroup = self.cgroup()
        self.start("--accounts.idle-power", "1W", "--accounts.period", "100ms")
        self.divided()
        before_kib = self.resident_kib()
        crowd = self.crowd(cgroup, "living", LIVING_PROCESSES, TOP + 10, SHORT_MS)
        self.addCleanup(crowd.stdout.close)
        self.addCleanup(crowd.wait)
        self.addCleanup(crowd.kill)
        while not select.select([crowd.stdout], [], [], 0.05)[0]:
            self.draw(2000000)
        self.assertEqual(crowd.stdout.readline(), f"{LIVING_PROCESSES} live\n")
        while True:
            self.draw(2000000)
            view = self.divided()
            unit = self.account(view, "unit", os.path.basename(cgroup))
            if unit is not None and unit["members"] > LIVING_PROCESSES:
                break
        resident_kib, (_, series) = self.resident_kib(), self.check_sums()
        processes = view["groups"]["process"]
        print(f"{LIVING_PROCESSES} living processes: {series} series, {before_kib} KiB, then {resident_kib} KiB")
        self.assertEqual(len(processes["accounts"]), TOP)
        self.assertGreaterEqual(processes["rest_count"], LIVING_PROCESSES - TOP)
        self.assertLess(series, SERIES_MAX)
        if not SANITIZED:
            self.assertLess(resident_kib, RESIDENT_KIB_MAX)
            self.assertLess(resident_kib - before_kib, LIVING_PROCESSES * RESIDENT_KIB_EACH)

    def test_accounts_go_with_the_zones(self):
        """They may be older than the zones' figures: where these are absent, they are, too."""
        self.start("--accounts.period", "30s")
        metrics = self.get("/metrics")
        self.assertIn("wattport_up 1", metrics)
        self.assertIn("\nwattport_unit_energy_joules_total{", metrics)
        machine.write(self.machine.sys + ZONE + "/energy_uj", "?\n")
        metrics = self.get("/metrics")
        self.assertIn("wattport_up 0", metrics)
        self.assertNotIn("\nwattport_unit_energy_joules_total{", metrics)
        self.assertNotIn("\nwattport_guest_divided_joules_total{", metrics)

    def test_nothing_is_divided_where_nobody_wants_it(self):
        """--accounts.top=0: no metrics of accounts, and the JSON says so."""
        self.start("--accounts.top", "0")
        self.assertNotIn("wattport_unit_energy", self.get("/metrics"))
        with self.assertRaises(urllib.error.HTTPError) as error:
            self.get("/api/v1/accounts")
        self.assertEqual(error.exception.code, 503)
        error.exception.close()


if __name__ == "__main__":
    machine.main(AGENT)
