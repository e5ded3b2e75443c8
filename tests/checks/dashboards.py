#!/usr/bin/python3
"""Grafana's dashboards are what packaging/grafana/make-dashboards writes, and each panel can be understood and trusted.

Whether their queries have answers is for tests/e2e; here promtool reads them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import sources

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

# pylint: disable=wrong-import-position
from lab import dashboards  # noqa: E402

MAKER = f"{dashboards.FOLDER}/make-dashboards"
CORE = {"timeseries", "stat", "bargauge", "piechart", "table", "state-timeline", "row"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRID_WIDTH = 24
DESCRIPTION_MIN = 20
RULES = ("packaging/prometheus/wattport.alerts.yml", "packaging/prometheus/wattport.recording.yml")
DOCUMENT = "docs/metrics.md"

_METRIC = re.compile(r"(?<![\w:])wattport_\w+(?!:)")


def _check_made(root):
    """Files that are not what the maker writes."""
    with tempfile.TemporaryDirectory(prefix="wattport-dashboards-") as scratch:
        done = subprocess.run([sys.executable, "-B", os.path.join(root, MAKER), scratch], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return [f"{MAKER}: {done.stderr.strip()}"]
        return [
            f"{dashboards.FOLDER}/{name}.json: is not what {MAKER} writes: run it"
            for name in dashboards.NAMES
            if not os.path.exists(os.path.join(root, dashboards.FOLDER, f"{name}.json"))
            or sources.read(root, f"{dashboards.FOLDER}/{name}.json") != sources.read(scratch, f"{name}.json")
        ]


def _cells(panel):
    place = panel["gridPos"]
    return {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}


def _check_places(model):
    """Panels that lie over each other or beyond the edge, and what is there twice."""
    taken, ids, titles = set(), set(), set()
    for panel in model["panels"]:
        cells = _cells(panel)
        if cells & taken or max(x for x, _ in cells) >= GRID_WIDTH:
            yield f"{panel['title']}: lies over another panel, or beyond the edge"
        for what, seen in ((panel["id"], ids), (panel["title"], titles)):
            if what in seen:
                yield f"{panel['title']}: {what} is there twice"
            seen.add(what)
        taken |= cells


def _check_panel(panel):
    """What a reader of one panel would miss."""
    if panel["type"] not in CORE:
        yield f"is a {panel['type']}, which does not come with Grafana"
    if len(panel["description"]) < DESCRIPTION_MIN:
        yield "does not say what it shows, and when not to believe it"
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults["unit"] or not defaults["thresholds"]["steps"]:
        yield "has no unit or no thresholds"
    if not panel["targets"]:
        yield "asks nothing"
    for target in panel["targets"]:
        if panel["datasource"] != SOURCE or target["datasource"] != SOURCE:
            yield "does not ask the data source of the variable"
        single = panel["type"] in ("stat", "table")
        if target["legendFormat"] in ("", "__auto") and not single:
            yield "has no legend"


def _check_variables(model):
    """Variables that nobody defines, or nobody uses."""
    defined = {variable["name"] for variable in model["templating"]["list"]}
    texts = [json.dumps(panel) for panel in model["panels"]] + [json.dumps(model["annotations"])]
    texts += [json.dumps(variable.get("query", "")) for variable in model["templating"]["list"]]
    used = {name for text in texts for name in dashboards.used(text)} - {"__auto"}
    yield from (f"nobody defines ${name}" for name in sorted(used - defined - set(dashboards.BUILT_IN)))
    yield from (f"nobody uses ${name}" for name in sorted(defined - used))


def _check_expressions(root, name):
    """What promtool says of the queries, as rules."""
    asked = dashboards.questions(root, name)
    if shutil.which("promtool") is None:
        raise sources.Skipped("promtool is not installed")
    with tempfile.TemporaryDirectory(prefix="wattport-queries-") as scratch:
        path = os.path.join(scratch, "rules.yml")
        with open(path, "w", encoding="utf-8") as file:
            # JSON is YAML.
            json.dump({"groups": [{"name": f"{index}: {each.panel}", "rules": [{"record": "x", "expr": each.expression}]}
                                  for index, each in enumerate(asked)]}, file)
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    return [line.strip() for line in done.stderr.splitlines() if "rules.yml" in line] if done.returncode else []


def _undocumented(root, text):
    """Metrics that a text names, and the document of all metrics does not."""
    documented = set(_METRIC.findall(sources.read(root, DOCUMENT)))
    named = {re.sub(r"_(bucket|sum|count)$", "", metric) for metric in _METRIC.findall(text)}
    return [f"{DOCUMENT} has no {metric}" for metric in sorted(named - documented)]


def check(root, _build=None):
    """All findings in the dashboards."""
    findings = _check_made(root)
    findings += [f"{path}: {finding}" for path in RULES for finding in _undocumented(root, sources.read(root, path))]
    for name in dashboards.NAMES:
        path = f"{dashboards.FOLDER}/{name}.json"
        if not os.path.exists(os.path.join(root, path)):
            continue
        model = dashboards.load(root, name)
        found = list(_check_places(model)) + list(_check_variables(model))
        found += [f"{panel['title']}: {finding}" for panel in dashboards.panels(model) for finding in _check_panel(panel)]
        if not found:
            found = _check_expressions(root, name)
            found += _undocumented(root, "\n".join(each.expression for each in dashboards.questions(root, name)))
        findings += [f"{path}: {finding}" for finding in found]
    return findings


if __name__ == "__main__":
    sources.run(check, __doc__)
