"""What plain files cost (tree.mode = tmpfs): the writer's CPU time, by how many trees are read and how often. The ledger
is written by hand: what wattportd does for a sample is measured elsewhere."""

import os
import subprocess
import sys
import time
import uuid

from lab import namespace

TREES = 50
WINDOW_S = 5
READER = """
import os, sys, time
fds = [os.open(path, os.O_RDONLY) for path in sys.argv[2:]]
while True:
    for fd in fds:
        os.pread(fd, 64, 0)
    time.sleep(float(sys.argv[1]))
"""

# Trees that are read, and how long the reader waits in between.
LOADS = ((0, 0), (1, 1), (1, 0), (TREES, 1), (TREES, 0.05))


class PlainFiles:
    """A wattport-fs with TREES machines, each with a package and its DRAM."""

    def __init__(self, laboratory, cpu_ns):
        self.lab = laboratory
        self.cpu_ns = cpu_ns
        self.runtime = laboratory.path("plain")
        self.machines = [str(uuid.uuid4()) for _ in range(TREES)]
        self.server = None

    def write_ledger(self):
        """An account for each."""
        lines = ["host isolated replay package dram"]
        for machine in self.machines:
            lines += [f"vm {machine} 1 running 1", f"energy {machine} 0 123456789 1234567"]
        subprocess.run([self.lab.program("tests/integration/ledger_writer"), self.runtime], check=True,
                       input="\n".join(lines + ["publish", ""]), text=True, stdout=subprocess.DEVNULL)

    def files(self, count):
        """The counters of the first so many machines."""
        return [f"{self.runtime}/vm/{machine}/class/powercap/{zone}/energy_uj" for machine in self.machines[:count]
                for zone in ("intel-rapl:0", "intel-rapl:0:0")]

    def rewritten(self, count):
        """Waits for the window to end; how often a second the first file was rewritten, if anybody reads it."""
        if count == 0:
            time.sleep(WINDOW_S)
            return 0
        times = set()
        end = time.monotonic() + WINDOW_S
        while time.monotonic() < end:
            # Not a read, which would count as one.
            times.add(os.stat(self.files(1)[0]).st_mtime_ns)
            time.sleep(0.0005)
        return len(times) / WINDOW_S

    def cost(self, count, pause):
        """The part of one CPU that the writer takes while so many trees are read, and how often a second it rewrites one."""
        reader = None
        if count > 0:
            reader = subprocess.Popen([sys.executable, "-c", READER, str(pause), *self.files(count)])
        time.sleep(2)
        cpu, begun = self.cpu_ns(self.server.pid), time.perf_counter_ns()
        often = self.rewritten(count)
        part = (self.cpu_ns(self.server.pid) - cpu) / (time.perf_counter_ns() - begun)
        if reader is not None:
            reader.kill()
            reader.wait()
            time.sleep(31)  # Until nobody counts as a reader any more.
        return part, often

    def rows(self):
        """The rows of a table."""
        os.makedirs(self.runtime)
        self.write_ledger()
        self.server = self.lab.process("wattport-fs-plain", [
            self.lab.program("fusefs/wattport-fs"), "--runtime-dir", self.runtime, "--config", "/dev/null",
            "--tree.mode=tmpfs",
        ])
        self.server.wait_until("its files", lambda: os.path.exists(self.files(TREES)[-1]))
        rows = []
        for count, pause in LOADS:
            how = "nobody reads" if count == 0 else f"{count} read " + (f"every {pause} s" if pause else "without a pause")
            part, often = self.cost(count, pause)
            rows.append((f"{TREES} trees, {how}", f"{part:.2%}", f"{often:.0f}" if often else "once a period"))
        system = os.statvfs(f"{self.runtime}/vm")
        used = (system.f_blocks - system.f_bfree) * system.f_frsize
        rows.append(("memory of one tree's files", f"{used / TREES / 1024:.0f} KiB", ""))
        self.server.stop()
        namespace.unmount(f"{self.runtime}/vm")
        return rows
