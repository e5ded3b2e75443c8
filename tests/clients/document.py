#!/usr/bin/python3
"""Writes the tables of docs/clients.md anew, from the last runs of test_clients.py and breakages.py in the build directory.
The target update-clients does that. A table without a run stays as it is."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "e2e")]

# pylint: disable=wrong-import-position
import client as client_module  # noqa: E402
import trixie  # noqa: E402
from results import read, root  # noqa: E402

DOCUMENT = os.path.join(ROOT, "docs", "clients.md")
TRANSPORTS = ("9p", "virtiofs")


def table(header, rows):
    """Lines of markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, ["---"] * len(header), *rows])


def outcome(results, name):
    """What came of one client over one transport: the worst that its figures and its energy were off."""
    verdict = results.get(name)
    if verdict is None:
        return "not run"
    if verdict["complaints"]:
        return f"fails: {verdict['complaints'][0]}"
    return f"{verdict['figure_error']:.1%}, {verdict['energy_error']:.1%}"


def matrix(clients):
    """One row a client."""
    results = {transport: read(transport) for transport in TRANSPORTS}
    if None in results.values():
        return None
    return table(
        ["client", "package", "version", "reads", *(f"in a guest over {transport}" for transport in TRANSPORTS)],
        [
            [name, client.package, trixie.version(root(), client.package), client.reads,
             *(outcome(results[transport], name) for transport in TRANSPORTS)]
            for name, client in clients.items()
        ],
    )


def breakages():
    """One row a breakage."""
    results = read("breakages")
    if results is None:
        return None
    return table(
        ["the tree is broken", "noticed by"],
        [[name, f"{len(noticed)}: {', '.join(noticed)}" if noticed else "none"] for name, noticed in results.items()],
    )


def replaced(text, name, content):
    """The text with another table between two marks."""
    begin, end = f"<!-- {name}: made by the target update-clients -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(begin)
    old, _, after = rest.partition(end)
    if not rest or (not after and end not in rest):
        raise SystemExit(f"{DOCUMENT}: the lines {begin.strip()} and {end.strip()} are missing")
    return before + begin + (old if content is None else content) + end + after


def main():
    """Both tables."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    text = replaced(text, "matrix", matrix(client_module.load()))
    text = replaced(text, "breakages", breakages())
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
