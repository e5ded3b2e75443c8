#!/usr/bin/python3
"""Every program has a man page that groff takes without a warning and that names each option of --help."""

import os
import re
import shutil
import subprocess

import sources

PAGES = "docs/man"

_PROGRAM = re.compile(r"^\s*add_executable\(\s*([\w-]+)", re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def check(root, build=None):
    """Programs without a page, pages with mistakes, and options that a page does not name."""
    findings = []
    for folder in sources.PRODUCT:
        recipe = os.path.join(folder, "CMakeLists.txt")
        if not os.path.exists(os.path.join(root, recipe)):
            continue
        for program in _PROGRAM.findall(sources.read(root, recipe)):
            page = _page(root, program)
            if page is None:
                findings.append(f"{recipe}:1: {program} has no page in {PAGES}/")
                continue
            findings += _warnings(root, page)
            if build is not None:
                findings += _missing_options(root, page, os.path.join(build, folder, program))
    return findings


def _page(root, program):
    for section in ("1", "8"):
        path = f"{PAGES}/{program}.{section}"
        if os.path.exists(os.path.join(root, path)):
            return path
    return None


def _warnings(root, page):
    if shutil.which("groff") is None:
        raise sources.Skipped("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", page], cwd=root, capture_output=True, text=True, check=False
    )
    return [f"{page}: {line}" for line in done.stderr.splitlines()]


def _missing_options(root, page, program):
    if not os.path.exists(program):
        return []  # Not built here: the page alone is checked.
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=10, check=False)
    if shown.returncode != 0:
        return [f"{program} --help: exit status {shown.returncode}"]
    text = sources.read(root, page).replace("\\-", "-")
    return [f"{page}: {option} of --help is not explained"
            for option in sorted(set(_OPTION.findall(shown.stdout)) - set(_OPTION.findall(text)))]


if __name__ == "__main__":
    sources.run(check, __doc__)
