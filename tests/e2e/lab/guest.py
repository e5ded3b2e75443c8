"""A booted guest: commands in it, its files and its HTTP ports, all over QEMU's user network.

Every guest has an address of its own in 127.0.0.0/8 of the private machine, and the port numbers there are the
guest's: 127.0.0.11:9772 is port 9772 of guest 11.
"""

import base64
import dataclasses
import http.client
import socket
import threading
import time

from .domain import RunningDomain
from .process import PATIENCE, LabError, wait_for

CONTROL_PORT = 80
CLOCK_PORT = 81
PORTS = (CONTROL_PORT, CLOCK_PORT, 9100, 9772)
BOOT_TIMEOUT_S = 120


@dataclasses.dataclass
class Result:
    """How a command in the guest ended."""

    status: int
    out: str
    err: str


class Guest(RunningDomain):
    """A domain with a Debian kernel and the laboratory's initramfs."""

    def __init__(self, libvirtd, domain, address):
        domain.forwards = [(address, port) for port in PORTS]
        super().__init__(libvirtd, domain)
        self.address = address

    def wait_up(self):
        """Waits until the guest runs commands."""

        def answers():
            try:
                return self.run("true", timeout_s=10).status == 0
            except (OSError, http.client.HTTPException):
                if self.pid() == 0:
                    raise LabError(f"guest {self.domain.name} died while it booted:\n{self.console()}") from None
                return False

        try:
            wait_for(f"guest {self.domain.name} to boot", answers, BOOT_TIMEOUT_S, 0.25)
        except LabError as error:
            raise LabError(f"{error}\n{self.console()}") from None

    def console(self):
        """What the guest wrote to its serial console."""
        with open(self.domain.console, "rb") as file:
            return file.read().decode(errors="replace")

    def run(self, command, timeout_s=60):
        """Runs a shell command in the guest and waits for it. Any number of threads may call this at once."""
        connection = http.client.HTTPConnection(self.address, CONTROL_PORT, timeout=timeout_s * PATIENCE)
        try:
            connection.request("POST", "/cgi-bin/run", command.encode())
            answer = connection.getresponse().read()
        finally:
            connection.close()
        header, _, rest = answer.partition(b"\n")
        if len(header.split()) != 3:
            raise http.client.HTTPException(f"cut short: {answer[:80]!r}")
        status, out_size, err_size = (int(number) for number in header.split())
        if len(rest) != out_size + err_size:
            raise http.client.HTTPException(f"{len(rest)} bytes came of {out_size} + {err_size}")
        return Result(status, rest[:out_size].decode(errors="replace"), rest[out_size:].decode(errors="replace"))

    def check(self, command, timeout_s=60):
        """Runs a command that must succeed, and returns what it wrote to stdout."""
        result = self.run(command, timeout_s)
        if result.status != 0:
            raise LabError(
                f"guest {self.domain.name}: {command}: status {result.status}\n{result.out}{result.err}"
            )
        return result.out

    def spawn(self, command, log="/dev/null"):
        """Starts a command that goes on in the background of the guest, and returns its pid there."""
        return int(self.check(f"( exec {command} ) >{log} 2>&1 </dev/null & echo $!"))

    def begin(self, command, timeout_s=60):
        """Runs a command in the background of the test; the function returned waits for it and gives its Result."""
        outcome = []

        def work():
            try:
                outcome.append(self.run(command, timeout_s))
            except Exception as error:  # pylint: disable=broad-except
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()

        def finish():
            thread.join()
            if isinstance(outcome[0], Exception):
                raise outcome[0]
            return outcome[0]

        return finish

    def spin(self, cpu, percent=100):
        """Keeps a vCPU busy, and returns the pid to kill()."""
        return self.spawn(f"guest_probe spin {cpu} {percent}")

    def start_clock(self):
        """Starts what clock() needs."""
        self.spawn(f"guest_probe clock {CLOCK_PORT}")

        def answers():
            try:
                return self.clock(tries=1)
            except (OSError, ValueError):
                return None  # QEMU takes the connection before the guest does, and drops it then.

        wait_for("the guest's clock", answers, 10, 0.1)

    def clock(self, tries=100):
        """Compares the clocks: (host's CLOCK_MONOTONIC in s, guest's in s) at one instant, by the fastest of some
        round trips, and how long that took: twice the error at most."""
        best = None
        with socket.create_connection((self.address, CLOCK_PORT), timeout=10 * PATIENCE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines = connection.makefile("r")
            for _ in range(tries):
                before = time.monotonic()
                connection.sendall(b".")
                guest_ns = int(lines.readline())
                after = time.monotonic()
                if best is None or after - before < best[2]:
                    best = ((before + after) / 2, guest_ns / 1e9, after - before)
        return best

    def kill(self, pid):
        """Ends a process that spawn() or spin() has started."""
        self.check(f"kill -9 {pid}")

    def read(self, path):
        """The content of a file in the guest."""
        return base64.b64decode(self.check(f"base64 {path}")).decode()

    def get(self, port, path):
        """The body of an HTTP page of a server in the guest; LabError unless its status is 200."""
        connection = http.client.HTTPConnection(self.address, port, timeout=30 * PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise LabError(f"guest {self.domain.name}: port {port}: {path}: HTTP {response.status}\n{body}")
        return body
