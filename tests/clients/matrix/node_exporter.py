"""Prometheus' node_exporter, as root, scraped."""

import re

from client import Client, Reading

QUICK_S = 1  # an answer that took longer was read nobody knows when
_SAMPLE = re.compile(r'node_rapl_(package|dram)_joules_total{index="(\d+)".*} (\S+)$')


def parse(runs):
    """The counters of a scrape. Each was read at some moment between the question and the answer."""
    for run in runs:
        for at_s, line in run.lines:
            if at_s - run.start_s < QUICK_S and (match := _SAMPLE.match(line)):
                yield Reading(f"{match[1]}-{match[2]}", (run.start_s + at_s) / 2, float(match[3]))


CLIENT = Client(
    name="node_exporter", package="prometheus-node-exporter", parse=parse, reads="flat, name and range again at each scrape",
    server="prometheus-node-exporter --collector.disable-defaults --collector.rapl --web.listen-address=:9100",
    command="wget -qO- http://127.0.0.1:9100/metrics", outside=True, every_s=4,
)
