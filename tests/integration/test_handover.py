#!/usr/bin/python3
"""One wattport-fs takes over from another: killed, replaced, told to go, or with nobody left but a service manager that
keeps two descriptors; and readers of all kinds notice nothing.

Exit status 77: it cannot run here (no root, no /dev/fuse).
"""

import ctypes
import errno
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import unittest

import test_fusefs
from test_fusefs import ENERGY, OTHER, PATIENCE_S, PROGRAMS, VM, Reader, Server, lives, mounted, until

# Puts descriptors where a service manager puts them, and says so to the program that it becomes.
LAUNCHER = """
import os, sys
fds, names = sys.argv[1].split(","), sys.argv[2]
for number, fd in enumerate(fds):
    os.dup2(int(fd), 3 + number, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """A service manager: keeps the descriptors that it is sent (sd_notify(3)), and passes them to who is started next."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.kept = {}
        self.complaints = []
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            if not select.select([self.socket], [], [], 0.02)[0]:
                continue
            message, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
            fields = dict(line.split("=", 1) for line in message.decode().splitlines())
            if "FDSTORE" in fields:
                # systemd keeps what it has already only once.
                (fd,) = fds
                if any(same(fd, other) for other in self.kept.values()):
                    os.close(fd)
                elif fields["FDNAME"] in self.kept:
                    self.complaints.append(f"another {fields['FDNAME']}, and the one before was not taken away")
                else:
                    self.kept[fields["FDNAME"]] = fd
            elif "BARRIER" in fields:
                # All that was sent before has been read.
                for fd in fds:
                    os.close(fd)
            elif "FDSTOREREMOVE" in fields and fields["FDNAME"] in self.kept:
                os.close(self.kept.pop(fields["FDNAME"]))

    def environment(self):
        return {**os.environ, "NOTIFY_SOCKET": self.path}

    def popen(self):
        """For Popen: the environment, and what has to be kept open."""
        return {"env": self.environment(), "pass_fds": tuple(self.kept.values())}

    def command(self, command):
        return [sys.executable, "-I", "-S", "-c", LAUNCHER, ",".join(map(str, self.kept.values())), ":".join(self.kept), *command]

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()
        os.unlink(self.path)
        for fd in self.kept.values():
            os.close(fd)
        assert not self.complaints, self.complaints


KCMP = {"x86_64": 312, "aarch64": 272}[os.uname().machine]
LIBC = ctypes.CDLL(None, use_errno=True)


def same(first, second):
    """Whether both mean the same open file (kcmp(2), KCMP_FILE)."""
    return LIBC.syscall(KCMP, os.getpid(), os.getpid(), 0, first, second) == 0


class Managed(Server):
    """A wattport-fs that a manager starts, with what it keeps."""

    def __init__(self, runtime, manager, *options):
        self.manager = manager
        super().__init__(runtime, *options, **manager.popen())

    def command(self, runtime, *options):
        command = super().command(runtime, *options)
        return self.manager.command(command) if self.manager.kept else command


class HandoverTest(test_fusefs.FusefsTest):
    def setUp(self):
        super().setUp()
        self.manager = None
        self.readers = []

    def leave_nothing(self):
        for reader in self.readers:
            reader.process.kill()
        super().leave_nothing()

    def tearDown(self):
        super().tearDown()
        if self.manager is not None:
            self.manager.stop()

    def start_managed(self, meter=True):
        self.start(meter=meter)
        self.server.stop()
        self.manager = Manager(self.runtime)
        self.server = Managed(self.runtime, self.manager, *self.OPTIONS)
        until(lambda: len(self.manager.kept) == 2, "the manager has both descriptors")

    def start_readers(self):
        self.readers = [Reader("kept", self.path(ENERGY)), Reader("kept", self.path(ENERGY, OTHER)),
                        Reader("fresh", self.path(ENERGY)), Reader("parts", self.path("wattport/snapshot"))]

    def stop_readers(self, least=100):
        readers, self.readers = self.readers, []
        for reader in readers:
            seen = reader.stop(least)
            print(f"\n    {reader.kind}: {seen['reads']} reads, worst {seen['worst_ms']:.1f} ms", end="")
            self.assertEqual([seen[what] for what in ("errors", "decreases", "equals", "torn", "texts")], [0, 0, 0, 0, []])
            self.assertGreaterEqual(seen["reads"], least)

    def kill_worker_of_nobody(self):
        """Ends the worker that serves on without a keeper."""
        victim = self.server.worker()
        os.kill(victim, signal.SIGKILL)
        until(lambda: not lives(victim), "its death")

    def plain(self, *options):
        return Server(self.runtime, *self.OPTIONS, *options)


