"""What it costs to measure a command, and what two readings say of it: `wattport-agent exec` on the simulated host."""

import json
import os
import subprocess
import tempfile

SECONDS = "5"
PERIODS = (None, "10ms", "100ms", "1ms")
REFRESHED_MS = 1


class ExecCost:
    """The agent of a build, and a simulated host that is up."""

    def __init__(self, agent, sysroot):
        self._agent = agent
        self._sysroot = sysroot

    def _measure(self, period):
        with tempfile.TemporaryDirectory() as directory:
            report = os.path.join(directory, "report")
            options = ["--period", period] if period else []
            subprocess.run([self._agent, "exec", "--sysroot", self._sysroot, "--source", "powercap", "--json", "-o", report,
                            *options, "--", "sleep", SECONDS], check=True)
            with open(report, encoding="utf-8") as file:
                return json.load(file)

    def rows(self):
        """(period, readings a second, cost of one, of one CPU, what a single pair of readings may be off)."""
        for period in PERIODS:
            told = self._measure(period)
            readings = told["elapsed_ns"] / told["period_ns"]
            yield (period or "the default", f"{1e9 / told['period_ns']:.1f}", f"{told['own_cpu_ns'] / readings / 1000:.0f} µs",
                   f"{told['own_cpu_ns'] / told['elapsed_ns']:.3%}",
                   f"{REFRESHED_MS * 1e6 / told['period_ns']:.1%}")
