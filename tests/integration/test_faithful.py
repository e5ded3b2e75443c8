#!/usr/bin/python3
"""The tree of a guest held against those of real machines: tests/fixtures/*/powercap.list.

For each machine a virtual one of the same zones is served over a real mount. Both trees must have the same paths,
types, links, modes and words, but for what ALLOWED lists with its reason.
Exit status 77: it cannot run here (no root, no /dev/fuse).
"""

import ctypes
import os
import re
import stat
import struct

import test_fusefs as fusefs
from test_fusefs import VM

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures")
RANGE_UJ = 2**53 - 1
DT = {4: "d", 8: "f", 10: "l"}


class Entry:
    """A file, directory or link: what it is, its mode, and its target or what reading it gives."""

    def __init__(self, kind, mode, text):
        self.kind, self.mode, self.text = kind, mode, text

    def __repr__(self):
        return f"{self.kind} {self.mode:o} {self.text!r}"

    def __eq__(self, other):
        return (self.kind, self.mode, self.text) == (other.kind, other.mode, other.text)


def read_list(path):
    """A machine's powercap.list."""
    tree = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            kind, *words = line.rstrip("\n").split(" ")
            if kind == "f":
                mode, name, *value = words
                tree[name] = Entry("f", int(mode, 8), value[0] + "\n" if value else "")
            elif kind == "l":
                tree[words[0]] = Entry("l", 0o777, words[1])
            else:
                tree[words[0]] = Entry("d", 0o755, "")
    return tree


