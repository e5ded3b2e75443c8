"""Wattport's own programs on the private machine's host: started as an operator would, killed as fate would."""

import decimal
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

from . import namespace
from .process import PATIENCE, LabError, wait_for
from .prometheus import parse

RUNTIME = "/run/wattport"
TREE = f"{RUNTIME}/vm/{{uuid}}"  # what a guest mounts, for a Share
EXPORTER = "127.0.0.1:9771"
HOOK = "/etc/libvirt/hooks/qemu.d/wattport"
RECORD_ATTEMPTS = 10


# The exporter's counters that add up to zero in each zone: what was measured, and where it went.
ADDENDS = {
    "wattport_host_energy_joules_total": 1,
    "wattport_host_idle_joules_total": -1,
    "wattport_host_other_joules_total": -1,
    "wattport_host_away_joules_total": -1,
    "wattport_vm_energy_joules_total": -1,
}


def options(settings):
    """Keyword settings as the programs take them: {"attribution.idle": "vcpu"} -> ["--attribution.idle=vcpu"]."""
    return [f"--{key}={value}" for key, value in settings.items()]


def install_hook(laboratory, settings):
    """libvirt's hook as it is packaged, but with the build's program and these settings. libvirtd looks for hooks when it
    starts, so this comes first."""
    with open(laboratory.program("packaging/libvirt-hook"), encoding="utf-8") as file:
        script = file.read()
    command = f"{laboratory.program('host/wattport')} prepare --config /dev/null {' '.join(options(settings))}"
    script, count = re.subn(r'"[^"]*/wattport" prepare', command, script)
    if count != 1:
        raise LabError(f"the hook does not call `wattport prepare`:\n{script}")
    os.makedirs(os.path.dirname(HOOK), exist_ok=True)
    with open(HOOK, "w", encoding="utf-8") as file:
        file.write(script)
    os.chmod(HOOK, 0o755)
    laboratory.callback(os.unlink, HOOK)


