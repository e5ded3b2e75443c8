#!/usr/bin/python3
"""The generator's truth adds up to its counters and is the value that it is said to be; the same seed gives the same
bytes; and what `wattport replay` makes of a trace loses nothing."""

import argparse
import gzip
import importlib.machinery
import importlib.util
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)

# pylint: disable=wrong-import-position
from host import Host  # noqa: E402
from machine import Machine  # noqa: E402
from population import Population  # noqa: E402

KINDS = ("smt", "dvfs", "packed", "sleepy")
SECONDS = 60


def program(name):
    """A script without a suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(FOLDER, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


judge = program("judge")


def write_traces(folder, *arguments):
    """Short traces of some kinds."""
    command = [sys.executable, "-B", os.path.join(FOLDER, "generate"), folder, f"--seconds={SECONDS}", "--change=30"]
    command += [f"--class={kind}" for kind in KINDS] + list(arguments)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def lines_of(path):
    """A trace, parsed."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        return [json.loads(line) for line in file]


def counted_j(head, samples, zone):
    """What a zone's counter counted from the first sample to the last, and how often it wrapped."""
    limit = next(entry["range_uj"] for entry in head["zones"] if entry["id"] == zone)
    total = wraps = 0
    for before, after in zip(samples, samples[1:]):
        step = after["raw_uj"][zone] - before["raw_uj"][zone]
        if step < 0:
            wraps += 1
            step += limit
        total += step
    return total / 1e6, wraps


class Traces(unittest.TestCase):
    """What is written to disk."""

    wattport = None

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.folder = cls.holder.name
        write_traces(cls.folder, "--seeds=1-2")
        cls.stems = sorted(
            os.path.join(cls.folder, name.removesuffix(".truth.json"))
            for name in os.listdir(cls.folder)
            if name.endswith(".truth.json")
        )

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def truth(self, stem):
        """The truth of a host."""
        with open(stem + ".truth.json", encoding="ascii") as file:
            return json.load(file)

    def test_truth_adds_up_to_what_is_drawn(self):
        self.assertEqual(len(self.stems), 2 * len(KINDS))
        for stem in self.stems:
            for snapshot in self.truth(stem)["snapshots"][1:]:
                for zone, entry in snapshot["zones"].items():
                    parts = sum(sum(entry[part + "_j"]) for part in ("active", "overhead", "idle"))
                    parts += entry["host_j"] + entry["host_idle_j"]
                    self.assertGreater(entry["energy_j"], 1)
                    self.assertAlmostEqual(parts / entry["energy_j"], 1, 9, f"{stem} {zone}")
                    idle = sum(entry["idle_j"]) + entry["host_idle_j"]
                    self.assertAlmostEqual(idle / entry["static_j"], 1, 9, f"{stem} {zone}")

    def test_counters_show_what_is_drawn(self):
        wraps = 0
        for stem in self.stems:
            head, *samples = lines_of(stem + ".trace.gz")
            self.assertEqual(len(samples), SECONDS + 1)
            for zone, entry in self.truth(stem)["snapshots"][-1]["zones"].items():
                shown_j, wrapped = counted_j(head, samples, zone)
                wraps += wrapped
                # A millisecond that the counter has not shown yet, at 1 kW; a unit, at the end and at each wrap.
                self.assertAlmostEqual(shown_j, entry["energy_j"], delta=1.01 + 1e-4 * wrapped, msg=f"{stem} {zone}")
        self.assertGreater(wraps, 0)

    def test_same_seed_gives_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as again:
            write_traces(again, "--seeds=2")
            for name in os.listdir(again):
                with open(os.path.join(again, name), "rb") as mine, open(os.path.join(self.folder, name), "rb") as other:
                    self.assertEqual(mine.read(), other.read(), name)
        self.assertNotEqual(self.truth(self.stems[0])["machine"], self.truth(self.stems[1])["machine"])

    def test_the_same_host_without_events(self):
        with tempfile.TemporaryDirectory() as without:
            write_traces(without, "--seeds=2", "--events=no")
            for kind in KINDS:
                stem = os.path.join(self.folder, f"{kind}-2")
                stripped = judge.plain(stem + ".trace.gz", without)
                with open(stripped, "rb") as mine:
                    with gzip.open(os.path.join(without, f"{kind}-2.trace.gz"), "rb") as other:
                        text = mine.read()
                        self.assertEqual(text, other.read())
                self.assertNotIn(b"cycles", text)

    def test_replay_loses_nothing(self):
        for stem in self.stems:
            head, *samples = lines_of(stem + ".trace.gz")
            lines = judge.replay(self.wattport, stem + ".trace.gz", [])
            last = json.loads(lines[-1])
            self.assertEqual(len(lines), len(samples))
            self.assertEqual(last["conservation_error_uj"], 0)
            for zone, entry in last["zones"].items():
                parts = last["host_other_uj"][zone] + last["idle_uj"][zone]
                for vm in last["vms"].values():
                    parts += sum(vm[zone][part + "_uj"] for part in ("active", "idle", "overhead"))
                self.assertEqual(parts, entry["energy_uj"])
                shown_j, wrapped = counted_j(head, samples, zone)
                self.assertAlmostEqual(entry["energy_uj"] / 1e6, shown_j, delta=1e-6 + 1e-4 * wrapped)

    def test_judge_finds_no_error_in_the_truth(self):
        for stem in self.stems:
            truth = self.truth(stem)
            result = judge.compare(truth, [line_of(truth, snapshot) for snapshot in truth["snapshots"]], 30)
            for figure in ("total", "dynamic", "static", "static_dram"):
                self.assertAlmostEqual(result[figure], 0, 5, f"{stem} {figure}")
            doubled = [line_of(truth, snapshot, 2) for snapshot in truth["snapshots"]]
            result = judge.compare(truth, doubled, 30)
            for figure in ("total", "total_bias", "dynamic", "static"):
                self.assertAlmostEqual(result[figure], 1, 5, f"{stem} {figure}")


