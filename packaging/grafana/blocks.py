"""What Grafana's dashboards are built of, as far as Wattport's need it: the JSON model of Grafana 9 and later.

A panel is a dictionary without a place; Dashboard.add() gives it one, from left to right and row after row. Only panels
that come with Grafana are used. Every query asks the data source of the variable `datasource`.
"""

import json

SCHEMA = 37  # Grafana 9.0's; later ones migrate by themselves
GRID_WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Those zones that add up: psys overlaps all others, core and uncore lie within their package.
ADDENDS = 'zone=~"package.*|dram.*"'

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


def query(expression, legend="__auto", table=False, instant=False):
    """One query. table: its labels as columns, at the end of the time shown."""
    return {
        "datasource": SOURCE, "editorMode": "code", "expr": " ".join(expression.split()), "legendFormat": legend,
        "format": "table" if table else "time_series", "instant": table or instant, "range": not (table or instant),
    }


def steps(*limits):
    """Thresholds: steps((None, GREEN), (10, RED)) is red from 10 on."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in limits]}


def words(**values):
    """What to show in the place of numbers: words(_0=("gone", RED), _1=("there", GREEN))."""
    return [{"type": "value", "options": {
        name.lstrip("_"): {"text": text, "color": color, "index": index}
        for index, (name, (text, color)) in enumerate(values.items())
    }}]


def _panel(kind, title, description, queries, unit, **more):
    """What all panels have; `more` goes into their field configuration."""
    defaults = {"unit": unit, "color": {"mode": more.pop("color", "palette-classic")},
                "thresholds": more.pop("thresholds", steps((None, GREEN))), "mappings": more.pop("mappings", []), **more}
    return {
        "type": kind, "title": title, "description": " ".join(description.split()), "datasource": SOURCE,
        "targets": [{**each, "refId": chr(ord("A") + index)} for index, each in enumerate(queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": {},
    }


def graph(title, description, queries, unit, stacked=False, thresholds=None, **more):
    """Lines over time; stacked where the series add up. Limits are drawn as lines."""
    panel = _panel("timeseries", title, description, queries, unit, thresholds=thresholds or steps((None, GREEN)),
                   custom={
                       "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40 if stacked else 10, "showPoints": "never",
                       "spanNulls": False, "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
                       "thresholdsStyle": {"mode": "line" if thresholds else "off"},
                   }, **more)
    panel["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "max", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def on_top(panel, legend):
    """Draws one series of a stacked graph as a line of its own, not as a part of the sum."""
    panel["fieldConfig"]["overrides"].append({"matcher": {"id": "byName", "options": legend}, "properties": [
        {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}},
        {"id": "custom.fillOpacity", "value": 0}, {"id": "custom.lineWidth", "value": 2},
        {"id": "color", "value": {"mode": "fixed", "fixedColor": "text"}},
    ]})
    return panel


def stat(title, description, expression, unit, legend="__auto", name=False, **more):
    """One number, or with `name` the labels of one. Coloured by its thresholds or words."""
    panel = _panel("stat", title, description, [query(expression, legend, instant=name)], unit, color="thresholds", **more)
    panel["options"] = {
        "colorMode": "value", "graphMode": "none" if name else "area", "justifyMode": "auto", "orientation": "auto",
        "textMode": "name" if name else "value", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def bars(title, description, expression, unit, legend, **more):
    """A bar for each series, the longest first, at the end of the time shown."""
    panel = _panel("bargauge", title, description, [query(f"sort_desc({expression})", legend, instant=True)], unit, min=0,
                   color="continuous-BlYlRd", **more)
    panel["options"] = {
        "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def pie(title, description, queries, unit, **more):
    """Parts of a whole."""
    panel = _panel("piechart", title, description, queries, unit, **more)
    panel["options"] = {
        "pieType": "donut", "displayLabels": ["percent"], "tooltip": {"mode": "single", "sort": "none"},
        "legend": {"displayMode": "table", "placement": "right", "showLegend": True, "values": ["value", "percent"]},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def states(title, description, expression, legend, mappings):
    """Bands over time, one for each series, by what its value means."""
    panel = _panel("state-timeline", title, description, [query(expression, legend)], "short", color="thresholds",
                   mappings=mappings, custom={"fillOpacity": 70, "lineWidth": 0, "spanNulls": False})
    panel["options"] = {
        "alignValue": "center", "mergeValues": True, "rowHeight": 0.9, "showValue": "auto",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel


def table(title, description, labels, columns):
    """Rows by labels: {label: heading}, and a column for each {heading: (expression, unit)}. The expressions have these
    labels alone, by which Grafana finds what belongs into one row."""
    queries = [query(expression, table=True) for expression, _ in columns.values()]
    panel = _panel("table", title, description, queries, "short", custom={"align": "auto", "filterable": True})
    values = {f"Value #{each['refId']}": heading for each, heading in zip(panel["targets"], columns)}
    panel["options"] = {"showHeader": True, "sortBy": [{"displayName": next(iter(columns)), "desc": True}]}
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True}, "renameByName": {**labels, **values},
            "indexByName": {name: index for index, name in enumerate((*labels, *values))},
        }},
    ]
    panel["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
        for heading, (_, unit) in columns.items()
    ]
    return panel


def choice(name, label, expression):
    """A variable: some or all values of a label."""
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": expression,
        "query": {"query": expression, "refId": "StandardVariableQuery"}, "refresh": 2, "sort": 1, "regex": "",
        "multi": True, "includeAll": True, "allValue": ".+", "hide": 0, "skipUrlSync": False, "options": [],
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def number(name, label, *values):
    """A variable: one of some numbers, the first by default."""
    options = [{"selected": not index, "text": value, "value": value} for index, value in enumerate(values)]
    return {
        "name": name, "label": label, "type": "custom", "query": ",".join(values), "multi": False, "includeAll": False,
        "hide": 0, "skipUrlSync": False, "options": options, "current": options[0],
    }


def text(name, label, value, description):
    """A variable: what somebody types."""
    option = {"selected": True, "text": value, "value": value}
    return {"name": name, "label": label, "description": description, "type": "textbox", "query": value, "hide": 0,
            "skipUrlSync": False, "options": [option], "current": option}


class Dashboard:
    """One dashboard, filled from the top."""

    def __init__(self, uid, title, description, variables, instances):
        """instances: the variable that holds what alerts to show are about."""
        self._panels = []
        self._x = self._y = self._height = 0
        self._model = {
            "uid": uid, "title": title, "description": description, "id": None, "version": 1, "schemaVersion": SCHEMA,
            "tags": ["wattport"], "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "",
            "time": {"from": "now-3h", "to": "now"}, "fiscalYearStartMonth": 0, "liveNow": False, "style": "dark",
            "links": [{
                "type": "dashboards", "tags": ["wattport"], "title": "Wattport", "asDropdown": True, "includeVars": False,
                "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
            }],
            "annotations": {"list": [{
                "name": "Alerts", "datasource": SOURCE, "enable": True, "iconColor": RED, "titleFormat": "{{alertname}}",
                "textFormat": "{{instance}}", "tagKeys": "severity",
                "expr": f'ALERTS{{alertname=~"Wattport.+",alertstate="firing",instance=~"${instances}"}}',
            }]},
            "templating": {"list": [{
                "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "regex": "",
                "refresh": 1, "multi": False, "includeAll": False, "hide": 0, "skipUrlSync": False, "options": [],
                "current": {},
            }, *variables]},
        }

    def row(self, title):
        """Begins a part under a heading."""
        self._y += self._height
        self._x = self._height = 0
        self._put({"type": "row", "title": title, "collapsed": False, "panels": []}, GRID_WIDTH, 1)

    def add(self, width, height, *panels):
        """Puts panels side by side, as many to a line as fit."""
        for panel in panels:
            self._put(panel, width, height)

    def _put(self, panel, width, height):
        if self._x + width > GRID_WIDTH:
            self._y += self._height
            self._x = self._height = 0
        panel["gridPos"] = {"x": self._x, "y": self._y, "w": width, "h": height}
        panel["id"] = len(self._panels) + 1
        self._panels.append(panel)
        self._x += width
        self._height = max(self._height, height)

    def json(self):
        """As Grafana imports it."""
        return json.dumps({**self._model, "panels": self._panels}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
