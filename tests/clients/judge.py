"""Holds what a client has shown against the truth. Pure: figures and series in, complaints out.

The truth is what the tree's own counter said (record.py); whether that is true in turn is held against the simulator by
the test. While the source or the meter is away the counter only creeps, a microjoule each millisecond, and what was
measured meanwhile is booked in one step when they are back: a client may show that step, for it is energy, but no more
than that. So three things are asked of it:

  * figure: in each phase, the middle one of its figures (as a share of the truth over the time each stands for) is within
    TOLERANCE. The middle one, for a client in a crowded emulated guest may come late to read, once.
  * energy: all its figures of one zone together, over the whole run and all that happened in it, are within TOLERANCE.
  * spike: no single figure is beyond TOLERANCE of anything that the counter did within JITTER_S of its time.
"""

import bisect
import dataclasses
import statistics

TOLERANCE = 0.05
JITTER_S = 0.5  # what a client's time of reading may differ from the time of its line
FIGURES_MIN = 4  # fewer would prove nothing


@dataclasses.dataclass(frozen=True)
class Phase:
    """Some time of the run, in s of the same clock as the figures."""

    name: str
    start_s: float
    end_s: float


@dataclasses.dataclass
class Verdict:
    """On one client: the largest errors of its figures and its energy, and what it must not have done."""

    figures: int
    figure_error: float
    energy_error: float
    complaints: list


class Truth:
    """The energy of zones at any instant, interpolated."""

    def __init__(self, series):
        self._times = {zone: [at for at, _ in points] for zone, points in series.items()}
        self._joules = {zone: [joules for _, joules in points] for zone, points in series.items()}

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


def judge(figures, truth, phases):
    """The verdict on one client."""
    figures = [
        figure for figure in figures
        if truth.covers(figure.at_s - figure.span_s - JITTER_S, figure.at_s + JITTER_S)
    ]
    verdict = Verdict(len(figures), 0.0, 0.0, [])
    if len(figures) < FIGURES_MIN:
        verdict.complaints.append(f"only {len(figures)} figures")
    for zones in sorted({figure.zones for figure in figures}):
        of_zones = [figure for figure in figures if figure.zones == zones]
        for figure in of_zones:
            _judge_spike(figure, truth, verdict)
        _judge_energy(of_zones, truth, verdict)
        for phase in phases:
            _judge_phase(phase, [
                figure for figure in of_zones if phase.start_s <= figure.at_s - figure.span_s and figure.at_s <= phase.end_s
            ], truth, verdict)
    return verdict


def _true_j(figure, truth):
    return truth.between(figure.zones, figure.at_s - figure.span_s, figure.at_s)


def _name(figure):
    return " + ".join(figure.zones)


def _judge_spike(figure, truth, verdict):
    start_s, end_s = figure.at_s - figure.span_s, figure.at_s
    shown_j = figure.watts * figure.span_s
    most_j = truth.between(figure.zones, start_s - JITTER_S, end_s + JITTER_S)
    least_j = truth.between(figure.zones, start_s + JITTER_S, max(end_s - JITTER_S, start_s + JITTER_S))
    if not least_j * (1 - TOLERANCE) <= shown_j <= most_j * (1 + TOLERANCE):
        verdict.complaints.append(
            f"{_name(figure)} at {figure.at_s:.1f} s: {figure.watts:.1f} W, true are {least_j / figure.span_s:.1f} to "
            f"{most_j / figure.span_s:.1f} W"
        )


def _judge_energy(figures, truth, verdict):
    shown_j = sum(figure.watts * figure.span_s for figure in figures)
    true_j = sum(_true_j(figure, truth) for figure in figures)
    error = abs(shown_j - true_j) / true_j
    verdict.energy_error = max(verdict.energy_error, error)
    if error > TOLERANCE:
        verdict.complaints.append(f"{_name(figures[0])}: {shown_j:.0f} J in all, true are {true_j:.0f} J")


def _judge_phase(phase, figures, truth, verdict):
    if not figures:
        return
    middle = statistics.median(figure.watts * figure.span_s / _true_j(figure, truth) for figure in figures)
    verdict.figure_error = max(verdict.figure_error, abs(middle - 1))
    if abs(middle - 1) > TOLERANCE:
        verdict.complaints.append(
            f"{phase.name}: {_name(figures[0])}: {', '.join(f'{figure.watts:.1f}' for figure in figures)} W: "
            f"{middle:.2f} of the truth"
        )
