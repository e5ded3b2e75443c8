#!/usr/bin/python3
"""System calls of wattport-fs that fail, each at its Nth call: whatever becomes of the process, the trees are served on, no
reader sees an error, and the next wattport-fs works.

strace(1) makes them fail. Of each call one is tried, or with WATTPORT_FAULTS=all every one.
Exit status 77: it cannot run here (no root, no /dev/fuse, no strace).
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import test_fusefs
from test_fusefs import ENERGY, PATIENCE_S, VM, Reader, Server, lives, mounted, until
from test_handover import HandoverTest

ALL = os.environ.get("WATTPORT_FAULTS") == "all"
READY = "info: ready: "

# What the serving paths call, and how it may fail.
START = {
    "openat": ("EMFILE", "EACCES"), "fcntl": ("EMFILE",), "memfd_create": ("ENOMEM",), "ftruncate": ("ENOSPC",),
    "mmap": ("ENOMEM",), "dup3": ("EMFILE",), "newfstatat": ("EIO",), "mkdir": ("EACCES", "ENOSPC"), "fchmod": ("EPERM",),
    "signalfd4": ("EMFILE",), "pipe2": ("EMFILE",), "socketpair": ("EMFILE",), "clone": ("EAGAIN",), "read": ("EIO", "EINTR"),
    "pread64": ("EIO",), "pwrite64": ("ENOSPC",), "poll": ("ENOMEM", "EINTR"), "lseek": ("EINVAL",), "write": ("EIO",),
    "writev": ("ENOMEM", "EINTR"), "ppoll": ("ENOMEM", "EINTR"), "pidfd_open": ("EMFILE",), "pidfd_getfd": ("EPERM",),
    "pidfd_send_signal": ("EPERM",), "sendto": ("EPIPE",), "recvfrom": ("ECONNRESET",), "setresuid": ("EPERM",),
    "setresgid": ("EPERM",), "capset": ("EPERM",), "prctl": ("EPERM",), "seccomp": ("EINVAL",), "fsopen": ("EPERM",),
    "fsmount": ("ENOSYS",), "mount": ("EPERM",), "umount2": ("EPERM",), "unlinkat": ("EACCES",), "kill": ("EPERM",),
}
SERVE = {
    "read": ("EIO", "ENOMEM", "EINTR"), "writev": ("EIO", "ENOMEM", "EINTR"), "ppoll": ("EINTR", "ENOMEM"),
    "sendto": ("EAGAIN", "EPIPE", "ENOBUFS"), "recvmsg": ("EIO", "EINTR", "ENOMEM"), "openat": ("EMFILE", "EIO", "EINTR"),
    "newfstatat": ("EIO", "ENOMEM"), "pread64": ("EIO", "EINTR"), "close": ("EIO",),
}
KEEP = {
    "wait4": ("EINTR", "ECHILD"), "poll": ("EINTR",), "read": ("EIO", "EINTR"), "clone": ("EAGAIN", "ENOMEM"),
    "fcntl": ("EIO", "ENOMEM"),
}


def calls_of(log):
    """(call, N) of each call that any of the processes made."""
    counts, found = {}, set()
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            call = re.match(r"(\d+) +(\w+)\(", line)
            if call:
                counts[call.groups()] = counts.get(call.groups(), 0) + 1
                found.add((call[2], counts[call.groups()]))
    return sorted(found)


def few(points):
    """One of each call, unless all are wanted: the middle one, as the first and the last are mostly like others."""
    if ALL:
        return points
    of = {}
    for name, nth in points:
        of.setdefault(name, []).append((name, nth))
    return [alike[len(alike) // 2] for alike in of.values()]


def waits_for_writer(pid):
    with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
        return "partner" in file.read()


def wrote_nothing(path):
    """Whether a process that waits for the other end of the pipe has got it."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


