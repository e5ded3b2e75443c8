#!/usr/bin/python3
"""cppcheck is silent on every C file, and each exception in cppcheck.suppressions has its reason above it."""

import os
import re
import shutil
import subprocess

import sources

SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cppcheck.suppressions")


def check(root, _build=None, suppressions=SUPPRESSIONS):
    """All of cppcheck's findings, and suppressions without a reason."""
    findings = _unreasoned(suppressions)
    if shutil.which("cppcheck") is None:
        raise sources.Skipped("cppcheck is not installed")
    paths = [path for path in sources.c_files(root) if path.endswith(".c")]
    if not paths:
        return findings
    cache = os.path.join(root, "build", "lint-cache", "cppcheck")
    os.makedirs(cache, exist_ok=True)
    done = subprocess.run(
        ["cppcheck", "--quiet", "-j2", "--std=c11", "--enable=warning,style,performance,portability",
         "--inline-suppr", "--error-exitcode=1", f"--suppressions-list={suppressions}", f"--cppcheck-build-dir={cache}",
         "--template={file}:{line}: {id}: {message}", "--template-location=", "-D_GNU_SOURCE", "-D__x86_64__",
         '-DWATTPORT_VERSION="0"', "-I.", *paths],
        cwd=root, capture_output=True, text=True, check=False,
    )
    found = [line for line in done.stderr.splitlines() if re.match(r"\S+:\d+: ", line)]
    if done.returncode != 0 and not found:
        found = [done.stderr + done.stdout]
    return findings + found


def _unreasoned(path):
    """A suppression stands under a comment, or under another one that does."""
    findings = []
    reasoned = False
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text:
                reasoned = False
            elif text.startswith("#"):
                reasoned = True
            elif not reasoned:
                findings.append(f"{path}:{number}: {text}: say in a comment above why this is suppressed")
    return findings


if __name__ == "__main__":
    sources.run(check, __doc__)
