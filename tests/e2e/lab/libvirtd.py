"""A libvirtd of the test's own at the contract's place: qemu:///system under /run/libvirt (namespace.py makes that
private). QEMU and virtiofsd outlive its restart, as on any host."""

import os
import subprocess

from . import namespace
from .process import PATIENCE, LabError, Process

SOCKET = "/run/libvirt/libvirt-sock"
URI = "qemu:///system"

# No login, no root-squashing user, no cgroups and no private /dev: none of these is what the tests are about, and not
# every machine that runs them has them. Output straight to files needs no virtlogd.
LIBVIRTD_CONF = 'auth_unix_rw = "none"\nunix_sock_group = "root"\nlog_outputs = "3:stderr"\n'
QEMU_CONF = (
    'user = "root"\ngroup = "root"\ndynamic_ownership = 0\nremember_owner = 0\nsecurity_driver = "none"\n'
    'namespaces = []\nstdio_handler = "file"\n'
)

# Where libvirt makes the cgroups of its machines: of the first of these that the machine has, this controller. (Without
# cpu or cpuset it leaves virtiofsd out of them.)
CGROUP_ROOTS = {"/sys/fs/cgroup/cpuset": "cpuset", "/sys/fs/cgroup": "cpu"}


class Libvirtd:
    """The daemon and virsh on it."""

    def __init__(self, log_path, cgroups=False, host_uuid=""):
        """cgroups: with one controller. libvirt 9.0 without any dies of a virtiofs device that is plugged in. host_uuid: that
        it is another host, where there are two on one machine."""
        self._log_path = log_path
        self._process = None
        self._partition = None
        controllers = self._prepare_cgroups() if cgroups else "[]"
        qemu_conf = f"{QEMU_CONF}cgroup_controllers = {controllers}\n"
        libvirtd_conf = LIBVIRTD_CONF + (f'host_uuid = "{host_uuid}"\n' if host_uuid else "")
        for name, content in (("libvirtd.conf", libvirtd_conf), ("qemu.conf", qemu_conf)):
            with open(f"/etc/libvirt/{name}", "w", encoding="utf-8") as file:
                file.write(content)

    def _prepare_cgroups(self):
        # A version 2 hierarchy without controllers beside those of version 1 confuses libvirt, wherever it is mounted.
        for path in namespace.mounts("cgroup2"):
            if path != "/sys/fs/cgroup":
                namespace.unmount(path)
        root = next(path for path in CGROUP_ROOTS if os.path.isdir(path))
        if not os.path.exists(f"{root}/machine"):
            self._partition = f"{root}/machine"
        return f'["{CGROUP_ROOTS[root]}"]'

    def remove_cgroups(self):
        """Takes away the partition that libvirt has made for its machines; they must be gone."""
        if self._partition and os.path.isdir(self._partition):
            os.rmdir(self._partition)

    def start(self):
        """Starts it and waits until it answers."""
        self._process = Process("libvirtd", ["libvirtd", "--timeout", "0"], self._log_path)
        self._process.wait_until("its socket answers", lambda: os.path.exists(SOCKET) and self._answers(), 30)

    def stop(self):
        """Stops the daemon alone; its QEMUs run on."""
        if self._process is not None:
            self._process.stop(30)
            self._process = None

    def kill(self):
        """SIGKILL to the daemon alone."""
        self._process.kill()
        self._process = None

    def log(self):
        """What the daemon said since it was last started."""
        return self._process.log() if self._process else ""

    def _answers(self):
        return self._virsh("version").returncode == 0

    @staticmethod
    def _virsh(*arguments, text_in=None):
        return subprocess.run(
            ["virsh", "-q", "-c", URI, *arguments], input=text_in, capture_output=True, text=True, timeout=60 * PATIENCE
        )

    def virsh(self, *arguments, text_in=None):
        """Runs virsh, and returns its output; LabError with what it said when it fails."""
        done = self._virsh(*arguments, text_in=text_in)
        if done.returncode != 0:
            raise LabError(f"virsh {' '.join(arguments)}: {done.stderr.strip()}\n{self.log()}")
        return done.stdout

    def domains(self):
        """The names of all domains, running or not."""
        return [line for line in self.virsh("list", "--all", "--name").splitlines() if line]