PAUSE = 0.15  # of readers in full swing between two events


class TestRestarts(HandoverTest):
    """Every way in which one wattport-fs can follow another, under readers."""

    ROUNDS = 2

    def restart_after_kill(self):
        self.assertEqual(self.server.kill(), -signal.SIGKILL)
        time.sleep(PAUSE)
        self.server = self.plain()

    def replace_living(self):
        old, self.server = self.server, self.plain("--replace")
        self.assertEqual(old.finish(), -signal.SIGKILL)

    def restart_as_told(self):
        old, self.server = self.server, self.plain("--replace", "--keep-mounted")
        self.assertEqual(old.finish(), -signal.SIGKILL)
        worker = self.server.worker()
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.server.worker(), worker)
        self.assertFalse(os.path.exists(os.path.join(self.runtime, "fs.pid")))
        time.sleep(PAUSE)
        self.server = self.plain()

    def restart_by_manager(self):
        old, self.server = self.server, Managed(self.runtime, self.manager, "--replace", *self.OPTIONS)
        self.assertEqual(old.finish(), -signal.SIGKILL)
        self.assertEqual(self.server.kill(), -signal.SIGKILL)
        self.kill_worker_of_nobody()
        # Now nobody has the connection but the manager, and all who read wait.
        time.sleep(PAUSE)
        self.server = Managed(self.runtime, self.manager, *self.OPTIONS)

    def run_all(self, rounds):
        for _ in range(rounds):
            for restart in (self.restart_after_kill, self.replace_living, self.restart_as_told, self.restart_by_manager):
                time.sleep(PAUSE)
                restart()
                self.assertIn("going on with the mount", self.server.text())
        time.sleep(PAUSE)

    def test_readers_notice_nothing(self):
        self.start_managed()
        self.start_readers()
        self.run_all(self.ROUNDS)
        self.stop_readers()

    def test_reads_that_wait(self):
        self.start_managed()
        self.meter.delay = 0.012
        self.start_readers()
        self.run_all(1)
        self.stop_readers(20)

    def test_what_nobody_else_knows(self):
        """Counters that ran ahead of their accounts, and a ledger that has gone: all is as it was told."""
        self.start_managed(meter=False)
        files = [self.path(ENERGY), self.path("class/powercap/intel-rapl:1:0/energy_uj"), self.path(ENERGY, OTHER)]
        kept = [self.open(file) for file in files]
        for descriptor in kept:
            os.pread(descriptor, 64, 0)
        # From what it was told first a counter rises by itself.
        time.sleep(PAUSE)
        before = [int(os.pread(descriptor, 64, 0)) for descriptor in kept]
        self.assertGreater(before[0], 1000050)
        os.unlink(os.path.join(self.runtime, "ledger"))
        self.run_all(1)
        for file, descriptor, value in zip(files, kept, before):
            self.assertGreater(int(os.pread(descriptor, 64, 0)), value)
            with open(file, encoding="ascii") as opened:
                self.assertGreater(int(opened.read()), value)

    def test_what_is_open_stays_as_it_was(self):
        self.start_managed()
        opened = [os.open(self.path(ENERGY), os.O_RDONLY) for _ in range(500)]
        snapshot = self.open("wattport/snapshot")
        start = os.pread(snapshot, 5, 0)
        directory = os.open(self.path("class/powercap"), os.O_RDONLY | os.O_DIRECTORY)
        self.descriptors.append(directory)
        self.run_all(1)
        values = dict(line.split() for line in (start + os.pread(snapshot, 4096, 5)).decode().splitlines())
        self.assertEqual(values["package-0"], values["dram-0"])
        self.assertIn("intel-rapl:0", os.listdir(directory))
        with self.assertRaises(OSError) as caught:
            for _ in range(20):
                opened.append(os.open(self.path(ENERGY), os.O_RDONLY))
        self.assertEqual((caught.exception.errno, len(opened)), (errno.EMFILE, 511))
        for descriptor in opened:
            self.assertGreater(int(os.pread(descriptor, 64, 0)), 1000000)
            os.close(descriptor)


class TestRestartsOnOldKernels(TestRestarts):
    """The same where the kernel cannot be asked to send requests again (before Linux 6.9)."""

    OPTIONS = ("--without-resend",)
    ROUNDS = 1


