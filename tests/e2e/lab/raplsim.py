"""The simulated host that stands for RAPL hardware: tests/raplsim, whose joules come from the CPU time that this
machine really spends, and which knows the truth."""

import dataclasses
import json
import os
import subprocess

from .process import PATIENCE, LabError

MICRO = 1e6


@dataclasses.dataclass(frozen=True)
class Power:
    """What the simulated host draws, per package; the tests reckon with the same figures."""

    idle_w: float = 20
    busy_w: float = 15  # of each busy CPU, on top


class RaplSim:
    """A running simulator; .sysroot is what wattportd gets as --sysroot."""

    def __init__(self, laboratory, *options, power=Power(), name="raplsim"):
        self.power = power
        self.sysroot = laboratory.path(name)
        self._program = laboratory.program("tests/raplsim/raplsim")
        self._process = laboratory.process(name, [
            self._program, "run", self.sysroot, "--foreground", f"--idle-watts={power.idle_w}",
            f"--busy-watts={power.busy_w}", *options,
        ])
        self._process.wait_until("its tree is mounted", lambda: os.path.isdir(f"{self.sysroot}/sys/class/powercap"))

    def ctl(self, *words):
        """Tells or asks the simulator, and returns its answer; LabError if it refuses."""
        done = subprocess.run([self._program, "ctl", self.sysroot, *words], capture_output=True, text=True, timeout=30 * PATIENCE)
        if done.returncode != 0:
            raise LabError(f"raplsim ctl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def truth(self, *pids):
        """The true joules now: of the zones, and of the processes since each was first asked for."""
        words = [word for pid in pids for word in ("--pid", str(pid))]
        return json.loads(self.ctl("truth", *words))

    def stop(self):
        """Stops it, and takes its tree away."""
        self._process.stop()
