#!/usr/bin/python3
"""Includes point one way: common/ <- fusefs/ <- host/ and common/ <- guest/, and are written "folder/file.h"."""

import os
import re

import sources

MAY_INCLUDE = {
    "common": {"common"},
    "fusefs": {"common", "fusefs"},
    "guest": {"common", "guest"},
    "host": {"common", "fusefs", "host"},
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]*)"')


def check(root, _build=None):
    """All findings in the product's folders."""
    findings = []
    for folder, allowed in MAY_INCLUDE.items():
        for path in sources.c_files(root, folder):
            for number, line in enumerate(sources.without_comments(sources.read(root, path)).split("\n"), 1):
                match = _INCLUDE.match(line)
                if match:
                    findings += [f"{path}:{number}: {what}" for what in _mistakes(root, folder, allowed, match.group(1))]
    return findings


def _mistakes(root, folder, allowed, included):
    target = included.split("/")[0]
    if "/" not in included:
        yield f'"{included}" is to be written "folder/{included}"'
    elif target not in allowed:
        yield f"{folder}/ must not include {target}/ (it may include {', '.join(sorted(allowed))})"
    elif target != folder and included.endswith("_internal.h"):
        yield f"{included} is for {target}/ and its tests alone"
    elif not os.path.exists(os.path.join(root, included)):
        yield f"{included} does not exist"


if __name__ == "__main__":
    sources.run(check, __doc__)
