"""The guest's root: an uncompressed initramfs of busybox, the programs under test and what they link to."""

import os
import re
import stat
import subprocess

from .process import LabError

# The guest needs no name server and no DHCP: QEMU's user network always has these addresses.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for module in $(cat /modules/order); do insmod /modules/$module || echo "insmod $module failed"; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
[ -x /etc/handover ] && exec /etc/handover
echo "wattport-lab: guest is up"
[ -x /etc/start ] && /etc/start </dev/null >/tmp/start.log 2>&1 &
exec httpd -f -p 80 -h /www
"""

# The control channel: one HTTP request runs one command, so any number may run side by side. The answer is a line
# with the exit status and the sizes of stdout and stderr, and then these two.
RUN = """#!/bin/sh
here=$(mktemp -d /tmp/run.XXXXXX)
cat >$here/command
cd /
/bin/sh $here/command >$here/out 2>$here/err </dev/null
status=$?
printf 'Content-Type: application/octet-stream\\r\\n\\r\\n'
echo $status $(stat -c %s $here/out) $(stat -c %s $here/err)
cat $here/out $here/err
rm -r $here
"""

DIRECTORIES = ("bin", "dev", "etc", "lib", "lib64", "mnt", "modules", "proc", "root", "run", "sys", "tmp", "usr",
               "usr/bin", "usr/lib", "usr/sbin", "var", "var/lib", "www", "www/cgi-bin")


class Initramfs:
    """Collects files, then writes one newc archive (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self._entries = {}
        for path in DIRECTORIES:
            self._add(path, stat.S_IFDIR | 0o755, b"")
        self.add("/init", INIT.encode(), 0o755)
        self.add("/www/cgi-bin/run", RUN.encode(), 0o755)
        self.add_program("/bin/busybox", "/bin/busybox")
        # A shell and its mount must be there before --install has made the links.
        self._add("bin/sh", stat.S_IFLNK | 0o777, b"busybox")
        self.add("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        self.add("/etc/group", b"root:x:0:\nnogroup:x:65534:\n")

    def _add(self, path, mode, content):
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self._add(parent, stat.S_IFDIR | 0o755, b"")
        self._entries[path] = (mode, content)

    def add(self, path, content, mode=0o644):
        """A file with this content at an absolute path of the guest."""
        self._add(path.lstrip("/"), stat.S_IFREG | mode, content)

    def add_file(self, source, path=None, mode=0o644):
        """A copy of a file of this machine."""
        with open(source, "rb") as file:
            self.add(path or source, file.read(), mode)

    def add_program(self, source, path):
        """A program and the shared libraries that the dynamic linker would load for it."""
        self.add_file(source, path, 0o755)
        listing = subprocess.run(["ldd", source], capture_output=True, text=True)
        if "not found" in listing.stdout:
            raise LabError(f"{source} lacks a library:\n{listing.stdout}")
        for library in re.findall(r"(/\S+) \(0x", listing.stdout):
            # By the name the linker looks for, with the content that a link leads to.
            self.add_file(library, library, 0o755)

    def add_modules(self, kernel):
        """The kernel's modules, and the order to load them in."""
        for path in kernel.modules:
            self.add_file(path, f"/modules/{os.path.basename(path)}")
        order = "\n".join(os.path.basename(path) for path in kernel.modules) + "\n"
        self.add("/modules/order", order.encode())

    def add_start(self, script):
        """What the guest does by itself as soon as it is up."""
        self.add("/etc/start", f"#!/bin/sh\n{script}\n".encode(), 0o755)

    def add_handover(self, script):
        """What becomes process 1 in the place of the laboratory's own, once devices and network are there."""
        self.add("/etc/handover", f"#!/bin/sh\n{script}\n".encode(), 0o755)

    def write(self, path):
        """Writes the archive."""
        with open(path, "wb") as file:
            for number, (name, (mode, content)) in enumerate(self._entries.items(), 1):
                file.write(_record(number, name, mode, content))
            file.write(_record(0, "TRAILER!!!", 0, b""))


def _record(number, name, mode, content):
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    numbers = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in numbers)
    return _padded(header + encoded) + _padded(content)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)
