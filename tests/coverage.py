#!/usr/bin/python3
"""The line coverage of those parts in which every error path must be tested; see --help.

The counters are files that every program maps (clang's continuous mode), so they outlive SIGKILL, _exit() and
filters of system calls, which the programs here meet on purpose.
"""
import argparse
import collections
import fnmatch
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
PROFILES = BUILD / "profiles"
LEAST = 95.0

# Group, and the files that belong to it.
GROUPS = {
    "ledger": ["common/ledger*.c"],
    "energy sources": ["common/energy_source*.c", "common/powercap_tree.c"],
    "providers": [f"host/{name}.c" for name in (
        "vm_*", "libvirt_*", "qemu_scan", "thread_time", "vhost_scan", "sampler_host", "domain_xml", "xml_tree",
        "by_name", "meter*")],
    "fusefs": ["fusefs/*.c"],
}

# What is built, and the tests that run: those of the groups, and no others.
TARGETS = ["host/all", "fusefs/all", "tests/unit/all", "tests/integration/all", "tests/raplsim/all"]
TESTS = (r"^(unit_|integration_(fusefs|handover|fs_faults|plainfs|compat|parts|vm_provider_libvirt|vm_provider_procfs)$)")

# "/* not reached: REASON */" at the end of a line takes that line out of the count.
EXCEPTION = re.compile(r"/\* not reached: \S.*\*/$")


def run(*command, **options):
    subprocess.run(command, cwd=ROOT, check=True, **options)


def build(jobs):
    run("cmake", "--preset", "coverage")
    run("cmake", "--build", "--preset", "coverage", "--parallel", str(jobs), "--target", *TARGETS)


def test(jobs):
    """
    As in tests/run: tests of whole programs mostly wait, so more of them run at a time than there are cores. Whether a
    test passes is told by the other presets: what ran is what counts here.
    """
    for profile in PROFILES.glob("*.profraw"):
        profile.unlink()
    ctest = ("ctest", "--preset", "coverage", "-R", TESTS)
    subprocess.run([*ctest, "-LE", "^integration$", "-j", str(jobs)], cwd=ROOT, check=False)
    subprocess.run([*ctest, "-L", "^integration$", "-j", str(2 * jobs)], cwd=ROOT, check=False)


def programs():
    """The programs that ran are not told by their profiles, so all of those that were built."""
    for directory in ("host", "fusefs", "tests/unit", "tests/integration"):
        for path in sorted((BUILD / directory).iterdir()):
            if path.is_file() and path.stat().st_mode & 0o100 and not path.suffix:
                yield path


def lines_of_lcov(text):
    """{file: {line: count}}"""
    files = collections.defaultdict(dict)
    for line in text.splitlines():
        kind, _, value = line.partition(":")
        if kind == "SF":
            # ccache may have made them relative to where the compiler ran.
            name = os.path.relpath(BUILD / value, ROOT)
        elif kind == "DA":
            number, count = value.split(",")[:2]
            files[name][int(number)] = max(int(count), files[name].get(int(number), 0))
    return files


def read_counters():
    merged = BUILD / "coverage.profdata"
    run("llvm-profdata", "merge", "-o", str(merged), *map(str, sorted(PROFILES.glob("*.profraw"))))
    first, *others = programs()
    objects = [f"-object={path}" for path in others]
    result = subprocess.run(
        ["llvm-cov", "export", "-format=lcov", f"-instr-profile={merged}", str(first), *objects],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return lines_of_lcov(result.stdout)


def without_exceptions(path, counts):
    text = (ROOT / path).read_text().splitlines()
    return {line: count for line, count in counts.items() if not EXCEPTION.search(text[line - 1])}


def ranges(lines):
    """[1, 2, 3, 7] -> "1-3 7" """
    parts = []
    for line in sorted(lines):
        if parts and parts[-1][1] == line - 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def percent(covered, total):
    return 100.0 * covered / total if total else 0.0


def report(files):
    """Prints one line per file and group; True when every group is above what is asked."""
    good = True
    for group, patterns in GROUPS.items():
        covered = total = 0
        for path in sorted(path for path in files if any(fnmatch.fnmatch(path, one) for one in patterns)):
            counts = without_exceptions(path, files[path])
            missed = [line for line, count in counts.items() if count == 0]
            covered += len(counts) - len(missed)
            total += len(counts)
            print(f"{path:36} {len(counts):5} {percent(len(counts) - len(missed), len(counts)):6.1f} %  "
                  f"{ranges(missed)}".rstrip())
        enough = percent(covered, total) >= LEAST
        good = good and enough
        print(f"{group.upper():36} {total:5} {percent(covered, total):6.1f} %"
              f"{'' if enough else f'  below {LEAST:.0f} %'}\n")
    return good


def main():
    parser = argparse.ArgumentParser(description=f"Builds the preset `coverage`, runs the tests of these groups, and "
                                     f"fails where one has less than {LEAST:.0f} % of its lines covered: "
                                     f"{', '.join(GROUPS)}. Behind each file are the lines that never ran.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="only report what ran so far, in the preset as it is")
    options = parser.parse_args()
    if not options.report:
        build(options.jobs)
        test(options.jobs)
    if not report(read_counters()):
        print("tests/coverage.py: write the test that fails there, or take the line away")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