def line_of(truth, snapshot, factor=1):
    """The truth as replay would print it, times a factor."""
    micro = 1e6 * factor
    vms = {}
    for number, guest in enumerate(truth["guests"]):
        vms[guest["uuid"]] = {
            zone: {part + "_uj": entry[part + "_j"][number] * micro for part in ("active", "overhead", "idle")}
            for zone, entry in snapshot["zones"].items()
        }
    line = {"t_ns": snapshot["t_ns"], "vms": vms, "conservation_error_uj": 0}
    line["idle_uj"] = {zone: entry["host_idle_j"] * micro for zone, entry in snapshot["zones"].items()}
    return json.dumps(line, separators=(",", ":")).encode("ascii")


class Values(unittest.TestCase):
    """The closed formulas against the definition of the Shapley value."""

    def setUp(self):
        rng = random.Random(4)
        self.machine = Machine(rng, "smt")
        self.machine.wake_w = 7.0
        self.host = Host(rng, self.machine, Population(rng, self.machine, "smt", 60, 30))

    def core_j(self, players):
        """What a core draws in a second in which some of two threads run, and what each is due."""
        host = self.host
        due = host.due_package_j[0] = [0.0] * host.accounts
        threads = [host.guests[0].threads[0], host.guests[1].threads[0]]
        host._set(threads[1], 0.9, 1.6, 0.5, 3.0, 1.0)
        threads[0].pressure = 1.2
        queues = [[(threads[side], 1.0)] if side in players else [] for side in (0, 1)]
        return host._core(0, queues, 1.0, [], 0), [due[threads[side].account] for side in (0, 1)]

    def test_two_threads_on_a_core(self):
        (both, due), (first, _), (second, _) = (self.core_j(players) for players in ((0, 1), (0,), (1,)))
        miss_nj, self.machine.miss_nj = self.machine.miss_nj, 0.0
        (both_core, _), (first_core, _), (second_core, _) = (self.core_j(players) for players in ((0, 1), (0,), (1,)))
        self.machine.miss_nj = miss_nj
        self.assertLess(both_core, first_core + second_core)
        self.assertAlmostEqual(sum(due), both, 9)
        # Lines from memory are each thread's own, beside the game.
        alone = first - first_core, second - second_core
        slow = [1 - (1 - 0.68) * 1.0, 1 - (1 - 0.5) * 1.2]
        value = (first_core + both_core - second_core) / 2 + alone[0] * slow[0]
        self.assertAlmostEqual(due[0], value, 9)
        value = (second_core + both_core - first_core) / 2 + alone[1] * slow[1]
        self.assertAlmostEqual(due[1], value, 9)

    def test_waking_a_package(self):
        parts = (0.2, 0.5, 1.0, 0.7)
        due = [0.0] * len(parts)
        self.host._wake(due, [(player, part, 0, 0) for player, part in enumerate(parts)], 1.0)
        for player, part in enumerate(parts):
            others = parts[:player] + parts[player + 1 :]
            value = 0.0
            for states in itertools.product((0, 1), repeat=len(others)):
                chance = part
                for state, other in zip(states, others):
                    chance *= other if state else 1 - other
                value += chance * self.machine.wake_w / (1 + sum(states))
            self.assertAlmostEqual(due[player], value, 9)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wattport", required=True)
    options, rest = parser.parse_known_args()
    Traces.wattport = options.wattport
    unittest.main(argv=[sys.argv[0], *rest])
