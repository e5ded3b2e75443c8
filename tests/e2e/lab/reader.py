"""Readers that keep one descriptor of a counter and poll it until they are told to stop; guest_probe does the work, and
ends by itself at a read that fails, is empty or goes back."""

from .process import LabError, wait_for

FOREVER = 10**9
HOST_PERIOD_US = 500  # so that each kill meets a read that is under way
GUEST_PERIOD_US = 10000
HANG_S = 2


def _parse(text):
    """Lines of guest_probe as (before in s, after in s, value); a last line that was cut off is dropped."""
    rows = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
    return [(int(before) / 1e9, int(after) / 1e9, int(value)) for before, after, value in rows]


class HostReader:
    """Reads on the host."""

    def __init__(self, laboratory, path, number=0):
        self._laboratory = laboratory
        self._name = f"reader-{number}"
        self._path = path
        self._process = None

    def __str__(self):
        return f"{self._name} on the host"

    def start(self):
        """Begins, and waits for the first read."""
        self._process = self._laboratory.process(self._name, [
            self._laboratory.program("tests/e2e/guest_probe"), "read", self._path, str(HOST_PERIOD_US), str(FOREVER),
        ])
        self._process.wait_until("its first read", self._process.log)

    def stop(self):
        """Ends; the reads. LabError if it had ended before, or hangs in a read."""
        if self._process is None:
            return []
        process, self._process = self._process, None
        read = len(process.log())
        wait_for(f"{self} to read on", lambda: process.status() is not None or len(process.log()) > read, HANG_S)
        status = process.status()
        if status is None:
            process.kill()
        else:
            raise LabError(f"{self}: status {status}: {process.log()[-300:]}")
        return _parse(process.log())


class GuestReader:
    """Reads in a guest."""

    def __init__(self, guest, path, period_us=GUEST_PERIOD_US, number=0):
        self._guest = guest
        self._log = f"/tmp/reader-{number}"
        self._path = path
        self._period_us = period_us
        self._pid = None

    def __str__(self):
        return f"reader in guest {self._guest.domain.name}"

    def start(self):
        """Begins, and waits for the first read."""
        self._pid = self._guest.spawn(f"guest_probe read {self._path} {self._period_us} {FOREVER}", log=self._log)
        wait_for("its first read", lambda: self._guest.check(f"cat {self._log}"), 10, 0.1)

    def _lines(self):
        return int(self._guest.check(f"wc -l <{self._log}"))

    def stop(self):
        """Ends; the reads. LabError if it had ended before, or hangs in a read."""
        if self._pid is None:
            return []
        pid, self._pid = self._pid, None
        lines = self._lines()
        wait_for(f"{self} to read on", lambda: self._lines() > lines or self._guest.run(f"kill -0 {pid}").status != 0, HANG_S,
                 0.1)
        if self._guest.run(f"kill -9 {pid}").status != 0:
            raise LabError(f"{self} has ended: {self._guest.check(f'tail -n 3 {self._log}')}")
        return _parse(self._guest.check(f"cat {self._log}"))
