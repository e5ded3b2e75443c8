"""Runs a script's tests in the private machine, for ctest: status 0, 1, or 77 where a program is missing."""

import unittest

from . import kernel, namespace
from .domain import EMULATOR, VIRTIOFSD
from .laboratory import CACHE, NODE_EXPORTER

NEEDED = (
    "libvirtd", "virsh", EMULATOR, VIRTIOFSD, "busybox", NODE_EXPORTER, "prometheus", "promtool",
)


def _tests():
    program = unittest.main("__main__", verbosity=2, exit=False)
    return 0 if program.result.wasSuccessful() else 1


def run(kernels=(), needs=NEEDED, main=_tests):
    """Runs main(), which is the tests of __main__, in the private machine, unless one of the needed programs is not
    installed. kernels: the flavours that the guests will boot; they are fetched here, for the private machine has no
    network."""
    missing = namespace.missing(*needs)
    if missing:
        print(f"skipped: not installed: {', '.join(missing)}")
        return namespace.SKIPPED
    for flavour in kernels:
        kernel.fetch(CACHE, flavour)
    return namespace.run_private(main)
