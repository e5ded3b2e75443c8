"""Grafana's dashboards as Prometheus sees them: every query that one of them can ask, with its variables filled in."""

import dataclasses
import json
import os
import re

FOLDER = "packaging/grafana"
NAMES = ("wattport-host", "wattport-guest", "wattport-meaning")

# What Grafana fills in by itself; here for a Prometheus that has scraped once a second for a short while.
BUILT_IN = {"__rate_interval": "15s", "__range": "5m", "__interval": "15s"}

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_LABEL_VALUES = re.compile(r"label_values\((.*), *(\w+)\)")


@dataclasses.dataclass(frozen=True)
class Question:
    """One query of one dashboard."""

    dashboard: str
    panel: str  # its title, or "variable NAME" or "annotation NAME"
    expression: str


def load(root, name):
    """The model of a dashboard."""
    with open(os.path.join(root, FOLDER, f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)


def used(text):
    """The names of the variables in a text."""
    return {match.group(1) or match.group(2) for match in _VARIABLE.finditer(text)}


def values(model):
    """What each variable stands for: everything where that can be chosen, else its default."""
    filled = dict(BUILT_IN)
    for variable in model["templating"]["list"]:
        if variable["type"] in ("custom", "textbox"):
            filled[variable["name"]] = variable["current"]["value"]
        elif variable["type"] == "query":
            filled[variable["name"]] = variable["allValue"]
    return filled


def expand(text, filled):
    """The text without variables; KeyError for one that nobody defines."""
    return _VARIABLE.sub(lambda match: filled[match.group(1) or match.group(2)], text)


def panels(model):
    """All panels but the headings of rows."""
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def questions(root, name):
    """All Questions of a dashboard."""
    model = load(root, name)
    filled = values(model)
    found = [(panel["title"], target["expr"]) for panel in panels(model) for target in panel["targets"]]
    for variable in model["templating"]["list"]:
        if variable["type"] == "query":
            series, label = _LABEL_VALUES.fullmatch(variable["query"]["query"]).groups()
            found.append((f"variable {variable['name']}", f"count by ({label}) ({series})"))
    found += [(f"annotation {each['name']}", each["expr"]) for each in model["annotations"]["list"]]
    return [Question(name, panel, expand(expression, filled)) for panel, expression in found]
