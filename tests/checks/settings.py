#!/usr/bin/python3
"""What is shipped and documented of the configurations follows the tables in the code, key by key: packaging/wattport.conf
and wattport.conf(5) that in common/settings.c, packaging/agent.conf and wattport-agent.conf(5) that in
guest/agent_settings.c, docs/configuration.md both.

With --update the first of each and the document are written anew from the tables (the target update-documents does that).
"""

import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import textwrap

import sources

DOCUMENT = "docs/configuration.md"


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of the code and what is made from it."""

    name: str  # what settings_list calls it
    code: str
    conf: str
    page: str
    head: str  # of the file that is shipped

    @property
    def begin(self):
        """Where its keys begin in the document."""
        return f"<!-- keys: made from {self.code} by the target update-documents -->\n"

    @property
    def end(self):
        """Where they end."""
        return "<!-- end of keys -->\n"


TABLES = (
    Table("host", "common/settings.c", "packaging/wattport.conf", "docs/man/wattport.conf.5", """\
# Wattport's configuration, for wattportd, wattport-fs, wattport-exporter and wattport. Everything works without it: a
# line that is commented out shows the default. On the command line each key is --section.key=value. What is unknown or
# malformed is refused. See wattport.conf(5).
"""),
    Table("agent", "guest/agent_settings.c", "packaging/agent.conf", "docs/man/wattport-agent.conf.5", """\
# The configuration of wattport-agent's service. Everything works without it: a line that is commented out shows the
# default. On the command line each key is --section.key=value. What is unknown or malformed is refused. See
# wattport-agent.conf(5).
"""),
)


def check(root, build):
    """One finding per document that differs from what the tables would make."""
    findings = []
    for table in TABLES:
        keys = _keys(build, table)
        findings += _refused(build, table, _conf(table, keys))
        page = sources.read(root, table.page).replace("\\-", "-")
        findings += [f"{table.page}: {key[0]}.{key[1]} is missing" for key in keys if f".B {key[0]}.{key[1]}\n" not in page]
    return findings + [
        f"{path}:1: is not what the code says: cmake --build --preset dev --target update-documents"
        for path, text in _documents(root, build).items()
        if not os.path.exists(os.path.join(root, path)) or sources.read(root, path) != text
    ]


def _program(build):
    return os.path.join(build, "tests/checks/settings_list")


def _refused(build, table, conf):
    """What the programs say to the shipped file, as it is and with each default taken into use."""
    for text in (conf, re.sub(r"^#(\S+ =)", r"\1", conf, flags=re.MULTILINE)):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([_program(build), table.name, file.name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{table.conf}: {done.stdout}{done.stderr}"


def _keys(build, table):
    listing = subprocess.run([_program(build), table.name], check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in listing.splitlines()]


def _documents(root, build):
    document = sources.read(root, DOCUMENT)
    documents = {}
    for table in TABLES:
        keys = _keys(build, table)
        documents[table.conf] = _conf(table, keys)
        document = _document(document, table, keys)
    return {**documents, DOCUMENT: document}


def _conf(table, keys):
    lines = [table.head]
    section = ""
    for key_section, name, fallback, allowed, summary in keys:
        if key_section != section:
            section = key_section
            lines.append(f"\n[{section}]\n")
        else:
            lines.append("\n")
        # "source = model: ..." speaks of a key, which is not written with a capital.
        first = summary[0] if re.match(r"\S+ =", summary) else summary[0].upper()
        text = f"{first}{summary[1:]}. Takes {allowed}."
        lines += [f"# {line}\n" for line in textwrap.wrap(text, 118, break_on_hyphens=False, break_long_words=False)]
        lines.append(f"#{name} = {fallback}".rstrip() + "\n")
    return "".join(lines)


def _document(text, table, keys):
    before, begin, rest = text.partition(table.begin)
    _, end, after = rest.partition(table.end)
    if not begin or not end:
        raise SystemExit(f"{DOCUMENT}: the lines {table.begin.strip()} and {table.end.strip()} are missing")
    rows = ["| key | default | takes | what it does |\n", "|---|---|---|---|\n"]
    for section, name, fallback, allowed, summary in keys:
        shown = f"`{fallback}`" if fallback else "(empty)"
        rows.append(f"| `{section}.{name}` | {shown} | {allowed} | {summary} |\n")
    return before + begin + "".join(rows) + end + after


def _update(root, build):
    for path, text in _documents(root, build).items():
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--update":
        _update(sys.argv[2], sys.argv[3])
    else:
        sources.run(check, __doc__)
