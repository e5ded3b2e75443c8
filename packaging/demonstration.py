"""The second half of packaging/demo: a virtual machine, its energy from both sides, and what that means.

It uses the laboratory of the end-to-end tests: all of it runs in a private machine within the machine, which vanishes
with whatever is in it when this process ends, however it ends.
"""

import dataclasses
import os
import re
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

# pylint: disable=wrong-import-position
from lab import kernel, namespace  # noqa: E402
from lab.laboratory import CACHE, Laboratory  # noqa: E402
from lab.process import LabError  # noqa: E402
from lab.prometheus import parse  # noqa: E402
from lab.wattport import EXPORTER, Wattport, page  # noqa: E402

NAME = "demo"
# Half of a small machine, so that what the guest has not rented shows, too.
VCPUS = 1 if (os.cpu_count() or 1) <= 2 else 2
WINDOW_S = 10
SETTLE_S = 3
COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
COMMAND = "wattport-agent exec -- sh -c 'head -c 30000000 /dev/zero | sha256sum'"
NODE_EXPORTER_PORT = 9100
AGENT_PORT = 9772


def step(what, text):
    """One line of progress."""
    print(f"  {what:<10} {text}", flush=True)


def may_use_kvm():
    """KVM on real hardware only: within a virtual machine it is slow where it works at all, and not ours to use."""
    if os.environ.get("WATTPORT_DEMO_KVM") == "0" or not os.path.exists("/dev/kvm"):
        return False
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = re.search(r"^flags\s*:(.*)$", file.read(), re.MULTILINE)
    return flags is not None and "hypervisor" not in flags.group(1).split()


@dataclasses.dataclass
class Reading:
    """The machine's joules as everybody shows them, each with the instant it was read."""

    values: dict

    def power_since(self, earlier):
        """Watts by reader."""
        return {
            who: (joules - earlier.values[who][1]) / (at - earlier.values[who][0])
            for who, (at, joules) in self.values.items()
        }


