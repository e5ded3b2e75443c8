#!/usr/bin/python3
"""Which tests have threads: without a thread there is no race, so ThreadSanitizer has nothing to find in the others.

Prints a regular expression for ctest, with the names of those whose programs make threads. The argument is a preset that
is built without a sanitizer: in that of ThreadSanitizer every program looks as if it made some, or none.
"""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def makes_threads(program):
    """Whether it calls pthread_create(3); one without a table of symbols does not."""
    listed = subprocess.run(["nm", "--dynamic", "--undefined-only", program], capture_output=True, text=True, check=False)
    return " pthread_create" in listed.stdout


def main():
    preset = sys.argv[1]
    build = os.path.join(ROOT, "build", preset) + os.sep
    listed = subprocess.run(["ctest", "--preset", preset, "--show-only=json-v1"], cwd=ROOT, capture_output=True, text=True,
                            check=True)
    known, names = {}, []
    for test in json.loads(listed.stdout)["tests"]:
        programs = [word for word in test.get("command", []) if word.startswith(build) and os.path.isfile(word)]
        known.update({program: makes_threads(program) for program in programs if program not in known})
        if any(known[program] for program in programs):
            names.append(test["name"])
    if not names:
        sys.exit(f"tests/threaded.py: no test in build/{preset} has a thread, which cannot be")
    print(f"^({'|'.join(names)})$")


if __name__ == "__main__":
    main()
