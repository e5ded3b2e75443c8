#!/usr/bin/python3
"""docs/architecture.md names every module of the product, and no file that does not exist."""

import os
import re

import sources

DOCUMENT = "docs/architecture.md"

_HEADING = re.compile(r"^#+ +`?([a-z]+)/")
_NAMED = re.compile(r"`([\w./-]+\.(?:c|h|py))`")


def check(root, _build=None):
    """Modules without a line, and lines without a file. A name counts for the folder of the heading it stands under."""
    named = {}
    folder = ""
    for number, line in enumerate(sources.read(root, DOCUMENT).split("\n"), 1):
        match = _HEADING.match(line)
        if match:
            folder = match.group(1)
        elif line.startswith("#"):
            folder = ""
        for name in _NAMED.findall(line):
            named.setdefault(name if "/" in name else os.path.join(folder, name), number)
    findings = [
        f"{DOCUMENT}:{number}: {name} does not exist"
        for name, number in named.items()
        if not os.path.exists(os.path.join(root, name))
    ]
    # noun.h and noun.c are one module, and one line.
    modules = {os.path.splitext(name)[0] for name in named}
    missing = {path for path in sources.c_files(root, *sources.PRODUCT) if _module(path) not in modules}
    findings += [f"{DOCUMENT}: {path} has no line" for path in sorted(missing)]
    return findings


def _module(path):
    return os.path.splitext(path)[0].removesuffix("_internal")


if __name__ == "__main__":
    sources.run(check, __doc__)
