#!/usr/bin/python3
"""wattport-fs with tree.mode = tmpfs: a real mount and real readers, a ledger written by hand, and what libvirt's hook does.

Exit status 77: it cannot run here (no root).
"""

import argparse
import errno
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import unittest

import test_fusefs as fusefs
from test_fusefs import ENERGY, OTHER, PROGRAMS, SKIPPED, UNKNOWN, VM, until

MODE = "--tree.mode=tmpfs"
STRANGER = 4242  # neither root nor whom the files belong to
FIRST_PERIOD = "--meter.period=200ms"
LONG_S = 30  # so long no start of a machine may be held up, by whatever

DOMAIN = """<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>{vcpus}</vcpu>
<cpu><topology sockets='{vcpus}' cores='1' threads='1'/></cpu></domain>"""

# Reads as fast as it can, a kept descriptor and fresh ones by turns; stops at a signal, when it has seen enough.
READER = """
import json, os, signal, sys
going = [True]
signal.signal(signal.SIGTERM, lambda *_: going.clear())
path = sys.argv[1]
kept = os.open(path, os.O_RDONLY)
reads = last = blank = changes = 0
bad = []
print("ready", flush=True)
while (going or reads < 100 or changes < 3) and len(bad) < 10:
    for number in range(100):
        fresh = os.open(path, os.O_RDONLY) if number % 4 == 0 else kept
        text = os.pread(fresh, 4096, 0)
        if fresh != kept:
            os.close(fresh)
        reads += 1
        if text.endswith(b"\\n\\n"):  # It became longer while it was read: plain_tree.h.
            blank += 1
            text = text.rstrip(b"\\n") + b"\\n"
        if not text.endswith(b"\\n") or not text[:-1].isdigit() or int(text) < last:
            bad.append(f"{last} -> {text!r}")
        else:
            changes += int(text) > last
            last = int(text)
print(json.dumps({"reads": reads, "last": last, "blank": blank, "changes": changes, "bad": bad}))
"""


