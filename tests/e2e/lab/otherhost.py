"""A second host on the same machine: its own mounts, so its own libvirtd, Wattport, state and sockets at the usual places.

It shares processes and network with the first one. What is to happen there goes into `with other.entered():`, which takes
this process (of one thread at that moment) there and back; programs that are started meanwhile stay there.
"""

import contextlib
import ctypes
import os
import uuid as uuid_module

from . import namespace
from .libvirtd import Libvirtd
from .process import LabError

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(fd):
    if _libc.setns(fd, namespace.CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class OtherHost:
    """Also what RaplSim, Wattport and Process want of a laboratory: the first one's, with other names for its files."""

    def __init__(self, laboratory, name="other"):
        self._laboratory = laboratory
        self._name = name
        self.libvirtd = None
        self._home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        laboratory.callback(os.close, self._home)
        # Here both can reach them: the laboratory's files, and the socket of this one's libvirtd.
        self.libvirt_run = laboratory.path(f"{name}-libvirt")
        os.mkdir(self.libvirt_run)
        self._there = self._make()
        laboratory.callback(os.close, self._there)

    def _make(self):
        directory = os.getcwd()
        if _libc.unshare(namespace.CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            namespace.mount("--make-rprivate", "/")
            files = os.open(self._laboratory.directory, os.O_PATH | os.O_CLOEXEC)
            for path in namespace.PRIVATE_DIRECTORIES:
                if os.path.isdir(path):
                    namespace.mount("-t", "tmpfs", "-o", "mode=755", "wattport-lab", path)
            os.mkdir(self._laboratory.directory)
            namespace.mount("--no-canonicalize", "--bind", f"/proc/{os.getpid()}/fd/{files}", self._laboratory.directory)
            os.close(files)
            os.mkdir("/run/libvirt")
            namespace.mount("--bind", self.libvirt_run, "/run/libvirt")
            return os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _enter(self._home)
            os.chdir(directory)

    @contextlib.contextmanager
    def entered(self):
        """There and back."""
        directory = os.getcwd()
        _enter(self._there)
        try:
            os.chdir(directory)
            yield self
        finally:
            _enter(self._home)
            os.chdir(directory)

    def path(self, name):
        """As the laboratory's."""
        return self._laboratory.path(f"{self._name}-{name}")

    def program(self, name):
        """As the laboratory's."""
        return self._laboratory.program(name)

    def process(self, name, command, env=None):
        """As the laboratory's; call it while entered."""
        return self._laboratory.process(f"{self._name}-{name}", command, env)

    def callback(self, function, *arguments):
        """Undone there, with the laboratory."""
        self._laboratory.callback(self._undo, function, *arguments)

    def _undo(self, function, *arguments):
        with self.entered():
            function(*arguments)

    def start_libvirtd(self):
        """Starts its libvirtd."""
        with self.entered():
            self.libvirtd = Libvirtd(self.path("libvirtd.log"), host_uuid=str(uuid_module.uuid4()))
            self.callback(self.libvirtd.stop)
            self.libvirtd.start()

    def remove_machines(self):
        """Whatever a test that failed has left there."""
        with self.entered():
            for name in self.libvirtd.domains():
                with contextlib.suppress(LabError):
                    self.libvirtd.virsh("destroy", name)
                with contextlib.suppress(LabError):
                    self.libvirtd.virsh("undefine", name, "--managed-save")

    def uri(self):
        """Where the first host finds its libvirtd."""
        return f"qemu+unix:///system?socket={self.libvirt_run}/libvirt-sock"
