"""Prometheus' node_exporter as Debian's service runs it: without privileges. It needs trees of mode 0444."""

import dataclasses

from .node_exporter import CLIENT as PRIVILEGED

CLIENT = dataclasses.replace(
    PRIVILEGED, name="node_exporter, unprivileged", user=65534,
    server=PRIVILEGED.server.replace("9100", "9101"), command=PRIVILEGED.command.replace("9100", "9101"),
)
