"""The laboratory as a whole: what a test asks for is made here, and torn down in reverse order whatever happens."""

import contextlib
import os
import shutil
import tempfile

from . import kernel as kernel_module
from . import namespace
from .domain import Domain, RunningDomain
from .guest import Guest
from .initramfs import Initramfs
from .libvirtd import Libvirtd
from .process import LabError, Process, wait_for

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("WATTPORT_BUILD_DIR", os.path.join(ROOT, "build", "dev"))
CACHE = os.environ.get("WATTPORT_E2E_CACHE", os.path.join(ROOT, "build", "e2e-cache"))

PROBE = "tests/e2e/guest_probe"
NODE_EXPORTER = "/usr/bin/prometheus-node-exporter"


class Laboratory(contextlib.ExitStack):
    """Use as a context manager. After the last teardown it asserts that nothing is left behind."""

    def __init__(self, guest_programs=(), probe=True, guest_start="", guest_handover=""):
        """guest_programs: what the guests get beside the probe, if they get that, as paths in the build. guest_start:
        what they do by themselves at each boot, in the words of a shell. guest_handover: what becomes their process 1."""
        super().__init__()
        self._guest_programs = (PROBE,) * probe + tuple(guest_programs)
        self._guest_start = guest_start
        self._guest_handover = guest_handover
        self._guests = 0
        self._initrds = {}
        self.libvirtd = None
        self.directory = None

    def __enter__(self):
        super().__enter__()
        mounts_before = namespace.mounts()
        processes_before = set(namespace.processes())
        self.directory = tempfile.mkdtemp(prefix="lab-", dir="/run")
        self.callback(self._assert_nothing_left, mounts_before, processes_before)
        self.callback(shutil.rmtree, self.directory)
        return self

    def path(self, name):
        """A path in the laboratory's own directory, which vanishes with it."""
        return os.path.join(self.directory, name)

    @staticmethod
    def program(name):
        """A program that the build has made, by its path there."""
        path = os.path.join(BUILD, name)
        if not os.path.exists(path):
            raise LabError(f"{path} is missing: build it, or set WATTPORT_BUILD_DIR")
        return path

    def process(self, name, command, env=None):
        """Starts a program, which is stopped with the laboratory if the test has not done so before."""
        process = Process(name, command, self.path(f"{name}.log"), env)
        self.callback(self._stop, process)
        return process

    @staticmethod
    def _stop(process):
        if process.status() is None:
            process.stop()

    def mount(self, target, *arguments):
        """Makes a mount, and undoes it with the laboratory."""
        os.makedirs(target, exist_ok=True)
        namespace.mount(*arguments, target)
        self.callback(namespace.unmount, target)

    def start_libvirtd(self, cgroups=False):
        """Starts libvirtd; once per laboratory. See Libvirtd for cgroups."""
        self.libvirtd = Libvirtd(self.path("libvirtd.log"), cgroups)
        self.callback(self.libvirtd.remove_cgroups)
        self.callback(self.libvirtd.stop)
        self.libvirtd.start()
        self.callback(self._assert_no_domain)

    def domain(self, domain, transient=False, start=True):
        """Makes a domain, and removes it with the laboratory."""
        running = RunningDomain(self.libvirtd, domain)
        self._bring_up(running, transient, start)
        return running

    def guest(self, name, *shares, flavour="generic", defined=False, **options):
        """Starts a guest with a kernel, and with those shares that are not None; or only defines it. Does not wait for
        it: guests may boot side by side."""
        kernel = kernel_module.fetch(CACHE, flavour)
        self._guests += 1
        domain = Domain(
            name, kernel=kernel.image, initrd=self._initrd(kernel, flavour), shares=[share for share in shares if share],
            console=self.path(f"console-{self._guests}.log"), **options,
        )
        guest = Guest(self.libvirtd, domain, f"127.0.0.{10 + self._guests}")
        self._bring_up(guest, not defined, not defined)
        return guest

    def _bring_up(self, running, transient, start):
        self.callback(self._remove, running)
        if transient:
            running.create()
        else:
            running.define()
            if start:
                running.start()
        namespace.raise_session(running.pid())

    def _remove(self, running):
        running.remove()
        wait_for(f"the QEMU of {running.domain.name} to end", lambda: running.pid() == 0, 10)

    def _initrd(self, kernel, flavour):
        if flavour not in self._initrds:
            archive = Initramfs()
            archive.add_modules(kernel)
            archive.add_program(NODE_EXPORTER, "/bin/prometheus-node-exporter")
            for path in self._guest_programs:
                archive.add_program(self.program(path), f"/bin/{os.path.basename(path)}")
            if self._guest_start:
                archive.add_start(self._guest_start)
            if self._guest_handover:
                archive.add_handover(self._guest_handover)
            self._initrds[flavour] = self.path(f"initrd-{flavour}")
            archive.write(self._initrds[flavour])
        return self._initrds[flavour]

    def _assert_no_domain(self):
        domains = self.libvirtd.domains()
        if domains:
            raise LabError(f"domains are left behind: {domains}")

    @staticmethod
    def _assert_nothing_left(mounts_before, processes_before):
        def leftovers():
            return {pid: line for pid, line in namespace.processes().items() if pid not in processes_before}

        mounts = [path for path in namespace.mounts() if path not in mounts_before]
        with contextlib.suppress(LabError):
            wait_for("all processes to end", lambda: not leftovers(), 5)
        if leftovers() or mounts:
            raise LabError(f"left behind: processes {leftovers()}, mounts {mounts}")
