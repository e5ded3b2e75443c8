#!/usr/bin/python3
"""Eight readers poll one counter as fast as they can, on the host and over 9p from a guest, on kept and on fresh
descriptors, while others try to change the tree: every read is right, nothing changes, and what the host spends on it
is bounded."""

import os
import subprocess
import sys
import time
import unittest

from lab import truth
from lab.domain import Share
from lab.host import start_host
from lab.laboratory import Laboratory
from lab.runner import run
from lab.wattport import TREE

DURATION_S = 20
HOST_READERS = ("kept", "fresh") * 3
GUEST_READERS = ("kept", "fresh")
COUNTER = "class/powercap/intel-rapl:0/energy_uj"
WRITABLE = "/mnt/writable"  # the tree once more, as if it could be written
TREE_ENTRIES_LEAST = 25
SAMPLES_PER_S_MAX = 1000  # a sample that is younger than 1 ms is not taken anew
PAGE_FILES = ("name", "max_energy_range_uj", "enabled", "uevent")


class HostileTest(unittest.TestCase):
    """A guest with as many vCPUs as the host has CPUs, in the view that is the default."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab = cls.enterClassContext(Laboratory(
            guest_programs=("guest/wattport-agent", "tests/e2e/tree_assault")))
        cls.sim, cls.host = start_host(lab)
        cls.guest = lab.guest("hostile", Share(TREE, "9p"), Share(TREE, "9p", tag="writable", readonly=False),
                              cores=2)
        cls.guest.wait_up()
        cls.guest.check("wattport-agent mount")
        cls.guest.check(f"mkdir {WRITABLE} && mount -t 9p -o rw,trans=virtio,version=9p2000.L writable {WRITABLE}")
        cls.host.wait_known(cls.guest.uuid)

    def samples(self):
        """How many samples wattportd has taken."""
        return int(self.host.metrics()["wattport_sample_duration_seconds_count", ()])

    def image(self):
        """Everything in the tree that does not move: names, types, modes, link targets, and the text of still files."""
        image = {}
        top = self.host.tree(self.guest.uuid)
        for directory, directories, files in os.walk(top):
            for name in directories + files:
                path = os.path.join(directory, name)
                text = ""
                if os.path.islink(path):
                    text = os.readlink(path)
                elif name in PAGE_FILES:
                    with open(path, encoding="utf-8") as file:
                        text = file.read()
                image[path] = (os.lstat(path).st_mode, text)
        return image

    def assault_host(self):
        """The tree under attack by root on the host: how much was tried."""
        done = subprocess.run([self.lab.program("tests/e2e/tree_assault"), self.host.tree(self.guest.uuid)],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_tree_cannot_be_changed(self):
        before = self.image()
        self.assertGreater(len(before), TREE_ENTRIES_LEAST)
        for where, told in (
            ("host", self.assault_host()),
            ("guest, its own mount", self.guest.check("tree_assault /sys/class/powercap/")),
            ("guest, a writable mount", self.guest.check(f"tree_assault {WRITABLE}")),
        ):
            entries, attempts = map(int, told.split())
            print(f"{where}: {attempts} attempts on {entries} entries were refused")
            self.assertGreater(attempts, entries)
        self.assertEqual(self.image(), before)

    def test_readers_as_fast_as_they_can(self):
        path = self.host.tree(self.guest.uuid, COUNTER)
        pids = {"wattportd": self.host.meter.pid, "wattport-fs": self.host.worker_pid(), "QEMU": self.guest.pid()}
        samples, start_s = self.samples(), time.monotonic()
        used_s = {name: truth.cpu_s(pid) for name, pid in pids.items()}
        readers = [
            self.lab.process(f"poll-{number}", [self.lab.program("tests/e2e/guest_probe"), "poll", path, str(DURATION_S), how])
            for number, how in enumerate(HOST_READERS)
        ]
        in_guest = [
            self.guest.begin(f"guest_probe poll {WRITABLE}/{COUNTER} {DURATION_S} {how}", 3 * DURATION_S)
            for how in GUEST_READERS
        ]
        told = []
        for number, (how, reader) in enumerate(zip(HOST_READERS, readers)):
            self.assertEqual(reader.wait(3 * DURATION_S), 0, f"host reader {number} ({how}): {reader.log()}")
            told.append((f"host, {how}", reader.log()))
        for how, finish in zip(GUEST_READERS, in_guest):
            result = finish()
            self.assertEqual(result.status, 0, f"guest reader ({how}): {result.err}")
            told.append((f"guest, {how}", result.out))
        elapsed_s = time.monotonic() - start_s
        reads = 0
        for where, line in told:
            count, longest_ns, _ = map(int, line.split())
            reads += count
            print(f"{where}: {count} reads, longest {longest_ns / 1e6:.1f} ms")
            self.assertGreater(count, DURATION_S)
        taken = self.samples() - samples
        print(f"{reads} reads in {elapsed_s:.1f} s, {taken} samples; CPU: " + ", ".join(
            f"{name} {(truth.cpu_s(pid) - used_s[name]) / elapsed_s:.1%}" for name, pid in pids.items()))
        self.assertLessEqual(taken, SAMPLES_PER_S_MAX * elapsed_s + 10)


if __name__ == "__main__":
    sys.exit(run(("generic",)))
