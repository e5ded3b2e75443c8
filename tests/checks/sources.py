"""What the checks have in common: which files the project has, C without its comments, and how a check reports.

A check is a function from the root of a tree to a list of findings, each one line: "file:line: what to mend".
"""

import argparse
import os
import re
import sys

FAILED = 1
SKIPPED = 77  # ctest's SKIP_RETURN_CODE

# The folders of the product, as the layers stand on each other.
PRODUCT = ("common", "fusefs", "host", "guest")

_NOT_SOURCES = {"build", "__pycache__"}


class Skipped(Exception):
    """The check cannot run here; the text says what is missing."""


def files(root, *folders):
    """The paths of all files under these folders of the root (all of it without folders), relative to it, sorted.

    Hidden folders other than .ci are not the project's, nor is what a build or Python leaves behind.
    """
    found = []
    for folder in folders or (".",):
        for path, directories, names in os.walk(os.path.join(root, folder)):
            directories[:] = [
                name for name in directories if name not in _NOT_SOURCES and (name[0] != "." or name == ".ci")
            ]
            found += [os.path.relpath(os.path.join(path, name), root) for name in names]
    return sorted(found)


def c_files(root, *folders):
    """The C sources and headers under these folders."""
    return [path for path in files(root, *folders) if path.endswith((".c", ".h"))]


def read(root, path):
    """The text of a file of the tree."""
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


_COMMENT_OR_LITERAL = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def without_comments(text):
    """C with each comment replaced by its newlines, so that line numbers hold; string literals stay."""

    def replaced(match):
        piece = match.group()
        return "\n" * piece.count("\n") if piece.startswith("/") else piece

    return _COMMENT_OR_LITERAL.sub(replaced, text)


def without_literals(text):
    """The same without the content of string literals, for rules on what is called."""
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def run(check, description):
    """The main function of a check: reports its findings and exits as ctest expects."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    parser.add_argument("--build", default=None, help="the build tree, for checks that need one")
    arguments = parser.parse_args()
    try:
        findings = check(arguments.root, arguments.build)
    except Skipped as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} finding(s)")
    sys.exit(FAILED if findings else 0)