class FaultTest(HandoverTest):
    def setUp(self):
        super().setUp()
        self.trace = os.path.join(self.runtime, "trace")
        self.others = []

    def leave_nothing(self):
        for process in self.others:
            if process.poll() is None:
                process.kill()
            process.wait()
        super().leave_nothing()

    def attach(self, pid, calls, inject=None, *options):
        """Has calls of a process that runs fail."""
        command = ["strace", *options, "-qq", "-o", self.trace, f"--trace={calls}", "-p", str(pid)]
        tracer = subprocess.Popen(command + ([f"--inject={inject}"] if inject else []))
        self.others.append(tracer)
        until(lambda: self.traced(pid) or tracer.poll() is not None, "strace sees it")
        return tracer

    @staticmethod
    def traced(pid):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                return "TracerPid:\t0" not in file.read()
        except FileNotFoundError:
            return True

    def detach(self, tracer):
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGTERM)
            tracer.wait(PATIENCE_S)

    def injected(self):
        return "(INJECTED)" in self.traced_text()

    def traced_text(self):
        with open(self.trace, encoding="utf-8", errors="replace") as file:
            return file.read()


class TestTakeovers(FaultTest):
    """One that takes over, and of which a call fails: it serves, or it says why not and the one before goes on."""

    def begin_traced(self, calls, inject, *options):
        """A process, and who traces it from when it reads its configuration on."""
        log, config = os.path.join(self.runtime, "traced"), os.path.join(self.runtime, "config")
        if not os.path.exists(config):
            os.mkfifo(config)
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([*Server.command(self.runtime, *options), "--config", config], stderr=file, stdout=file)
        self.others.append(process)
        until(lambda: waits_for_writer(process.pid), "it opens its configuration")
        tracer = self.attach(process.pid, calls, inject, "-f")
        until(lambda: wrote_nothing(config) or process.poll() is not None, "it has read its configuration")
        return process, tracer

    def start_traced(self, calls, inject, *options):
        """How it ended, or None: it serves; and what it said."""
        process, tracer = self.begin_traced(calls, inject, *options)

        def said():
            with open(os.path.join(self.runtime, "traced"), encoding="utf-8") as file:
                return file.read()
        # Also a worker that "cannot say that it is ready: ..." has these words; and where writing fails, it is tried only.
        def has_outcome():
            return READY in said() or process.poll() is not None or READY in self.traced_text()
        # One failure each: else that of every worker's N-th call would go on for ever.
        until(lambda: has_outcome() or self.injected(), f"{inject}: it has failed")
        self.detach(tracer)
        until(has_outcome, f"{inject}: an outcome")
        return process.poll(), said()

    def points(self, *options):
        self.assertEqual(self.start_traced(",".join(START), None, *options)[0], None)
        return few(calls_of(self.trace))

    def run_points(self, *options):
        points = self.points(*options)
        self.assertGreater(len(points), 15)
        served = failed = 0
        for name, nth in points:
            for error in START[name] if ALL else START[name][:1]:
                inject = f"{name}:error={error}:when={nth}"
                status, said = self.start_traced(name, inject, *options)
                served += status is None
                failed += status is not None
                # Whoever ends says why, unless it is that which fails; and it is never an assertion or a fault.
                self.assertIn(status, (None, 1, 2), f"{inject}: {said}")
                self.assertTrue(status is None or "error: " in said or name == "write", f"{inject}: {said}")
                self.assertTrue(mounted(self.mount), inject)
        print(f"\n    {len(points)} points: {served} served, {failed} left it to the one before", end="")
        self.assertGreater(served, 0)
        self.assertGreater(failed, 0)

    def run_under_readers(self, *options):
        self.start()
        self.readers = [Reader("kept", self.path(ENERGY)), Reader("parts", self.path("wattport/snapshot"))]
        self.run_points("--replace", *options)
        self.server.process.wait(PATIENCE_S)
        self.server = self.replace_all()
        self.stop_readers()

    def replace_all(self):
        """The last one; who was about to serve when a call failed may still be at it, and then it says so."""
        for _ in range(50):
            try:
                return self.plain("--replace")
            except AssertionError as error:
                if "try again" not in str(error):
                    raise
            time.sleep(0.1)
        return self.plain("--replace")

    def test_each_call(self):
        self.run_under_readers()

    def test_killed_between_two_workers(self):
        """The one before is ended, and the one that ended it, too, before it had its own worker serve."""
        self.start()
        self.readers = [Reader("kept", self.path(ENERGY)), Reader("parts", self.path("wattport/snapshot"))]
        worker = self.server.worker()
        # The keeper that lives is ended first, then its worker; after that it stands still.
        process, _ = self.begin_traced("pidfd_send_signal", f"pidfd_send_signal:delay_exit={PATIENCE_S}000000:when=2", "--replace")
        until(lambda: not lives(worker), "the worker before is ended")
        process.kill()
        process.wait(PATIENCE_S)
        self.server.process.wait(PATIENCE_S)
        before = int(self.read(ENERGY))
        until(lambda: int(self.read(ENERGY)) > before, "the worker that is left serves")
        self.server = self.plain("--replace")
        self.stop_readers()

    def test_each_call_with_another_layout(self):
        self.run_under_readers("--copy-memory", "--without-resend")


