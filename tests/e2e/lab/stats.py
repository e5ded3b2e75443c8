"""Sums over measured series. A series is a list of (time in s, value) with ascending times."""

import bisect
import math


def at(series, time_s):
    """The value at a time, interpolated between the neighbours; ValueError outside the series."""
    place = bisect.bisect_left(series, (time_s, -math.inf))
    if place == len(series) or (place == 0 and series[0][0] != time_s):
        raise ValueError(f"{time_s} lies outside {series[0][0]}..{series[-1][0]}")
    if series[place][0] == time_s:
        return series[place][1]
    (t0, v0), (t1, v1) = series[place - 1], series[place]
    return v0 + (v1 - v0) * (time_s - t0) / (t1 - t0)


def relative_error(measured, true):
    """How far off, as a share of the truth."""
    return abs(measured - true) / true


def rms_error(pairs):
    """Root mean square of (measured - true), as a share of the mean of the truth."""
    pairs = list(pairs)
    mean = sum(true for _, true in pairs) / len(pairs)
    return math.sqrt(sum((measured - true) ** 2 for measured, true in pairs) / len(pairs)) / mean


def line_through(points):
    """The least-squares line (offset, slope) through points (x, y)."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return mean_y - slope * mean_x, slope
