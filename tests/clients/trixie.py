"""The clients' own root: their packages and all these need, from one release of Debian, unpacked and not installed.

Nothing of it touches the machine: apt gets lists, a cache and an empty list of installed packages of its own, no
maintainer script runs and no daemon is started. The archive is the one that the machine's own apt uses.
"""

import glob
import os
import shutil
import subprocess
import tempfile

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What apt shall take for installed: a compiler in the graphics libraries that stress-ng links to, a third of all there
# is to fetch, and loaded by none of the clients.
SPARED = ("libllvm19", "libz3-4")
SPARED_STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 99:99\nMaintainer: none\nDescription: none\n\n"

# Where the clients find the machine they run in, and where they may write.
MOUNT_POINTS = ("dev", "proc", "run", "sys", "tmp")


class ArchiveError(Exception):
    """The packages cannot be had; the text says why."""


def fetch(cache, packages):
    """The directory with these packages unpacked; it is made under the cache directory if it is not there yet."""
    root = os.path.join(cache, f"root-{SUITE}")
    wanted = "\n".join(sorted(packages)) + "\n"
    listed = os.path.join(root, "packages")
    if os.path.exists(listed):
        with open(listed, encoding="utf-8") as file:
            if file.read() == wanted:
                return root
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = os.path.join(scratch, "root")
        _unpack(_download(scratch, packages), made)
        with open(os.path.join(made, "packages"), "w", encoding="utf-8") as file:
            file.write(wanted)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(made, root)
    return root


def _archive():
    """The address of Debian's archive, as the machine's own apt has it."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"],
        capture_output=True, text=True,
    ).stdout.split()
    if not listing:
        raise ArchiveError("this machine's apt knows no archive of Debian; add one, or run apt-get update")
    return sorted(listing)[0]


def _download(scratch, packages):
    for directory in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(scratch, directory))
    with open(os.path.join(scratch, "sources.list"), "w", encoding="utf-8") as file:
        file.write(f"deb [signed-by={KEYRING}] {_archive()} {SUITE} main\n")
    with open(os.path.join(scratch, "status"), "w", encoding="utf-8") as file:
        file.write("".join(SPARED_STATUS.format(name) for name in SPARED))
    _apt(scratch, "update")
    _apt(scratch, "install", "--download-only", "--yes", *packages)
    archives = os.path.join(scratch, "cache/archives")
    return [os.path.join(archives, name) for name in sorted(os.listdir(archives)) if name.endswith(".deb")]


def _apt(scratch, *arguments):
    settings = {
        "APT::Install-Recommends": "false", "APT::Sandbox::User": "root", "Debug::NoLocking": "true",
        "Dir::Cache": f"{scratch}/cache", "Dir::Etc::SourceList": f"{scratch}/sources.list",
        "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": f"{scratch}/lists",
        "Dir::State::Status": f"{scratch}/status",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(["apt-get", "-q", *options, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise ArchiveError(f"apt-get {' '.join(arguments)}: {done.stderr}")


def _unpack(archives, root):
    # The packages of this release count on /bin and the others being links.
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(os.path.join(root, "usr", name))
        os.symlink(f"usr/{name}", os.path.join(root, name))
    for archive in archives:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as package:
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", root], stdin=package.stdout, check=True)
        if package.returncode != 0:
            raise ArchiveError(f"cannot unpack {archive}")
    for name in MOUNT_POINTS:
        os.makedirs(os.path.join(root, name), exist_ok=True)
    os.makedirs(os.path.join(root, "var"), exist_ok=True)
    os.symlink("/run", os.path.join(root, "var/run"))
    # As the packages do when they are installed: without it Python would compile all it imports at each start.
    for directory in glob.glob(os.path.join(root, "usr/lib/python3*")):
        subprocess.run(
            ["chroot", root, "python3", "-m", "compileall", "-q", os.path.relpath(directory, root)],
            stdout=subprocess.DEVNULL, check=False,
        )


def version(root, package):
    """Which version of a package has been unpacked, as its own documentation says."""
    path = os.path.join(root, "usr/share/doc", package)
    for name in ("changelog.Debian.gz", "changelog.gz", "changelog.Debian.amd64.gz"):
        if os.path.exists(os.path.join(path, name)):
            text = subprocess.run(["zcat", os.path.join(path, name)], capture_output=True, text=True).stdout
            return text.partition("(")[2].partition(")")[0]
    raise ArchiveError(f"{path} has no changelog")
