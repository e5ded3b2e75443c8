#!/usr/bin/python3
"""The client matrix: unmodified programs from Debian's packages read the tree in a real guest (trial.py), over 9p and over
virtiofs, and every figure is held against the truth (judge.py).

What came of it is written to the build directory, clients/TRANSPORT.json, from which docs/clients.md is made.
"""

import dataclasses
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "e2e")]

# pylint: disable=wrong-import-position
import client as client_module  # noqa: E402
import trixie  # noqa: E402
from lab import stats  # noqa: E402
from lab.runner import run  # noqa: E402
from results import root, write  # noqa: E402
from trial import SHARES, Trial  # noqa: E402

# What other work on this machine does to the timing of one run, it does not do to the same client in the next. An error
# of Wattport's own is there each time.
TRIALS = 3


class Matrix:
    """One transport: the subclasses say which."""

    transport = None

    @classmethod
    def setUpClass(cls):
        clients = client_module.load()
        cls.verdicts = {}
        for _ in range(TRIALS):
            left = [client for name, client in clients.items() if name not in cls.verdicts or cls.verdicts[name].complaints]
            if not left:
                break
            # All run again, for each is to be among all.
            cls.trial = Trial(cls.transport, root(), clients.values())
            cls.verdicts.update({client.name: cls.trial.verdicts[client.name] for client in left})
        write(cls.transport, {
            name: {**dataclasses.asdict(verdict), "phases": sorted(verdict.phases)} for name, verdict in cls.verdicts.items()
        })

    def test_every_client_shows_the_truth(self):
        for name, verdict in self.verdicts.items():
            print(f"{self.transport}: {name}: {verdict.figures} figures in {len(verdict.phases)} phases, off by "
                  f"{verdict.figure_error:.2%}, in all by {verdict.energy_error:.2%}")
            with self.subTest(name):
                self.assertEqual(verdict.complaints, [])

    def test_tree_is_what_the_simulator_spent(self):
        for first, last, tolerance in (("low", "low", 0.02), ("high", "high", 0.02), ("low", "high", 0.02)):
            with self.subTest(f"{first} to {last}"):
                shown_j, host_j = self.trial.spent(first, last)
                for zone, share in SHARES.items():
                    self.assertLess(stats.relative_error(shown_j[zone], share * host_j["true"]), tolerance)

    def test_tree_never_runs_ahead_and_makes_good_what_it_held_back(self):
        # Alone on the host, the guest has to carry all static energy and cannot carry more than all.
        shown_j, host_j = self.trial.spent("low", "after failures")
        shown_j = sum(shown_j.values())
        print(f"{self.transport}: {shown_j:.0f} J shown, of {host_j['true']:.0f} J, {host_j['idle']:.0f} J static")
        self.assertLess(shown_j, host_j["true"] * 1.01)
        self.assertGreater(shown_j, host_j["idle"] * 0.95)


class Over9pTest(Matrix, unittest.TestCase):
    """The tree comes over 9p."""

    transport = "9p"


class OverVirtiofsTest(Matrix, unittest.TestCase):
    """The tree comes over virtiofs."""

    transport = "virtiofs"


if __name__ == "__main__":
    try:
        root()  # Here, for the private machine has no network.
    except (trixie.ArchiveError, PermissionError) as error:
        print(f"skipped: the clients cannot be fetched: {error}")
        sys.exit(77)
    sys.exit(run(("generic",)))
