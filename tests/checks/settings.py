#!/usr/bin/python3
"""packaging/wattport.conf, docs/configuration.md and wattport.conf(5) follow the table in common/settings.c, key by key.

With --update the first two are written anew from the table (the target update-documents does that).
"""

import os
import re
import subprocess
import sys
import tempfile
import textwrap

import sources

CONF = "packaging/wattport.conf"
DOCUMENT = "docs/configuration.md"
PAGE = "docs/man/wattport.conf.5"
BEGIN = "<!-- keys: made from common/settings.c by the target update-documents -->\n"
END = "<!-- end of keys -->\n"

HEAD = """\
# Wattport's configuration, for wattportd, wattport-fs, wattport-exporter and wattport. Everything works without it: a
# line that is commented out shows the default. On the command line each key is --section.key=value. What is unknown or
# malformed is refused. See wattport.conf(5).
"""


def check(root, build):
    """One finding per document that differs from what the table would make."""
    keys = _keys(build)
    findings = list(_refused(build, _conf(keys)))
    page = sources.read(root, PAGE).replace("\\-", "-")
    findings += [f"{PAGE}: {key[0]}.{key[1]} is missing" for key in keys if f".B {key[0]}.{key[1]}\n" not in page]
    return findings + [
        f"{path}:1: is not what common/settings.c says: cmake --build --preset dev --target update-documents"
        for path, text in _documents(root, keys).items()
        if not os.path.exists(os.path.join(root, path)) or sources.read(root, path) != text
    ]


def _program(build):
    return os.path.join(build, "tests/checks/settings_list")


def _refused(build, conf):
    """What the programs say to the shipped file, as it is and with each default taken into use."""
    for text in (conf, re.sub(r"^#(\S+ =)", r"\1", conf, flags=re.MULTILINE)):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([_program(build), file.name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{CONF}: {done.stdout}{done.stderr}"


def _keys(build):
    listing = subprocess.run([_program(build)], check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in listing.splitlines()]


def _documents(root, keys):
    return {CONF: _conf(keys), DOCUMENT: _document(sources.read(root, DOCUMENT), keys)}


def _conf(keys):
    lines = [HEAD]
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
        lines += [f"# {line}\n" for line in textwrap.wrap(text, 118, break_on_hyphens=False)]
        lines.append(f"#{name} = {fallback}".rstrip() + "\n")
    return "".join(lines)


def _document(text, keys):
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{DOCUMENT}: the lines {BEGIN.strip()} and {END.strip()} are missing")
    table = ["| key | default | takes | what it does |\n", "|---|---|---|---|\n"]
    for section, name, fallback, allowed, summary in keys:
        shown = f"`{fallback}`" if fallback else "(empty)"
        table.append(f"| `{section}.{name}` | {shown} | {allowed} | {summary} |\n")
    return before + BEGIN + "".join(table) + END + after


def _update(root, build):
    for path, text in _documents(root, _keys(build)).items():
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--update":
        _update(sys.argv[2], sys.argv[3])
    else:
        sources.run(check, __doc__)
