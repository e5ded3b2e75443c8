"""A guest of a test's making for wattport-agent: a sysroot with a RAPL zone and control groups that go on with the time."""

import os
import time

CPUS = 4
TICK_NS = 10**7
POWER_W = 40


class Guest:
    """root/proc and root/sys; each unit runs on a share of one CPU, all the time."""

    def __init__(self, root, units):
        self.root = root
        self.units = units
        self.usage_ns = {unit: 0 for unit in units}
        self.energy_uj = 10**6
        self.busy_ns = self.idle_ns = 0
        self.last = time.monotonic_ns()
        self.write("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 400000 kB\n")
        self.write("proc/cpuinfo", "processor\t: 0\n\n")
        self.write("proc/self/mountinfo", "1 0 0:1 / / rw - ext4 root rw\n"
                   f"2 1 0:2 / {root}/sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n")
        self.write("sys/devices/system/cpu/present", f"0-{CPUS - 1}\n")
        for cpu in range(CPUS):
            topology = f"sys/devices/system/cpu/cpu{cpu}/topology"
            self.write(f"{topology}/core_id", f"{cpu}\n")
            self.write(f"{topology}/physical_package_id", "0\n")
        self.write(self.zone("name"), "package-0\n")
        self.write(self.zone("max_energy_range_uj"), "262143328850\n")
        links = os.path.join(root, "sys/class/powercap")
        os.makedirs(links)
        for name in ("intel-rapl", "intel-rapl/intel-rapl:0"):
            os.symlink(f"../../devices/virtual/powercap/{name}", f"{links}/{os.path.basename(name)}")
        self.step()

    @staticmethod
    def zone(name):
        """A file of the RAPL zone."""
        return f"sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/{name}"

    def write(self, path, text):
        """Writes a file in place, as the kernel's change."""
        path = os.path.join(self.root, path)
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(descriptor, text.encode(), 0)
        os.close(descriptor)

    def step(self):
        """What has come since the last step."""
        now = time.monotonic_ns()
        elapsed_ns, self.last = now - self.last, now
        for unit, share in self.units.items():
            self.usage_ns[unit] += int(elapsed_ns * share)
        busy_ns = int(elapsed_ns * sum(self.units.values()))
        self.busy_ns += busy_ns
        self.idle_ns += CPUS * elapsed_ns - busy_ns
        self.energy_uj += elapsed_ns * POWER_W // 1000
        # Those that lie in others count there, too.
        groups = {}
        for unit, usage_ns in self.usage_ns.items():
            parts = unit.split("/")
            for depth in range(len(parts) + 1):
                group = "/".join(parts[:depth])
                groups[group] = groups.get(group, 0) + usage_ns
        for group, usage_ns in groups.items():
            base = os.path.join("sys/fs/cgroup", group)
            self.write(f"{base}/cpu.stat", f"usage_usec {usage_ns // 1000}\nuser_usec 0\nsystem_usec 0\n")
            self.write(f"{base}/memory.current", "1048576\n")
            self.write(f"{base}/cgroup.procs", "")
        times = f"{self.busy_ns // TICK_NS // CPUS} 0 0 {self.idle_ns // TICK_NS // CPUS} 0 0 0 0 0 0\n"
        self.write("proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\n" + "".join(f"cpu{cpu} {times}" for cpu in range(CPUS)))
        self.write(self.zone("energy_uj"), f"{self.energy_uj}\n")
