"""The system part of the soak: Wattport's processes on a simulated host, with machines and readers of all kinds, in a
private machine within the machine (tests/e2e/lab); and what must hold of them at any moment."""

import os
import shutil
import urllib.request

from lab import namespace
from lab.process import LabError, wait_for
from lab.raplsim import RaplSim
from lab.wattport import ADDENDS, EXPORTER, RUNTIME, Wattport, microjoules, page
from programs import QEMU, Machine, Readers, Violation

MACHINE_MAX = 8
PATIENCE_S = 20  # times WATTPORT_PATIENCE: for what has to come, not for how soon
SETTINGS = {
    "vms.provider": "procfs", "meter.source": "powercap", "meter.checkpoint": "2s", "guest-view.mode": "exact",
}
COUNTERS = (("kept", "class/powercap/intel-rapl:0/energy_uj"), ("fresh", "class/powercap/intel-rapl:0/energy_uj"),
            ("parts", "wattport/snapshot"))
# What a zone of the simulator is called in the ledger.
ZONES = {"package-0": "package-0", "package-1": "package-1", "package-0/dram": "dram-0", "package-1/dram": "dram-1"}
SLACK_UJ = 5_000_000  # one unit, one refresh of the counters, and the host's second between
WARM_EVENTS = 40
FDS_MAX = 64  # of a process, apart from what wattportd keeps of threads
FDS_PER_THREAD = 3
MEMORY_SLACK_KB = 4096
MEMORY_PER_ACCOUNT_KB = 64
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def fds(pid):
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def own_memory_kb(pid):
    """The memory that it holds for itself; the ledger and what wattport-fs hands on are shared, and of fixed size."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(next(line.split()[1] for line in file if line.startswith("RssAnon:")))


def zombies():
    """The dead that nobody has asked for: {pid: name}, without those of the test itself and of process 1."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                head, _, rest = file.read().rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if fields[0] == "Z" and int(fields[1]) not in (1, os.getpid()):
            found[int(name)] = head.partition("(")[2]
    return found


class Host(Wattport):
    """Wattport's processes; a boot is made of these steps."""

    config = None

    def meter_command(self, settings=None):
        """All settings are in the file, so that a reload may change them."""
        return [*super().meter_command(), "--config", self.config]

    def down(self, orderly):
        """All of them end, and what is in /run goes."""
        for process in (self.exporter, self.filesystem, self.meter):
            if process.status() is None and orderly:
                process.stop()
            else:
                process.kill()
        self._run_filesystem("--unmount")
        namespace.unmount(RUNTIME)

    def up(self):
        """As at boot."""
        namespace.mount("-t", "tmpfs", "-o", "mode=755", "wattport-runtime", RUNTIME)
        self.start(self.settings)

    def unmount_tree(self):
        """What a wattport-fs that nobody follows leaves is taken away."""
        self._run_filesystem("--unmount")


