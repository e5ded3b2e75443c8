#!/usr/bin/python3
"""The table of docs/clients.md has exactly the clients of tests/clients/matrix."""

import os
import re

import sources

DOCUMENT = "docs/clients.md"
MATRIX = "tests/clients/matrix"

_NAME = re.compile(r'\bname="([^"]+)"')


def check(root, _build=None):
    """Clients without a row, and rows without a client."""
    names = {
        name for path in sources.files(root, MATRIX) if path.endswith(".py") for name in _NAME.findall(sources.read(root, path))
    }
    table = sources.read(root, DOCUMENT).partition("<!-- matrix")[2].partition("<!-- end of matrix")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][2:]
    return [
        f"{DOCUMENT}: {name} is {what}: cmake --build --preset dev --target update-clients"
        for what, found in (("missing", names - set(rows)), ("in no file of " + os.path.basename(MATRIX), set(rows) - names))
        for name in sorted(found)
    ]


if __name__ == "__main__":
    sources.run(check, __doc__)
