#!/usr/bin/python3
"""The agent divides this machine's energy among real control groups and processes, and its metrics add up."""

import errno
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import machine

AGENT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None

ZONE = "/devices/virtual/powercap/intel-rapl/intel-rapl:0"
SHORT_PROCESSES = int(os.environ.get("WATTPORT_TEST_SHORT_PROCESSES", "50"))
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
        self.port = None

    def start(self, *options):
        """Starts the service and waits until it says where it listens."""
        command = [AGENT, "--sysroot", self.machine.root, "--source", "powercap", "--http.listen", "127.0.0.1:0",
                   "--accounts.period", "200ms", *options]
        with tempfile.TemporaryFile("w+") as messages:
            service = subprocess.Popen(command, stderr=messages)  # pylint: disable=consider-using-with
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

    def test_the_metrics_add_up(self):
        """As docs/metrics.md says: units, idle and other are all that was divided."""
        self.start("--accounts.idle-power", "1W")
        self.divided()
        self.draw(50000000)
        self.divided()
        sums = {}
        for name, _labels, value in SAMPLE.findall(self.get("/metrics")):
            sums[name] = sums.get(name, 0) + int(value.replace(".", ""))
        energy = sums["wattport_guest_divided_joules_total"]
        self.assertGreaterEqual(energy, 50000000)
        beside = sums["wattport_guest_idle_joules_total"] + sums["wattport_guest_other_joules_total"]
        self.assertEqual(sums["wattport_unit_energy_joules_total"] + beside, energy)
        for kind in ("process", "user"):
            self.assertEqual(sums[f"wattport_{kind}_energy_joules_total"] + beside +
                             sums["wattport_guest_pending_joules"], energy, kind)

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

    def burn(self, cgroup, count, script):
        """Runs a script so many times, each in a shell of its own, as user 4711 in that control group, while the zone
        draws 40 W."""
        command = ["/bin/sh", "-c",
                   f"echo $$ > {cgroup}/cgroup.procs && exec setpriv --reuid 4711 --clear-groups /bin/sh -c "
                   f"'i=0; while [ $i -lt {count} ]; do /bin/sh -c \"$0\"; i=$((i+1)); done' '{script}'"]
        with subprocess.Popen(command) as burning:
            while burning.poll() is None:
                self.draw(2000000)
                time.sleep(0.05)
        self.assertEqual(burning.returncode, 0)
        self.draw(2000000)

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
        themselves have their energy; less than 2 % is nobody's."""
        cgroup = self.cgroup()
        self.start("--accounts.idle-power", "1W")
        before = self.divided()
        if not before["exits"]["counted"]:
            self.skipTest(before["exits"]["reason"])
        self.burn(cgroup, SHORT_PROCESSES, "n=0; while [ $n -lt 8000 ]; do n=$((n+1)); done")
        after = self.divided()
        self.assertGreaterEqual(after["exits"]["ended"] - before["exits"]["ended"], SHORT_PROCESSES)
        self.assertEqual(after["exits"]["lost"], before["exits"]["lost"])
        unit = self.account(after, "unit", os.path.basename(cgroup))
        user = self.account(after, "user", "4711")
        self.assertIsNotNone(unit)
        self.assertIsNotNone(user)
        # The shell that becomes that user is root's at first.
        self.assertGreater(user["energy_uj"], unit["energy_uj"] * 0.9)
        nobodys = [view["groups"]["user"]["rest"]["energy_uj"] + view["groups"]["process"]["lost_uj"] for view in (before, after)]
        work = [view["total"]["energy_uj"] - view["total"]["idle_uj"] for view in (before, after)]
        print(f"{SHORT_PROCESSES} processes of {unit['cpu_ns'] / 1e6 / SHORT_PROCESSES:.1f} ms: unit {unit['energy_uj']} uJ, "
              f"user {user['energy_uj']} uJ, nobody's {nobodys[1] - nobodys[0]} uJ of {work[1] - work[0]} uJ")
        self.assertLess(nobodys[1] - nobodys[0], (work[1] - work[0]) * 0.02)

    def test_nothing_is_divided_where_nobody_wants_it(self):
        """--accounts.top=0: no metrics of accounts, and the JSON says so."""
        self.start("--accounts.top", "0")
        self.assertNotIn("wattport_unit_energy", self.get("/metrics"))
        with self.assertRaises(urllib.error.HTTPError) as error:
            self.get("/api/v1/accounts")
        self.assertEqual(error.exception.code, 503)
        error.exception.close()


if __name__ == "__main__":
    if AGENT is not None:
        sys.argv.append(AGENT)
        machine.unshared()
        sys.argv.pop()
    unittest.main()
