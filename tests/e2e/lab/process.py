"""A program that a test starts, watches and stops; its output goes to a file that a failure can show."""

import os
import signal
import subprocess
import time


KILL_TIMEOUT_S = 5

# What runs when nothing else wants the CPUs has to wait longer for everything: the soak sets this.
PATIENCE = float(os.environ.get("WATTPORT_PATIENCE", "1"))


class LabError(Exception):
    """The laboratory itself, or a program in it, did not do what it must; the text says what to look at."""


def wait_for(what, condition, timeout_s, poll_s=0.02):
    """Calls condition() until it returns something true, and returns that; LabError after timeout_s."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(poll_s)


class Process:
    """One running program. Not restarted by itself; start a new Process for that."""

    def __init__(self, name, command, log_path, env=None):
        self.name = name
        self.log_path = log_path
        self._log = open(log_path, "ab")
        self.log_start = self._log.tell()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
        )
        self.pid = self._popen.pid

    def status(self):
        """None while it runs, then its exit status (negative: the signal)."""
        return self._popen.poll()

    def log(self):
        """What this run of the program has written."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def wait_until(self, what, condition, timeout_s=10):
        """Waits for condition(), but not for a program that has ended."""

        def ready_or_dead():
            if self.status() is not None:
                raise LabError(f"{self.name} ended with status {self.status()} before {what}:\n{self.log()}")
            return condition()

        try:
            return wait_for(what, ready_or_dead, timeout_s)
        except LabError as error:
            raise LabError(f"{self.name}: {error}\n{self.log()}") from None

    def wait(self, timeout_s):
        """Waits for a program that ends by itself: its exit status."""
        wait_for(f"{self.name} to end", lambda: self.status() is not None, timeout_s)
        self._log.close()
        return self.status()

    def kill(self):
        """SIGKILL, and waits until it is gone. LabError if it hangs in a system call, as in one that FUSE has to end."""
        self._popen.kill()
        try:
            self._popen.wait(KILL_TIMEOUT_S * PATIENCE)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} hangs in a system call:\n{self.log()[-500:]}") from None
        finally:
            self._log.close()

    def stop(self, timeout_s=10):
        """SIGTERM, and returns the exit status. A program that does not end by itself is killed: LabError."""
        if self.status() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            return self._popen.wait(timeout_s * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LabError(f"{self.name} did not stop within {timeout_s} s of SIGTERM:\n{self.log()}") from None
        finally:
            self._log.close()
