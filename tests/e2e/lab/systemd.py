"""A guest whose process 1 is this machine's own systemd, with this machine's files and what `cmake --install` made of a
build on top of them; whatever the guest writes is gone with it.

Of the units that a whole system starts, only those are left that a service of Wattport's stands on: the others cost an
emulated processor minutes.
"""

import os
import subprocess

from .domain import Share
from .laboratory import BUILD
from .process import LabError, wait_for

NEEDED = ("/lib/systemd/systemd", "systemctl", "journalctl", "systemd-sysusers", "systemd-run")
TARGET = "wattport-lab.target"
CMDLINE = f"systemd.unit={TARGET} systemd.show_status=0 systemd.default_timeout_start_sec=300s net.ifnames=0"
BIN = "/run/lab/bin"
PROPERTIES = ("ActiveState", "Result", "MainPID", "NFileDescriptorStore")

# Where the machine's files are read-only, what was installed lies over them, and memory over both. Only then the units
# that stay; /run is the laboratory's, whose units come before all others but those of /etc.
HANDOVER = f"""
mkdir -p /machine /installed /top /new
for tag in machine installed; do mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=262144,ro $tag /$tag; done
mount -t tmpfs -o mode=755 top /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/installed:/machine,upperdir=/top/upper,workdir=/top/work overlay /new
rm -rf /new/.dockerenv /new/etc/systemd/system /new/lib/systemd/system-generators /new/etc/fstab /new/etc/.updated
rm -rf /new/var/lib/wattport
mkdir -p /new/etc/systemd/system
echo 0123456789abcdef0123456789abcdef >/new/etc/machine-id
for unit in /new/lib/systemd/system/sysinit.target.wants/*; do
	case ${{unit##*/}} in systemd-journald.service|systemd-sysusers.service) ;; *) rm $unit ;; esac
done
umount /run
mount -t tmpfs -o mode=755 run /new/run
mkdir -p /new/run/lab/bin /new/run/systemd/system /new/run/systemd/journald.conf.d
cp -a /www /new/run/lab/www
cp -a /bin/busybox /bin/guest_probe {BIN.replace("/run", "/new/run")}
printf '[Journal]\\nForwardToConsole=yes\\n' >/new/run/systemd/journald.conf.d/lab.conf
cat >/new/run/systemd/system/{TARGET} <<-END
	[Unit]
	Requires=basic.target lab-control.service
	After=basic.target lab-control.service
	AllowIsolate=yes
END
cat >/new/run/systemd/system/lab-control.service <<-END
	[Service]
	Environment=PATH={BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	ExecStart={BIN}/busybox httpd -f -p 80 -h /run/lab/www
	KillMode=process
END
umount /tmp
mount -t tmpfs tmpfs /new/tmp
umount /dev/pts
rm -r /dev/pts /dev/shm
for path in proc sys dev; do mount --move /$path /new/$path; done
exec switch_root /new /lib/systemd/systemd
"""


def install(directory):
    """Installs the build there, as a package does."""
    done = subprocess.run(["cmake", "--install", BUILD], env={**os.environ, "DESTDIR": directory}, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise LabError(f"cmake --install: {done.stdout}{done.stderr}")


def shares(directory):
    """What a guest with HANDOVER has to have: this machine, and what was installed into the directory."""
    return Share("/", tag="machine", whole_tree=True), Share(directory, tag="installed")


class Manager:
    """The systemd of a guest."""

    def __init__(self, guest):
        self._guest = guest

    def systemctl(self, words, timeout_s=120):
        """systemctl, which must succeed; its output. If it fails, with what the units concerned say."""
        result = self._guest.run(f"systemctl {words}", timeout_s)
        if result.status != 0:
            raise LabError(f"systemctl {words}: status {result.status}: {result.err}\n{self.journal('-n 60')}")
        return result.out.strip()

    def show(self, *units):
        """What there is to know of services, {property: value} each. One question for all: each takes its time."""
        told = self.systemctl(f"show --property={','.join(PROPERTIES)} {' '.join(units)}")
        return [dict(line.split("=", 1) for line in block.splitlines()) for block in told.split("\n\n")]

    def main_pid(self, unit):
        """The main process of a service; 0: it has none."""
        return int(self.show(unit)[0]["MainPID"])

    def journal(self, words):
        """What journalctl prints, without the time."""
        return self._guest.check(f"journalctl --no-pager --quiet --output=cat {words}")

    def wait_replaced(self, unit, before):
        """Waits until a service is active with another main process, and returns that."""

        def replaced():
            told = self.show(unit)[0]
            pid = int(told["MainPID"])
            return told["ActiveState"] == "active" and pid not in (0, before) and pid

        return wait_for(f"{unit} to be active again", replaced, 60, 0.2)

    def process(self, pid):
        """/proc/PID/status as {name: value}."""
        lines = self._guest.check(f"cat /proc/{pid}/status").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