class TestFirst(TestTakeovers):
    """One that mounts anew, and of which a call fails: it serves, or it leaves no mount; and then what its end is like."""

    test_each_call = test_each_call_with_another_layout = test_killed_between_two_workers = None

    def end(self):
        """Ends who serves; with a fault in that the mount may stay, which the next one takes away."""
        process = self.others[-2]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_S)

    def test_each_call_of_a_start(self):
        self.ledger.tell("host isolated replay package", f"vm {VM} 1 running 1", f"energy {VM} 0 1000000 0", "publish")
        points = self.points()
        self.assertEqual(self.end(), 0)
        served = failed = 0
        for name, nth in points:
            for error in START[name] if ALL else START[name][:1]:
                inject = f"{name}:error={error}:when={nth}"
                status, said = self.start_traced(name, inject)
                served += status is None
                failed += status is not None
                self.assertIn(status, (None, 1, 2), f"{inject}: {said}")
                self.assertTrue(status is None or "error: " in said or name == "write", f"{inject}: {said}")
                if status is None:
                    until(lambda: os.path.exists(self.path(ENERGY)), f"{inject}: its tree; it said {said}")
                self.assertIn(self.end(), (0, 1, 2), inject)
                self.assertFalse(mounted(self.mount), f"{inject}: {said}")
        print(f"\n    {len(points)} points: {served} served, {failed} said why not", end="")
        self.assertGreater(served, 0)
        self.assertGreater(failed, 0)


class TestServing(FaultTest):
    """A worker of which a call fails, and a keeper: nobody who reads notices."""

    def serve(self, victim, faults, disturb):
        self.start()
        self.readers = [Reader("kept", self.path(ENERGY)), Reader("fresh", self.path(ENERGY)),
                        Reader("parts", self.path("wattport/snapshot"))]
        happened = 0
        for call, errors in faults.items():
            for error in errors if ALL else errors[:1]:
                tracer = self.attach(victim(), call, f"{call}:error={error}:when={1 if ALL else 2}..300+100")
                disturb()
                time.sleep(0.3)
                self.detach(tracer)
                happened += self.injected()
                until(lambda: lives(self.server.worker()), f"{call} {error}: a worker")
                self.assertIsNone(self.server.process.poll(), f"{call} {error}: {self.server.text()}")
        print(f"\n    {happened} faults", end="")
        self.assertGreater(happened, 2)
        self.stop_readers()

    def finish_told(self):
        """Ends it; what Server.finish() complains of is what is provoked here."""
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(PATIENCE_S), 0)
        self.assertNotIn("Assertion", self.server.text())
        self.server.said.close()
        self.server.log.close()

    def test_worker(self):
        self.serve(self.server_worker, SERVE, lambda: None)
        self.finish_told()

    def server_worker(self):
        return self.server.worker()

    def test_keeper(self):
        self.serve(self.server_keeper, KEEP, self.kill_worker)
        self.finish_told()

    def server_keeper(self):
        return self.server.process.pid

    def kill_worker(self):
        victim = self.server.worker()
        os.kill(victim, signal.SIGKILL)
        until(lambda: self.server.worker() != victim, "another worker")


if __name__ == "__main__":
    rest = test_fusefs.prepare(__doc__)
    if shutil.which("strace") is None:
        print("skipped: there is no strace")
        sys.exit(test_fusefs.SKIPPED)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