class Demonstration:
    """One virtual machine, from its start to the screen at the end."""

    def __init__(self, laboratory, with_kvm):
        self.lab = laboratory
        self.with_kvm = with_kvm
        self.host = None
        self.guest = None
        self.source = ""
        self.estimate = False

    def start_host(self):
        """The host side, as systemd would start it."""
        self.host = Wattport(self.lab, "/")
        self.host.start({"guest-view.mode": "exact"})
        labels = next(dict(labels) for name, labels in self.host.metrics() if name == "wattport_source_info")
        self.source = labels["source"]
        self.estimate = labels["estimate"] == "true"
        step("host side", f"wattportd, wattport-fs, wattport-exporter; energy comes from: {self.source}"
             + (" (an ESTIMATE)" if self.estimate else ""))

    def start_guest(self):
        """A virtual machine with a tree of its own."""
        self.guest = self.lab.guest(NAME, None, defined=True, kind="kvm" if self.with_kvm else "qemu", cores=VCPUS)
        done = self.host.run("attach", NAME)
        if done.returncode != 0:
            raise LabError(f"wattport attach {NAME}: {done.stdout}{done.stderr}")
        step("attach", f"wattport attach {NAME}: {done.stdout.splitlines()[0]}")
        begun = time.monotonic()
        self.guest.start()
        self.guest.wait_up()
        how = "with KVM" if self.with_kvm else "emulated"
        step("guest", f"'{NAME}': {VCPUS} vCPU{'s' * (VCPUS > 1)}, {how}, up after {time.monotonic() - begun:.0f} s")
        self.guest.check("wattport-agent mount")
        step("mount", "wattport-agent mount, in the guest")
        self.guest.spawn("prometheus-node-exporter --collector.disable-defaults --collector.rapl")
        self.guest.spawn(f"wattport-agent --http.listen=0.0.0.0:{AGENT_PORT}", log="/tmp/agent.log")
        for port in (NODE_EXPORTER_PORT, AGENT_PORT):
            self.guest.check(f"until wget -q -O /dev/null http://127.0.0.1:{port}/metrics; do usleep 100000; done")

    def read(self):
        """What each reader shows now."""
        readers = {
            "cat": lambda: int(self.guest.check(f"cat {COUNTER}")) / 1e6,
            "node_exporter": lambda: self._sum(
                self.guest.get(NODE_EXPORTER_PORT, "/metrics"), "node_rapl_package_joules_total"),
            "wattport-agent": lambda: self._sum(
                self.guest.get(AGENT_PORT, "/metrics"), "wattport_guest_energy_joules_total", package=True),
            "wattport": lambda: self._sum(
                page(f"http://{EXPORTER}/metrics"), "wattport_vm_energy_joules_total", package=True, uuid=self.guest.uuid),
        }
        values = {}
        for who, read in readers.items():
            before = time.monotonic()
            joules = read()
            values[who] = ((before + time.monotonic()) / 2, joules)
        return Reading(values)

    @staticmethod
    def _sum(text, wanted, package=False, uuid=None):
        total = 0.0
        for (name, labels), value in parse(text).items():
            labels = dict(labels)
            if name != wanted or uuid not in (None, labels.get("uuid")):
                continue
            if not package or labels["zone"].startswith("package"):
                total += float(value)
        return total

    def measure(self):
        """Power when the guest rests, and when it works: two dictionaries, by reader."""
        step("rest", f"the guest does nothing for {WINDOW_S} s")
        time.sleep(SETTLE_S)
        first = self.read()
        time.sleep(WINDOW_S)
        quiet = self.read().power_since(first)
        step("load", f"the guest computes for {WINDOW_S} s")
        pids = [self.guest.spawn("sha256sum /dev/zero") for _ in range(VCPUS)]
        time.sleep(SETTLE_S)
        first = self.read()
        time.sleep(WINDOW_S)
        busy = self.read().power_since(first)
        table = self.host.run("vm").stdout
        for pid in pids:
            self.guest.kill(pid)
        step("measure", f"{COMMAND}, in the guest")
        done = self.guest.run(COMMAND)
        measured = [line for line in (done.out + done.err).splitlines() if re.match(r"(ZONE|package|dram|elapsed|as much) ?", line)]
        return quiet, busy, table, measured

    def show(self, quiet, busy, table, measured):
        """The screen at the end."""
        how = "KVM" if self.with_kvm else "emulated"
        lines = [
            "", "=" * 92, f"ON THE HYPERVISOR, while '{NAME}' ({how}) worked", "", "  $ wattport vm",
            *(f"  {line}" for line in table.rstrip().splitlines()), "",
            f"IN THE GUEST '{NAME}', unmodified software reads /sys/class/powercap", "",
            f"  {'power of package-0':<58}{'at rest':>12}{'at work':>12}",
        ]
        notes = {
            "cat": "cat intel-rapl:0/energy_uj, twice",
            "node_exporter": "Debian's prometheus-node-exporter: rate of joules",
            "wattport-agent": "wattport-agent, for Prometheus",
            "wattport": "for comparison: what the host has booked to it",
        }
        lines += [f"  {note:<58}{quiet[who]:>10.2f} W{busy[who]:>10.2f} W" for who, note in notes.items()]
        lines += ["", f"  $ {COMMAND}", *(f"  {line}" for line in measured), "", "WHAT IT MEANS", ""]
        lines += [
            "  The energy of this machine was divided among its virtual machines, its own processes and what",
            "  was idle; the guest read its part, the same on both sides, with software that knows RAPL only.",
        ]
        if self.estimate:
            lines += [
                f"  There is no RAPL here that can be read, so the figures are ESTIMATES (source: {self.source}), from CPU use",
                "  and a table of processors. On hardware with RAPL the same commands measure.",
            ]
        lines += [
            "", "WHERE TO GO ON", "",
            "  README.md               install it, give your own virtual machines their tree",
            "  docs/configuration.md   who carries idle power, what a guest may see, and every other key",
            "  docs/metrics.md         what Prometheus gets from both sides", "",
            "Everything that was started is gone again; only packages and build/ remain.", "=" * 92,
        ]
        print("\n".join(lines), flush=True)


def main():
    """Runs in the private machine."""
    try:
        with Laboratory(guest_programs=("guest/wattport-agent",), probe=False) as laboratory:
            laboratory.start_libvirtd()
            demonstration = Demonstration(laboratory, may_use_kvm())
            demonstration.start_host()
            demonstration.start_guest()
            result = demonstration.measure()
        demonstration.show(*result)
    except LabError as error:
        # The first one is the cause; what failed while all was torn down comes after it.
        while isinstance(error.__context__, LabError):
            error = error.__context__
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def run():
    """Fetches what the private machine, which has no network, cannot, and enters it."""
    step("kernel", f"the guest's, into {os.path.relpath(CACHE, ROOT)}")
    try:
        kernel.fetch(CACHE)
    except LabError as error:
        sys.exit(f"demo: {error}")
    namespace.run_private(main, kvm=may_use_kvm())


if __name__ == "__main__":
    run()
