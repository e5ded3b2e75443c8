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
VCPUS = 2
WINDOW_S = 8
COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"
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
        begun = time.monotonic()
        self.guest = self.lab.guest(NAME, None, kind="kvm" if self.with_kvm else "qemu", cores=VCPUS)
        self.guest.wait_up()
        how = "with KVM" if self.with_kvm else "emulated"
        step("guest", f"'{NAME}': {VCPUS} vCPUs, {how}, up after {time.monotonic() - begun:.0f} s")
        done = self.host.run("attach", NAME)
        if done.returncode != 0:
            raise LabError(f"wattport attach {NAME}: {done.stdout}{done.stderr}")
        step("attach", f"wattport attach {NAME}: {done.stdout.strip() or 'done'}")
        self.guest.check("wattport-agent mount --wait 20s")
        step("mount", "wattport-agent mount, in the guest")
        self.guest.spawn("prometheus-node-exporter --collector.disable-defaults --collector.rapl")
        self.guest.spawn(f"wattport-agent --http.listen=0.0.0.0:{AGENT_PORT}", log="/tmp/agent.log")
        for port in (NODE_EXPORTER_PORT, AGENT_PORT):
            self.guest.check(f"until wget -q -O /dev/null http://127.0.0.1:{port}/metrics; do usleep 100000; done")

    def read(self):
        """What each reader shows now."""
        values = {}

        def note(who, joules):
            values[who] = (time.monotonic(), joules)

        note("cat energy_uj", int(self.guest.check(f"cat {COUNTER}")) / 1e6)
        note("node_exporter", self._sum(self.guest.get(NODE_EXPORTER_PORT, "/metrics"), "node_rapl_package_joules_total"))
        note("wattport-agent",
             self._sum(self.guest.get(AGENT_PORT, "/metrics"), "wattport_guest_energy_joules_total", package=True))
        note("wattport", self._sum(page(f"http://{EXPORTER}/metrics"), "wattport_vm_energy_joules_total", package=True,
                                   uuid=self.guest.uuid))
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
        first = self.read()
        time.sleep(WINDOW_S)
        quiet = self.read().power_since(first)
        step("load", f"the guest computes on {VCPUS} vCPUs for {WINDOW_S} s")
        pids = [self.guest.spawn("sha256sum /dev/zero") for _ in range(VCPUS)]
        time.sleep(2)  # Until the load is all there is.
        first = self.read()
        time.sleep(WINDOW_S)
        busy = self.read().power_since(first)
        table = self.host.run("vm").stdout
        for pid in pids:
            self.guest.kill(pid)
        step("measure", "wattport-agent exec -- COMMAND, in the guest")
        command = "wattport-agent exec -- sh -c 'head -c 30000000 /dev/zero | sha256sum'"
        done = self.guest.run(command)
        return quiet, busy, table, f"$ {command}\n{done.out}{done.err}"

    def show(self, quiet, busy, table, measured):
        """The screen at the end."""
        lines = [
            "", "=" * 78, f"ON THE HYPERVISOR, while '{NAME}' worked", "", "$ wattport vm", *table.rstrip().splitlines(), "",
            f"IN THE GUEST '{NAME}': unmodified software reads /sys/class/powercap", "",
            f"  {'power of package-0, as read by':<44}{'at rest':>12}{'at work':>12}",
        ]
        notes = {
            "cat energy_uj": "cat energy_uj, twice (in the guest)",
            "node_exporter": "Debian's prometheus-node-exporter (in the guest)",
            "wattport-agent": "wattport-agent (in the guest)",
            "wattport": "the account of the host",
        }
        lines += [f"  {note:<44.50}{quiet[who]:>10.2f} W{busy[who]:>10.2f} W" for who, note in notes.items()]
        lines += ["", *measured.rstrip().splitlines(), "", "WHAT IT MEANS", ""]
        lines += [
            "  The host's energy was divided among its virtual machines, and what the guest read is its part,",
            "  the same on both sides. Software that reads RAPL needs no change to run in it.",
        ]
        if self.estimate:
            lines += [
                f"  This machine has no RAPL that can be read: the figures are ESTIMATES (source: {self.source}), computed",
                "  from CPU use and a table of processors. On hardware with RAPL the same commands measure.",
            ]
        if not self.with_kvm:
            lines.append("  The guest was emulated, so its work costs far more than under KVM.")
        lines += [
            "", "WHERE TO GO ON", "",
            "  README.md                 install it, attach your own virtual machines",
            "  docs/configuration.md     every setting; who carries idle power, what a guest may see",
            "  docs/metrics.md           what Prometheus gets on both sides",
            "", "Everything that was started is gone again. Only packages and build/ remain.", "=" * 78,
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