def getdents(path):
    """What the directory says of its entries' types without a further look at them."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(65536)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    types = {}
    while (got := libc.syscall(217, fd, buffer, len(buffer))) > 0:
        at = 0
        while at < got:
            _, _, length, kind = struct.unpack_from("<QqHB", buffer, at)
            types[buffer.raw[at + 19:at + length].split(b"\0")[0].decode()] = kind
            at += length
    os.close(fd)
    assert got == 0, os.strerror(ctypes.get_errno())
    return {name: kind for name, kind in types.items() if name not in (".", "..")}


def walk(root, path, tree):
    """Adds what lies below root/path, by its types in the directory, which must be true."""
    for name, kind in sorted(getdents(os.path.join(root, path)).items()):
        child = os.path.join(path, name)
        info = os.lstat(os.path.join(root, child))
        assert stat.S_IFMT(info.st_mode) >> 12 == kind, f"{child}: d_type is {kind}"
        text = ""
        if DT[kind] == "l":
            text = os.readlink(os.path.join(root, child))
            assert os.path.isdir(os.path.join(root, child)), f"{child} leads nowhere"
        elif DT[kind] == "f":
            with open(os.path.join(root, child), encoding="ascii") as file:
                text = file.read()
        tree[child] = Entry(DT[kind], stat.S_IMODE(info.st_mode), text)
        if DT[kind] == "d":
            walk(root, child, tree)


# What may differ, why, and how the real machine's tree would look with it: a function of path and entry that returns
# the entry, changed or not, or None where ours has no such file. Each one must be needed by some machine.
def without(pattern):
    return lambda path, entry: None if re.search(pattern, path) else entry


def replaced(pattern, text):
    return lambda path, entry: Entry(entry.kind, entry.mode, text) if re.search(pattern, path) else entry


def with_mode(kind, mode):
    return lambda path, entry: Entry(kind, mode, entry.text) if entry.kind == kind else entry


ALLOWED = {
    "power/: nothing of a guest's zone can be suspended, and one of its files gives EIO": without(r"/power(/|$)"),
    "device: leads to the directory above": without(r"/device$"),
    "constraint_1, _2: nobody limits a guest's power, which constraint_0 says": without(r"/constraint_[12]_"),
    "no limit: the same": replaced(r"/constraint_0_power_limit_uw$", "0\n"),
    "nor a maximum": replaced(r"/constraint_0_max_power_uw$", "1000000000\n"),
    "its window: the shortest there is": replaced(r"/constraint_0_time_window_us$", "976\n"),
    "enabled: counters always run": replaced(r"/enabled$", "1\n"),
    "uevent: no value is empty": replaced(r"/uevent$", "\n"),
    "the range: all that a double can count": replaced(r"/max_energy_range_uj$", f"{RANGE_UJ}\n"),
    "energy_uj: the guest's own": replaced(r"/energy_uj$", "ENERGY\n"),
    "modes: nothing can be changed, and a guest's counters tell nothing about others": with_mode("f", 0o444),
    "modes of directories: the same": with_mode("d", 0o555),
}
RENAMED = "numbers: package-N is zone N, which clients demand; psys comes behind all packages"


class TestFaithful(fusefs.FusefsTest):
    needed = set()

    def renumber(self, tree):
        """The real tree with our numbers of the zones."""
        names = {}
        for path, entry in tree.items():
            if match := re.fullmatch(r"devices/virtual/powercap/intel-rapl/intel-rapl:([0-9a-f]+)/name", path):
                names[match[1]] = entry.text.strip()
        packages = [name for name in names.values() if name.startswith("package-")]
        ours = {number: f"{len(packages) if name == 'psys' else int(name[8:]):x}" for number, name in names.items()}
        if any(number != other for number, other in ours.items()):
            self.needed.add(RENAMED)

        def rename(text):
            return re.sub(r"intel-rapl:([0-9a-f]+)", lambda match: f"intel-rapl:{ours[match[1]]}", text)

        return {rename(path): Entry(entry.kind, entry.mode, rename(entry.text)) for path, entry in tree.items()}

    def expected(self, tree):
        result = {}
        for path, entry in self.renumber(tree).items():
            for reason, rule in ALLOWED.items():
                changed = rule(path, entry)
                if changed is None or changed != entry:
                    self.needed.add(reason)
                entry = changed
                if entry is None:
                    break
            if entry is not None:
                result[path] = entry
        return result

    def serve(self, tree):
        """A virtual machine with the zones of that tree."""
        names = [entry.text.strip() for path, entry in tree.items() if path.endswith("/name")]
        packages = [name for name in names if name.startswith("package-")]
        kinds = ["package", *sorted({name for name in names if name not in packages})]
        self.ledger.tell(f"host isolated replay {' '.join(kinds)}", f"vm {VM} {len(packages)} running 1", "publish")
        self.server = fusefs.Server(self.runtime, "--tree.core=yes", "--tree.uncore=yes", "--tree.psys=yes")
        served = {}
        walk(self.path(""), "class/powercap", served)
        walk(self.path(""), "devices/virtual/powercap", served)
        for path, entry in served.items():
            if path.endswith("/energy_uj"):
                self.assertRegex(entry.text, r"\A[1-9][0-9]*\n\Z")
                entry.text = "ENERGY\n"
        return served

    def compare(self, machine):
        recorded = read_list(os.path.join(FIXTURES, machine, "powercap.list"))
        expected, served = self.expected(recorded), self.serve(recorded)
        del expected["class/powercap"]
        self.assertEqual(sorted(served), sorted(expected))
        different = {path: (served[path], expected[path]) for path in served if served[path] != expected[path]}
        self.assertEqual(different, {})

    def test_1_a_server_with_psys_between_its_packages(self):
        self.compare("xeon-psys")

    def test_1_a_desktop_with_core_uncore_and_dram(self):
        self.compare("haswell")

    def test_1_four_sockets(self):
        self.compare("four-sockets")

    def test_1_three_constraints(self):
        self.compare("three-constraints")

    def test_1_swapped_packages(self):
        self.compare("swapped-packages")

    def test_2_every_difference_is_needed(self):
        """After the machines: what none of them needs is no difference to be allowed."""
        self.assertEqual(self.needed, {*ALLOWED, RENAMED})


if __name__ == "__main__":
    fusefs.main()
