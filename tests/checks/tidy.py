#!/usr/bin/python3
"""clang-tidy is silent on every file of compile_commands.json.

It takes seconds per file, so a file that was clean is not looked at again until it, a header it includes, its compiler
options, .clang-tidy or clang-tidy itself change: build/lint-cache/tidy holds one empty file per clean state.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess

import sources

JOBS = 2
# The commands are gcc's; clang need not know all its warnings. The analyser follows a function's paths until it has seen so
# many states of them, a third of what it would by itself: that takes 60 % off the time of all checks, and each finding that it
# had in Wattport so far comes as well from a tenth. gcc's analyser looks at all of it, too.
EXTRA = (
    "--extra-arg=-Wno-unknown-warning-option",
    "--extra-arg=-Xclang", "--extra-arg=-analyzer-config", "--extra-arg=-Xclang", "--extra-arg=max-nodes=75000",
)
KNOWLEDGE = "tests/checks/analyser.h"

_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]*)"', re.MULTILINE)


def check(root, build):
    """All of clang-tidy's findings."""
    root, build = os.path.abspath(root), os.path.abspath(build)
    if shutil.which("clang-tidy") is None:
        raise sources.Skipped("clang-tidy is not installed")
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = {command["file"]: command["command"] for command in json.load(file)}
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True, text=True).stdout
    cache = os.path.join(root, "build", "lint-cache", "tidy")
    os.makedirs(cache, exist_ok=True)

    def examine(path):
        mark = os.path.join(cache, _state(root, path, commands[path], version))
        if os.path.exists(mark):
            return []
        findings = _tidy(root, build, path)
        if not findings:
            with open(mark, "w", encoding="utf-8"):
                pass
        return findings

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return [finding for findings in pool.map(examine, sorted(commands)) for finding in findings]


def _tidy(root, build, path):
    done = subprocess.run(
        ["clang-tidy", "-p", build, "--quiet", *EXTRA, *_knowledge(root, path), path], cwd=root, capture_output=True, text=True, check=False
    )
    findings = re.findall(r"^\S+:\d+:\d+: (?:error|warning): .*", done.stdout, re.MULTILINE)
    if done.returncode != 0 and not findings:
        findings = [f"{path}: clang-tidy failed: {done.stdout}{done.stderr}"]
    return [finding.removeprefix(root + os.sep) for finding in findings]


def _knowledge(root, path):
    """The header to include first; but diag.c defines what that makes a macro of."""
    header = os.path.join(root, KNOWLEDGE)
    if not os.path.exists(header) or path == os.path.join(root, "common/diag.c"):
        return ()
    return ("--extra-arg=-include", f"--extra-arg={header}")


def _state(root, path, command, version):
    """A name for everything that the findings depend on."""
    digest = hashlib.sha256()
    for text in (version, *EXTRA, path, command):
        digest.update(text.encode() + b"\0")
    for name in sorted(_inputs(root, path)):
        with open(name, "rb") as file:
            digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()


def _inputs(root, path):
    """The file, the project's headers that it includes however deep, and the .clang-tidy files above it."""
    found = set()
    waiting = [path, os.path.join(root, KNOWLEDGE)]
    while waiting:
        name = waiting.pop()
        if name in found or not os.path.exists(name):
            continue
        found.add(name)
        for included in _INCLUDE.findall(sources.read("/", name)):
            waiting += [os.path.join(root, included), os.path.join(os.path.dirname(name), included)]
    folder = os.path.dirname(path)
    while folder.startswith(root):
        configuration = os.path.join(folder, ".clang-tidy")
        if os.path.exists(configuration):
            found.add(configuration)
        folder = os.path.dirname(folder)
    return found


if __name__ == "__main__":
    sources.run(check, __doc__)
