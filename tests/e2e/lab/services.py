"""What systemd, container engines and batch systems make of a guest: groups of processes by name, in cgroups that are made by
hand, for the laboratory's guest has none of these."""

CGROUPS = "/sys/fs/cgroup"
CONTAINER = "0123456789abcdef" * 4
POD = "8a1d3c5e-0f27-4b6a-9c1d-2e3f40516273"

# Each kind of group that the agent knows, and how much of a CPU its process takes, in percent.
GROUPS = {
    "system.slice/web.service": 20,
    "system.slice/db.service": 10,
    f"system.slice/docker-{CONTAINER}.scope": 5,
    f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice"
    f"/cri-containerd-{CONTAINER[::-1]}.scope": 5,
    "system.slice/slurmstepd.scope/job_4711/step_0/user/task_0": 5,
    "oar.slice/oar-u1000.slice/oar-u1000-j42.slice": 5,
}


def mount(guest):
    """Mounts the guest's cgroup v2, as systemd does at boot."""
    guest.check(f"mount -t cgroup2 cgroup2 {CGROUPS}")


def start(guest, cgroup, command):
    """Starts a command as a service is started, in a cgroup of its own; returns its pid."""
    guest.check(f"mkdir -p {CGROUPS}/{cgroup}")
    return guest.spawn(f"sh -c 'echo $$ >{CGROUPS}/{cgroup}/cgroup.procs && exec {command}'")


def start_all(guest, cpu=0):
    """Something of each kind, on one vCPU; returns the pids. The cgroups are mounted."""
    return [start(guest, cgroup, f"guest_probe spin {cpu} {percent}") for cgroup, percent in GROUPS.items()]
