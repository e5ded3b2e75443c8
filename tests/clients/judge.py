"""Holds what a client has shown against the truth. Pure: figures and series in, complaints out.

The truth is what the tree's own counter said (record.py); whether that is true in turn is held against the simulator by
the test. While the source or the meter is away the counter only creeps, a microjoule each millisecond, and what was
measured meanwhile is booked in one step when they are back: a client may show that step, for it is energy, but no more
than that. So three things are asked of it:

  * figure: in each phase, its figures are within TOLERANCE, by their mean or by the middle one. A reading that came late
    moves the mean of a few, readings that are early and late by turns move the middle; who is wrong is off in both.
  * energy: all its figures of one zone together, over the whole run and all that happened in it, are within TOLERANCE.
  * spike: no single figure is beyond TOLERANCE of anything that the counter did within JITTER_S of its time.

An emulated guest on a busy machine is late at times, and a client that divides by the time that should have passed is
wrong then, whatever it reads. A probe in the guest knows how late it was, and that much is granted: figures from a time
in which it was late by more than STALL_SHARE count for the energy alone, and others may be off by that share.
On a quiet machine it is some milliseconds.
"""

import bisect
import dataclasses
import statistics

TOLERANCE = 0.05
JITTER_S = 1.0  # what a client's time of reading may differ from the time of its line
ROUNDING_J = 1  # some show whole joules
TOO_BUSY = "this machine is too busy to tell"
NOTHING_J = 1e-6  # the least step of a counter
SILENCE_S = 8  # beyond its own interval
FIGURES_MIN = 4  # fewer would prove nothing
PHASES_SHARE = 0.5  # of the phases since its first figure it must have been in time to be judged
PHASE_FIGURES_MIN = 2
LONG_S = 10  # of those that show one in so long a time, one is enough
STALL_SHARE = 0.1  # of a figure's time


@dataclasses.dataclass(frozen=True)
class Phase:
    """Some time of the run, in s of the same clock as the figures."""

    name: str
    start_s: float
    end_s: float


@dataclasses.dataclass
class Verdict:
    """On one client: what it may be off, the largest errors of its figures and its energy, and what it must not have done."""

    tolerance: float
    figures: int = 0
    figure_error: float = 0.0
    energy_error: float = 0.0
    phases: set = dataclasses.field(default_factory=set)  # in which it was judged
    complaints: list = dataclasses.field(default_factory=list)


class Truth:
    """The energy of zones at any instant, interpolated."""

    def __init__(self, series):
        self._times = {zone: [at for at, _ in points] for zone, points in series.items()}
        self._joules = {zone: [joules for _, joules in points] for zone, points in series.items()}

    def knows(self, zones):
        """Whether there are these zones."""
        return all(zone in self._times for zone in zones)

    @property
    def end_s(self):
        """When the record ends."""
        return min(times[-1] for times in self._times.values())

    def covers(self, start_s, end_s):
        """Whether it was recorded all that time."""
        return all(times[0] <= start_s and end_s <= times[-1] for times in self._times.values())

    def between(self, zones, start_s, end_s):
        """J of these zones together."""
        return sum(self._at(zone, end_s) - self._at(zone, start_s) for zone in zones)

    def _at(self, zone, at_s):
        times, joules = self._times[zone], self._joules[zone]
        place = min(max(bisect.bisect_left(times, at_s), 1), len(times) - 1)
        share = (at_s - times[place - 1]) / (times[place] - times[place - 1])
        return joules[place - 1] + min(max(share, 0), 1) * (joules[place] - joules[place - 1])


