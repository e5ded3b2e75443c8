"""What the agent costs on a machine with few and with very many living processes: its CPU time, how often it looks at all of
them, and its memory. One of the processes works, so that their control group has to be looked at each time."""

import errno
import json
import os
import re
import time

from lab.process import wait_for
from lab.wattport import page

PROCESSES = (100, 5000)
WORK_PERCENT = "5"
SETTLE_S = 15
WINDOW_S = 30
# Hierarchies that tell CPU time: of version 1, by its two names, and of version 2.
HIERARCHIES = ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup")


class AgentCost:
    """The agent of a build on the simulated host, with this machine's control groups. `cpu_ns` and `memory_kib` ask after a
    process."""

    def __init__(self, laboratory, sysroot, cpu_ns, memory_kib):
        self._lab = laboratory
        self._cpu_ns = cpu_ns
        self._memory_kib = memory_kib
        self._root = laboratory.path("bare")
        hierarchy = next(path for path in HIERARCHIES if os.path.exists(f"{path}/cgroup.procs"))
        for path, source in (("/proc", "/proc"), ("/sys/class/powercap", f"{sysroot}/sys/class/powercap"),
                             ("/sys/devices", f"{sysroot}/sys/devices"), (hierarchy, hierarchy)):
            laboratory.mount(f"{self._root}{path}", "--bind", source)
        self._group = f"{hierarchy}/wattport-bench-{time.time_ns()}.service"
        os.mkdir(self._group)
        laboratory.callback(wait_for, "the control group to be empty", self._remove_group, 60)

    def _remove_group(self):
        """The last processes may still be on their way out."""
        try:
            os.rmdir(self._group)
            return True
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False

    def _start(self, name, *command):
        """A process in the control group."""
        return self._lab.process(name, ["/bin/sh", "-c", f'echo $$ >{self._group}/cgroup.procs && exec "$0" "$@"', *command])

    def _measure(self, count):
        """Nanoseconds of CPU time a second, nanoseconds between two looks, KiB."""
        crowd = self._start(f"crowd-{count}", self._lab.program("tests/agent/crowd"), "living", str(count), "0", "0")
        crowd.wait_until("all are there", lambda: "live" in crowd.log(), 120)
        work = self._start(f"work-{count}", self._lab.program("tests/e2e/guest_probe"), "spin", "0", WORK_PERCENT)
        agent = self._lab.process(f"agent-{count}", [
            self._lab.program("guest/wattport-agent"), "--sysroot", self._root, "--source", "powercap",
            "--http.listen", "127.0.0.1:0",
        ])
        agent.wait_until("it listens", lambda: "listening on port" in agent.log(), 60)
        port = re.search(r"listening on port (\d+)", agent.log()).group(1)
        time.sleep(SETTLE_S)
        begun_s, before_ns = time.monotonic(), self._cpu_ns(agent.pid)
        time.sleep(WINDOW_S)
        per_second_ns = (self._cpu_ns(agent.pid) - before_ns) / (time.monotonic() - begun_s)
        period_ns = json.loads(page(f"http://127.0.0.1:{port}/api/v1/accounts"))["process_period_ns"]
        memory_kib = self._memory_kib(agent.pid)[0]
        for process in (agent, work, crowd):
            process.kill()
        return per_second_ns, period_ns, memory_kib

    def rows(self):
        """(processes, of one CPU, the same as a ratio to the first, time between two looks, memory)."""
        first_ns = None
        for count in PROCESSES:
            per_second_ns, period_ns, memory_kib = self._measure(count)
            first_ns = first_ns or per_second_ns
            yield (f"{count}", f"{per_second_ns / 1e9:.3%}", f"{per_second_ns / first_ns:.1f}", f"{period_ns / 1e9:.0f} s",
                   f"{memory_kib / 1024:.1f} MiB")
