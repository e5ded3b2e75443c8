#!/usr/bin/python3
"""What is injected stays injected: no way round sysroot.c, clock.c and parse.c, no sleep in a unit test, no long file."""

import re

import sources

LINES_MAX = 500

# (the pattern, the files it may stand in, what to write instead); the first list sees literals, the second does not.
_LITERALS = [
    (re.compile(r'"/(sys|proc)\b'), {"common/sysroot.c"}, "open relative to a descriptor of common/sysroot.h"),
]
_CALLS = [
    (re.compile(r"\b(strto(u?l?l|u?max|d|f|ld)|ato(i|l|ll|f)|v?[fs]?scanf)\s*\("), {"common/parse.c"},
     "use common/parse.h: the whole string or -EINVAL"),
    (re.compile(r"\b(clock_gettime|gettimeofday|time)\s*\("), {"common/clock.c"}, "take a struct clock"),
    (re.compile(r"\b(strcpy|strcat|v?sprintf|gets|strncpy)\s*\("), set(), "use snprintf() and check its result"),
]
_SLEEPS = [(re.compile(r"\b(u?sleep|(clock_)?nanosleep)\s*\("), set(), "move the manual clock")]


def check(root, _build=None):
    """All findings in the product and its unit tests."""
    findings = []
    for path in sources.c_files(root, *sources.PRODUCT):
        code = sources.without_comments(sources.read(root, path))
        findings += _found(path, code, _LITERALS)
        findings += _found(path, sources.without_literals(code), _CALLS)
        lines = code.count("\n")
        if lines > LINES_MAX:
            findings.append(f"{path}:{lines}: more than {LINES_MAX} lines: which nouns are in it?")
    for path in sources.c_files(root, "tests/unit", "tests/property"):
        code = sources.without_literals(sources.without_comments(sources.read(root, path)))
        findings += _found(path, code, _SLEEPS)
    return findings


def _found(path, code, rules):
    for number, line in enumerate(code.split("\n"), 1):
        for pattern, allowed, instead in rules:
            match = pattern.search(line)
            if match and path not in allowed:
                yield f"{path}:{number}: {match.group().strip()}: {instead}"


if __name__ == "__main__":
    sources.run(check, __doc__)