class PlainTest(fusefs.FusefsTest):
    """The same host as in the tests of FUSE, served as plain files."""

    OPTIONS = (MODE, FIRST_PERIOD)

    def tearDown(self):
        for descriptor in self.descriptors:
            os.close(descriptor)
        if self.server is not None and self.server.process.returncode is None:
            self.assertEqual(self.server.stop(), 0)
        if self.meter is not None and not self.meter.stopping:
            self.meter.stop()
        self.ledger.close()

    def restart(self, how):
        """Another wattport-fs in the place of one that was ended by that signal."""
        self.server.process.send_signal(how)
        self.server.finish()
        self.server = fusefs.Server(self.runtime, *self.OPTIONS)

    def reader(self, path):
        """A process that reads the file all the time."""
        process = subprocess.Popen([sys.executable, "-c", READER, path], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def check_readers(self, readers):
        """Ends them; nothing that they read was bad."""
        for process in readers:
            process.send_signal(signal.SIGTERM)
        for process in readers:
            result = json.loads(process.communicate(timeout=fusefs.PATIENCE_S)[0])
            print(f"\n    {result['reads']} reads, last {result['last']}", end="")
            self.assertEqual(result["bad"], [])
            self.assertLess(result["blank"], 16)


class TestTree(PlainTest):
    def entries(self):
        """Every entry of VM's tree: its kind, its mode but for the owner's right to write, and where a link leads."""
        found = {}
        for directory, folders, files in os.walk(self.path("")):
            for entry in os.scandir(directory):
                path = os.path.relpath(entry.path, self.path(""))
                info = os.lstat(entry.path)
                link = os.readlink(entry.path) if entry.is_symlink() else ""
                found[path] = (stat.S_IFMT(info.st_mode), info.st_mode & 0o577, link)
            self.assertEqual(len(folders) + len(files), len(os.listdir(directory)))
        return found

    @unittest.skipUnless(os.access("/dev/fuse", os.R_OK | os.W_OK), "there is no /dev/fuse to compare with")
    def test_is_the_same_as_with_fuse(self):
        self.OPTIONS = ()
        self.start("isolated", False, "--tree.psys=yes")
        with_fuse = self.entries()
        self.server.stop()
        self.server = fusefs.Server(self.runtime, *PlainTest.OPTIONS, "--tree.psys=yes")
        self.assertEqual(self.entries(), with_fuse)
        self.assertIn("class/powercap/intel-rapl:2", with_fuse)

    def test_every_file_is_one_line_with_a_newline(self):
        self.start()
        for directory, _, files in os.walk(self.path("")):
            for name in files:
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    text = file.read()
                self.assertTrue(text.endswith(b"\n"), path)
                # One that became longer while it was read has a newline more: plain_tree.h.
                self.assertEqual(text.rstrip(b"\n").count(b"\n"), 4 if name == "snapshot" else 0, path)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o444)
        self.assertEqual(self.read("wattport/uuid"), VM + "\n")
        self.assertEqual(sorted(os.listdir(self.mount)), [VM, OTHER])

    def test_tree_grows_with_its_account(self):
        self.start()
        kept = self.open(ENERGY)
        self.ledger.tell(f"vm {VM} 12 running 1", "publish")
        until(lambda: os.path.exists(self.path("class/powercap/intel-rapl:b/energy_uj")), "zone b")
        self.assertEqual(self.read("class/powercap/intel-rapl:a/name"), "package-10\n")
        self.assertEqual(os.fstat(kept).st_ino, os.stat(self.path(ENERGY)).st_ino)

    def test_view_changes_the_modes(self):
        self.start("exact")
        self.assertEqual(stat.S_IMODE(os.stat(self.path(ENERGY)).st_mode), 0o400)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("wattport/snapshot")).st_mode), 0o400)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("wattport/age_ms")).st_mode), 0o444)
        command = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "cat", self.path(ENERGY)]
        self.assertNotEqual(subprocess.run(command, capture_output=True, check=False).returncode, 0)
        self.assertGreater(int(self.read(ENERGY)), 1000000)
        self.ledger.tell("host isolated replay package dram psys", "publish")
        until(lambda: stat.S_IMODE(os.stat(self.path(ENERGY)).st_mode) == 0o444, "the new mode")
        self.assertEqual(subprocess.run(command, capture_output=True, check=False).returncode, 0)

    def test_nothing_can_be_changed(self):
        self.start()
        file, directory = self.path(ENERGY), self.path("wattport")
        attempts = [
            lambda: os.open(file, os.O_WRONLY), lambda: os.open(file, os.O_RDWR), lambda: os.truncate(file, 0),
            lambda: os.open(f"{directory}/new", os.O_CREAT | os.O_WRONLY), lambda: os.mkdir(f"{directory}/new"),
            lambda: os.unlink(file), lambda: os.rmdir(directory), lambda: os.rename(file, f"{directory}/new"),
            lambda: os.symlink("x", f"{directory}/new"), lambda: os.link(file, f"{directory}/new"),
            lambda: os.chmod(file, 0o666), lambda: os.chown(file, 1, 1), lambda: os.utime(file),
            lambda: os.setxattr(file, "trusted.x", b"1"), lambda: os.removexattr(file, "trusted.x"),
            lambda: os.mkdir(os.path.join(self.mount, UNKNOWN)), lambda: os.mkfifo(os.path.join(self.mount, "x")),
            lambda: os.open(directory, os.O_TMPFILE | os.O_WRONLY),
            lambda: os.fchmod(self.open(ENERGY), 0o666), lambda: os.ftruncate(self.open(ENERGY), 0),
        ]
        for number, attempt in enumerate(attempts):
            with self.assertRaises(OSError) as caught:
                attempt()
            # What is open for reading alone cannot be cut either: EINVAL, whatever the mount.
            self.assertEqual(caught.exception.errno, errno.EINVAL if number == len(attempts) - 1 else errno.EROFS, number)
        self.assertFalse(os.access(file, os.W_OK))

    def test_no_other_way_leads_there(self):
        self.start()
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            lines = [line.split() for line in file if self.runtime in line]
        self.assertEqual([line[4] for line in lines], [self.mount])
        for option in ("ro", "nosuid", "nodev", "noexec"):
            self.assertIn(option, lines[0][5].split(","))
        self.assertEqual(sorted(os.listdir(self.runtime)), ["fs-worker.pid", "fs.pid", "fs.sock", "ledger", "log", "meter.sock", "vm"])

    def test_file_system_is_bounded(self):
        self.start()
        full = os.statvfs(self.mount)
        self.assertEqual(full.f_files, 4096 * 128)
        self.assertEqual(full.f_blocks, 4096 * 128)
        # A way to write is made, as only root can.
        writable = os.path.join(self.runtime, "writable")
        os.mkdir(writable)
        subprocess.run(["mount", "--bind", self.mount, writable], check=True)
        self.addCleanup(subprocess.run, ["umount", writable], check=True)
        subprocess.run(["mount", "-o", "remount,bind,rw", writable], check=True)

        def limit(inodes):
            subprocess.run(["mount", "-o", f"remount,rw,nr_inodes={inodes}", writable], check=True)

        limit(full.f_files - full.f_ffree + 20)
        self.ledger.tell(f"vm {UNKNOWN} 1 running 1", "publish")
        until(lambda: "file system is full" in self.server.text(), "it says so")
        # No half of a tree, and the others go on.
        self.assertEqual(sorted(os.listdir(self.mount)), [VM, OTHER])
        self.ledger.tell(f"energy {VM} 0 5000000 5000000", "publish")
        until(lambda: int(self.read(ENERGY)) > 5000000, "another tree to go on")
        limit(full.f_files)
        until(lambda: os.path.exists(self.path(ENERGY, UNKNOWN)), "the tree to be made after all")