class TestUpgrades(TestRestarts):
    """The same where each successor lays out its memory in its own way, on old kernels, where most of it is needed."""

    OPTIONS = ("--without-resend", "--copy-memory")
    ROUNDS = 1


class TestOrphan(HandoverTest):
    """A worker without a keeper."""

    def start_orphan(self):
        self.start()
        self.assertEqual(self.server.kill(), -signal.SIGKILL)
        return self.server.worker()

    def test_serves_on(self):
        worker = self.start_orphan()
        descriptor = self.open(ENERGY)
        first, _ = self.timed_read(descriptor)
        time.sleep(0.005)
        self.assertGreater(self.timed_read(descriptor)[0], first)
        self.assertEqual(self.server.worker(), worker)
        self.server = Server(self.runtime)
        self.assertIn("going on with the mount", self.server.text())

    def test_ends_with_its_mount(self):
        worker = self.start_orphan()
        subprocess.run(["umount", self.mount], check=True)
        until(lambda: not lives(worker), "its end")
        self.server = Server(self.runtime)
        self.assertNotIn("going on", self.server.text())
        self.assertGreater(int(self.read(ENERGY)), 1000000)

    def test_ends_when_all_is_given_up(self):
        worker = self.start_orphan()
        descriptor = self.open(ENERGY)
        done = subprocess.run(Server.command(self.runtime, "--unmount"), capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        until(lambda: not lives(worker), "its end")
        self.assertFalse(mounted(self.mount))
        self.assertEqual(sorted(os.listdir(self.runtime)), ["ledger", "log", "meter.sock", "vm"])
        with self.assertRaises(OSError):
            os.pread(descriptor, 64, 0)
        # Nothing is there to be given up: that is no failure.
        self.assertEqual(subprocess.run(Server.command(self.runtime, "--unmount"), check=False).returncode, 0)

    def test_mount_that_nobody_holds(self):
        worker = self.start_orphan()
        os.kill(worker, signal.SIGKILL)
        until(lambda: not lives(worker), "its death")
        with self.assertRaises(OSError):
            os.listdir(self.mount)
        self.server = Server(self.runtime)
        self.assertIn("took the mount of a dead keeper away", self.server.text())
        self.assertGreater(int(self.read(ENERGY)), 1000000)


class TestFirstStep(HandoverTest):
    """wattport-fs --mount: what may mount ends at once, and what serves for months can mount nothing."""

    STAYS = False

    def mount_first(self, stored=0):
        command = Server.command(self.runtime, *self.OPTIONS, f"--mount={stored}")
        command = self.manager.command(command) if self.manager.kept else command
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **self.manager.popen())

    def begin(self):
        self.ledger.tell("host isolated replay package dram psys", f"vm {VM} 2 running 1", f"energy {VM} 0 1000000 1000000", "publish")
        self.manager = Manager(self.runtime)

    def test_mounts_and_leaves_it_to_the_manager(self):
        self.begin()
        done = self.mount_first()
        self.assertEqual(done.returncode, 0, done.stderr)
        kept = sorted(self.manager.kept)
        self.assertGreater(len(kept), 0)
        self.assertTrue(mounted(self.mount))
        self.assertFalse(os.path.exists(os.path.join(self.runtime, "fs.pid")))
        # As before each start of the unit: it is there already.
        done = self.mount_first(len(kept))
        self.assertEqual((done.returncode, sorted(self.manager.kept)), (0, kept), done.stderr)
        for _ in range(2):
            self.server = Managed(self.runtime, self.manager, *self.OPTIONS, "--keep-mounted")
            self.assertGreater(int(self.read(ENERGY)), 1000000)
            self.server.kill()
            self.assertEqual(self.mount_first(len(kept)).returncode, 0)
        self.server = Managed(self.runtime, self.manager, *self.OPTIONS)
        self.assertGreater(int(self.read(ENERGY)), 1000000)

    def test_without_a_manager(self):
        self.begin()
        command = Server.command(self.runtime, *self.OPTIONS, "--mount")
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("without one start wattport-fs without --mount", done.stderr)
        self.assertEqual(mounted(self.mount), self.STAYS)

    def test_with_a_number_that_is_none(self):
        self.begin()
        done = self.mount_first("some")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--mount takes a number of descriptors: some", done.stderr)


