"""What a client of the matrix is: where it comes from, how it is called, and what its output says.

Each file of matrix/ describes one, as CLIENT. stamp.c has put the time of the guest's CLOCK_MONOTONIC before each line.
"""

import collections.abc
import dataclasses
import importlib
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = "matrix"
STRIDE = 2  # a reading of a counter is compared with the one before the last: when exactly it was read counts for less

# Where a client prints this beside a word for RAPL, it has met an error.
_ERROR = re.compile(r"error|fail|cannot|could ?n.?t|denied|panic|unable|no such|not found|not exist|invalid", re.IGNORECASE)
_RAPL = re.compile(r"rapl|powercap|energy|zone|sensor|domain", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Figure:
    """The mean power of some zones ("package-0", "dram-1"), as a client shows it at some instant: that of the last span_s,
    which without more is the time since its last figure of them. own_s is what it divides by if that is not the same."""

    zones: tuple
    at_s: float
    watts: float
    span_s: float = None
    own_s: float = None

    @property
    def joules(self):
        """The energy that it stands for."""
        return self.watts * (self.own_s or self.span_s)


@dataclasses.dataclass(frozen=True)
class Reading:
    """A zone's counter at some instant, as a client shows it."""

    zone: str
    at_s: float
    joules: float


@dataclasses.dataclass
class Run:
    """One run of the client's program: its lines as (time in s, text). Without an end it runs still."""

    start_s: float
    lines: list
    end_s: float = None
    status: int = None


@dataclasses.dataclass(frozen=True)
class Client:
    """One client. Everything but its parser is plain text."""

    name: str
    package: str
    command: str
    parse: collections.abc.Callable  # a list of Run -> Figures or Readings
    reads: str  # what of the tree it uses, for the documentation
    every_s: int = 0  # it prints once and ends: this often it is run; 0: it goes on by itself
    server: str = ""  # what the command asks
    outside: bool = False  # the command is the guest's own, and not the package's
    user: int = 0
    environment: str = ""  # "NAME=VALUE"
    files: dict = dataclasses.field(default_factory=dict)  # what it needs, by path
    fifo: str = ""  # it writes there what counts
    harmless: str = ""  # an expression for lines that look like an error and are none
    busy: bool = False  # it keeps a CPU busy


def load():
    """All clients, by name."""
    names = sorted(name[:-3] for name in os.listdir(os.path.join(HERE, FOLDER)) if name.endswith(".py"))
    clients = [importlib.import_module(f"{FOLDER}.{name}").CLIENT for name in names]
    return {client.name: client for client in clients}


def runs(text):
    """What stamp has written, as a list of Run. A last line that was cut off is dropped."""
    found = []
    for line in text[: text.rfind("\n") + 1].splitlines():
        stamp, _, rest = line.partition(" ")
        at_s = int(stamp) / 1e9
        if rest == "@start":
            found.append(Run(at_s, []))
        elif rest.startswith("@end "):
            found[-1].end_s, found[-1].status = at_s, int(rest.split()[1])
        else:
            found[-1].lines.append((at_s, rest))
    return found


def errors(client, client_runs):
    """The lines in which it complains of RAPL."""
    return [
        line for run in client_runs for _, line in run.lines
        if _ERROR.search(line) and _RAPL.search(line) and not (client.harmless and re.search(client.harmless, line))
    ]


def figures(client, client_runs):
    """Its figures in order of time, all with their span. Those of a counter are the differences between its readings;
    the first figure of a run that does not say its span is dropped, for nobody knows what it is the power of."""
    found = []
    last = {}
    for item in client.parse(client_runs):
        if isinstance(item, Reading):
            readings = last.setdefault(item.zone, [])
            readings.append(item)
            if len(readings) > STRIDE:
                before = readings.pop(0)
                span_s = item.at_s - before.at_s
                found.append(Figure((item.zone,), item.at_s, (item.joules - before.joules) / span_s, span_s))
        else:
            before, last[item.zones] = last.get(item.zones), item
            if item.span_s is None and before is not None:
                item = dataclasses.replace(item, span_s=item.at_s - before.at_s)
            if item.span_s is not None:
                found.append(item)
    return sorted(found, key=lambda figure: figure.at_s)
