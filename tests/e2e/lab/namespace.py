"""A private machine within the machine, in which a whole test runs.

The test gets its own mount, PID, network, UTS and IPC namespaces. So libvirtd may use its real paths (/run/libvirt,
/etc/libvirt), Wattport its real ports and mounts, and the system's own libvirtd, if it runs, is neither seen nor
touched. When the first process of the PID namespace ends, the kernel kills the others and drops the mounts: nothing
survives a test, not even one that was killed. (The laboratory checks all the same that nothing had to be killed.)
"""

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

SKIPPED = 77  # ctest's SKIP_RETURN_CODE

# Whatever else this machine does must not decide how well power is measured: the test's programs go first.
NICE = -10

# What libvirtd writes to; each gets a tmpfs of its own. /etc/libvirt is filled with a copy.
PRIVATE_DIRECTORIES = (
    "/run",
    "/etc/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
)

# Documentation/admin-guide/devices.txt. The mode of /dev/fuse is Debian's.
DEVICES = {
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0), "fuse": (10, 229),
}

KVM = {"kvm": (10, 232)}

_libc = ctypes.CDLL(None, use_errno=True)


def run_private(main, kvm=False, nice=NICE):
    """Runs main() in a private machine and exits with what it returns. kvm: the machine has a /dev/kvm, too. nice: of its
    first session."""
    if os.geteuid() != 0:
        print("skipped: the end-to-end tests need root (namespaces, mounts, libvirtd)")
        sys.exit(SKIPPED)
    sys.stdout.flush()
    try:
        _unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS):
            raise
        print(f"skipped: this kernel gives no private namespaces: {error}")
        sys.exit(SKIPPED)
    init = os.fork()
    if init == 0:
        _guarded(lambda _: _be_init(main, kvm, nice), None)
    sys.exit(_wait_forwarding(init))


def _unshare(flags):
    if _libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _guarded(function, argument):
    """A forked child must never return into its parent's stack, whatever happens in it."""
    status = 1
    try:
        status = function(argument)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # pylint: disable=broad-except
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)


def _be_init(main, kvm, nice):
    """Process 1: adopts and reaps orphans (libvirtd's QEMUs are such) while the test runs in a child."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()  # A Ctrl-C reaches the outermost process alone, and comes to the test through it.
    os.nice(nice)
    raise_session(os.getpid(), nice)
    _prepare_mounts(kvm)
    _raise_loopback()
    child = os.fork()
    if child == 0:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _raise_interrupt)
        _guarded(lambda _: main(), None)
    return _wait_forwarding(child)


def raise_session(pid, nice=NICE):
    """With the scheduler's autogroups a nice value holds only within a session; this gives it to the session of a
    process among all others. Every session that is started anew (libvirt gives QEMU one) has to be raised by itself."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(nice))
    except OSError:
        pass  # This kernel has no autogroups, and nice values hold as they are; or the process has ended.


def _raise_interrupt(number, _frame):
    """Turns the first signal into an exception, so that every teardown runs; a second one must not cut that short."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _wait_forwarding(child):
    """Waits for the child, passing it the signals that ask to stop; reaps whoever else dies. Returns its status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: os.kill(child, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def mount(*arguments):
    """mount(8) with these arguments."""
    subprocess.run(["mount", *arguments], check=True)


def unmount(target):
    """Takes one mount away, and fails if it is in use."""
    subprocess.run(["umount", target], check=True)


def _prepare_mounts(kvm):
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    configuration = None
    if os.path.isdir("/etc/libvirt"):
        configuration = {
            name: _read(f"/etc/libvirt/{name}") for name in os.listdir("/etc/libvirt") if name.endswith(".conf")
        }
    for path in PRIVATE_DIRECTORIES:
        if os.path.isdir(path):
            mount("-t", "tmpfs", "-o", "mode=755", "wattport-lab", path)
    for name, content in (configuration or {}).items():
        with open(f"/etc/libvirt/{name}", "wb") as file:
            file.write(content)
    _prepare_devices({**DEVICES, **KVM} if kvm else DEVICES)


def _prepare_devices(devices):
    """A /dev with the device files that are needed, for the tests without /dev/kvm: they emulate also where KVM exists,
    for what they prove must not depend on the machine they run on."""
    mount("-t", "tmpfs", "-o", "mode=755", "wattport-lab", "/dev")
    for name, (major, minor) in devices.items():
        os.mknod(f"/dev/{name}", 0o666 | stat.S_IFCHR, os.makedev(major, minor))
        os.chmod(f"/dev/{name}", 0o666)
    for name in ("pts", "shm"):
        os.mkdir(f"/dev/{name}")
    mount("-t", "devpts", "-o", "ptmxmode=666", "devpts", "/dev/pts")
    mount("-t", "tmpfs", "wattport-lab", "/dev/shm")
    os.symlink("pts/ptmx", "/dev/ptmx")
    os.symlink("/proc/self/fd", "/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"/dev/{name}")


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def mounts(kind=None):
    """The mount points of this machine, in the order they were made; all, or those of one kind of file system."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [line.split()[4] for line in file if kind in (None, line.partition(" - ")[2].split()[0])]


def processes():
    """What runs in this machine apart from process 1, the test itself and zombies: {pid: command line}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (1, os.getpid()):
            continue
        try:
            state = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()[0]
            line = _read(f"/proc/{name}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # It ended meanwhile.
        if state not in (b"Z", b"X"):
            found[int(name)] = line
    return found


def missing(*programs):
    """The programs of these that are not installed."""
    return [name for name in programs if shutil.which(name) is None and not os.path.exists(name)]
