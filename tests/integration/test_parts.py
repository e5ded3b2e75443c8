#!/usr/bin/python3
"""core and uncore on request, through all programs: a simulated host, a process that poses as a machine of two
sockets, wattportd, the tree, the host's own view, a recording and its replay.

Exit status 77: it cannot run here (no root, no /dev/fuse).
"""

import json
import os
import subprocess

from simulated_host import PATIENCE_S, PROGRAMS, HostTest, main

VM = "22222222-3333-4444-8555-666666666666"
BUSY_UJ = 2_000_000  # so much it spends while it is looked at, however long that takes

# vCPU 0 rests and vCPU 1 runs: each is a socket. The threads' names are QEMU's, see debug-threads in qemu_cmdline.h.
MACHINE = """
import ctypes, threading, time
def run(number, busy):
    ctypes.CDLL(None).prctl(15, f"CPU {number}/KVM".encode())
    print(number, flush=True)
    while True:
        for _ in range(10**5 if busy else 0):
            pass
        time.sleep(0 if busy else 60)
for number, busy in ((0, False), (1, True)):
    threading.Thread(target=run, args=(number, busy), daemon=True).start()
time.sleep(600)
"""


CPUINFO = "processor\t: 0\nvendor_id\t: {}\ncpu family\t: 6\nmodel\t\t: 60\nmodel name\t: A processor\n"


class PartsTest(HostTest):
    def processor(self, vendor):
        """Another processor for all that look, in this program's own mount namespace."""
        with open(f"{self.path}/cpuinfo", "w", encoding="ascii") as file:
            file.write(CPUINFO.format(vendor))
        subprocess.run(["mount", "--bind", f"{self.path}/cpuinfo", "/proc/cpuinfo"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/proc/cpuinfo"], check=True)

    def start_all(self, *settings, vendor="GenuineIntel"):
        self.processor(vendor)
        self.start_host(MACHINE, 2, ("-name", "parts,debug-threads=on", "-uuid", VM, "-smp", "2,sockets=2", "-m", "64"),
                        "--core", "--uncore", "--dram", "--psys")
        options = ("--runtime-dir", self.runtime, "--config", "/dev/null", *settings)
        self.start(lambda _: "ready" in self.log() and os.path.exists(f"{self.runtime}/meter.sock"),
                   PROGRAMS.wattportd, "--state-dir", f"{self.path}/state", "--sysroot", self.sysroot,
                   "--vms.provider=procfs", "--meter.period=100ms", "--attribution.idle=none", "--guest-view.mode=exact",
                   "--attribution.idle-power=0W", *options)
        self.start(lambda _: os.path.ismount(f"{self.runtime}/vm"), PROGRAMS.wattport_fs, *options)

    def read(self, file):
        with open(f"{self.runtime}/vm/{VM}/{file}", encoding="ascii") as opened:
            return opened.read()

    def zones(self):
        """Microjoules by the names that the tree's zones have, from one read."""
        return {name: int(value) for name, value in (line.split() for line in self.read("wattport/snapshot").splitlines())}

    def children(self):
        """What lies below each package, in order."""
        base = f"{self.runtime}/vm/{VM}/class/powercap/intel-rapl:1"
        names = sorted(name for name in os.listdir(base) if name.startswith("intel-rapl:"))
        return [self.read(f"class/powercap/{name}/name").strip() for name in names]

    def wait_for_machine(self):
        """It is found a moment after it began."""
        self.wait(lambda: os.path.exists(f"{self.runtime}/vm/{VM}/class/powercap/intel-rapl:1"))

    def test_core_and_uncore(self):
        self.start_all("--tree.core=yes", "--tree.uncore=yes")
        trace = f"{self.path}/trace"
        self.wait_for_machine()
        recorder = self.start(lambda _: os.path.exists(trace) and os.path.getsize(trace) > 0, PROGRAMS.wattport, "record",
                              "--runtime-dir", self.runtime, trace)
        before = self.zones()
        self.wait(lambda: self.zones()["core-1"] > before["core-1"] + BUSY_UJ)
        recorder.terminate()
        self.assertEqual(recorder.wait(PATIENCE_S), 0)
        after = self.zones()
        spent = {name: after[name] - before[name] for name in after}
        self.assertEqual(list(spent), ["t_ns", *(f"{kind}-{socket}" for kind in ("package", "core", "uncore", "dram")
                                                 for socket in (0, 1))])
        self.assertEqual(self.children(), ["core", "uncore", "dram"])
        # All that the cores spend is busy power, which only socket 1 has; the counter of a rest makes 1 uJ in each ms.
        self.assertLess(spent["core-0"], spent["core-1"] / 20)
        self.assertLess(spent["core-1"], spent["package-1"])
        self.check_host()
        self.check_replay(trace)

    def check_host(self):
        """They are zones of their own there, and part of no sum."""
        status = self.status()
        zones = {zone["id"]: zone for zone in status["zones"]}
        self.assertEqual({name for name, zone in zones.items() if zone["counted"]}, {"package-0", "dram-0"})
        self.assertEqual(set(zones), {"package-0", "core-0", "uncore-0", "dram-0", "psys"})
        self.assertEqual({zone["conservation_error_uj"] for zone in zones.values()}, {0})
        self.assertGreater(zones["core-0"]["energy_uj"], 0)

    def check_replay(self, trace):
        """A recording has them, and divides them as the daemon did."""
        replayed = json.loads(self.wattport("replay", "--json", "--attribution.idle=none", "--guest-view.mode=exact",
                                            "--attribution.idle-power=0W", trace))
        self.assertEqual(set(replayed["zones"]), {"package-0", "core-0", "uncore-0", "dram-0", "psys"})
        self.assertEqual(replayed["conservation_error_uj"], 0)
        core = replayed["vms"][VM]["core-0"]
        self.assertEqual(core["guest_view_uj"], core["active_uj"] + core["idle_uj"] + core["overhead_uj"])
        # But for what fell between two samples before it and after it.
        self.assertGreater(core["active_uj"], BUSY_UJ / 4)

    def test_only_what_was_asked_for(self):
        self.start_all("--tree.uncore=yes")
        self.wait_for_machine()
        self.assertEqual(self.children(), ["uncore", "dram"])

    def check_no_parts(self):
        self.wait_for_machine()
        self.assertEqual(self.children(), ["dram"])
        zones = self.status()["zones"]
        self.assertEqual({zone["id"] for zone in zones}, {"package-0", "dram-0", "psys"})

    def test_without_asking(self):
        self.start_all()
        self.check_no_parts()

    def test_not_on_amd(self):
        """Its zone of this name is one core of many."""
        self.start_all("--tree.core=yes", "--tree.uncore=yes", vendor="AuthenticAMD")
        self.check_no_parts()


if __name__ == "__main__":
    main(__doc__, ("raplsim", "wattportd", "wattport-fs", "wattport"), "--mount")
