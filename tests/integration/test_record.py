#!/usr/bin/python3
"""A day of a host, recorded and booked again: a simulated host, a process that poses as a machine, wattportd, and
`wattport record` and `replay` beside it.

Exit status 77: it cannot run here (no root, no /dev/fuse).
"""

import gzip
import json
import os
import shutil
import signal
import subprocess

from simulated_host import PATIENCE_S, PROGRAMS, HostTest, main

VM = "22222222-3333-4444-8555-777777777777"
MASKED = "00000000-0000-8000-8000-000000000001"
# Long enough to begin a record, and to look at the accounts, between two samples: on a busy machine another one is tried.
PERIODS_S = (2, 5, 12, 30)
PARTS = ("active_uj", "idle_uj", "overhead_uj", "guest_view_uj")

# The thread's name is QEMU's, see debug-threads in qemu_cmdline.h.
MACHINE = """
import ctypes, threading, time
def run():
    ctypes.CDLL(None).prctl(15, b"CPU 0/KVM")
    print(0, flush=True)
    while True:
        for _ in range(10**5):
            pass
        time.sleep(0.01)
threading.Thread(target=run, daemon=True).start()
time.sleep(600)
"""


class RecordTest(HostTest):
    period_s = PERIODS_S[0]

    def start_machine(self):
        """On its host."""
        self.start_host(MACHINE, 1, ("-name", "secret,debug-threads=on", "-uuid", VM, "-smp", "1", "-m", "64"), "--dram")

    def start_meter(self, state):
        ready = self.log().count("ready") + 1
        return self.start(lambda _: self.log().count("ready") >= ready,
                          PROGRAMS.wattportd, "--state-dir", f"{self.path}/{state}", "--sysroot", self.sysroot,
                          "--runtime-dir", self.runtime, "--config", "/dev/null", "--vms.provider=procfs",
                          f"--meter.period={self.period_s}s")

    def record(self, name, *options):
        return self.start(lambda _: os.path.exists(f"{self.path}/{name}"),
                          PROGRAMS.wattport, "record", "--runtime-dir", self.runtime, *options, f"{self.path}/{name}")

    def lines(self, name):
        with open(f"{self.path}/{name}", encoding="utf-8") as file:
            return file.readlines()

    def replay(self, name, *options):
        return json.loads(self.wattport("replay", "--json", *options, f"{self.path}/{name}"))

    def end(self, recorder, how=signal.SIGTERM):
        recorder.send_signal(how)
        self.assertEqual(recorder.wait(PATIENCE_S), 0, self.log())

    def begin(self):
        """A daemon, and recorders that have its very first sample."""
        for attempt, self.period_s in enumerate(PERIODS_S):
            meter = self.start_meter(f"state-{attempt}")
            recorders = self.record("plain"), self.record("masked.gz", "--anonymous")
            self.wait(lambda: len(self.lines("plain")) >= 2)
            if self.status()["samples"] == len(self.lines("plain")) - 1 == 1:
                return meter, recorders
            # Too slow: another sample was taken already.
            for process in (*recorders, meter):
                process.terminate()
                process.wait(PATIENCE_S)
            shutil.rmtree(self.runtime)
            os.mkdir(self.runtime)
            os.remove(f"{self.path}/plain")
            os.remove(f"{self.path}/masked.gz")
        self.fail("no record has the first sample")
        return None

    def settled(self):
        """The accounts, and how many samples the trace had then."""
        while True:
            before = len(self.lines("plain"))
            status = self.status()
            if before == len(self.lines("plain")) and status["samples"] == before - 1:
                return status

    def check_same(self, status, replayed, vm):
        """To the microjoule."""
        for zone in status["zones"]:
            name = zone["id"]
            self.assertEqual(replayed["zones"][name]["energy_uj"], zone["energy_uj"])
            self.assertEqual(replayed["idle_uj"][name], zone["idle_uj"])
            self.assertEqual(replayed["host_other_uj"][name], zone["other_uj"])
        machine, = status["vms"]
        for name, share in replayed["vms"][vm].items():
            self.assertEqual({part: share[part] for part in PARTS}, {part: machine["zones"][name][part] for part in PARTS})
        self.assertEqual(replayed["conservation_error_uj"], 0)

    def test_a_record_books_what_the_daemon_booked(self):
        self.start_machine()
        meter, (plain, masked) = self.begin()
        self.wait(lambda: len(self.lines("plain")) >= 4)
        status = self.settled()
        self.end(plain)
        self.end(masked, signal.SIGINT)
        self.assertGreater(status["zones"][0]["energy_uj"], 10**6)
        self.check_events(status["events"])
        self.check_same(status, self.replay("plain"), VM)
        self.check_same(status, self.replay("masked.gz"), MASKED)
        with gzip.open(f"{self.path}/masked.gz", "rt", encoding="utf-8") as file:
            text = file.read()
        for secret in ("secret", VM):
            self.assertNotIn(secret, text)
        self.check_each()
        self.check_restart(meter)

    def check_events(self, events):
        """Its one vCPU runs: what it does is counted, or that is refused with a reason."""
        self.assertEqual(events["mode"], "auto")
        self.assertEqual(events["counted"] + events["refused"], 1)
        self.assertEqual(events["reason"] is not None, events["refused"] == 1)

    def check_each(self):
        """The last of each is the whole, under any policy, and twice the same."""
        for options in ((), ("--attribution.idle=busy",), ("--attribution.idle=none", "--guest-view.mode=exact")):
            whole = self.wattport("replay", "--json", *options, f"{self.path}/plain")
            each = self.wattport("replay", "--each", *options, f"{self.path}/plain").splitlines(keepends=True)
            self.assertEqual(each[-1], whole)
            self.assertEqual(len(each), len(self.lines("plain")) - 1)
            self.assertEqual(self.wattport("replay", "--each", *options, f"{self.path}/plain"), "".join(each))

    def check_restart(self, meter):
        """A record outlives wattportd, and counts on from where the accounts stood."""
        recorder = self.record("restarted")
        self.wait(lambda: len(self.lines("restarted")) >= 3)
        meter.terminate()
        meter.wait(PATIENCE_S)
        self.wait(lambda: "waiting for its return" in self.log())
        kept = len(self.lines("restarted"))
        self.start_meter("state-again")
        self.wait(lambda: len(self.lines("restarted")) >= kept + 3)
        self.end(recorder)
        lines = self.lines("restarted")
        self.assertEqual([number for number, line in enumerate(lines) if "wattport_trace" in line], [0, kept])
        each = [json.loads(line)["zones"]["package-0"]["energy_uj"]
                for line in self.wattport("replay", "--each", f"{self.path}/restarted").splitlines()]
        # The first sample after it is compared with none before.
        self.assertEqual(each[kept - 1], each[kept - 2])
        self.assertGreater(each[-1], each[kept - 1])
        self.check_full_disk()

    def check_full_disk(self):
        done = subprocess.run([PROGRAMS.wattport, "record", "--runtime-dir", self.runtime, "/dev/full"],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)


if __name__ == "__main__":
    # Processes of its own: another test's machine is none of this host.
    main(__doc__, ("raplsim", "wattportd", "wattport"), "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
