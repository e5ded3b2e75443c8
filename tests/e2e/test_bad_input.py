#!/usr/bin/python3
"""What an operator gets wrong and what hardware does wrong: a message with the remedy, the right exit status, and
nothing else harmed."""

import os
import subprocess
import sys
import time
import unittest

from lab.domain import Domain
from lab.laboratory import ROOT, Laboratory
from lab.process import wait_for
from lab.raplsim import RaplSim
from lab.runner import run
from lab.wattport import RUNTIME, Wattport, microjoules

FAILED, USAGE = 1, 2
TIMEOUT_S = 60
NO_RAPL = os.path.join(ROOT, "tests", "fixtures", "no-rapl")
ZONES = ("package-0", "package-1")


class RefusalTest(unittest.TestCase):
    """What is wrong from the start ends the program."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Laboratory())
        cls.lab.mount(RUNTIME, "-t", "tmpfs", "-o", "mode=755", "wattport-runtime")

    def refused(self, program, *arguments):
        """Runs a program that must end by itself, and returns its status and what it wrote to stderr."""
        done = subprocess.run(
            [self.lab.program(program), "--runtime-dir", RUNTIME, *arguments], capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False,
        )
        print(f"{program} {' '.join(arguments)}: {done.returncode}: {done.stderr.strip()}")
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def meter(self, *arguments, sysroot=None):
        """wattportd, which must end by itself."""
        return self.refused("host/wattportd", "--sysroot", sysroot or NO_RAPL, "--state-dir", self.lab.path("state"),
                            *arguments)

    def test_no_powercap_tells_which_module_to_load(self):
        status, text = self.meter("--meter.source=powercap")
        self.assertEqual(status, FAILED)
        self.assertIn("intel_rapl_msr", text)

    def test_unreadable_zones_tell_who_may_read_them(self):
        sim = RaplSim(self.lab, name="sealed")
        sim.ctl("fault", "intel-rapl:0", "energy_uj", "eacces")
        status, text = self.meter("--meter.source=powercap", sysroot=sim.sysroot)
        self.assertEqual(status, FAILED)
        self.assertIn("run as root", text)
        sim.stop()

    def test_unknown_keys_and_bad_values_are_refused(self):
        for program in ("host/wattportd", "host/wattport-exporter", "fusefs/wattport-fs"):
            with self.subTest(program):
                status, text = self.refused(program, "--attribution.idel=vcpu")
                self.assertEqual(status, USAGE)
                self.assertIn("attribution.idel", text)
                self.assertIn("idle", text.replace("attribution.idel", ""), "what is allowed")
        for setting, allowed in (
            ("attribution.idle=mostly", "vcpu, busy or none"), ("meter.period=1", "a duration"),
            ("meter.period=5ms", "10ms to 60s"), ("attribution.idle-power=20", "with its unit"), ("meter.source=rapl", "powercap"),
        ):
            with self.subTest(setting):
                status, text = self.meter(f"--{setting}")
                self.assertIn(status, (FAILED, USAGE))
                self.assertIn(allowed, text)

    def test_bad_file_is_refused_by_file_and_line(self):
        path = self.lab.path("bad.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[meter]\nperiod = 1s\n\n[attribution]\nidle = sometimes\n")
        status, text = self.meter("--config", path)
        self.assertEqual(status, USAGE)
        self.assertIn(f"{path}:5", text)
        self.assertIn("vcpu, busy or none", text)
        status, text = self.meter("--config", self.lab.path("none.conf"))
        self.assertEqual(status, USAGE)
        self.assertIn("none.conf", text)

    def test_clients_without_a_meter_say_what_to_start(self):
        status, text = self.refused("host/wattport", "status")
        self.assertEqual(status, FAILED)
        self.assertIn("wattportd", text)

    def test_words_that_mean_nothing_are_usage(self):
        for program in ("host/wattport", "host/wattportd", "host/wattport-exporter", "fusefs/wattport-fs", "guest/wattport-agent"):
            with self.subTest(program):
                done = subprocess.run([self.lab.program(program), "--no-such-option"], capture_output=True, text=True,
                                      timeout=TIMEOUT_S, check=False)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn("no-such-option", done.stderr)


class FaultTest(unittest.TestCase):
    """What goes wrong later is told, and the rest goes on."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Laboratory())
        cls.sim = RaplSim(cls.lab, "--packages", "2")
        cls.host = Wattport(cls.lab, cls.sim.sysroot)
        # No libvirtd yet: that is the first thing to go wrong.
        cls.host.start({"meter.period": "100ms"})

    def host_uj(self):
        """{zone: what was measured}."""
        return {
            dict(labels)["zone"]: microjoules(value) for (name, labels), value in self.host.metrics().items()
            if name == "wattport_host_energy_joules_total"
        }

    def errors(self):
        """{(zone, reason): how often}."""
        return {
            (dict(labels)["zone"], dict(labels)["reason"]): float(value)
            for (name, labels), value in self.host.metrics().items() if name == "wattport_source_errors_total"
        }

    def wait_rising(self, zone):
        """Waits until a zone's energy rises."""
        before = self.host_uj().get(zone, 0)
        wait_for(f"energy in {zone}", lambda: self.host_uj().get(zone, 0) > before, 5, 0.05)

    def fault(self, kind, reason):
        """One zone errs: that is counted, its neighbour goes on, and when it heals it goes on without a leap."""
        for zone in ZONES:
            self.wait_rising(zone)
        errors = self.errors().get(("package-1", reason), 0)
        self.addCleanup(self.sim.ctl, "clear")
        self.sim.ctl("fault", "intel-rapl:1", "energy_uj", kind)
        wait_for(f"{kind} to be counted", lambda: self.errors().get(("package-1", reason), 0) > errors, 5, 0.05)
        self.wait_rising("package-0")
        self.assertEqual(self.errors().get(("package-0", reason), 0), 0)
        self.assertIsNone(self.host.meter.status())
        before_uj, since_s = self.host_uj()["package-1"], time.monotonic()
        self.sim.ctl("clear")
        self.wait_rising("package-1")
        time.sleep(0.5)
        power = self.sim.power
        most_j = (power.idle_w + os.cpu_count() * power.busy_w) * (time.monotonic() - since_s + 60)
        self.assertLess(self.host_uj()["package-1"] - before_uj, most_j * 1e6)

    def test_unreadable_zone(self):
        self.fault("eio", "unreadable")

    def test_zone_that_vanishes(self):
        self.fault("missing", "unreadable")

    def test_garbage(self):
        self.fault("garbage", "unreadable")

    def test_empty_file(self):
        self.fault("empty", "unreadable")

    def test_counter_that_goes_back(self):
        self.fault("backward", "backward")

    def test_without_libvirtd_the_host_is_measured_and_the_message_says_so(self):
        wait_for("the message", lambda: "libvirt" in self.host.meter.log(), 10, 0.1)
        print(self.host.meter.log())
        self.assertRegex(self.host.meter.log(), "systemctl start|start libvirtd|libvirtd")
        self.wait_rising("package-0")
        self.assertEqual(self.host.run("status").returncode, 0)
        # It comes later, and its machines are found without a hand.
        self.lab.start_libvirtd()
        running = self.lab.domain(Domain("late", memory_mib=64))
        self.host.wait_known(running.uuid, 30)
        running.remove()


if __name__ == "__main__":
    sys.exit(run())
