#!/usr/bin/python3
"""wattport-fs as a whole: a real mount, a ledger written by hand, and a wattportd that answers, hangs or dies.

Exit status 77: it cannot run here (no root, no /dev/fuse).
"""

import argparse
import contextlib
import errno
import fcntl
import json
import os
import pwd
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77
PROGRAMS = {}

VM = "11111111-2222-3333-4444-555555555555"
OTHER = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
UNKNOWN = "99999999-0000-4000-8000-000000000001"
NOBODY = pwd.getpwnam("nobody").pw_uid
ENERGY = "class/powercap/intel-rapl:0/energy_uj"
PREAD = {"x86_64": "17", "aarch64": "67"}[os.uname().machine]

# Nothing here depends on how soon a process gets a CPU. What has to happen is waited for, so long that only what never
# happens is missed. What must not happen is counted. And what must not take longer than WAIT_MS has to be seen to take no
# longer once: a machine that others use may make each try longer, but nothing makes one shorter.
PATIENCE_S = 60
WAIT_MS = 20
NOISE = 3
BREAK_S = 1.0  # REFRESH_BREAK_NS: who got no answer in time makes nobody else wait for so long


def now():
    return time.monotonic()


def until(condition, what, pause=0.005):
    """Waits for something that another process does."""
    end = now() + PATIENCE_S
    while not condition():
        if now() > end:
            raise AssertionError(f"{what}: not within {PATIENCE_S} s")
        time.sleep(pause)


