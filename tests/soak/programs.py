"""The programs of the system part beside Wattport's own: machines that look like QEMU, and readers of their counters."""

import os
import random
import select
import signal
import subprocess
import uuid as uuid_module

QEMU = "qemu-system-x86_64"


class Violation(Exception):
    """An invariant is broken."""


class Machine:
    """A process that wattportd takes for a QEMU."""

    def __init__(self, directory, name, vcpus, identity=None, pid=None):
        """pid: the process id that it is to get, if it is free."""
        self.uuid = identity or str(uuid_module.UUID(int=random.getrandbits(128), version=4))
        self.name = name
        self.vcpus = vcpus
        if pid is not None:
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
                file.write(str(pid - 1))
        self.process = subprocess.Popen(
            [QEMU, "-name", f"{name},debug-threads=on", "-uuid", self.uuid, "-m", "64", "-smp", f"{vcpus},sockets=1"],
            executable=os.path.join(directory, QEMU), env={**os.environ, "SOAK_VCPUS": str(vcpus)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def toggle_worker(self):
        """A thread of it begins or ends."""
        self.process.send_signal(signal.SIGUSR1)

    def end(self):
        """As when its host pulls the plug. Returns its process id."""
        self.process.kill()
        self.process.wait()
        return self.process.pid


class Readers:
    """tests/soak/reader.c, which reads in threads of its own."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reads = 0
        self.count = 0

    def _order(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def add(self, kind, path):
        """False if there are as many as there may be."""
        return self._order(f"add {kind} {path}") == "added"

    def drop(self, path):
        """Those of that file end."""
        assert self._order(f"drop {path}") == "dropped"

    def pause(self):
        """Nobody reads, and nothing is open."""
        assert self._order("pause") == "paused"

    def resume(self):
        """They read on."""
        assert self._order("resume") == "resumed"

    def forget(self):
        """What was told binds nobody any more."""
        assert self._order("forget") == "forgotten"

    def check(self):
        """Violation if a reader saw what none may see."""
        report = self._order("report")
        if not report or report.startswith("violation"):
            raise Violation(f"readers: {report or 'they have ended'}")
        self.reads, self.count = map(int, report.split())

    def stop(self):
        """The end of all of them."""
        self.process.kill()
        self.process.wait()


class Rude:
    """A client that misbehaves in a child process, until it is killed in the midst of it."""

    def __init__(self, function):
        ready, done = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(ready)
                function(lambda: os.write(done, b"."))
            finally:
                os._exit(0)
        os.close(done)
        select.select([ready], [], [])
        os.close(ready)

    def kill(self):
        """Ends it, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
