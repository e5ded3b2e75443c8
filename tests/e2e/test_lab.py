#!/usr/bin/python3
"""The laboratory proves itself: a guest over 9p and one over virtiofs boot, obey, and vanish without a trace."""

import os
import sys
import time
import unittest

from lab import namespace
from lab.domain import Share
from lab.laboratory import Laboratory
from lab.runner import run


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
        guest.kill(pid)

    def test_guests_outlive_a_restart_of_libvirtd(self):
        pids = [guest.pid() for guest in self.guests.values()]
        self.lab.libvirtd.stop()
        self.lab.libvirtd.start()
        self.assertEqual(len(self.lab.libvirtd.domains()), 2)
        self.assertEqual([guest.pid() for guest in self.guests.values()], pids)
        self.assertNotIn(0, pids)


class TeardownTest(unittest.TestCase):
    """The last check of a laboratory can fail: it sees what is left behind."""

    def test_forgotten_process_is_seen(self):
        import subprocess

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