class TestValues(PlainTest):
    def test_what_is_read_is_fresh(self):
        """What a reader sees has been sampled for it: it gets on with no other reader, and long before the next period."""
        self.OPTIONS = (MODE, "--meter.period=60s")
        self.start()
        descriptor = self.open(ENERGY)
        last, begun = int(os.pread(descriptor, 64, 0)), fusefs.now()
        for _ in range(20):
            before = last + self.meter.STEP_UJ // 2
            until(lambda least=before: int(os.pread(descriptor, 64, 0)) > least, "a sample for who reads")
            value = int(os.pread(descriptor, 64, 0))
            self.assertGreater(value, last)
            last = value
            self.assertLess(last, self.meter.energy_uj + self.meter.STEP_UJ // 2)
        print(f"\n    20 samples in {fusefs.now() - begun:.1f} s", end="")

    def test_nobody_asks_while_nobody_reads(self):
        self.start()
        time.sleep(1)
        self.assertEqual(self.meter.heard(), [])
        self.ledger.tell(f"energy {VM} 0 7000000 7000000", "publish")
        until(lambda: int(self.read(ENERGY)) > 7000000, "the next period")

    def test_rests_for_nobody(self):
        """A machine that is off, one whose wattportd is away: both counters step on."""
        self.start(meter=False)
        self.ledger.tell(f"vm {VM} 2 off 0", "publish")
        for uuid in (VM, OTHER):
            first = int(self.read(ENERGY, uuid))
            until(lambda uuid=uuid, first=first: int(self.read(ENERGY, uuid)) > first + 100, "steps")
        until(lambda: "wattportd is away" in self.server.text(), "it says so")
        until(lambda: int(self.read("wattport/age_ms")) > 100, "the age to grow")

    def test_text_that_becomes_shorter(self):
        self.start(meter=False)
        until(lambda: int(self.read("wattport/age_ms")) >= 1000, "four digits")
        texts = []

        def short():
            self.ledger.tell("host isolated p package dram psys", "publish")
            time.sleep(0.05)
            texts.append(self.read("wattport/age_ms"))
            return int(texts[-1]) < 1000

        until(short, "three digits")
        self.assertRegex(texts[-1], r"^\d{1,3} +\n$")
        until(lambda: self.read("wattport/source") == "p     \n", "a source of one letter")

    def test_polling_costs_no_more_than_reading(self):
        self.start()
        readers = [self.reader(self.path(file)) for file in (ENERGY, "class/powercap/intel-rapl:1/energy_uj") * 4]
        until(lambda: len(self.meter.asked) > 5, "the readers are seen")
        asked, begin = len(self.meter.heard()), fusefs.now()
        until(lambda: len(self.meter.asked) >= asked + 20, "samples for the readers")
        asked, took = len(self.meter.heard()) - asked, fusefs.now() - begin
        self.check_readers(readers)
        self.assertLessEqual(asked, took / 0.02 + 2)


class TestEnds(PlainTest):
    def test_restarts_are_not_noticed(self):
        self.start()
        readers = [self.reader(self.path(ENERGY)) for _ in range(8)]
        kept = self.open(ENERGY)
        for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            self.restart(how)
            before = int(os.pread(kept, 64, 0))
            until(lambda: int(os.pread(kept, 64, 0)) > before, "the kept descriptor to go on")
        self.check_readers(readers)
        self.assertEqual(os.fstat(kept).st_ino, os.stat(self.path(ENERGY)).st_ino)

    def test_stays_readable_while_nobody_writes(self):
        self.start()
        kept = self.open(ENERGY)
        until(lambda: int(os.pread(kept, 64, 0)) > 1_000_100, "some energy")
        self.assertEqual(self.server.stop(), 0)
        last = int(os.pread(kept, 64, 0))
        self.assertEqual(int(self.read(ENERGY)), last)
        # Its successor knows of less: the ledger was lost.
        self.meter.stop()
        self.ledger.close()
        os.unlink(os.path.join(self.runtime, "ledger"))
        self.ledger = fusefs.Ledger(self.runtime)
        self.ledger.tell("host isolated replay package dram psys", f"vm {VM} 2 running 1", f"energy {VM} 0 10 10", "publish")
        self.server = fusefs.Server(self.runtime, *self.OPTIONS)
        self.assertGreaterEqual(int(self.read(ENERGY)), last)
        until(lambda: int(os.pread(kept, 64, 0)) > last, "the kept descriptor to go on")

    def test_only_one_a_directory(self):
        self.start()
        second = subprocess.run([PROGRAMS["wattport_fs"], "--runtime-dir", self.runtime, "--config", "/dev/null", MODE],
                                capture_output=True, text=True, timeout=fusefs.PATIENCE_S, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another wattport-fs serves", second.stderr)

    def test_replaces_one_that_lives(self):
        self.start()
        reader = self.reader(self.path(ENERGY))
        first, self.server = self.server, fusefs.Server(self.runtime, *self.OPTIONS, "--replace")
        self.assertEqual(first.finish(), -signal.SIGKILL)
        before = int(self.read(ENERGY))
        until(lambda: int(self.read(ENERGY)) > before, "the counter to go on")
        self.check_readers([reader])

    def test_unmount_ends_it_for_good(self):
        self.start()
        command = fusefs.Server.command(self.runtime, "--unmount")
        refused = subprocess.run(command, capture_output=True, text=True, timeout=fusefs.PATIENCE_S, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("another wattport-fs serves", refused.stderr)
        kept = self.open(ENERGY)
        self.assertEqual(self.server.stop(), 0)
        self.assertTrue(fusefs.mounted(self.mount))
        subprocess.run(command, check=True)
        self.assertFalse(fusefs.mounted(self.mount))
        self.assertEqual(os.listdir(self.mount), [])
        self.assertGreater(int(os.pread(kept, 64, 0)), 1000000)

    @unittest.skipUnless(os.access("/dev/fuse", os.R_OK | os.W_OK), "there is no /dev/fuse")
    def test_takes_the_place_of_fuse_and_gives_it_back(self):
        self.start()
        for options in ((), self.OPTIONS, ()):
            self.server.process.kill()
            self.server.finish()
            self.server = fusefs.Server(self.runtime, *options)
            self.assertGreater(int(self.read(ENERGY)), 1000000)
            with open("/proc/self/mountinfo", encoding="utf-8") as file:
                self.assertEqual(sum(line.split()[4] == self.mount for line in file), 1)

    def test_has_no_privileges(self):
        self.start()
        self.assert_unprivileged(self.server.process.pid)


class TestPrepare(PlainTest):
    """What libvirt's hook does before a machine starts."""

    def prepare(self, text, *options):
        """wattport prepare: its end, and how long it took."""
        begin = fusefs.now()
        done = subprocess.run(
            [PROGRAMS["wattport"], "prepare", "--runtime-dir", self.runtime, "--config", "/dev/null", *(options or (MODE,))],
            input=text, capture_output=True, text=True, timeout=fusefs.PATIENCE_S, check=False)
        return done, fusefs.now() - begin

    def hook(self, *arguments, text=None):
        """The hook as it is installed, with this build's program."""
        with open(PROGRAMS["hook"], encoding="utf-8") as file:
            script = re.sub(r'"[^"]*/wattport" prepare', f'"{PROGRAMS["wattport"]}" prepare --runtime-dir {self.runtime}'
                            f" --config /dev/null {MODE}", file.read())
        return subprocess.run(["sh", "-c", script, "wattport", *arguments], input=text, capture_output=True, text=True,
                              timeout=fusefs.PATIENCE_S, check=False)

    @staticmethod
    def domain(uuid=UNKNOWN, vcpus=2, name="new"):
        return DOMAIN.format(uuid=uuid, vcpus=vcpus, name=name)

    def test_makes_the_tree_of_a_machine_that_nobody_knows(self):
        self.start()
        done, _ = self.prepare(self.domain())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        # At once, and whole.
        self.assertEqual(sorted(os.listdir(self.path("class/powercap", UNKNOWN)))[-1], "intel-rapl:1")
        self.assertGreater(int(self.read(ENERGY, UNKNOWN)), 0)
        kept = os.stat(self.path(ENERGY, UNKNOWN)).st_ino
        self.assertEqual(self.prepare(self.domain())[0].returncode, 0)
        self.ledger.tell(f"vm {UNKNOWN} 2 running 1", f"energy {UNKNOWN} 0 3000000 1", "publish")
        until(lambda: int(self.read(ENERGY, UNKNOWN)) > 3000000, "its account")
        self.assertEqual(os.stat(self.path(ENERGY, UNKNOWN)).st_ino, kept)

    def test_known_machine_is_not_touched(self):
        self.start()
        before = int(self.read(ENERGY))
        self.assertEqual(self.prepare(self.domain(VM, 7))[0].returncode, 0)
        self.assertGreaterEqual(int(self.read(ENERGY)), before)
        self.assertFalse(os.path.exists(self.path("class/powercap/intel-rapl:2")))

    def test_input_that_makes_no_sense(self):
        self.start()
        bomb = "<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
            f"<!ENTITY {chr(98 + i)} '{('&' + chr(97 + i) + ';') * 10}'>" for i in range(9)
        ) + "]><domain><name>&j;</name></domain>"
        cases = {
            "": "not well-formed", "<domain>": "not well-formed", "\0" * 100: "not well-formed", "<network/>": "not a <domain>",
            "<domain><name>x</name></domain>": "no valid <uuid>", self.domain("../../../etc"): "no valid <uuid>",
            self.domain("00000000-0000-0000-0000-000000000000"): "no valid <uuid>", bomb: "the XML",
            self.domain(name=""): "no <name>", self.domain(vcpus=10**9): "make no sense",
            "<domain>" + " " * (5 << 20): "larger than",
        }
        for text, wanted in cases.items():
            done, _ = self.prepare(text)
            self.assertEqual(done.returncode, 1, text[:80])
            self.assertIn(wanted, done.stderr)
        self.assertEqual(sorted(os.listdir(self.mount)), [VM, OTHER])
        self.assertEqual(self.prepare(self.domain(vcpus=4096))[0].returncode, 0)
        self.assertEqual(len(os.listdir(self.path("class/powercap", UNKNOWN))), 1 + 64)

    def test_nothing_to_do_with_fuse(self):
        done, _ = self.prepare("no XML at all", "--tree.mode=fuse")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_waits_for_nobody_for_long(self):
        """No wattport-fs, one that hangs, one that comes late, and a stdin that never ends."""
        done, took = self.prepare(self.domain())
        self.assertEqual(done.returncode, 1)
        self.assertIn("systemctl start wattport-fs", done.stderr)
        self.assertLess(took, LONG_S)
        path = os.path.join(self.runtime, "fs.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.bind(path)
            silent.listen(1)
            done, took = self.prepare(self.domain())
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not answer", done.stderr)
        self.assertLess(took, LONG_S)
        with subprocess.Popen([PROGRAMS["wattport"], "prepare", "--runtime-dir", self.runtime, "--config", "/dev/null", MODE],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE) as endless:
            self.assertEqual(endless.wait(LONG_S), 1)
        until(self.comes_late, "a wattport-fs that begins while it is waited for")

    def comes_late(self):
        """Whether it came in time for who had come before it."""
        if self.server is not None:
            self.server.stop()
        with subprocess.Popen([PROGRAMS["wattport"], "prepare", "--runtime-dir", self.runtime, "--config", "/dev/null", MODE],
                              stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as waiting:
            waiting.stdin.write(self.domain())
            waiting.stdin.close()
            self.start(meter=False)
            return waiting.wait(LONG_S) == 0

    def test_hook_never_stops_a_machine(self):
        for arguments in (("new", "prepare", "begin", "-"), ("new", "started", "begin", "-"), ("new", "migrate", "begin", "-"), ()):
            for text in (self.domain(), "<", ""):
                done = self.hook(*arguments, text=text)
                self.assertEqual((done.returncode, done.stdout), (0, ""), arguments)
        self.start()
        self.assertEqual(self.hook("new", "started", "begin", "-", text=self.domain()).stderr, "")
        self.assertFalse(os.path.exists(self.path("", UNKNOWN)))
        self.assertEqual(self.hook("new", "prepare", "begin", "-", text=self.domain()).returncode, 0)
        self.assertTrue(os.path.exists(self.path(ENERGY, UNKNOWN)))
        self.assertEqual(shutil.which("timeout") is None, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wattport-fs", required=True)
    parser.add_argument("--wattport", required=True)
    parser.add_argument("--hook", required=True)
    parser.add_argument("--ledger-writer", required=True)
    parser.add_argument("--sanitized", action="store_true", help="the build has no system call filter")
    arguments, rest = parser.parse_known_args()
    PROGRAMS.update(wattport_fs=os.path.abspath(arguments.wattport_fs), sanitized=arguments.sanitized,
                    wattport=os.path.abspath(arguments.wattport), hook=os.path.abspath(arguments.hook),
                    ledger_writer=os.path.abspath(arguments.ledger_writer))
    if os.geteuid() != 0:
        print("skipped: mounting needs root")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
