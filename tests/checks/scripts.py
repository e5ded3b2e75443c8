#!/usr/bin/python3
"""Shell and Python scripts parse, shellcheck is silent, and what starts with #! may be run."""

import os
import shutil
import subprocess

import sources


def check(root, _build=None):
    """All findings in scripts, found by their first line or their suffix."""
    findings = []
    for path in sources.files(root):
        absolute = os.path.join(root, path)
        if os.path.islink(absolute) or not os.path.isfile(absolute):
            continue
        with open(absolute, "rb") as file:
            first = file.readline(128)
        if first.startswith(b"#!") and not os.access(absolute, os.X_OK):
            findings.append(f"{path}:1: chmod +x, or no #!")
        if first.startswith(b"#!") and first.split(b"/")[-1].strip() in (b"bash", b"sh", b"env bash"):
            findings += _shell(root, path)
        elif path.endswith(".py") or (first.startswith(b"#!") and b"python" in first):
            findings += _python(root, path)
    return findings


def _shell(root, path):
    commands = [["bash", "-n", path]]
    if shutil.which("shellcheck"):
        commands.append(["shellcheck", "--format=gcc", path])
    for command in commands:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield from (done.stdout + done.stderr).strip().splitlines()


def _python(root, path):
    try:
        compile(sources.read(root, path), path, "exec")
    except SyntaxError as error:
        yield f"{path}:{error.lineno}: {error.msg}"


if __name__ == "__main__":
    sources.run(check, __doc__)
