#!/usr/bin/python3
"""The agent divides this machine's energy among real control groups and processes, and its metrics add up."""

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
        """The accounts, once all that was drawn is divided."""
        first = None
        while True:
            view = json.loads(self.get("/api/v1/accounts"))
            if view["up"] and view["age_ns"] > 0:
                first = view["wall_ns"] if first is None else first
                if view["wall_ns"] > first + 400000000:
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