def judge(figures, truth, phases, late=(), tolerance=TOLERANCE):
    """The verdict on one client. late: [(start in s, end in s, how much of that in s the guest was late)]."""
    start_s = phases[0].start_s
    strange = sorted({_name(figure) for figure in figures if not truth.knows(figure.zones)})
    figures = [
        figure for figure in figures
        if truth.knows(figure.zones) and figure.at_s - figure.span_s >= start_s and truth.covers(figure.at_s - figure.span_s - JITTER_S, figure.at_s + JITTER_S)
    ]
    verdict = Verdict(tolerance, len(figures), complaints=[f"shows {name}, which there is not" for name in strange])
    if len(figures) < FIGURES_MIN:
        verdict.complaints.append(f"only {len(figures)} figures")
    elif truth.end_s - figures[-1].at_s > figures[-1].span_s + SILENCE_S:
        verdict.complaints.append(f"nothing in the last {truth.end_s - figures[-1].at_s:.1f} s")
    for zones in sorted({figure.zones for figure in figures}):
        of_zones = [figure for figure in figures if figure.zones == zones]
        _judge_energy(of_zones, truth, verdict)
        timely = [figure for figure in of_zones if _lateness_s(figure, late) < STALL_SHARE * figure.span_s]
        for figure in timely:
            _judge_spike(figure, truth, verdict)
        for name, group in _groups(timely, phases):
            granted = max(_lateness_s(figure, late) / figure.span_s for figure in group)
            _judge_figures(name, group, truth, verdict, granted)
    seen = [phase for phase in phases if figures and phase.end_s > figures[0].at_s and figures[0].span_s < LONG_S]
    if len(verdict.phases) < max(PHASES_SHARE * len(seen), 1):
        verdict.complaints.append(f"timely only in {len(verdict.phases)} phases: {TOO_BUSY}")
    return verdict


def _lateness_s(figure, late):
    start_s, end_s = figure.at_s - figure.span_s - JITTER_S, figure.at_s
    return max((late_s for late_start_s, late_end_s, late_s in late if late_start_s < end_s and start_s < late_end_s), default=0)


def _groups(figures, phases):
    """The figures that count together, and a name for them."""
    for phase in phases:
        group = [figure for figure in figures if phase.start_s <= figure.at_s - figure.span_s and figure.at_s <= phase.end_s]
        if len(group) >= PHASE_FIGURES_MIN or (group and group[0].span_s >= LONG_S):
            yield phase.name, group


def _true_j(figure, truth):
    return max(truth.between(figure.zones, figure.at_s - figure.span_s, figure.at_s), NOTHING_J)


def _name(figure):
    return " + ".join(figure.zones)


def _judge_spike(figure, truth, verdict):
    start_s, end_s = figure.at_s - figure.span_s, figure.at_s
    most_j = truth.between(figure.zones, start_s - JITTER_S, end_s + JITTER_S)
    least_j = truth.between(figure.zones, start_s + JITTER_S, max(end_s - JITTER_S, start_s + JITTER_S))
    if not least_j * (1 - verdict.tolerance) - ROUNDING_J <= figure.joules <= most_j * (1 + verdict.tolerance) + ROUNDING_J:
        verdict.complaints.append(
            f"{_name(figure)} at {figure.at_s:.1f} s: {figure.watts:.1f} W, true are {least_j / figure.span_s:.1f} to "
            f"{most_j / figure.span_s:.1f} W"
        )


def _judge_energy(figures, truth, verdict):
    shown_j = sum(figure.joules for figure in figures)
    true_j = sum(_true_j(figure, truth) for figure in figures)
    error = abs(shown_j - true_j) / true_j
    verdict.energy_error = max(verdict.energy_error, error)
    if error > verdict.tolerance:
        verdict.complaints.append(f"{_name(figures[0])}: {shown_j:.0f} J in all, true are {true_j:.0f} J")


def _judge_figures(name, figures, truth, verdict, granted):
    verdict.phases.add(name)
    true_j = [_true_j(figure, truth) for figure in figures]
    mean = sum(figure.joules for figure in figures) / sum(true_j)
    middle = statistics.median(figure.joules / true for figure, true in zip(figures, true_j))
    share = min(mean, middle, key=lambda share: abs(share - 1))
    verdict.figure_error = max(verdict.figure_error, abs(share - 1))
    if abs(share - 1) > verdict.tolerance + granted:
        verdict.complaints.append(
            f"{name}: {_name(figures[0])}: {', '.join(f'{figure.watts:.1f}' for figure in figures)} W: {share:.2f} of the truth"
        )
