"""Clients at work in a guest: their root is a read-only share, they see the guest's own /sys, and stamp watches them."""

import shlex

from client import runs

TAG = "clients"
ROOT = "/clients"
BUSY_NICE = 19  # who burns CPU time must not hold up who reads

_PREPARE = f"""
mkdir -p {ROOT}
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=262144,ro {TAG} {ROOT}
for directory in dev proc sys; do mount --rbind /$directory {ROOT}/$directory; done
for directory in run tmp; do mount -t tmpfs tmpfs {ROOT}/$directory; done
mkdir -p {ROOT}/run/wattport/tree
mount --bind /run/wattport/tree {ROOT}/run/wattport/tree
"""


class Seat:
    """The clients of one guest. The tree must be laid over its /sys before."""

    def __init__(self, guest):
        self._guest = guest
        guest.check(_PREPARE)

    def start(self, clients):
        """Starts these side by side, those that others ask before those that ask."""
        for client in clients:
            for path, text in client.files.items():
                place = shlex.quote(f"{ROOT}{path}")
                self._guest.check(f"mkdir -p $(dirname {place}); printf %s {shlex.quote(text)} >{place}")
            if client.server:
                self._spawn(client, client.server, self._log(client, "server"), every=False, inside=True)
        for client in clients:
            self._spawn(client, client.command, self._log(client), every=client.every_s > 0, inside=not client.outside)

    def _spawn(self, client, command, log, every, inside):
        words = ["env", "TERM=vt100", "HOME=/tmp", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *shlex.split(client.environment)]
        words += ["stamp", *(["-r", ROOT] * inside), *(["-u", str(client.user)] * (client.user > 0))]
        words += ["-n", str(BUSY_NICE)] * client.busy
        words += ["-e", str(client.every_s * 1000)] * every
        words += ["-f", client.fifo] * (client.fifo != "")
        self._guest.spawn(f"{shlex.join(words)} {command}", log)

    def runs(self, client, part=""):
        """What it, or its server, has done so far."""
        return runs(self._guest.check(f"cat {self._log(client, part)}"))

    @staticmethod
    def _log(client, part=""):
        name = "".join(letter if letter.isalnum() else "-" for letter in client.name)
        return f"/tmp/{name}{part}.log"