class Ledger:
    """The ledger of a runtime directory, written by tests/integration/ledger_writer.c."""

    def __init__(self, runtime):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [PROGRAMS["ledger_writer"], runtime], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *lines):
        with self.lock:
            for line in lines:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline().strip()
                if answer != "ok":
                    raise AssertionError(f"ledger_writer: {line}: {answer}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


class Meter:
    """wattportd's socket: each refresh adds a joule, publishes and answers, unless told otherwise. A counter that rises by
    itself makes 1 uJ in each millisecond, so that a joule is never made without a refresh."""

    STEP_UJ = 1_000_000

    def __init__(self, runtime, ledger):
        self.path = os.path.join(runtime, "meter.sock")
        self.ledger = ledger
        self.energy_uj = 1_000_000
        self.lock = threading.Lock()
        self.answers = True
        self.known = {VM, OTHER}
        self.delay = 0.0
        self.asked = []
        self.rounds = 0
        self.listener = self.thread = None
        self.stopping = False
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(8)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.listener.close()

    def refresh(self):
        with self.lock:
            self.energy_uj += self.STEP_UJ
            self.ledger.tell(f"energy {VM} 0 {self.energy_uj} {self.energy_uj}",
                             f"energy {OTHER} 0 {self.energy_uj} {self.energy_uj}", "publish")

    def heard(self):
        """What it has been asked by now, all of that which was sent before this call."""
        # One round may have begun before, one may only have found a new connection.
        rounds = self.rounds + 3
        until(lambda: self.rounds >= rounds, "the meter listens")
        return list(self.asked)

    def _run(self):
        clients, waiting = [], []
        while not self.stopping:
            self.rounds += 1
            ready, _, _ = select.select([self.listener, *clients], [], [], 0.002 if waiting else 0.02)
            for client in ready:
                if client is self.listener:
                    clients.append(client.accept()[0])
                    continue
                try:
                    message = client.recv(4096)
                except ConnectionResetError:
                    message = b""
                if not message:
                    clients.remove(client)
                    client.close()
                    continue
                self.asked.append(message.decode())
                waiting.append((now() + self.delay, client, message.decode()))
            if not self.answers:
                continue
            for due, client, message in list(waiting):
                if due > now():
                    continue
                waiting.remove((due, client, message))
                verb, uuid = message.split()
                assert verb == "refresh", message
                known = uuid in self.known
                if known:
                    self.refresh()
                try:
                    client.send(f"{'refreshed' if known else 'unknown'} {uuid}".encode())
                except OSError:
                    pass  # The worker that asked was killed.
        for client in clients:
            client.close()


class Server:
    """A wattport-fs; `pass_fds` and `environment` as a service manager gives them to it."""

    def __init__(self, runtime, *options, program=None, **manager):
        self.runtime = runtime
        # Not a pipe: a worker that outlives its keeper would hold that open.
        self.log = open(os.path.join(runtime, "log"), "ab")
        self.log_start = self.log.tell()
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(program or self.command(runtime, *options), stdout=self.said, stderr=self.log, **manager)
        until(lambda: "ready: " in self.text() or self.process.poll() is not None, "wattport-fs is ready")
        if self.process.poll() is not None:
            raise AssertionError(self.text())

    @staticmethod
    def command(runtime, *options):
        return [PROGRAMS["wattport_fs"], "--runtime-dir", runtime, "--config", "/dev/null", *options]

    def text(self):
        with open(self.log.name, encoding="utf-8") as file:
            file.seek(self.log_start)
            return file.read()

    def worker(self):
        with open(os.path.join(self.runtime, "fs-worker.pid"), encoding="utf-8") as file:
            return int(file.read())

    def kill_worker(self):
        victim = self.worker()
        os.kill(victim, signal.SIGKILL)
        until(lambda: self.worker() != victim, "another worker")

    def stop(self):
        """Its exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def kill(self):
        """SIGKILL to the keeper alone."""
        self.process.kill()
        return self.finish()

    def finish(self):
        status = self.process.wait(PATIENCE_S)
        for complaint in ("Sanitizer", "runtime error:", "the worker ended with status", "worker: "):
            assert complaint not in self.text(), self.text()
        self.said.seek(0)
        said = self.said.read()
        self.said.close()
        self.log.close()
        assert said == b"", f"on stdout: {said}"
        return status


def mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return any(line.split()[4] == path for line in file)


@contextlib.contextmanager
def stopped(pid):
    """Keeps a process from doing anything."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def waits_in_read(thread):
    """Whether a thread of this process is in pread(2), and gets no answer there."""
    with open(f"/proc/self/task/{thread.native_id}/syscall", encoding="ascii") as file:
        return file.read().split()[0] == PREAD


class FusefsTest(unittest.TestCase):
    OPTIONS = ()

    def setUp(self):
        self.runtime = tempfile.mkdtemp(prefix="wattport-test-fusefs.")
        os.chmod(self.runtime, 0o755)
        self.mount = os.path.join(self.runtime, "vm")
        self.ledger = Ledger(self.runtime)
        self.meter = self.server = None
        self.descriptors = []
        self.addCleanup(self.leave_nothing)

    def leave_nothing(self):
        """Also after a test that failed."""
        if self.server is not None and self.server.process.poll() is None:
            self.server.process.kill()
            self.server.process.wait()
        subprocess.run(Server.command(self.runtime, "--unmount"), check=True)
        while mounted(self.mount):
            subprocess.run(["umount", "--lazy", self.mount], check=True)
        shutil.rmtree(self.runtime)

    def tearDown(self):
        for descriptor in self.descriptors:
            os.close(descriptor)
        if self.server is not None and self.server.process.returncode is None:
            self.assertEqual(self.server.stop(), 0)
        if self.meter is not None and not self.meter.stopping:
            self.meter.stop()
        self.ledger.close()
        self.assertFalse(mounted(self.mount))

    def start(self, view="isolated", meter=True, *options):
        """A host with DRAM and psys; VM has two sockets, OTHER one."""
        self.ledger.tell(f"host {view} replay package dram psys", f"vm {VM} 2 running 1", f"vm {OTHER} 1 running 1",
                         f"energy {VM} 0 1000000 1000000", f"energy {OTHER} 0 1000000 1000000", "publish")
        if meter:
            self.meter = Meter(self.runtime, self.ledger)
        self.server = Server(self.runtime, *self.OPTIONS, *options)

    def assert_unprivileged(self, pid):
        """It serves guests: as nobody in particular, without a capability, with few system calls."""
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertNotIn("0", status["Uid"].split())
        self.assertEqual((status["CapEff"], status["CapPrm"], status["CapBnd"], status["NoNewPrivs"]),
                         ("0" * 16, "0" * 16, "0" * 16, "1"))
        if not PROGRAMS["sanitized"]:
            self.assertEqual(status["Seccomp"], "2")

    def is_fresh(self, read):
        """Whether what it returns is computed from a sample that was taken for it, with a step for each millisecond since."""
        time.sleep(0.002)  # What was published less than a millisecond ago does as well.
        before = self.meter.energy_uj
        value = read()
        return before + self.meter.STEP_UJ < value < self.meter.energy_uj + self.meter.STEP_UJ // 2

    def until_fresh(self, read):
        """On a machine that others use it may have to try again: who waits too long for a sample gets the one before."""
        until(lambda: self.is_fresh(read), "a fresh value")

    def path(self, file, uuid=VM):
        return os.path.join(self.mount, uuid, file)

    def read(self, file, uuid=VM):
        with open(self.path(file, uuid), "rb") as opened:
            return opened.read().decode()

    def open(self, file, uuid=VM):
        self.descriptors.append(os.open(self.path(file, uuid), os.O_RDONLY))
        return self.descriptors[-1]

    def timed_read(self, descriptor):
        """The counter, and how many milliseconds its read took."""
        start = now()
        value = int(os.pread(descriptor, 64, 0))
        return value, (now() - start) * 1000


class TestTree(FusefsTest):
    def test_every_file(self):
        self.start("isolated", True, "--tree.psys=yes")
        zones = {"": "devices/virtual/powercap/intel-rapl"}
        for link in os.listdir(self.path("class/powercap")):
            target = os.path.realpath(self.path(f"class/powercap/{link}"))
            self.assertTrue(os.path.isdir(target), target)
            zones[link] = os.path.relpath(target, self.path(""))
        names = {zone: self.read(f"{path}/name") for zone, path in zones.items() if ":" in zone}
        self.assertEqual(names, {"intel-rapl:0": "package-0\n", "intel-rapl:1": "package-1\n",
                                 "intel-rapl:0:0": "dram\n", "intel-rapl:1:0": "dram\n", "intel-rapl:2": "psys\n"})
        for directory, folders, files in os.walk(self.path("")):
            # What netdata demands: d_type says which entries are directories.
            self.assertEqual(sorted(folders), sorted(entry.name for entry in os.scandir(directory)
                                                     if os.path.isdir(entry.path)))
            for name in files:
                text = self.read(os.path.relpath(os.path.join(directory, name), self.path("")))
                self.assertTrue(text.endswith("\n"), f"{directory}/{name}: {text!r}")
                info = os.stat(os.path.join(directory, name))
                # As in sysfs, but for the snapshot, which may be longer.
                self.assertEqual((stat.S_IMODE(info.st_mode), info.st_size, info.st_uid),
                                 (0o444, 8192 if name == "snapshot" else 4096, 0))
        self.assertEqual(self.read("wattport/uuid"), VM + "\n")
        self.assertEqual(self.read("wattport/source"), "replay\n")
        self.assertEqual(self.read("wattport/mode"), "isolated\n")
        self.assertEqual(self.read("wattport/generation"), "1\n")
        self.assertEqual(self.read(f"{zones['intel-rapl:0']}/max_energy_range_uj"), "9007199254740991\n")

    def test_snapshot(self):
        self.start("isolated", True, "--tree.psys=yes")

        def read():
            return dict(line.split() for line in self.read("wattport/snapshot").splitlines())

        values = read()
        self.assertEqual(list(values), ["t_ns", "package-0", "package-1", "dram-0", "dram-1", "psys"])
        self.assertEqual(values["package-0"], values["dram-0"])
        self.until_fresh(lambda: int(read()["package-0"]))

    def test_which_names_are_trees(self):
        self.start()
        self.assertEqual(sorted(os.listdir(self.mount)), [VM, OTHER])
        until(lambda: not os.path.exists(self.path("", UNKNOWN)), "nobody of that name")
        # One that is about to start has a tree, but is not listed.
        self.meter.known.add(UNKNOWN)
        self.assertEqual(self.read("wattport/uuid", UNKNOWN), UNKNOWN + "\n")
        self.assertGreater(int(self.read(ENERGY, UNKNOWN)), 0)
        self.assertEqual(sorted(os.listdir(self.mount)), [VM, OTHER])
        for name in (OTHER.upper(), VM[:-1], VM + "0", VM.replace("-", ""), "x", "00000000-0000-0000-0000-000000000000"):
            self.assertFalse(os.path.exists(os.path.join(self.mount, name)), name)
        self.assertGreater(int(self.read(ENERGY, OTHER)), 0)
        self.ledger.tell(f"depart {OTHER}", "publish")
        self.assertEqual(os.listdir(self.mount), [VM])
        # What was told once goes on being told, though nobody knows the machine any more.
        self.meter.known.remove(OTHER)
        self.assertGreater(int(self.read(ENERGY, OTHER)), 0)

    def test_tree_grows_with_its_account(self):
        self.start()
        self.meter.known.add(UNKNOWN)
        self.assertEqual(sorted(os.listdir(self.path("class/powercap", UNKNOWN))), ["intel-rapl", "intel-rapl:0"])
        self.ledger.tell(f"vm {UNKNOWN} 12 running 1", "publish")
        # At most a second later: the kernel may believe for so long what it was told.
        until(lambda: os.path.exists(self.path("class/powercap/intel-rapl:b/energy_uj", UNKNOWN)), "zone b")
        self.assertEqual(self.read("class/powercap/intel-rapl:a/name", UNKNOWN), "package-10\n")

    def test_without_a_ledger(self):
        self.server = Server(self.runtime)
        self.ledger.tell("publish")  # Once it answers, the file is there.
        os.unlink(os.path.join(self.runtime, "ledger"))
        self.server.stop()
        self.server = Server(self.runtime, "--meter.period=10ms")
        first = int(self.read(ENERGY))
        self.assertIn(first, range(1, 1000 * PATIENCE_S))
        until(lambda: int(self.read("wattport/age_ms")) >= 20, "the wait for a sample shows")
        self.assertEqual(self.read("wattport/source"), "none\n")
        time.sleep(0.005)
        self.assertGreater(int(self.read(ENERGY)), first)

    def test_nothing_can_be_changed(self):
        self.start()
        file = self.path(ENERGY)
        directory = self.path("wattport")
        attempts = [
            lambda: os.open(file, os.O_WRONLY), lambda: os.open(file, os.O_RDWR), lambda: os.truncate(file, 0),
            lambda: os.open(f"{directory}/new", os.O_CREAT | os.O_WRONLY), lambda: os.mkdir(f"{directory}/new"),
            lambda: os.unlink(file), lambda: os.rmdir(directory), lambda: os.rename(file, f"{directory}/new"),
            lambda: os.symlink("x", f"{directory}/new"), lambda: os.link(file, f"{directory}/new"),
            lambda: os.chmod(file, 0o666), lambda: os.chown(file, 1, 1), lambda: os.utime(file),
            lambda: os.setxattr(file, "user.x", b"1"), lambda: os.mkdir(os.path.join(self.mount, UNKNOWN)),
        ]
        for number, attempt in enumerate(attempts):
            with self.assertRaises(OSError) as caught:
                attempt()
            self.assertIn(caught.exception.errno, (errno.EROFS, errno.EOPNOTSUPP, errno.EEXIST), number)
        with self.assertRaises(OSError) as caught:
            os.getxattr(file, "user.x")
        self.assertEqual(caught.exception.errno, errno.EOPNOTSUPP)
        with self.assertRaises(OSError) as caught:
            fcntl.ioctl(self.open(ENERGY), 0x5401)
        self.assertEqual(caught.exception.errno, errno.ENOTTY)
        self.assertFalse(os.access(file, os.W_OK))
        self.assertTrue(os.access(file, os.R_OK))


class TestIsolation(FusefsTest):
    """What a tree says beside its counters must not tell about the host or other machines: docs/isolation.md."""

    def attributes(self, uuid):
        """{path: all that stat(2) and readdir(2) tell}, but the device, which the kernel makes up."""
        found = {}
        for directory, folders, files in os.walk(self.path("", uuid)):
            for entry in os.scandir(directory):
                info = os.lstat(entry.path)
                self.assertEqual(entry.inode(), info.st_ino)
                found[os.path.relpath(entry.path, self.path("", uuid))] = info
            self.assertEqual(len(os.listdir(directory)), len(folders) + len(files))
        found["."] = os.lstat(self.path("", uuid))
        return found

    @staticmethod
    def told(info):
        return (info.st_mode, info.st_nlink, info.st_uid, info.st_gid, info.st_size, info.st_blocks, info.st_blksize,
                info.st_rdev, info.st_ino)

    def test_attributes(self):
        self.start()
        self.ledger.tell(f"vm {VM} 1 running 1", "publish")
        both = self.attributes(VM), self.attributes(OTHER)
        self.assertEqual(both[0].keys(), both[1].keys())
        for path in both[0]:
            # Two trees of the same shape differ in their numbers alone.
            self.assertEqual(self.told(both[0][path])[:-1], self.told(both[1][path])[:-1], path)
            for info in (both[0][path], both[1][path]):
                self.assertEqual((info.st_mtime_ns, info.st_ctime_ns, info.st_atime_ns), (0, 0, 0))
        numbers = [[info.st_ino for info in tree.values()] for tree in both]
        self.assertEqual(set(numbers[0]) & set(numbers[1]), set())
        for info in both[0].values():
            # Files under wattport/compat are links to those of the zones.
            links = 1 if stat.S_ISDIR(info.st_mode) else info.st_nlink
            self.assertEqual(numbers[0].count(info.st_ino), links)
        # Not even those say how many others there are, or who came first.
        self.server.stop()
        self.server = Server(self.runtime, *self.OPTIONS)
        for number in range(50):
            self.meter.known.add(UNKNOWN[:-2] + f"{number + 10}")
            os.stat(self.path("", UNKNOWN[:-2] + f"{number + 10}"))
        again = self.attributes(OTHER)
        self.assertEqual({path: self.told(info) for path, info in again.items()},
                         {path: self.told(info) for path, info in both[1].items()})

    def test_figures_of_the_file_system(self):
        self.start()
        figures = os.statvfs(self.path(""))
        self.assertEqual((figures.f_blocks, figures.f_bfree, figures.f_files, figures.f_ffree, figures.f_fsid), (0,) * 5)

    def test_times(self):
        self.start("isolated", True, "--meter.period=60s")
        time.sleep(0.01)
        first = int(self.read("wattport/snapshot").split()[1])
        # Since the tree was opened, which is not longer ago than this test has run.
        self.assertIn(first, range(1, 60 * 10**9))
        time.sleep(0.01)
        self.assertIn(int(self.read("wattport/snapshot").split()[1]) - first, range(10 * 10**6, 60 * 10**9))
        # Somebody else's samples do not make ours younger.
        time.sleep(0.05)
        self.assertEqual(self.read("wattport/age_ms"), "0\n")
        self.ledger.tell("host exact replay package dram psys", "publish")
        until(lambda: self.read("wattport/mode") == "exact\n", "the exact view")
        self.assertGreater(int(self.read("wattport/snapshot").split()[1]), 60 * 10**9)
        time.sleep(0.05)
        self.assertGreater(int(self.read("wattport/age_ms")), 10)


class TestValues(FusefsTest):
    def test_a_read_gets_a_sample_taken_for_it(self):
        self.start()
        descriptor = self.open(ENERGY)
        fresh = late = 0
        while fresh < 50:
            if self.is_fresh(lambda: self.timed_read(descriptor)[0]):
                fresh += 1
                late = self.server.text().count("does not answer in time")
            else:
                # On a busy machine the meter may miss the 20 ms, of which wattport-fs tells; nothing else excuses it.
                self.assertGreater(self.server.text().count("does not answer in time"), late)
        # What does not move fast is not worth a sample.
        asked = self.meter.heard()
        self.read("wattport/age_ms")
        self.read("class/powercap/intel-rapl:0/name")
        self.assertEqual(self.meter.heard(), asked)

    def test_waiting_readers_share_a_sample(self):
        self.start()
        descriptors = [self.open(ENERGY) for _ in range(16)]
        self.until_fresh(lambda: self.timed_read(descriptors[0])[0])
        self.meter.answers = False
        asked = len(self.meter.heard())
        # It finds all of them there, and nothing of what it sends is answered before it has looked at each.
        with stopped(self.server.worker()):
            threads = [threading.Thread(target=os.pread, args=(descriptor, 64, 0)) for descriptor in descriptors]
            for thread in threads:
                thread.start()
            until(lambda: all(waits_in_read(thread) for thread in threads), "all of them wait")
        for thread in threads:
            thread.join()
        self.assertEqual(self.meter.heard()[asked:], [f"refresh {VM}"])

    def test_content_is_fixed_for_one_read_sequence(self):
        self.start()
        with open(self.path("wattport/snapshot"), "rb", buffering=0) as file:
            for _ in range(20):
                file.seek(0)
                whole = b""
                while piece := file.read(1):
                    whole += piece
                    if len(whole) % 16 == 0:
                        self.meter.refresh()
                values = dict(line.split() for line in whole.decode().splitlines())
                # Both were booked together, in each publication anew.
                self.assertEqual(values["package-0"], values["dram-0"])
                self.assertTrue(whole.endswith(b"\n"))

    def test_reading_on_from_the_middle(self):
        self.start()
        descriptor = self.open("class/powercap/intel-rapl:0/name")
        self.assertEqual(os.pread(descriptor, 64, 8), b"0\n")
        self.assertEqual(os.pread(descriptor, 64, 10), b"")
        self.assertEqual(os.pread(descriptor, 64, 1 << 40), b"")

    def test_account_that_falls_back(self):
        self.start(meter=False)
        descriptor = self.open(ENERGY)
        last = int(os.pread(descriptor, 64, 0))
        self.assertIn(last, range(1000001, 1000001 + 10000))
        self.ledger.tell(f"energy {VM} 0 500000 0", "publish")
        for _ in range(50):
            time.sleep(0.002)
            value = int(os.pread(descriptor, 64, 0))
            self.assertGreater(value, last)
            last = value
        self.assertLess(last, 1000001 + 10000)
        self.ledger.tell(f"energy {VM} 0 2000000 0", "publish")
        # It is half a joule ahead: 1/64 of what is used pays that off, the rest is told.
        value = int(os.pread(descriptor, 64, 0))
        self.assertIn(value - last, range(1500000 * 62 // 64, 1500000))
        self.ledger.tell(f"energy {VM} 0 40000000 0", "publish")
        self.assertIn(int(os.pread(descriptor, 64, 0)), range(40000001, 40000001 + 10000))

    def test_quota_of_one_tree(self):
        self.start(meter=False)
        opened = []
        with self.assertRaises(OSError) as caught:
            for _ in range(600):
                opened.append(os.open(self.path(ENERGY), os.O_RDONLY))
        self.assertEqual(caught.exception.errno, errno.EMFILE)
        self.assertEqual(len(opened), 512)
        self.assertGreater(int(self.read(ENERGY, OTHER)), 0)
        for descriptor in opened:
            os.close(descriptor)
        until(lambda: self.can_open(ENERGY), "handles are free again")

    def can_open(self, file):
        try:
            os.close(os.open(self.path(file), os.O_RDONLY))
        except OSError:
            return False
        return True


class TestMeter(FusefsTest):
    def hang(self, descriptor, name):
        """The meter hears a question and does not answer: when it was asked at the earliest, or None where the machine was
        too busy to see how short the wait is."""
        self.meter.answers = True
        self.until_fresh(lambda: self.timed_read(descriptor)[0])
        self.meter.answers = False
        time.sleep(0.005)
        asked, begun, results = len(self.meter.asked), now(), []
        thread = threading.Thread(target=lambda: results.append(self.timed_read(descriptor)))
        thread.start()
        until(lambda: len(self.meter.asked) > asked, "the question", 0.0005)
        # The first waits its 20 ms; whoever reads something else meanwhile does not.
        os.pread(name, 64, 0)
        beside = (now() - begun) * 1000
        thread.join()
        self.assertGreater(results[0][1], WAIT_MS * 0.9)
        if results[0][1] >= WAIT_MS * NOISE or beside >= WAIT_MS * 0.9:
            return None
        print(f"\n    waited {results[0][1]:.1f} ms; beside it {beside:.2f} ms", end="")
        return begun

    def hang_once(self, descriptor, name):
        seen = []
        until(lambda: seen.append(self.hang(descriptor, name)) or seen[-1] is not None, "a wait as short as it should be")
        return seen[-1]

    def test_meter_that_hangs(self):
        self.start()
        descriptor, other = self.open(ENERGY), self.open(ENERGY, OTHER)
        name = self.open("class/powercap/intel-rapl:0/name")
        begun = self.hang_once(descriptor, name)
        # The breaker is open: of all who read in a second one asks and waits.
        asked = len(self.meter.heard())
        for each in [descriptor, other] * 50:
            self.timed_read(each)
        self.assertLessEqual(len(self.meter.heard()) - asked, (now() - begun) / BREAK_S)
        until(lambda: self.timed_read(other) and f"refresh {OTHER}" in self.meter.heard()[asked:], "another try")

    def test_an_answer_that_comes_late(self):
        """Whoever it was for, the next one asks again, before the second is over."""
        self.start()
        descriptor = self.open(ENERGY)
        name = self.open("class/powercap/intel-rapl:0/name")

        def closed():
            begun, answers = self.hang_once(descriptor, name), self.server.text().count("wattportd answers")
            self.meter.answers = True
            until(lambda: self.server.text().count("wattportd answers") > answers, "the late answer", 0.0005)
            return self.is_fresh(lambda: self.timed_read(descriptor)[0]) and now() < begun + BREAK_S

        until(closed, "a fresh value before the breaker would close by itself")

    def test_meter_that_dies(self):
        self.start("isolated", True, "--meter.period=10ms")
        descriptor, name = self.open(ENERGY), self.open("class/powercap/intel-rapl:0/name")
        last, _ = self.timed_read(descriptor)
        self.meter.stop()
        waits, others = [], []
        for _ in range(200):
            value, wait = self.timed_read(descriptor)
            self.assertGreaterEqual(value, last)
            last = value
            waits.append(wait)
            begun = now()
            os.pread(name, 64, 0)
            others.append((now() - begun) * 1000)
            time.sleep(0.001)
        # Nobody waits for it: a counter takes no longer than what has never asked anybody.
        self.assertLess(sorted(waits)[100], sorted(others)[100] + WAIT_MS / 2)
        time.sleep(0.1)
        self.assertGreater(int(self.read("wattport/age_ms")), 100)
        self.meter.start()
        self.until_fresh(lambda: self.timed_read(descriptor)[0])
        self.assertIn("wattportd answers", self.server.text())

    def test_machine_that_is_not_known(self):
        self.start()
        self.meter.known.add(UNKNOWN)
        descriptor = self.open(ENERGY, UNKNOWN)
        self.meter.known.remove(UNKNOWN)
        asked, begun = len(self.meter.heard()), now()
        for _ in range(200):
            os.pread(descriptor, 64, 0)
        took = now() - begun
        # Refused, and not asked for again for a tenth of a second.
        questions = self.meter.heard()[asked:]
        self.assertEqual(set(questions), {f"refresh {UNKNOWN}"})
        self.assertLessEqual(len(questions), 1 + took / 0.1)

    def test_machine_that_is_off(self):
        self.start()
        self.ledger.tell(f"vm {VM} 2 off 0", "publish")
        time.sleep(0.005)
        self.assertGreater(int(self.read(ENERGY)), 0)
        self.assertEqual(self.meter.heard(), [])


# Reads until it is told to stop, and has read as often as it is told then, however slow the machine: `kept` the same
# descriptor, `fresh` a new one each time, `parts` a long file in pieces.
READER = """
import json, os, select, sys, time
kind, path = sys.argv[1:]
least = None
kept = os.open(path, os.O_RDONLY)
counts = dict(reads=0, errors=0, decreases=0, equals=0, torn=0)
texts, worst, last, told = set(), 0.0, 0, 0.0
def read():
    if kind == "kept":
        return int(os.pread(kept, 64, 0))
    if kind == "fresh":
        with open(path, "rb", buffering=0) as file:
            return int(file.read(64))
    text = b""
    while piece := os.pread(kept, 40, len(text)):
        text += piece
    values = dict(line.split() for line in text.decode().splitlines())
    counts["torn"] += values["package-0"] != values["dram-0"]
    return int(values["package-0"])
print("reading", flush=True)
while least is None or counts["reads"] + counts["errors"] < least:
    if least is None and select.select([sys.stdin], [], [], 0)[0]:
        least = int(sys.stdin.readline() or 0)
    start = time.monotonic()
    try:
        value = read()
    except (OSError, ValueError, KeyError) as error:
        counts["errors"] += 1
        texts.add(repr(error))
        continue
    end = time.monotonic()
    worst = max(worst, end - start)
    counts["decreases"] += value < last
    counts["equals"] += value == last and start - told >= 0.001
    last, told = value, end
    counts["reads"] += 1
print(json.dumps({**counts, "worst_ms": worst * 1000, "texts": sorted(texts)}))
"""


class Reader:
    """A process that polls a file; what it has seen when it is stopped."""

    def __init__(self, kind, path, prefix=()):
        self.kind = kind
        self.process = subprocess.Popen([*prefix, sys.executable, "-c", READER, kind, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "reading\n"

    def stop(self, least):
        said, _ = self.process.communicate(f"{least}\n", timeout=PATIENCE_S)
        return json.loads(said)

class TestKilling(FusefsTest):
    KILLS = 10
    PAUSE = 0.15

    def poll_while_killing(self, files):
        readers = [Reader("kept", file) for file in files]
        self.addCleanup(lambda: [reader.process.kill() for reader in readers])
        for _ in range(self.KILLS):
            time.sleep(self.PAUSE)
            self.server.kill_worker()
        for reader in readers:
            result = reader.stop(100)
            print(f"\n    {result['reads']} reads, worst {result['worst_ms']:.1f} ms", end="")
            self.assertEqual((result["errors"], result["decreases"], result["texts"]), (0, 0, []))

    def test_kept_descriptors(self):
        self.start()
        self.poll_while_killing([self.path(ENERGY), self.path(ENERGY), self.path("class/powercap/intel-rapl:1/energy_uj"),
                                 self.path(ENERGY, OTHER)])

    def test_while_reads_wait(self):
        self.start()
        self.meter.delay = 0.01
        self.poll_while_killing([self.path(ENERGY), self.path(ENERGY, OTHER)])

    def test_frozen_content_survives(self):
        self.start()
        descriptor = self.open("wattport/snapshot")
        start = os.pread(descriptor, 5, 0)
        self.meter.refresh()
        self.server.kill_worker()
        rest = os.pread(descriptor, 4096, 5)
        values = dict(line.split() for line in (start + rest).decode().splitlines())
        self.assertEqual(values["package-0"], values["dram-0"])
        self.assertLess(int(values["package-0"]), self.meter.energy_uj + 1)

    def test_open_files_are_counted_again(self):
        self.start(meter=False)
        opened = [os.open(self.path(ENERGY), os.O_RDONLY) for _ in range(500)]
        self.server.kill_worker()
        with self.assertRaises(OSError) as caught:
            for _ in range(20):
                opened.append(os.open(self.path(ENERGY), os.O_RDONLY))
        self.assertEqual((caught.exception.errno, len(opened)), (errno.EMFILE, 512))
        for descriptor in opened:
            os.close(descriptor)


    def test_while_names_wait(self):
        """A lookup that waits for wattportd is answered by the next worker."""
        self.start()
        self.meter.delay = 0.01
        for number in range(10):
            results = []
            uuid = UNKNOWN[:-2] + f"{number + 10}"
            if number % 2:
                self.meter.known.add(uuid)
            thread = threading.Thread(target=lambda path=self.path("", uuid): results.append(self.error_of(path)))
            asked = len(self.meter.asked)
            thread.start()
            until(lambda before=asked, thread=thread: len(self.meter.asked) > before or not thread.is_alive(), "the question")
            self.server.kill_worker()
            thread.join(PATIENCE_S)
            # On a busy machine the answer may come too late: then it is there in any case.
            self.assertEqual(len(results), 1)
            self.assertIn(results[0], (0,) if number % 2 else (0, errno.ENOENT))

    @staticmethod
    def error_of(path):
        try:
            os.stat(path)
        except OSError as error:
            return error.errno
        return 0


def lives(pid):
    """Whether it has not ended; nobody need have asked for its status yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestSpare(FusefsTest):
    """Beside the worker waits another one."""

    def workers(self):
        """All of the keeper's."""
        with open(f"/proc/{self.server.process.pid}/task/{self.server.process.pid}/children", encoding="ascii") as file:
            return {int(number) for number in file.read().split()}

    def spare(self):
        worker = self.server.worker()
        until(lambda: len(self.workers()) == 2, "a worker and a spare one")
        (spare,) = self.workers() - {worker}
        return spare

    def check_read_on(self, descriptor):
        before = int(os.pread(descriptor, 32, 0))
        self.meter.refresh()
        self.assertGreater(int(os.pread(descriptor, 32, 0)), before)

    def test_it_takes_the_workers_place(self):
        self.start()
        descriptor = self.open(ENERGY)
        for _ in range(3):
            spare = self.spare()
            self.server.kill_worker()
            self.assertEqual(self.server.worker(), spare)
            self.check_read_on(descriptor)

    def test_one_that_dies_is_not_missed(self):
        self.start()
        descriptor = self.open(ENERGY)
        spare = self.spare()
        os.kill(spare, signal.SIGKILL)
        until(lambda: self.workers() == {self.server.worker()}, "nothing is left of it")
        self.server.kill_worker()
        self.check_read_on(descriptor)

    def test_one_that_dies_with_the_worker(self):
        self.start()
        descriptor = self.open(ENERGY)
        spare, worker = self.spare(), self.server.worker()
        with stopped(self.server.process.pid):
            os.kill(spare, signal.SIGKILL)
            os.kill(worker, signal.SIGKILL)
        self.check_read_on(descriptor)
        self.assertNotIn(self.server.worker(), (spare, worker))
        self.spare()

    def test_it_ends_with_its_keeper(self):
        self.start()
        descriptor = self.open(ENERGY)
        for end in ("kill", "stop"):
            spare, worker = self.spare(), self.server.worker()
            getattr(self.server, end)()
            until(lambda spare=spare: not lives(spare), "its end")
            if end == "kill":
                self.check_read_on(descriptor)
                self.server = Server(self.runtime, *self.OPTIONS)
                self.assertNotEqual(self.server.worker(), worker)
                self.check_read_on(descriptor)


class TestKillingOnOldKernels(TestKilling):
    """The same where the kernel cannot be asked to send requests again (before Linux 6.9)."""

    OPTIONS = ("--without-resend",)


class TestNames(FusefsTest):
    """Which machines have a tree, as root on the host finds."""

    def timed_stat(self, uuid):
        """Whether there is such a tree, and how many milliseconds it took to tell."""
        path = self.path("", uuid)
        start = now()
        there = os.path.isdir(path)
        return there, (now() - start) * 1000

    def test_made_up_names_are_not_there(self):
        self.start()
        # Where the machine is too busy to answer in time, a name is there until the next one asks.
        for number in range(100):
            until(lambda uuid=UNKNOWN[:-3] + f"{number + 100}": not self.timed_stat(uuid)[0], "nobody of that name")
        # Those that have an account are not asked for.
        asked = self.meter.heard()
        self.assertTrue(self.timed_stat(VM)[0])
        self.ledger.tell(f"vm {OTHER} 1 gone 0", "publish")
        self.assertTrue(self.timed_stat(OTHER)[0])
        self.assertEqual(self.meter.heard(), asked)

    def names(self):
        """Those of machines that nobody knows, each but once."""
        return (UNKNOWN[:-4] + f"{number:04}" for number in range(2, 10000))

    def timed_name(self, names):
        """The same of the next of them."""
        return self.timed_stat(next(names))

    def until_refused(self, names):
        """Wattportd answers in time, and nobody knows such a machine."""
        self.meter.answers = True
        until(lambda: not self.timed_name(names)[0], "nobody of that name")

    def test_whoever_may_be_starting_is_there(self):
        self.start()
        names = self.names()

        def waits():
            self.until_refused(names)
            # libvirtd holds the machine's lock, and wattportd waits for libvirtd.
            self.meter.answers = False
            there, wait = self.timed_name(names)
            self.assertTrue(there)
            self.assertGreater(wait, WAIT_MS * 0.9)
            return wait < WAIT_MS * NOISE

        until(waits, "a wait as short as it should be")
        # The breaker is open: the next does not wait.
        self.assertTrue(self.timed_name(names)[0])
        self.until_refused(names)
        self.meter.stop()
        self.assertTrue(self.timed_name(names)[0])

    def test_a_name_that_waits_holds_up_nobody(self):
        self.start()
        name = self.open("class/powercap/intel-rapl:0/name")
        names = self.names()

        def undisturbed():
            self.until_refused(names)
            asked = len(self.meter.heard())
            self.meter.answers = False
            results = []
            threads = [threading.Thread(target=lambda uuid=next(names): results.append(self.timed_stat(uuid))) for _ in range(8)]
            begun = now()
            for thread in threads:
                thread.start()
            until(lambda: len(self.meter.asked) > asked, "a question", 0.0005)
            os.pread(name, 64, 0)
            beside = (now() - begun) * 1000
            for thread in threads:
                thread.join()
            self.assertEqual([there for there, _ in results], [True] * 8)
            return beside < WAIT_MS * 0.9

        until(undisturbed, "a read while names wait")

    def test_more_names_wait_than_there_are_places_for(self):
        self.start()
        self.meter.delay = 0.005
        names = self.names()

        def some_are_refused():
            results = []
            threads = [threading.Thread(target=lambda uuid=next(names): results.append(self.timed_stat(uuid))) for _ in range(100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(results), 100)
            return any(not there for there, _ in results)

        # On a machine that others use all of them may come too late for the answers.
        until(some_are_refused, "somebody is told that there is no such machine")

    def test_without_libvirt_nobody_knows(self):
        self.start("isolated", True, "--vms.provider=procfs")
        self.assertTrue(self.timed_stat(UNKNOWN)[0])
        self.assertEqual(self.meter.heard(), [])


CALLER = """
import ctypes, json, os, sys, threading
actions = json.loads(sys.stdin.readline())
options = json.loads(os.environ["CALLER"])
libc = ctypes.CDLL(None)
if options["rename"]:
    libc.prctl(15, options["rename"].encode(), 0, 0, 0)
if options["mounts_of"]:
    libc.setns(os.open(f"/proc/{options['mounts_of']}/ns/mnt", os.O_RDONLY), 0)
os.setgroups([])
os.setresuid(options["real"], options["effective"], -1)
def read(path):
    with open(path, "rb") as file:
        return file.read().decode().strip()
def act(results):
    for verb, path in actions:
        try:
            if verb == "read":
                results.append(read(path))
            elif verb == "list":
                results.append(sorted(os.listdir(path)))
            elif verb == "link":
                results.append(os.readlink(path))
            elif verb == "mode":
                results.append(os.stat(path).st_mode)
            elif verb == "access":
                results.append(os.access(path, os.R_OK))
            elif verb == "fd":
                results.append(os.pread(int(path), 64, 0).decode().strip())
            elif verb == "at":
                directory, _, name = path.partition(" ")
                results.append(os.close(os.open(name, os.O_RDONLY, dir_fd=int(directory))))
        except OSError as error:
            results.append(-error.errno)
results = []
thread = threading.Thread(target=act, args=(results,))
thread.start()
thread.join()
print(json.dumps(results))
"""
REFUSED = -errno.EACCES
STRANGER = 12345  # a user under whom no machine runs
GUEST_USER = 998  # whom virtiofsd takes on for a process in the guest


class Caller:
    """A process that reads in a thread of its own, as QEMU and virtiofsd do, and is called what they are called."""

    def __init__(self, words, descriptors=(), **options):
        """words: its command line; Python's own stands in the middle of it. options: real and effective user, another
        name, and the process whose mounts it is to see."""
        options = {"real": 0, "rename": None, "mounts_of": None, **options}
        options.setdefault("effective", options["real"])
        self.process = subprocess.Popen(
            [words[0], "-c", CALLER, *words[1:]],
            executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=descriptors,
            # Under another name Python does not find its library by itself.
            env={**os.environ, "PYTHONHOME": sys.base_prefix, "CALLER": json.dumps(options)})
        self.pid = self.process.pid

    def act(self, *actions):
        """What came of each: a value, or a negative errno."""
        return json.loads(self.process.communicate(json.dumps(actions) + "\n", timeout=PATIENCE_S)[0])


def qemu(uuid, *words):
    return ["/usr/bin/qemu-system-x86_64", "-name", "guest=x", *words, "-uuid", uuid, "-smp", "2"]


def virtiofsd(directory):
    return ["/usr/lib/qemu/virtiofsd", "--fd=31", "-o", f"source={directory},cache=none"]


class TestAccess(FusefsTest):
    def actions(self, uuid):
        """Each way to look into a tree."""
        return (("read", self.path(ENERGY, uuid)), ("read", self.path("wattport/uuid", uuid)), ("list", self.path("", uuid)),
                ("link", self.path("class/powercap/intel-rapl:0", uuid)), ("access", self.path("wattport", uuid)))

    def assert_owns(self, results):
        energy, uuid, names, link, may = results
        self.assertGreater(int(energy), 0)
        self.assertEqual(len(uuid), 36)
        self.assertEqual(names, ["class", "devices", "wattport"])
        self.assertEqual(link, "../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
        self.assertTrue(may)

    def assert_is_of(self, uuid, words, **options):
        """It sees that tree and nothing else (None: no tree at all), least of all whether there are others."""
        trees = [VM, OTHER, UNKNOWN]
        everything = [*sum((self.actions(tree) for tree in trees), ()), ("list", self.mount), ("access", self.mount),
                      *(("mode", self.path("", tree)) for tree in trees)]
        results = Caller(words, **options).act(*everything)
        for tree in trees:
            found, results = results[:5], results[5:]
            if tree == uuid:
                self.assert_owns(found)
            else:
                self.assertEqual(found, [REFUSED] * 4 + [False], (words, tree))
        self.assertEqual(results[:2], [REFUSED, False])
        for tree, mode in zip(trees, results[2:]):
            self.assertEqual(mode, stat.S_IFDIR | (0o555 if tree == uuid else 0))

    def views(self):
        """Each test here in both, one after the other."""
        self.start("isolated", True, "--vms.users=nobody")
        yield
        self.ledger.tell("host exact replay package dram psys", "publish")
        until(lambda: self.read("wattport/mode") == "exact\n", "the exact view")
        yield

    def test_root_that_is_no_machines(self):
        for _ in self.views():
            self.assert_owns(Caller(["cat"]).act(*self.actions(VM)))
            until(lambda: Caller(["cat"]).act(("list", self.mount), ("mode", self.path("", UNKNOWN))) ==
                  [[VM, OTHER], -errno.ENOENT], "the list of those that there are")
            # What a set-user-ID program is to the kernel, whoever has started it; access(2) asks for that one.
            results = Caller(["cat"], real=STRANGER, effective=0).act(*self.actions(VM))
            self.assertEqual(results.pop(), False)
            self.assert_owns([*results, True])

    def test_users_that_are_no_machines(self):
        for _ in self.views():
            for real, effective in ((STRANGER, STRANGER), (NOBODY, NOBODY), (0, STRANGER)):
                for uuid in (VM, UNKNOWN):
                    results = Caller(["cat"], real=real, effective=effective).act(
                        *self.actions(uuid)[:4], ("list", self.mount), ("mode", self.path("", uuid)))
                    self.assertEqual(results, [REFUSED] * 6)

    def test_qemu(self):
        for _ in self.views():
            for real in (0, NOBODY):
                self.assert_is_of(VM, qemu(VM), real=real)
                self.assert_is_of(OTHER, qemu(OTHER), real=real)
            self.assert_is_of(VM, ["kvm", "-id", "7", "-smbios", f"type=1,uuid={VM}"])
            # It may be called something else, in either place.
            self.assert_is_of(VM, qemu(VM), rename="guest-x")
            self.assert_is_of(VM, ["guest-x", *qemu(VM)[1:]], rename="qemu-system-x86_64")
            self.assert_is_of(None, ["qemu-system-x86_64", "-S"])

    def test_virtiofsd(self):
        for _ in self.views():
            for effective in (0, GUEST_USER):
                self.assert_is_of(VM, virtiofsd(self.path("")[:-1]), effective=effective)
                self.assert_is_of(VM, ["virtiofsd", "--fd", "3", "--shared-dir", self.path("")], effective=effective)
                self.assert_is_of(OTHER, ["/usr/libexec/virtiofsd", f"--shared-dir={self.path('', OTHER)}"],
                                  effective=effective)
                for directory in ("/", self.mount, self.runtime, self.path("class"), "/srv/x"):
                    self.assert_is_of(None, virtiofsd(directory), effective=effective)

    def test_names_that_anybody_may_take(self):
        for _ in self.views():
            for words in (qemu(VM), virtiofsd(self.path("")[:-1])):
                self.assertEqual(Caller(words, real=STRANGER).act(*self.actions(VM)), [REFUSED] * 4 + [False])
        self.assertIn("it is not believed (vms.users)", self.server.text())
        self.assertEqual(self.server.text().count("not believed"), 1)

    def test_ledger_knows_better_than_the_command_line(self):
        for _ in self.views():
            taken_over = Caller(qemu(OTHER))
            time.sleep(0.02)  # Two ticks: it has started before the ledger speaks of it.
            self.ledger.tell(f"vm {VM} 2 running {taken_over.pid}", "publish")
            results = taken_over.act(*self.actions(VM), *self.actions(OTHER))
            self.assert_owns(results[:5])
            self.assertEqual(results[5:], [REFUSED] * 4 + [False])

    def test_machine_that_starts_while_nobody_answers(self):
        self.start("isolated", True, "--vms.users=nobody")
        self.meter.answers = False
        for words in (qemu(UNKNOWN), virtiofsd(self.path("", UNKNOWN))):
            # Nobody is asked whether it is there.
            self.assertEqual(Caller(words).act(("mode", self.path("wattport", UNKNOWN)))[0], stat.S_IFDIR | 0o555)
            self.assertEqual([request for request in self.meter.heard() if UNKNOWN in request], [])
        for words in (qemu(UNKNOWN), virtiofsd(self.path("", UNKNOWN))):
            self.assert_is_of(UNKNOWN, words)
        self.meter.stop()
        os.unlink(os.path.join(self.runtime, "ledger"))
        self.server.kill_worker()
        self.assert_is_of(UNKNOWN, qemu(UNKNOWN), real=NOBODY)

    def test_what_the_kernel_remembers_is_not_for_others(self):
        self.start("isolated", True, "--vms.users=nobody")
        stop, errors = threading.Event(), []
        directory = os.open(self.path(""), os.O_PATH)
        self.descriptors.append(directory)

        def look():
            while not stop.is_set():
                try:
                    os.stat(self.path(ENERGY))
                    os.listdir(self.path("class/powercap"))
                    os.close(os.open(ENERGY, os.O_RDONLY, dir_fd=directory))
                except OSError as error:
                    errors.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            for _ in range(3):
                self.assert_is_of(OTHER, qemu(OTHER))
                self.assertEqual(Caller(["cat"], real=STRANGER).act(("mode", self.path(ENERGY))), [REFUSED])
        finally:
            stop.set()
            thread.join()
        # Nor does what others are refused disturb those who may.
        self.assertEqual(errors, [])

    def test_directory_that_was_handed_over(self):
        self.start("isolated", True, "--vms.users=nobody")
        directory = os.open(self.path(""), os.O_RDONLY)
        self.descriptors.append(directory)
        file = self.open(ENERGY)
        for words, real in ((qemu(OTHER), 0), (["cat"], STRANGER)):
            results = Caller(words, real=real, descriptors=(directory, file)).act(
                ("at", f"{directory} wattport/uuid"), ("at", f"{directory} {ENERGY}"), ("fd", str(file)))
            # Whoever opened a file may let others read it, as everywhere.
            self.assertEqual(results[:2], [REFUSED] * 2)
            self.assertGreater(int(results[2]), 0)

    def test_files_stay_open_when_the_view_changes(self):
        self.start("isolated", True, "--vms.users=nobody")
        file = self.open(ENERGY)
        self.ledger.tell("host exact replay package dram psys", "publish")
        until(lambda: self.read("wattport/mode") == "exact\n", "the exact view")
        self.assertGreater(int(os.pread(file, 64, 0)), 0)
        until(lambda: stat.S_IMODE(os.stat(self.path(ENERGY)).st_mode) == 0o400, "the mode")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("wattport/snapshot")).st_mode), 0o400)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("wattport/age_ms")).st_mode), 0o444)

    def test_users_that_do_not_exist(self):
        done = subprocess.run([PROGRAMS["wattport_fs"], "--runtime-dir", self.runtime, "--config", "/dev/null",
                               "--vms.users=no-such-user"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no user no-such-user", done.stderr)

    def test_worker_sees_processes_that_are_hidden(self):
        """In a mount namespace with the /proc of a hardened host."""
        start = f"mount -t proc -o hidepid=2 proc /proc && exec {PROGRAMS['wattport_fs']} --runtime-dir {self.runtime}" \
                " --config /dev/null --vms.users=nobody"
        self.ledger.tell("host isolated replay package", f"vm {VM} 1 running 1", f"energy {VM} 0 1000000 0", "publish")
        self.server = Server(self.runtime, program=["unshare", "--mount", "sh", "-c", start])
        self.assertNotIn("processes are hidden", self.server.text())
        self.assert_is_of(VM, qemu(VM), real=NOBODY, mounts_of=self.server.process.pid)

    def test_worker_has_no_privileges(self):
        self.start()
        self.assert_unprivileged(self.server.worker())


class TestMount(FusefsTest):
    def test_ends_with_nothing_left(self):
        self.start()
        worker = self.server.worker()
        descriptor = self.open(ENERGY)
        self.timed_read(descriptor)
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse(mounted(self.mount))
        self.assertFalse(os.path.exists(f"/proc/{worker}"))
        self.assertEqual(sorted(os.listdir(self.runtime)), ["ledger", "log", "meter.sock", "vm"])
        with self.assertRaises(OSError):
            os.pread(descriptor, 64, 0)

    def test_only_one_a_directory(self):
        self.start()
        second = subprocess.run([PROGRAMS["wattport_fs"], "--runtime-dir", self.runtime, "--config", "/dev/null"],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another wattport-fs serves", second.stderr)
        self.assertGreater(int(self.read(ENERGY)), 1000000)
        self.assertTrue(os.path.exists(os.path.join(self.runtime, "fs.pid")))

    def test_mount_that_somebody_took_away(self):
        self.start()
        subprocess.run(["umount", self.mount], check=True)
        self.assertEqual(self.server.finish(), 1)
        self.assertIn("somebody unmounted", self.server.text())

    def test_usage(self):
        for arguments in (["--nonsense"], ["extra"], ["--tree.psys=perhaps"], ["--config", "/nonexistent"]):
            done = subprocess.run([PROGRAMS["wattport_fs"], *arguments], capture_output=True, timeout=PATIENCE_S, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, b""), arguments)
            self.assertNotEqual(done.stderr, b"")


def prepare(description):
    """Takes the options of this test; returns the rest, for unittest. Ends with SKIPPED where it cannot run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--wattport-fs", required=True)
    parser.add_argument("--ledger-writer", required=True)
    parser.add_argument("--sanitized", action="store_true", help="the build has no system call filter")
    arguments, rest = parser.parse_known_args()
    PROGRAMS.update(wattport_fs=os.path.abspath(arguments.wattport_fs), sanitized=arguments.sanitized,
                    ledger_writer=os.path.abspath(arguments.ledger_writer))
    if os.geteuid() != 0:
        print("skipped: mounting needs root")
        sys.exit(SKIPPED)
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("skipped: there is no /dev/fuse")
        sys.exit(SKIPPED)
    return rest


def main():
    unittest.main(argv=[sys.argv[0], *prepare(__doc__)], verbosity=2)


if __name__ == "__main__":
    main()
