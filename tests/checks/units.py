#!/usr/bin/python3
"""systemd takes the units as they are installed without a word, and finds their sandboxes at least as tight as
EXPOSURE_MAX says."""

import os
import re
import shutil
import subprocess
import tempfile

import sources

# systemd-analyze security's figure, from 0 (nothing allowed) to 10.
EXPOSURE_MAX = {
    "wattportd": 2.0,
    "wattport-fs": 2.0,
    "wattport-exporter": 2.0,
    "wattport-agent": 2.0,
    # It lays the tree for all processes of the guest, for which there is no other way than the guest's own mounts: what
    # gives a service mounts of its own is closed to it. It runs for a moment and leaves no process (docs/security.md).
    "wattport-agent-mount": 2.5,
}

_FIGURE = re.compile(r"exposure level for \S+: (\d+\.\d+)")
_PROGRAM = re.compile(r"(?<![\w.])/\S+/(?:wattport-agent|wattport-fs|wattport-exporter|wattportd)\b(?!\.)")


def check_directory(directory):
    """What is wrong with the units of a directory, which has to be all of them."""
    findings = []
    with tempfile.TemporaryDirectory(prefix="wattport-units-") as scratch:
        paths = []
        for name in sorted(EXPOSURE_MAX):
            source = os.path.join(directory, f"{name}.service")
            if not os.path.exists(source):
                findings.append(f"{source}: is not there")
                continue
            paths.append(os.path.join(scratch, f"{name}.service"))
            with open(source, encoding="utf-8") as file:
                text = file.read()
            with open(paths[-1], "w", encoding="utf-8") as file:
                # Not installed yet: any program that is there will do.
                file.write(_PROGRAM.sub("/bin/true", text))
        verdict = _analyze("verify", "--man=no", *paths)
        if verdict.returncode != 0 or verdict.stderr:
            findings.append(f"{directory}: systemd-analyze verify: {verdict.stderr}")
        for path in paths:
            name = os.path.basename(path).removesuffix(".service")
            verdict = _analyze("security", "--offline=true", "--no-pager", path)
            match = _FIGURE.search(verdict.stdout)
            if match is None or float(match.group(1)) > EXPOSURE_MAX[name]:
                findings.append(f"{directory}/{name}.service: exposure {match and match.group(1)}, more than "
                                f"{EXPOSURE_MAX[name]}: {verdict.stderr}")
    return findings


def check(root, build=None):
    """The units of a build."""
    if shutil.which("systemd-analyze") is None:
        raise sources.Skipped("systemd-analyze is not installed")
    return check_directory(os.path.join(build or os.path.join(root, "build/dev"), "packaging"))


def _analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sources.run(check, __doc__)
