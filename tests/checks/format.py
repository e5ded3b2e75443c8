#!/usr/bin/python3
"""clang-format changes nothing in any C file."""

import re
import shutil
import subprocess

import sources


def check(root, _build=None):
    """One finding per file that clang-format would change."""
    if shutil.which("clang-format") is None:
        raise sources.Skipped("clang-format is not installed")
    paths = sources.c_files(root)
    if not paths:
        return []
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *paths], cwd=root, capture_output=True, text=True, check=False
    )
    findings = re.findall(r"^(\S+?:\d+):\d+: error: ", done.stderr, re.MULTILINE)
    first = {finding.split(":")[0]: finding for finding in reversed(findings)}
    if done.returncode != 0 and not first:
        return [done.stderr]
    return [f"{place}: run clang-format -i on this file" for place in sorted(first.values())]


if __name__ == "__main__":
    sources.run(check, __doc__)
