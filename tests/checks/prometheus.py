#!/usr/bin/python3
"""The rules of packaging/prometheus: promtool takes them, tests/prometheus holds each one, and each alert says what to do.

That the tests hold a rule is seen by breaking it: each change to a rule that should matter must make them fail.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import tempfile

import sources

FOLDER = "packaging/prometheus"
ALERTS = f"{FOLDER}/wattport.alerts.yml"
RECORDING = f"{FOLDER}/wattport.recording.yml"
SCRAPE = f"{FOLDER}/wattport.scrape.yml"
TESTS = "tests/prometheus/wattport.test.yml"
DOCUMENT = "docs/troubleshooting.md"
INSTALLED = "/etc/prometheus/"
SEVERITIES = ("critical", "warning", "info")
ANNOTATIONS = ("summary", "description", "runbook")

# One rule each: from its dash to the next one, or to a group's.
_RULE = re.compile(r"^ {6}- (alert|record): (\S+)\n((?: {8}.*\n|\n)*)", re.MULTILINE)
_EXPRESSION = re.compile(r"^ {8}expr: \|\n((?: {10}.*\n)+)", re.MULTILINE)
_COMPARISON = re.compile(r"(?:==|!=|<=|>=|<|>) *[\d.]+")
_ANCHOR = re.compile(re.escape(DOCUMENT) + r"#([a-z-]+)\"")


def rules(text):
    """The rules of a file: (kind, name, expression, body, where the body begins)."""
    for match in _RULE.finditer(text):
        found = _EXPRESSION.search(match.group(3))
        expression = " ".join(found.group(1).split()) if found else ""
        yield match.group(1), match.group(2), expression, match.group(3), match.start(3)


def _promtool(*arguments, cwd=None):
    done = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]


def _broken(body):
    """The same rule, with one thing in it changed that should matter: what was changed, and the rule."""
    match = _EXPRESSION.search(body)
    expression = match.group(1)

    def changed(new):
        return body[:match.start(1)] + new + body[match.end(1):]

    yield "its expression gives nothing", changed(" " * 10 + "vector(1) > 2\n")
    for found in _COMPARISON.finditer(expression):
        yield f"it lacks {found.group()}", changed(expression[:found.start()] + "> -1e9" + expression[found.end():])
    for found in re.finditer(r"\{[^}]*\}", expression):
        yield f"it lacks {found.group()}", changed(expression[:found.start()] + expression[found.end():])
    for found in re.finditer(r"^ {8}for: (?!0)\S+\n", body, re.MULTILINE):
        yield "it lacks its patience", body[:found.start()] + body[found.end():]


def _tests_of(text, rule):
    """The tests that name a rule, without those that do not: promtool is quicker then."""
    head, *tests = re.split(r"^(?=  - interval:)", text, flags=re.MULTILINE)
    return head + "".join(test for test in tests if re.search(rf"{re.escape(rule)}\b", test))


def _try(root, path, rule, text):
    """Whether the tests of a rule fail when its file has this text."""
    with tempfile.TemporaryDirectory(prefix="wattport-rules-") as scratch:
        texts = {name: sources.read(root, name) for name in (ALERTS, RECORDING)}
        texts[TESTS] = _tests_of(sources.read(root, TESTS), rule)
        texts[path] = text
        for name, content in texts.items():
            os.makedirs(os.path.dirname(os.path.join(scratch, name)), exist_ok=True)
            with open(os.path.join(scratch, name), "w", encoding="utf-8") as file:
                file.write(content)
        return _promtool("test", "rules", os.path.join(scratch, TESTS))[0] != 0


def _check_held(root):
    """Rules that could be broken without a test that fails."""
    attempts = []
    for path in (ALERTS, RECORDING):
        text = sources.read(root, path)
        for _, name, _, body, start in rules(text):
            for what, changed in _broken(body):
                attempts.append((path, name, what, text[:start] + changed + text[start + len(body):]))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        noticed = list(pool.map(lambda attempt: _try(root, attempt[0], attempt[1], attempt[3]), attempts))
    return [
        f"{path}: {TESTS} does not notice {name} when {what}"
        for (path, name, what, _), seen in zip(attempts, noticed) if not seen
    ]


def _check_texts(root):
    """Alerts that do not say what they are and what to do, and sections of no alert."""
    headings = set(re.findall(r"^### (Wattport\w+)$", sources.read(root, DOCUMENT), re.MULTILINE))
    for _, name, _, body, _ in rules(sources.read(root, ALERTS)):
        for annotation in ANNOTATIONS:
            if not re.search(rf'^ {{10}}{annotation}: "', body, re.MULTILINE):
                yield f"{ALERTS}: {name} has no {annotation}"
        if not re.search(rf"^ {{10}}severity: ({'|'.join(SEVERITIES)})$", body, re.MULTILINE):
            yield f"{ALERTS}: {name} has no severity of {', '.join(SEVERITIES)}"
        if _ANCHOR.findall(body) != [name.lower()] or name not in headings:
            yield f"{ALERTS}: the runbook of {name} does not end with its section of {DOCUMENT}, ### {name}"
        headings.discard(name)
    yield from (f"{DOCUMENT}: there is no alert {name}" for name in sorted(headings))


def _check_scrape(root):
    """What promtool says of the example, with the rules where they are in the tree."""
    with tempfile.TemporaryDirectory(prefix="wattport-scrape-") as scratch:
        path = os.path.join(scratch, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(sources.read(root, SCRAPE).replace(INSTALLED, os.path.join(root, FOLDER, "")))
        status, lines = _promtool("check", "config", path)
    return [f"{SCRAPE}: {line}" for line in lines] if status else []


def check(root, _build=None):
    """All findings in the rules."""
    if shutil.which("promtool") is None:
        raise sources.Skipped("promtool is not installed")
    findings = list(_check_texts(root))
    for path in (ALERTS, RECORDING):
        status, lines = _promtool("check", "rules", os.path.join(root, path))
        findings += [f"{path}: {line}" for line in lines] if status else []
    findings += _check_scrape(root)
    status, lines = _promtool("test", "rules", os.path.join(root, TESTS))
    if status:
        return findings + [f"{TESTS}: {line}" for line in lines]
    return findings + _check_held(root)


if __name__ == "__main__":
    sources.run(check, __doc__)
