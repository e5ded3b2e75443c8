#!/usr/bin/python3
"""The laboratory proves itself: a guest over 9p and one over virtiofs boot, obey, and vanish without a trace."""

import os
import subprocess
import sys
import time
import unittest

from lab import namespace, stats
from lab.domain import Share
from lab.laboratory import Laboratory
from lab.prometheus import Prometheus, lint, parse
from lab.runner import run
from lab.truth import CpuRecorder


class LaboratoryTest(unittest.TestCase):
    """Boots both guests once; every check uses them."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Laboratory())
        cls.lab.start_libvirtd()
        cls.shared = "/run/shared"
        cls.lab.mount(cls.shared, "-t", "tmpfs", "shared")
        os.makedirs(f"{cls.shared}/a/b")
        with open(f"{cls.shared}/a/b/file", "w", encoding="utf-8") as file:
            file.write("before\n")
        os.symlink("a/b/file", f"{cls.shared}/link")
        started = time.monotonic()
        cls.guests = {
            transport: cls.lab.guest(f"lab {transport}", Share(cls.shared, transport), cores=2)
            for transport in ("9p", "virtiofs")
        }
        for transport, guest in cls.guests.items():
            guest.wait_up()
            print(f"guest over {transport}: up after {time.monotonic() - started:.1f} s")
        cls.guests["9p"].check("mount -t 9p -o trans=virtio,version=9p2000.L wattport /mnt")
        cls.guests["virtiofs"].check("mount -t virtiofs wattport /mnt")

    def test_command_gives_status_and_both_outputs(self):
        for guest in self.guests.values():
            result = guest.run("echo out; echo err >&2; exit 7")
            self.assertEqual((result.status, result.out, result.err), (7, "out\n", "err\n"))

    def test_commands_run_side_by_side(self):
        for guest in self.guests.values():
            # Each waits for what the other does: run one after the other, they would not end.
            first = guest.begin("until test -e /tmp/go; do usleep 20000; done; echo first; touch /tmp/gone")
            second = guest.run("touch /tmp/go; until test -e /tmp/gone; do usleep 20000; done; echo second")
            self.assertEqual((first().out, second.out), ("first\n", "second\n"))

    def test_spawned_command_goes_on_until_killed(self):
        for guest in self.guests.values():
            pid = guest.spawn("sleep 1000")
            guest.check(f"test -d /proc/{pid}")
            guest.kill(pid)
            guest.check(f"until ! test -d /proc/{pid}; do usleep 20000; done")

    def test_share_is_read_through_links_and_afresh(self):
        for transport, guest in self.guests.items():
            with self.subTest(transport):
                with open(f"{self.shared}/a/b/file", "w", encoding="utf-8") as file:
                    file.write("before\n")
                # One descriptor, read before and after the host has written in place.
                held = guest.begin(
                    f"exec 3</mnt/link; dd bs=99 count=1 <&3 2>/dev/null; touch /tmp/{transport};"
                    f" until test -e /tmp/{transport}.go; do usleep 20000; done; cat /proc/self/fd/3"
                )
                guest.check(f"until test -e /tmp/{transport}; do usleep 20000; done")
                with open(f"{self.shared}/a/b/file", "r+", encoding="utf-8") as file:
                    file.write("after!\n")
                guest.check(f"touch /tmp/{transport}.go")
                self.assertEqual(held().out, "before\nafter!\n")

    def test_guest_cannot_write_to_the_9p_share(self):
        self.assertNotEqual(self.guests["9p"].run("touch /mnt/new").status, 0)
        self.assertFalse(os.path.exists(f"{self.shared}/new"))

    def test_topology_is_what_was_asked_for(self):
        for guest in self.guests.values():
            self.assertEqual(guest.check("nproc"), "2\n")

    def test_node_exporter_runs_and_is_reached_from_the_host(self):
        guest = self.guests["9p"]
        pid = guest.spawn("prometheus-node-exporter --collector.disable-defaults --collector.time")
        guest.check("until wget -q -O /dev/null http://127.0.0.1:9100/metrics; do usleep 100000; done")
        self.assertIn("node_time_seconds ", guest.get(9100, "/metrics"))
        prometheus = Prometheus(self.lab, {"node": f"{guest.address}:9100", "nobody": "127.0.0.1:9"})
        prometheus.wait_for('up{job="node"} == 1 and on() up{job="nobody"} == 0')
        self.assertGreater(prometheus.value("node_time_seconds"), 1.6e9)
        with self.assertRaisesRegex(Exception, "0 results"):
            prometheus.value("no_such_metric")
        guest.kill(pid)
        prometheus.wait_for('up{job="node"} == 0')
        prometheus.stop()

    def test_probe_reads_on_one_descriptor_and_fails_on_what_goes_back(self):
        path = f"{self.shared}/counter"
        with open(path, "w", encoding="utf-8") as file:
            file.write("10\n")
        for guest in self.guests.values():
            lines = guest.check("guest_probe read /mnt/counter 1000 5").splitlines()
            self.assertEqual([line.split()[2] for line in lines], ["10"] * 5)
            held = guest.begin("guest_probe read /mnt/counter 100000 1000 >/tmp/lines")
            guest.check("until test -s /tmp/lines || ! pidof guest_probe; do usleep 20000; done")
            with open(path, "r+", encoding="utf-8") as file:
                file.write("09\n")
            result = held()
            self.assertEqual(result.status, 1)
            self.assertIn("went back from 10 to 9", result.err)
            with open(path, "r+", encoding="utf-8") as file:
                file.write("10\n")

    def test_spin_costs_the_cpu_time_it_promises(self):
        guest = self.guests["9p"]
        pid = guest.pid()
        for percent in (100, 25):
            load = guest.spin(1, percent)
            recorder = CpuRecorder([pid]).start()
            time.sleep(2)
            series = recorder.stop()[pid]
            guest.kill(load)
            (start_s, start_cpu_s), (end_s, end_cpu_s) = series[0], series[-1]
            share = (end_cpu_s - start_cpu_s) / (end_s - start_s)
            print(f"spin {percent}: {share:.3f} CPUs, {len(series)} samples")
            # The machine is shared: it may give less, and the guest's own housekeeping adds some.
            self.assertGreater(share, 0.5 * percent / 100)
            self.assertLess(share, percent / 100 + 0.2)

    def test_clocks_are_compared(self):
        guest = self.guests["9p"]
        guest.start_clock()
        (host_1, guest_1, error_1), _, (host_2, guest_2, error_2) = guest.clock(), time.sleep(2), guest.clock()
        print(f"clocks: round trip {error_1 * 1e3:.2f} ms, rate {(guest_2 - guest_1) / (host_2 - host_1):.6f}")
        self.assertAlmostEqual((guest_2 - guest_1) / (host_2 - host_1), 1, delta=0.01 + error_1 + error_2)

    def test_guests_outlive_a_restart_of_libvirtd(self):
        pids = [guest.pid() for guest in self.guests.values()]
        self.lab.libvirtd.stop()
        self.lab.libvirtd.start()
        self.assertEqual(len(self.lab.libvirtd.domains()), 2)
        self.assertEqual([guest.pid() for guest in self.guests.values()], pids)
        self.assertNotIn(0, pids)


class FiguresTest(unittest.TestCase):
    """What the tests compute with."""

    def test_exposition_is_read_exactly(self):
        page = '# HELP a b\na{x="1",name="q\\"b}\\\\\\n ,="} 12345678901.000001\nb 2 1000\n'
        self.assertEqual(parse(page), {
            ("a", (("name", 'q"b}\\\n ,='), ("x", "1"))): "12345678901.000001", ("b", ()): "2",
        })
        with self.assertRaisesRegex(Exception, "twice"):
            parse('a{x="1",y="2"} 1\na{y="2",x="1"} 1\n')

    def test_promtool_has_its_say(self):
        good = "# HELP a_total b\n# TYPE a_total counter\na_total 1\n"
        self.assertEqual(lint(good), [])
        self.assertNotEqual(lint(good.replace("# HELP a_total b\n", "")), [])

    def test_series_are_interpolated_and_compared(self):
        series = [(0.0, 0.0), (1.0, 10.0), (3.0, 50.0)]
        self.assertEqual([stats.at(series, t) for t in (0, 0.5, 1, 2, 3)], [0, 5, 10, 30, 50])
        for outside in (-1, 3.1):
            with self.assertRaises(ValueError):
                stats.at(series, outside)
        self.assertAlmostEqual(stats.rms_error([(11, 10), (9, 10)]), 0.1)
        self.assertAlmostEqual(stats.relative_error(97, 100), 0.03)
        offset, slope = stats.line_through([(0, 1), (1, 3), (2, 5)])
        self.assertAlmostEqual(offset, 1)
        self.assertAlmostEqual(slope, 2)


class TeardownTest(unittest.TestCase):
    """The last check of a laboratory can fail: it sees what is left behind."""

    def test_forgotten_process_is_seen(self):
        laboratory = Laboratory()
        with laboratory:
            pid = subprocess.Popen(["sleep", "1000"])
            self.addCleanup(pid.wait)
            self.addCleanup(pid.kill)
            with self.assertRaisesRegex(Exception, "left behind.*sleep 1000"):
                laboratory.close()

    def test_forgotten_mount_is_seen(self):
        laboratory = Laboratory()
        with laboratory:
            os.makedirs("/run/forgotten")
            namespace.mount("-t", "tmpfs", "forgotten", "/run/forgotten")
            self.addCleanup(namespace.unmount, "/run/forgotten")
            with self.assertRaisesRegex(Exception, "left behind.*/run/forgotten"):
                laboratory.close()


if __name__ == "__main__":
    sys.exit(run(("generic",)))