class TestFirstStepOfPlainFiles(TestFirstStep):
    """The same where the trees are plain files, which stay until they are given up."""

    OPTIONS = ("--tree.mode=tmpfs",)
    STAYS = True

    def tearDown(self):
        if self.server is not None:
            self.assertEqual(self.server.stop(), 0)
        subprocess.run(Server.command(self.runtime, "--unmount"), check=True)
        super().tearDown()


class TestWhoServes(HandoverTest):
    """One keeper a directory, whatever is started beside it."""

    def run_beside(self, *options):
        return subprocess.run(Server.command(self.runtime, *options), capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def test_mount_without_a_server_that_somebody_holds(self):
        """Whoever asks such a mount hangs: a wattport-fs that was not given the descriptors must not."""
        self.start_managed()
        self.server.kill()
        self.kill_worker_of_nobody()
        self.server = Server(self.runtime)
        self.assertIn("took the mount of a dead keeper away", self.server.text())
        self.assertGreater(int(self.read(ENERGY)), 1000000)

    def test_descriptors_that_are_of_no_use(self):
        """Of a mount that is gone, of another kind, and twice: none of them does harm."""
        self.start_managed()
        kept = {name: os.dup(fd) for name, fd in self.manager.kept.items()}
        self.server.stop()
        until(lambda: not self.manager.kept, "the manager drops what nobody needs")
        self.manager.kept = {**kept, "null": os.open("/dev/null", os.O_RDWR), "memfd": os.memfd_create("other")}
        self.server = Managed(self.runtime, self.manager)
        self.assertNotIn("going on", self.server.text())
        self.assertGreater(int(self.read(ENERGY)), 1000000)

    def test_unmount_beside_one_that_lives(self):
        self.start()
        done = self.run_beside("--unmount")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another wattport-fs serves", done.stderr)
        self.assertGreater(int(self.read(ENERGY)), 1000000)

    def test_many_at_once_after_an_orphan(self):
        self.start()
        self.start_readers()
        self.server.kill()
        winner = self.race()
        self.stop_readers()
        self.end(winner)

    def test_many_that_replace_each_other(self):
        self.start()
        self.start_readers()
        winner = self.race("--replace")
        self.assertEqual(self.server.finish(), -signal.SIGKILL)
        self.stop_readers()
        self.end(winner)

    def end(self, winner):
        winner.send_signal(signal.SIGTERM)
        self.assertEqual(winner.wait(PATIENCE_S), 0)

    def race(self, *options):
        """Starts several at the same time: one serves in the end, which is returned; the others have said why not."""
        racers = {}
        for number in range(6):
            log = os.path.join(self.runtime, f"race-{number}")
            with open(log, "w", encoding="utf-8") as file:
                racers[subprocess.Popen(Server.command(self.runtime, *options), stderr=file)] = log
        self.addCleanup(lambda: [(racer.kill(), racer.wait()) for racer in racers])
        until(lambda: sum(racer.poll() is None for racer in racers) <= 1, "all but one have given up")
        (winner,) = [racer for racer in racers if racer.poll() is None]

        def said(racer):
            with open(racers[racer], encoding="utf-8") as file:
                return file.read()

        until(lambda: "ready: " in said(winner) or winner.poll() is not None, "the one that is left serves")
        self.assertIsNone(winner.poll(), said(winner))
        for racer in racers:
            if racer.returncode == 1:
                self.assertRegex(said(racer), "another wattport-fs serves|is about to serve")
            elif racer is not winner:
                self.assertEqual(racer.returncode, -signal.SIGKILL, said(racer))
        return winner

    def test_number_of_an_innocent_process(self):
        """What a file says proves nothing: who does not hold its lock is left alone."""
        innocent = subprocess.Popen(["sleep", "60"])
        self.addCleanup(innocent.wait)
        self.addCleanup(innocent.kill)
        for name in ("fs.pid", "fs-worker.pid"):
            with open(os.path.join(self.runtime, name), "w", encoding="utf-8") as file:
                file.write(f"{innocent.pid}\n")
        self.start("isolated", True, "--replace")
        self.assertIsNone(innocent.poll())
        for name, pid in (("fs.pid", self.server.process.pid), ("fs-worker.pid", self.server.worker())):
            path = os.path.join(self.runtime, name)
            # Whoever may read it may lock it, and nobody else must be able to keep wattport-fs from starting.
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path, encoding="utf-8") as file:
                self.assertEqual(int(file.read()), pid)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *test_fusefs.prepare(__doc__)], verbosity=2)