class Wattport:
    """The host side. Each part is a Process of its own, or None while it does not run."""

    def __init__(self, laboratory, sysroot):
        self._laboratory = laboratory
        self._sysroot = sysroot
        self.state = laboratory.path("state")
        self.settings = {}
        self.meter = self.filesystem = self.exporter = None
        # A host of its own: what an earlier one has left in memory or on disk is not this one's.
        os.makedirs(RUNTIME, exist_ok=True)
        namespace.mount("-t", "tmpfs", "-o", "mode=755", "wattport-runtime", RUNTIME)
        laboratory.callback(namespace.unmount, RUNTIME)
        laboratory.callback(self._unmount_tree)
        os.makedirs(self.state)

    @staticmethod
    def _unmount_tree():
        """Plain files stay when their writer ends."""
        if f"{RUNTIME}/vm" in namespace.mounts():
            namespace.unmount(f"{RUNTIME}/vm")

    def start(self, settings=None, trace=None):
        """All three, as at boot; all samples into a trace, if that is wanted."""
        self.settings = settings or {}
        self.start_meter(self.settings)
        if trace:
            self._record(trace)
        self.start_filesystem()
        self.start_exporter()

    def reboot(self, orderly):
        """Starts all three again as after a reboot of the host, in order or by a power cut: /run is empty, the state
        directory is there. (The machines run on, for the simulated host has no say over them.)"""
        for process in (self.exporter, self.filesystem, self.meter):
            if orderly:
                process.stop()
            else:
                process.kill()
        if not orderly:
            self._run_filesystem("--unmount")
        namespace.unmount(RUNTIME)
        namespace.mount("-t", "tmpfs", "-o", "mode=755", "wattport-runtime", RUNTIME)
        self.start(self.settings)

    def meter_command(self, settings=None):
        """The command line of wattportd."""
        return [
            self._laboratory.program("host/wattportd"), "--sysroot", self._sysroot, "--runtime-dir", RUNTIME,
            "--state-dir", self.state, *options(settings or {}),
        ]

    def start_meter(self, settings=None):
        """Starts wattportd, and waits until it answers `status`."""
        self.meter = self._laboratory.process("wattportd", self.meter_command(settings))
        self.meter.wait_until("`wattport status` answers", lambda: self._run("status").returncode == 0)

    def restart_meter(self):
        """Ends wattportd as a service manager does, and starts it again."""
        self.meter.stop()
        self.start_meter(self.settings)

    def restart_exporter(self):
        """The same for wattport-exporter."""
        self.exporter.stop()
        self.start_exporter()

    def _record(self, path):
        """Records from the very first sample on. If another one came before, it begins again, as another host."""
        for _ in range(RECORD_ATTEMPTS):
            recorder = self._laboratory.process("wattport-record", [
                self._laboratory.program("host/wattport"), "record", "--runtime-dir", RUNTIME, path,
            ])
            recorder.wait_until("it has a sample", lambda: len(self.trace(path)) >= 2)
            if self.json("status")["samples"] == len(self.trace(path)) - 1 == 1:
                return
            recorder.stop()
            self.meter.stop()
            shutil.rmtree(self.state)
            os.makedirs(self.state)
            os.remove(f"{RUNTIME}/ledger")
            os.remove(path)
            self.start_meter(self.settings)
        raise LabError("no record has the first sample")

    @staticmethod
    def trace(path):
        """The whole lines of a trace that is being written."""
        try:
            with open(path, encoding="utf-8") as file:
                return [line for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def settled(self, trace):
        """The status, and the lines that the trace had then: no sample came in between."""
        while True:
            lines, status = self.trace(trace), self.json("status")
            if len(lines) == len(self.trace(trace)) == status["samples"] + 1:
                return status, lines

    def start_filesystem(self):
        """Starts wattport-fs, and waits for its mount."""
        self.filesystem = self._laboratory.process(
            "wattport-fs",
            [self._laboratory.program("fusefs/wattport-fs"), "--runtime-dir", RUNTIME, *options(self.settings)],
        )
        self.filesystem.wait_until("its mount is there", lambda: os.path.ismount(f"{RUNTIME}/vm"))

    def _run_filesystem(self, *options):
        """Runs wattport-fs for something that it does at once."""
        done = subprocess.run(
            [self._laboratory.program("fusefs/wattport-fs"), "--runtime-dir", RUNTIME, *options],
            capture_output=True, text=True, timeout=30 * PATIENCE,
        )
        if done.returncode != 0:
            raise LabError(f"wattport-fs {' '.join(options)}: status {done.returncode}: {done.stderr}")

    def restart_fs(self, *options, kill=True):
        """Another wattport-fs takes over, which no reader may notice: from one that was killed by SIGKILL, or, with
        kill=False, from one that runs. Waits until the new one serves."""
        old = self.filesystem
        if kill:
            old.kill()
        else:
            options = ("--replace", *options)
        self.filesystem = self._laboratory.process(
            "wattport-fs", [self._laboratory.program("fusefs/wattport-fs"), "--runtime-dir", RUNTIME, *options]
        )
        self.filesystem.wait_until("it serves", lambda: "ready: " in self.filesystem.log())
        if not kill:
            old.kill()  # It is dead: for its log, and so that nobody takes it for a process that ran too long.

    def start_exporter(self):
        """Starts wattport-exporter, and waits until it answers."""
        self.exporter = self._laboratory.process("wattport-exporter", [
            self._laboratory.program("host/wattport-exporter"), "--runtime-dir", RUNTIME, f"--http.listen={EXPORTER}",
            "--meaning.carbon=FR",
        ])
        self.exporter.wait_until("it answers", self._exporter_answers)

    @staticmethod
    def _exporter_answers():
        try:
            return bool(page(f"http://{EXPORTER}/healthz"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def _run(self, *arguments):
        return subprocess.run(
            [self._laboratory.program("host/wattport"), "--runtime-dir", RUNTIME, *arguments],
            capture_output=True, text=True, timeout=30 * PATIENCE,
        )

    def run(self, *arguments):
        """Runs `wattport ...`, and returns what came of it."""
        return self._run(*arguments)

    def json(self, *arguments):
        """Runs `wattport ... --json`, and returns the document."""
        done = self._run(*arguments, "--json")
        if done.returncode != 0:
            raise LabError(f"wattport {' '.join(arguments)}: status {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    @staticmethod
    def metrics():
        """The exporter's samples as exact text, see prometheus.parse()."""
        return parse(page(f"http://{EXPORTER}/metrics"))

    @staticmethod
    def worker_pid():
        """The process that serves the tree."""
        with open(f"{RUNTIME}/fs-worker.pid", encoding="utf-8") as file:
            return int(file.read())

    def kill_worker(self):
        """SIGKILL to the process that serves the tree, and waits until another one has taken its place."""
        killed = self.worker_pid()
        os.kill(killed, signal.SIGKILL)

        def replaced():
            try:
                return self.worker_pid() != killed
            except (OSError, ValueError):
                return False  # Between two workers.

        wait_for("a new worker", replaced, 5, 0.005)

    def kill_filesystem(self):
        """SIGKILL to all of wattport-fs: the keeper, and the worker, which would serve on. Its mount stays, dead."""
        self.filesystem.kill()
        worker = self.worker_pid()
        os.kill(worker, signal.SIGKILL)
        wait_for("the worker's end", lambda: not os.path.exists(f"/proc/{worker}"), 5)

    @staticmethod
    def tree(uuid, path=""):
        """A path in the tree of a VM, as the host sees it."""
        return f"{RUNTIME}/vm/{uuid}/{path}"

    def energy_uj(self, uuid, zone="intel-rapl:0"):
        """What the VM's counter reads."""
        with open(self.tree(uuid, f"class/powercap/{zone}/energy_uj"), encoding="utf-8") as file:
            return int(file.read())

    def wait_known(self, uuid, timeout_s=10):
        """Waits until the VM has a tree and an account."""

        def known():
            return os.path.isdir(self.tree(uuid)) and any(
                name == "wattport_vm_info" and ("uuid", uuid) in labels for name, labels in self.metrics()
            )

        wait_for(f"VM {uuid} to be known", known, timeout_s, 0.1)


def page(url):
    """The body of a page; HTTPError unless all is well."""
    with urllib.request.urlopen(url, timeout=10 * PATIENCE) as answer:
        return answer.read().decode()


def microjoules(joules):
    """Joules as a counter prints them, exactly, in whole microjoules; LabError if there is more to it than that."""
    value = decimal.Decimal(joules) * 1_000_000
    if value != value.to_integral_value():
        raise LabError(f"{joules} J is no whole number of microjoules")
    return int(value)
