#!/usr/bin/python3
"""Each message that docs/troubleshooting.md explains is one that the programs can print."""

import re

import sources

DOCUMENT = "docs/troubleshooting.md"

# A message stands alone in bold; "..." in it stands for what differs from case to case.
_QUOTED = re.compile(r"\*\*`([^`]+)`\*\*")


def check(root, _build=None):
    """Messages that no source has."""
    # Literals that stand side by side are one, as for the compiler.
    printed = "\n".join(
        re.sub(r'"\s*\n?\s*"', "", sources.without_comments(sources.read(root, path)))
        for path in sources.c_files(root, *sources.PRODUCT)
    )
    return [
        f"{DOCUMENT}:{number}: no program says: {piece}"
        for number, line in enumerate(sources.read(root, DOCUMENT).split("\n"), 1)
        for quoted in _QUOTED.findall(line)
        for piece in quoted.split("...")
        if piece.strip() not in printed
    ]


if __name__ == "__main__":
    sources.run(check, __doc__)
