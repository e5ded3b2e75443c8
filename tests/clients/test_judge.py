#!/usr/bin/python3
"""The rules of the client matrix, held against clients and counters made up here: each must be able to fail."""

import unittest

import client as client_module
from client import Client, Figure, Reading, Run
from judge import Phase, Truth, judge

ZONE = ("package-0",)
PHASES = [Phase("low", 10, 20), Phase("high", 20, 30)]
PERIOD_S = 2


def steady(low_w=30, high_w=60):
    """A counter with a change of power at 20 s."""
    joules, points = 1000.0, []
    for tenth in range(0, 400):
        points.append((tenth / 10, joules))
        joules += (low_w if tenth < 200 else high_w) / 10
    return points


def shown(watts_at, period_s=PERIOD_S, end_s=39):
    """What a client shows that makes this of each moment."""
    times = [10 + period_s * number for number in range(1, int((end_s - 10) / period_s) + 1)]
    return [Figure(ZONE, at_s, watts_at(at_s), period_s) for at_s in times]


def true_w(at_s):
    """The power that a client at 2 s sees; its intervals meet the change."""
    return 30 if at_s <= 20 else 60


class JudgeTest(unittest.TestCase):
    """One client, one zone."""

    def complaints(self, figures, points=None, late=()):
        """What the judge has to say."""
        return judge(figures, Truth({"package-0": points or steady()}), PHASES, late).complaints

    def test_true_figures_pass(self):
        self.assertEqual(self.complaints(shown(true_w)), [])

    def test_off_by_six_percent_fails(self):
        self.assertTrue(self.complaints(shown(lambda at_s: true_w(at_s) * 1.06)))
        self.assertTrue(self.complaints(shown(lambda at_s: true_w(at_s) * 0.94)))

    def test_constant_fails(self):
        self.assertTrue(self.complaints(shown(lambda _: 45)))

    def test_one_spike_fails(self):
        self.assertTrue(self.complaints(shown(lambda at_s: 261000 if at_s == 24 else true_w(at_s))))

    def test_one_moment_of_nothing_fails(self):
        points = steady()
        figures = [figure for figure in shown(true_w, period_s=5) if figure.at_s != 25] + [Figure(ZONE, 25, 0, 5)]
        self.assertTrue(self.complaints(sorted(figures, key=lambda figure: figure.at_s), points))

    def test_client_that_died_fails(self):
        self.assertTrue(self.complaints(shown(true_w, end_s=28)))

    def test_zone_that_there_is_not_fails(self):
        self.assertTrue(self.complaints(shown(true_w) + [Figure(("package-0-die-0",), 39, 30, 2)]))

    def test_client_that_shows_nothing_fails(self):
        self.assertTrue(self.complaints([]))

    def test_energy_that_came_at_once_may_be_shown(self):
        # Away from 24 to 28 s: the counter creeps, and then makes good.
        points = [(at_s, joules) if not 24 < at_s < 28 else (at_s, 1840.0) for at_s, joules in steady()]
        self.assertEqual(self.complaints(shown(lambda at_s: {26: 0, 28: 120}.get(at_s, true_w(at_s))), points), [])

    def test_energy_that_never_came_fails(self):
        self.assertTrue(self.complaints(shown(lambda at_s: 0 if at_s in (26, 28) else true_w(at_s))))

    def test_figure_of_a_guest_that_stood_still_is_let_pass(self):
        figures = shown(lambda at_s: {24: 85, 26: 35}.get(at_s, true_w(at_s)))
        self.assertTrue(self.complaints(figures[:7] + [Figure(ZONE, 26, 200, 2)] + figures[8:]))
        self.assertEqual(self.complaints(figures, late=[(22.5, 26.5, 1)]), [])

    def test_late_guest_is_granted_what_it_was_late(self):
        figures = shown(lambda at_s: true_w(at_s) * (1.06 if at_s <= 20 else 1))
        self.assertEqual(self.complaints(figures, late=[(9, 40, 0.04)]), [])
        self.assertTrue(self.complaints(figures, late=[(9, 40, 0.01)]))

    def test_guest_that_always_stands_still_tells_nothing(self):
        self.assertTrue(self.complaints(shown(true_w), late=[(9, 40, 1)]))


class ClientTest(unittest.TestCase):
    """What stamp writes, and what is made of it."""

    TEXT = "1000000000 @start\n1500000000 Zone 0\n2000000000 @end 3\n4000000000 @start\n5000000000 cannot read energy_uj\n60"

    def test_runs_are_told_apart(self):
        runs = client_module.runs(self.TEXT)
        self.assertEqual([(run.start_s, run.end_s, run.status) for run in runs], [(1, 2, 3), (4, None, None)])
        self.assertEqual(runs[0].lines, [(1.5, "Zone 0")])

    def test_errors_are_found_unless_harmless(self):
        runs = client_module.runs(self.TEXT)
        self.assertEqual(client_module.errors(self.client(), runs), ["cannot read energy_uj"])
        self.assertEqual(client_module.errors(self.client(harmless="cannot read"), runs), [])

    def test_counter_becomes_power(self):
        runs = [Run(0, [(at_s, str(at_s * 30)) for at_s in range(0, 10, 2)])]
        figures = client_module.figures(self.client(), runs)
        self.assertEqual([(figure.at_s, figure.watts, figure.span_s) for figure in figures], [(4, 30, 4), (6, 30, 4), (8, 30, 4)])

    @staticmethod
    def client(harmless=""):
        """One that prints joules."""

        def parse(runs):
            return (Reading("package-0", at_s, float(line)) for run in runs for at_s, line in run.lines)

        return Client(name="x", package="x", command="x", parse=parse, reads="", harmless=harmless)

    def test_each_of_the_matrix_reads_silence(self):
        for client in client_module.load().values():
            self.assertEqual(client_module.figures(client, [Run(0, [])]), [], client.name)


if __name__ == "__main__":
    unittest.main()
