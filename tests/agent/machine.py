"""A machine of the test's own making: a sysroot with real mounts, and a directory in the place of the host's share.

Everything is mounted in a private mount namespace, which unshared() enters, so that nothing outlives the test.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77
RANGE = 2**53 - 1
UUID = "11111111-2222-3333-4444-555555555555"

_INSIDE = "WATTPORT_TEST_UNSHARED"


def unshared():
    """Runs this script again in a mount namespace of its own, unless it is there already; skips where it cannot."""
    if os.environ.get(_INSIDE):
        return
    if os.geteuid() != 0:
        print("skipped: mounting needs root")
        sys.exit(SKIPPED)
    command = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*command, "true"], check=False).returncode != 0:
        print("skipped: no mount namespace can be made here")
        sys.exit(SKIPPED)
    os.execvpe(command[0], [*command, sys.executable, "-B", *sys.argv], {**os.environ, _INSIDE: "1"})


def main(agent):
    """The tests of the script that was called with the agent as its first argument; None: it was not."""
    if agent is not None:
        sys.argv.insert(1, agent)
        unshared()
        sys.argv.pop(1)
    unittest.main()


def write(path, text):
    """Writes a file in place, and the directories that lead to it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "r+" if os.path.exists(path) else "w", encoding="ascii") as file:
        file.write(text)
        file.truncate()


def read(path):
    """The text of a file."""
    with open(path, encoding="ascii") as file:
        return file.read()


def mount(*arguments):
    """mount(8)."""
    subprocess.run(["mount", *arguments], check=True)


class Machine:
    """root/sys and root/proc, `share` as the host would serve it, `at` where the agent expects it mounted."""

    def __init__(self, agent):
        self.agent = agent
        self.directory = tempfile.mkdtemp(prefix="wattport-agent-test-")
        mount("-t", "tmpfs", "tmpfs", self.directory)
        self.root = os.path.join(self.directory, "root")
        self.sys = os.path.join(self.root, "sys")
        self.share = os.path.join(self.directory, "share")
        self.at = os.path.join(self.directory, "run", "tree")
        for path in (self.sys, os.path.join(self.root, "proc"), self.share, self.at):
            os.makedirs(path)
        mount("-t", "tmpfs", "sysfs", self.sys)
        mount("--rbind", "/proc", os.path.join(self.root, "proc"))
        write(self.sys + "/devices/virtual/block/zram0/disksize", "0\n")
        write(self.sys + "/devices/virtual/net/lo/mtu", "65536\n")
        write(self.sys + "/class/net/bonding_masters", "\n")

    def mounts(self):
        """The mounts in this machine and in the real /sys, as the kernel lists them, without their ids, which differ from
        mount to mount. (Others come and go also in a namespace of one's own: with the directories they are on.)"""
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            lines = [line.split() for line in file]
        return sorted(" ".join(line[3:]) for line in lines if line[4].startswith((self.directory, "/sys")))

    def close(self):
        """Takes all mounts away."""
        subprocess.run(["umount", "--recursive", "--lazy", self.directory], check=True)
        shutil.rmtree(self.directory)

    def add_zone(self, base, index, energy_uj):
        """Zone `index` in `base`: the share, or the machine's own /sys."""
        zone = f"{base}/devices/virtual/powercap/intel-rapl/intel-rapl:{index:x}"
        write(base + "/devices/virtual/powercap/intel-rapl/enabled", "1\n")
        write(zone + "/name", f"package-{index}\n")
        write(zone + "/max_energy_range_uj", f"{RANGE}\n")
        write(zone + "/energy_uj", f"{energy_uj}\n")
        os.makedirs(base + "/class/powercap", exist_ok=True)
        for name in ("intel-rapl", f"intel-rapl/intel-rapl:{index:x}"):
            link = base + "/class/powercap/" + os.path.basename(name)
            if not os.path.islink(link):
                os.symlink("../../devices/virtual/powercap/" + name, link)

    def set_energy(self, energy_uj, index=0):
        """What the host counts from now on."""
        self.add_zone(self.share, index, energy_uj)

    def add_share(self, energy_uj=5000000, age_ms=3, source="powercap"):
        """Fills the share and mounts it where the agent expects it."""
        self.set_energy(energy_uj)
        self.set_info(age_ms, source)
        mount("--bind", self.share, self.at)

    def add_share_without_links(self, energy_uj=5000000):
        """The same as it comes with accessmode='mapped': links are listed, and following one gives ELOOP."""
        self.set_energy(energy_uj)
        self.set_info(3)
        top = self.share + "/devices/virtual/powercap"
        for directory, _, _ in os.walk(top):
            if directory != top:
                os.symlink("subsystem", directory + "/subsystem")
        listed = self.share + "/class/powercap"
        for name in os.listdir(listed):
            os.unlink(f"{listed}/{name}")
            os.symlink(name, f"{listed}/{name}")
        mount("--bind", self.share, self.at)

    def set_info(self, age_ms, source="powercap"):
        """wattport/ of the share."""
        for name, value in (("age_ms", age_ms), ("mode", "isolated"), ("source", source), ("uuid", UUID)):
            write(f"{self.share}/wattport/{name}", f"{value}\n")

    def command(self, *arguments):
        """The agent's command line for this machine."""
        return [self.agent, *arguments[:1], "--sysroot", self.root, "--at", self.at, *arguments[1:]]

    def run(self, *arguments, through=()):
        """Runs the agent, through another program if one is named: its exit status, output and messages."""
        command = [*through, *self.command(*arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr
