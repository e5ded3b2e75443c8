"""The two sides that have a page for people, over figures that a test makes: a ledger that grows as wattportd's would, with
wattport-exporter over it; and a guest's tree, control groups and CPU times, with wattport-agent over them.

A module of the tests of pages. Both live on in a thread of their own until they are stopped.
"""

import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "agent"))
import machine  # pylint: disable=wrong-import-position

SCRIPT = "<script>document.title='taken'</script>"
IMAGE = "<img src=x onerror=\"document.title='taken'\">"
NAMES = ["web-01", "db-primary", "build-runner-7", SCRIPT, IMAGE, "J\u00fcrgen's lab", "cache-02", "mail", "k8s-node-3",
         "k8s-node-4", "batch-0042", "a-name-that-a-tenant-chose-without-thinking-of-tables"]
UUIDS = [f"{i:08d}-2222-3333-4444-555555555555" for i in range(len(NAMES))]
UUID_OF = dict(zip(NAMES, UUIDS))

CONTAINER = "0123456789abcdef" * 4
UNITS = ["system.slice/nginx.service", "system.slice/postgresql.service", "system.slice/redis-server.service",
         f"system.slice/docker-{CONTAINER}.scope", "system.slice/<img src=x onerror=alert(1)>.service",
         "system.slice/cron.service", "user.slice/user-1000.slice/session-3.scope", "system.slice/ssh.service",
         "system.slice/gitlab-runner.service", "init.scope"]
CPUS = 4


def address_of(service, pattern):
    """Where a service that was started says that it listens; what it says later is read by a thread."""
    for line in service.stderr:
        match = re.search(pattern, line)
        if match:
            drain = threading.Thread(target=service.stderr.read, daemon=True)
            drain.start()
            return f"http://127.0.0.1:{match.group(1)}", drain
    raise AssertionError("it ended before it listened")


class Host:
    """A ledger that grows as wattportd's would, and wattport-exporter over it."""

    def __init__(self, programs, directory, charts="auto"):
        self.directory = directory
        self.lock = threading.Lock()
        self.writer = subprocess.Popen([programs["ledger_writer"], directory], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.step = 0
        self.running = False
        self.thread = None
        self.say("host isolated powercap package dram psys")
        for uuid, name in zip(UUIDS, NAMES):
            self.say(f"vm {uuid} 1 running {1000 + UUIDS.index(uuid)}")
            self.say(f"name {uuid} {''.join(f'%{byte:02x}' for byte in name.encode())}")
        self.tick()
        self.exporter = subprocess.Popen(
            [programs["wattport_exporter"], "--runtime-dir", directory, "--http.listen", "127.0.0.1:0", "--http.charts", charts,
             "--meaning.carbon=100"],
            stderr=subprocess.PIPE, text=True)
        self.address, self.drain = address_of(self.exporter, r"\(port (\d+)\)")

    def say(self, line):
        self.writer.stdin.write(line + "\n")
        self.writer.stdin.flush()
        answer = self.writer.stdout.readline()
        assert answer == "ok\n", (line, answer)

    def tick(self):
        """One second of a host: what everybody draws is told, and what it comes to."""
        self.step += 1
        powers = [0, 0]
        for i, uuid in enumerate(UUIDS):
            for zone, part in ((0, 0.85), (1, 0.15)):
                # It only grows: the sum of the powers of all steps so far, of a saw tooth.
                watts = [part * 40 / (i + 1) * (1 + (step + 3 * i) % 10 / 10) for step in range(self.step)]
                power, energy = int(watts[-1] * 1e6), int(sum(watts) * 1e6)
                powers[zone] += power
                self.say(f"share {uuid} {zone} {power} {energy * 7 // 10} {energy * 2 // 10} {energy // 10}")
        self.say(f"zone 0 {powers[0] + 39000000} {30000000 * self.step} {9000000 * self.step}")
        self.say(f"zone 1 {powers[1] + 7000000} {6000000 * self.step} {1000000 * self.step}")
        self.say(f"zone 2 999000000 {999000000 * self.step} 0")
        self.say("publish")

    def start(self):
        """Lets the host live, a second for each second or so."""
        self.running = True
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def live(self):
        while self.running:
            with self.lock:
                self.tick()
            time.sleep(0.9)

    def stop(self):
        self.running = False
        if self.thread:
            self.thread.join()
            self.thread = None

    def close(self):
        self.stop()
        self.exporter.terminate()
        self.exporter.wait()
        self.drain.join()
        self.exporter.stderr.close()
        self.writer.stdin.close()
        self.writer.wait()
        self.writer.stdout.close()


class Guest:
    """Services whose work is known, in a machine that draws 2 W at rest and 5 W for each CPU that is busy."""

    def __init__(self, programs):
        self.machine = machine.Machine(programs["wattport_agent"])
        self.machine.add_share()
        self.root = self.machine.root
        machine.mount("-t", "tmpfs", "proc", f"{self.root}/proc")
        self.begin = time.monotonic()
        self.make()
        self.live_for(0)
        self.running = True
        self.agent = subprocess.Popen(
            [*self.machine.command(), "--http.listen", "127.0.0.1:0", "--accounts.idle-power", "2W"],
            stderr=subprocess.PIPE, text=True)
        self.address, self.drain = address_of(self.agent, r"listening on port (\d+)")
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def write(self, path, text):
        machine.write(f"{self.root}/{path}", text)

    def make(self):
        """The files whose content never changes."""
        self.write("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 400000 kB\n")
        self.write("proc/self/mountinfo", "1 0 0:1 / / rw - ext4 root rw\n"
                   f"2 1 0:2 / {self.machine.sys}/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n")
        self.write("sys/devices/system/cpu/present", f"0-{CPUS - 1}\n")
        for cpu in range(CPUS):
            self.write(f"sys/devices/system/cpu/cpu{cpu}/topology/core_id", f"{cpu}\n")
            self.write(f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id", "0\n")

    def live_for(self, elapsed):
        """What there is to see after so many seconds: the unit i has run for elapsed / (i + 1.5)."""
        usage = {}
        for i, unit in enumerate(UNITS):
            parts = unit.split("/")
            for depth in range(len(parts) + 1):
                path = "/".join(parts[:depth])
                usage[path] = usage.get(path, 0) + elapsed / (i + 1.5)
        for path, seconds in usage.items():
            self.write(f"sys/fs/cgroup/{path}/cgroup.procs", "")
            self.write(f"sys/fs/cgroup/{path}/memory.current", "1048576\n")
            self.write(f"sys/fs/cgroup/{path}/cpu.stat", f"usage_usec {int(seconds * 1e6)}\nuser_usec 0\nsystem_usec 0\n")
        busy, idle = usage[""] / CPUS, elapsed - usage[""] / CPUS
        rows = [f"cpu{cpu} {int(busy * 100)} 0 0 {100000 + int(idle * 100)} 0 0 0 0 0 0\n" for cpu in range(CPUS)]
        self.write("proc/stat", "cpu 0 0 0 0 0 0 0 0 0 0\n" + "".join(rows))
        self.machine.set_energy(5000000 + int((2 * elapsed + 5 * usage[""]) * 1e6))

    def live(self):
        while self.running:
            self.live_for(time.monotonic() - self.begin)
            time.sleep(0.2)

    def stop(self):
        """Nothing moves any more."""
        self.running = False
        self.thread.join()

    def close(self):
        self.stop()
        self.agent.terminate()
        self.agent.wait()
        self.drain.join()
        self.agent.stderr.close()
        self.machine.close()
