"""A host as most tests want it: a simulated one with a libvirtd, and Wattport on it."""

from .raplsim import Power, RaplSim
from .wattport import Wattport

# Guests see their exact shares, and what the host draws at rest is known from the first sample on.
EXACT = {"guest-view.mode": "exact", "attribution.idle-power": f"{Power().idle_w}W"}


def start_host(laboratory, settings=None, trace=None, cgroups=False):
    """The simulator and Wattport. With cgroups libvirt puts a virtiofsd into its machine's, which tells whose it is."""
    sim = RaplSim(laboratory)
    laboratory.start_libvirtd(cgroups=cgroups)
    host = Wattport(laboratory, sim.sysroot)
    host.start(settings, trace)
    return sim, host