class System:
    """All of it, and what is known of it."""

    def __init__(self, laboratory, chance):
        self.lab = laboratory
        self.chance = chance
        self.boots = 0
        self.events = 0
        self.machines = []
        self.gone = []  # (name, uuid, pid) of machines that were
        self.broken = False  # a zone cannot be read
        self.readers = None
        self.peaks = {}
        self.sums = {}
        self.config = laboratory.path("wattport.conf")
        self.state = laboratory.path("state")
        self.boot_id = laboratory.path("boot_id")
        self.sim = None
        self.host = None

    def begin(self):
        """The host boots for the first time."""
        shutil.copy(self.lab.program(f"tests/soak/{QEMU}"), self.lab.path(QEMU))
        self.write_boot_id()
        namespace.mount("--bind", self.boot_id, BOOT_ID)
        self.lab.callback(namespace.unmount, BOOT_ID)
        self.start_sim()
        self.host = Host(self.lab, self.sim.sysroot)
        self.host.config = self.config
        namespace.mount("-t", "tmpfs", "-o", "size=64m,mode=700", "wattport-state", self.host.state)
        self.lab.callback(namespace.unmount, self.host.state)
        self.write_config(SETTINGS)
        self.host.start(SETTINGS)
        self.readers = Readers(self.lab.program("tests/soak/soak_reader"))
        self.lab.callback(self.readers.stop)
        self.lab.callback(self.end_machines)
        for _ in range(3):
            self.arrive()
        self.take_stock()

    def write_boot_id(self):
        """Every boot of a host has another."""
        self.boots += 1
        with open(self.boot_id, "w", encoding="ascii") as file:
            file.write(f"{self.boots:08x}-0000-4000-8000-000000000000\n")

    def write_config(self, settings):
        """What a reload reads."""
        with open(self.config, "w", encoding="utf-8") as file:
            section = None
            for key, value in sorted(settings.items()):
                if key.partition(".")[0] != section:
                    section = key.partition(".")[0]
                    file.write(f"[{section}]\n")
                file.write(f"{key.partition('.')[2]} = {value}\n")

    def start_sim(self):
        """Hardware whose counters stand anywhere, now and then shortly before they wrap."""
        below = self.chance.choice((50_000_000, 500_000_000, 5_000_000_000, 100_000_000_000))
        self.sim = RaplSim(self.lab, "--packages=2", "--dram", f"--start-below-wrap={below}")

    def end_machines(self):
        """All of them, at once."""
        while self.machines:
            self.depart(self.machines[0])

    # --- machines ---

    def arrive(self, identity=None, name=None, pid=None, awaited=True):
        """Another machine, and, unless it is not to be awaited, its readers."""
        vcpus = self.chance.randrange(1, 4)
        machine = Machine(self.lab.directory, name or f"vm-{self.chance.randrange(10**6)}", vcpus, identity, pid)
        self.machines.append(machine)
        if awaited:
            self.await_machine(machine)
        return machine

    def await_machine(self, machine):
        """wattportd gets to know it, and there are readers of it."""
        self.wait(f"{machine.name} to be known", lambda: self.knows(machine.uuid))
        for kind, path in COUNTERS:
            self.readers.add(kind, self.host.tree(machine.uuid, path))

    def depart(self, machine):
        """It ends, and who read it looks elsewhere."""
        self.machines.remove(machine)
        for path in {path for _, path in COUNTERS}:
            self.readers.drop(self.host.tree(machine.uuid, path))
        self.gone.append((machine.name, machine.uuid, machine.end()))

    def knows(self, uuid):
        """Whether it runs as far as the ledger says."""
        return any(vm["uuid"] == uuid and vm["state"] == "running" for vm in self.host.json("status")["vms"])

    # --- what must hold ---

    def wait(self, what, condition):
        """Waits for what has to come; Violation when it does not."""
        try:
            return wait_for(what, condition, PATIENCE_S, 0.05)
        except LabError as error:
            raise Violation(str(error)) from None

    def settle(self):
        """The status behind a sample that was begun after this call."""
        before = self.host.json("status")["samples"]

        def sampled():
            status = self.host.json("status")
            return status if status["samples"] > before + 1 else None

        return self.wait("another sample", sampled)

    def truth(self):
        """What the zones have used, by their names in the ledger."""
        return {ZONES[key]: zone["true_uj"] for key, zone in self.sim.truth()["zones"].items()}

    def take_stock(self):
        """From here on nothing may be lost or counted twice."""
        before = self.truth()
        status = self.settle()
        after = self.truth()
        self.sums = {zone["id"]: {"energy": zone["energy_uj"], "least": after[zone["id"]], "most": before[zone["id"]]}
                     for zone in status["zones"]}

    def check_energy(self):
        """What was measured is what was used."""
        before = self.truth()
        status = self.settle()
        after = self.truth()
        for zone in status["zones"]:
            name, known = zone["id"], self.sums[zone["id"]]
            booked = zone["energy_uj"] - known["energy"]
            if booked > after[name] - known["most"] + SLACK_UJ:
                raise Violation(f"conservation: {name} has {booked} uJ booked, and used {after[name] - known['most']} uJ")
            if booked < before[name] - known["least"] - SLACK_UJ:
                raise Violation(f"conservation: {name} has {booked} uJ booked, and used {before[name] - known['least']} uJ")

    def check_page(self):
        """What is exported adds up, and is what the ledger has."""
        if page(f"http://{EXPORTER}/healthz").strip() == "":
            raise Violation("healthz: empty")
        first, status, second = self.host.metrics(), self.host.json("status"), self.host.metrics()
        for samples in (first, second):
            sums = {}
            for (name, labels), value in samples.items():
                if name in ADDENDS:
                    zone = dict(labels)["zone"]
                    sums[zone] = sums.get(zone, 0) + ADDENDS[name] * microjoules(value)
                if name == "wattport_conservation_error_microjoules" and value != "0":
                    raise Violation(f"conservation: {name} {labels} {value}")
            if any(sums.values()):
                raise Violation(f"conservation: the exported sums differ by {sums} uJ")
        for zone in status["zones"]:
            key = ("wattport_host_energy_joules_total", (("zone", zone["id"]),))
            if not microjoules(first[key]) <= zone["energy_uj"] <= microjoules(second[key]):
                raise Violation(f"export: {zone['id']} is {first[key]} J and {second[key]} J, the ledger has {zone['energy_uj']} uJ")
            if zone["conservation_error_uj"] != 0:
                raise Violation(f"conservation: {zone}")
        with urllib.request.urlopen(urllib.request.Request(
                f"http://{EXPORTER}/metrics", headers={"Accept": "application/openmetrics-text"}), timeout=300) as answer:
            if not answer.read().endswith(b"# EOF\n"):
                raise Violation("export: the page has no end")

    def processes(self):
        """{role: pid} of all that have to run."""
        found = {"wattportd": self.host.meter, "keeper": self.host.filesystem, "exporter": self.host.exporter}
        for role, process in found.items():
            if process.status() is not None:
                raise Violation(f"{role} has ended with status {process.status()}: {process.log()[-500:]}")
        return {**{role: process.pid for role, process in found.items()}, "worker": self.host.worker_pid()}

    def check_resources(self):
        """No descriptor and no memory is lost."""
        threads = sum(machine.vcpus + 3 for machine in self.machines)
        for role, pid in self.processes().items():
            limit = FDS_MAX + (FDS_PER_THREAD * threads if role == "wattportd" else 0)
            try:
                count, memory = fds(pid), own_memory_kb(pid)
            except (OSError, StopIteration):
                continue  # A worker was followed by another.
            if count > limit:
                raise Violation(f"descriptors: {role} has {count} open")
            peak = self.peaks.get(role, 0)
            if self.events <= WARM_EVENTS:
                self.peaks[role] = max(peak, memory)
            elif memory > 2 * peak + MEMORY_SLACK_KB + MEMORY_PER_ACCOUNT_KB * (len(self.gone) + len(self.machines)):
                raise Violation(f"memory: {role} holds {memory} KiB, it was {peak} KiB at most while warming up")

    def check(self, known=True):
        """All that must hold after any event. known: wattportd knows all machines."""
        self.readers.check()
        reads = self.readers.reads
        self.check_page()
        if not self.broken:
            self.check_energy()
        if namespace.mounts().count(f"{RUNTIME}/vm") != 1:
            raise Violation(f"mount: {namespace.mounts().count(f'{RUNTIME}/vm')} of them are there")
        names = os.listdir(f"{RUNTIME}/vm")
        for machine in self.machines:
            if known and machine.uuid not in names:
                raise Violation(f"mount: {machine.name} is not in {names}")
        self.wait("the dead to be asked for", lambda: not zombies())
        self.check_resources()

        def read_on():
            self.readers.check()
            # Machines that nobody awaited yet are read by nobody.
            return self.readers.reads > reads or self.readers.count == 0

        self.wait("readers to read", read_on)
