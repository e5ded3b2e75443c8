"""What the tree's counters said, at a high rate, read on the host beside the clients: the truth they are held against."""

from lab.recorder import Recorder

ZONES = {"package-0": "intel-rapl:0", "package-1": "intel-rapl:1", "dram-0": "intel-rapl:0/intel-rapl:0:0",
         "dram-1": "intel-rapl:1/intel-rapl:1:0"}


class TreeRecorder(Recorder):
    """Joules by zone. A counter that goes back is a failure."""

    def __init__(self, tree):
        super().__init__(ZONES)
        self._tree = tree

    def read(self, name):
        with open(f"{self._tree}/devices/virtual/powercap/intel-rapl/{ZONES[name]}/energy_uj", encoding="utf-8") as file:
            joules = int(file.read()) / 1e6
        if self.series[name] and joules < self.series[name][-1][1]:
            raise ValueError(f"{name} went back from {self.series[name][-1][1]} J to {joules} J")
        return joules
