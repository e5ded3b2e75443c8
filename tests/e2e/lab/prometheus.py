"""Debian's unmodified Prometheus on loopback, scraping what a test names once a second, and its query API."""

import json
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from .process import LabError, wait_for

ADDRESS = "127.0.0.1:9090"


class Prometheus:
    """A running server. targets: {job: "address:port"}. rules: paths of files with rules, evaluated once a second."""

    def __init__(self, laboratory, targets, rules=()):
        configuration = laboratory.path("prometheus.yml")
        with open(configuration, "w", encoding="utf-8") as file:
            # JSON is YAML.
            json.dump({
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": list(rules),
                "scrape_configs": [
                    {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
                ],
            }, file)
        self._process = laboratory.process("prometheus", [
            "prometheus", f"--config.file={configuration}",
            # What one that ran before has scraped is not in the next one's answers.
            f"--storage.tsdb.path={tempfile.mkdtemp(prefix='tsdb-', dir=laboratory.directory)}",
            f"--web.listen-address={ADDRESS}", "--log.level=warn",
        ])
        self._process.wait_until("it is ready", self._ready, 30)

    @staticmethod
    def _ready():
        try:
            with urllib.request.urlopen(f"http://{ADDRESS}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def query(self, expression):
        """An instant query: a list of (labels, value). Empty if nothing matches."""
        data = self._ask("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    def rules(self):
        """All rules as Prometheus tells of them: dictionaries with name, type, query, health, lastError."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    @staticmethod
    def _ask(what, **parameters):
        url = f"http://{ADDRESS}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise LabError(f"Prometheus refuses {what} {parameters}: {error.read().decode()}") from None

    def value(self, expression):
        """The value of a query that must give exactly one."""
        rows = self.query(expression)
        if len(rows) != 1:
            raise LabError(f"Prometheus: {expression}: {len(rows)} results where one was due: {rows}")
        return rows[0][1]

    def wait_for(self, expression, timeout_s=20):
        """Waits until a query gives a result, and returns its rows."""
        return wait_for(f"Prometheus to answer {expression}", lambda: self.query(expression), timeout_s, 0.25)

    def stop(self):
        """Stops the server."""
        self._process.stop()


# The one name that the contract itself gives a unit other than a base unit: it counts to the microjoule.
NAMED_BY_CONTRACT = 'wattport_conservation_error_microjoules use base unit "joules" instead of "microjoules"'


def lint(text):
    """What `promtool check metrics` has to say about a page, a line each: empty when it is content."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode != 0 and not lines:
        return [f"status {done.returncode}"]
    return [line for line in lines if line != NAMED_BY_CONTRACT]


def parse(text):
    """The samples of an exposition as exact text: {(name, ((label, value), ...)): "number"}; labels are sorted."""
    samples = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, labels, rest = _split(line)
        key = (name, tuple(sorted(labels.items())))
        if key in samples:
            raise LabError(f"the page gives one series twice: {line}")
        samples[key] = rest.split()[0]
    return samples


def _split(line):
    head, brace, tail = line.partition("{")
    if not brace or " " in head:
        name, _, rest = line.partition(" ")
        return name, {}, rest
    labels = {}
    while not tail.startswith("}"):
        label, _, tail = tail.lstrip(",").partition('="')
        value, tail = _unquote(tail)
        labels[label] = value
    return head, labels, tail[1:].strip()


def _unquote(text):
    value, at = "", 0
    while text[at] != '"':
        if text[at] == "\\":
            at += 1
            value += {"n": "\n"}.get(text[at], text[at])
        else:
            value += text[at]
        at += 1
    return value, text[at + 1:]
