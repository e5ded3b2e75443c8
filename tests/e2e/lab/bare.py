"""A bare host: a guest in which the simulator itself runs, with its tree where the kernel has RAPL's. It shares nothing with
any hypervisor, and what runs in it reads its energy as on real hardware."""

from .raplsim import Power

PROGRAMS = ("guest/wattport-agent", "tests/raplsim/raplsim", "tests/agent/crowd", "/usr/bin/setpriv")
SETPRIV = "/bin/setpriv"  # by its path: busybox's shell takes its own for the name, which can do less
_DIRECTORY = "/host"


class BareHost:
    """Needs PROGRAMS in the guest, which is up. Its packages are the guest's sockets."""

    def __init__(self, guest, power=Power()):
        self.guest = guest
        self.power = power
        guest.check(f"mkdir {_DIRECTORY} && raplsim run {_DIRECTORY} --packages={guest.domain.sockets} "
                    f"--idle-watts={power.idle_w} --busy-watts={power.busy_w}")
        # /sys/devices/virtual has no powercap that could be mounted over, and sysfs takes no directories.
        guest.check(f"mount --bind {_DIRECTORY}/sys/class/powercap /sys/class/powercap && mount -t overlay -o "
                    f"lowerdir={_DIRECTORY}/sys/devices/virtual:/sys/devices/virtual overlay /sys/devices/virtual")

    @staticmethod
    def truth_command(*pids):
        """What tells, in the guest, the true joules now: of the zones, and of the processes since each was first asked for. JSON
        in one line."""
        return " ".join((f"raplsim ctl {_DIRECTORY} truth", *(f"--pid {pid}" for pid in pids)))
