"""Scaphandre in the mode for guests of a host that runs it, too."""

import dataclasses

from .scaphandre import CLIENT as PLAIN

PATH = "/run/wattport/tree/wattport/compat/scaphandre"

CLIENT = dataclasses.replace(
    PLAIN, name="Scaphandre --vm", command=PLAIN.command.replace("scaphandre", "scaphandre --vm"), environment=f"SCAPHANDRE_POWERCAP_PATH={PATH}",
)
