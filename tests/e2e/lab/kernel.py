"""The distribution's own kernels for the guests: fetched as packages, unpacked, cut down to the modules a guest needs."""

import fcntl
import glob
import lzma
import os
import shutil
import subprocess
import tempfile

from .process import LabError

# Debian's name and Ubuntu's. Debian's cloud kernel has virtiofs but no 9p; the generic ones have both.
PACKAGES = {"generic": ("linux-image-amd64", "linux-image-generic"), "cloud": ("linux-image-cloud-amd64",)}
MODULES = ("virtio_pci", "virtio_net", "9p", "9pnet_virtio", "virtiofs", "overlay")
OPTIONAL = ("9p", "9pnet_virtio")


class Kernel:
    """An unpacked kernel: .image for QEMU's -kernel, .modules in loading order."""

    def __init__(self, directory):
        self.image = os.path.join(directory, "vmlinux")
        with open(os.path.join(directory, "modules"), encoding="utf-8") as file:
            self.modules = [os.path.join(directory, name) for name in file.read().split()]
        with open(os.path.join(directory, "version"), encoding="utf-8") as file:
            self.version = file.read().strip()


def fetch(cache, flavour="generic"):
    """Returns the Kernel of that flavour from the cache directory; downloads it there the first time, once, however
    many tests want it."""
    directory = os.path.join(cache, f"kernel-{flavour}")
    if not os.path.isdir(directory):
        os.makedirs(cache, exist_ok=True)
        lock = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(directory):
                with tempfile.TemporaryDirectory(dir=cache) as scratch:
                    os.rename(_unpack(_download(PACKAGES[flavour], scratch), scratch), directory)
        finally:
            os.close(lock)
    return Kernel(directory)


def _depends(package, prefix):
    """What the package depends on and is called like that."""
    listing = subprocess.run(["apt-cache", "depends", package], capture_output=True, text=True).stdout
    words = [line.split() for line in listing.splitlines()]
    return [line[1] for line in words if line[:1] == ["Depends:"] and line[1].startswith(prefix)]


def _download(metapackages, scratch):
    """The image's package, and those with its modules where the distribution keeps them apart (Ubuntu)."""
    for metapackage in metapackages:
        images = _depends(metapackage, "linux-image-")
        if len(images) == 1:
            break
    else:
        raise LabError(f"apt knows no kernel by the name of {' or '.join(metapackages)}; run apt-get update first")
    names = images + _depends(images[0], "linux-modules-") + _depends(metapackage, "linux-modules-")
    fetched = subprocess.run(
        ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names],
        cwd=scratch, capture_output=True, text=True,
    )
    if fetched.returncode != 0:
        raise LabError(f"cannot download {' '.join(names)}; run apt-get update first:\n{fetched.stderr}")
    return [os.path.join(scratch, name) for name in os.listdir(scratch) if name.endswith(".deb")]


def _unpack(packages, scratch):
    root = os.path.join(scratch, "root")
    for package in packages:
        subprocess.run(["dpkg", "-x", package, root], check=True)
    version = os.listdir(os.path.join(root, "lib/modules"))[0]
    tree = os.path.join(root, "lib/modules", version)
    # Neither busybox nor its insmod reads compressed modules.
    for suffix, program in ((".ko.zst", ("zstd", "--rm")), (".ko.xz", ("xz",))):
        compressed = glob.glob(os.path.join(tree, "**", "*" + suffix), recursive=True)
        for at in range(0, len(compressed), 500):
            subprocess.run([*program, "-q", "-d", "--", *compressed[at:at + 500]], check=True)
    subprocess.run(["busybox", "depmod", "-b", root, version], check=True)
    made = os.path.join(scratch, "kernel")
    os.mkdir(made)
    names = []
    for path in _closure(os.path.join(tree, "modules.dep"), os.path.join(tree, "modules.builtin")):
        shutil.copy(os.path.join(tree, path), made)
        names.append(os.path.basename(path))
    _write(os.path.join(made, "modules"), "\n".join(names).encode())
    _write(os.path.join(made, "version"), version.encode())
    with open(os.path.join(root, "boot", f"vmlinuz-{version}"), "rb") as file:
        _write(os.path.join(made, "vmlinux"), _decompressed(file.read()))
    return made


def _closure(dependencies_path, builtin_path):
    """The wanted modules and all they need, each after what it needs."""
    needs = {}
    with open(dependencies_path, encoding="utf-8") as file:
        for line in file:
            path, _, rest = line.partition(":")
            needs[path.strip()] = rest.split()
    by_name = {_module_name(path): path for path in needs}
    with open(builtin_path, encoding="utf-8") as file:
        builtin = {_module_name(line.strip()) for line in file}
    ordered = []

    def visit(path):
        for needed in needs[path]:
            visit(needed)
        if path not in ordered:
            ordered.append(path)

    for name in MODULES:
        if name in by_name:
            visit(by_name[name])
        elif name not in builtin and name not in OPTIONAL:
            raise LabError(f"the kernel has no module {name}")
    return ordered


def _module_name(path):
    return os.path.basename(path).removesuffix(".ko").replace("-", "_")


def _decompressed(image):
    """The ELF kernel within a bzImage, which QEMU starts by its PVH entry. Decompressing it under emulation in every
    guest would cost far more time than doing it here, once."""
    at = image.find(b"\xfd7zXZ\0")
    if at < 0:
        return image  # Compressed otherwise: let the guest do it.
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(image[at:])


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)
