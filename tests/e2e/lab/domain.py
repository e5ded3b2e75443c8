"""One domain of libvirt: what it looks like, and its life."""

import dataclasses
import glob
import os
import shutil
import uuid as uuid_module
from xml.sax.saxutils import escape, quoteattr

EMULATOR = "qemu-system-x86_64"
# Where Debian 12 and later releases keep it; libvirt wants to know where the binary element is used.
VIRTIOFSD = next((path for path in ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd") if os.path.exists(path)),
                 "virtiofsd")

DOMAIN_XML = """<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory_mib}</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu current='{vcpus}'>{vcpu_places}</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>{boot}</os>
  <features><acpi/><apic/></features>
  <cpu><topology sockets='{sockets}' cores='{cores}' threads='{threads}'/></cpu>
  <on_reboot>{on_reboot}</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <controller type='pci' model='pcie-root'/>
    {root_ports}
    <serial type='file'><source path={console}/></serial>
    <memballoon model='none'/>
    {disk}
    {filesystems}
  </devices>
  {commandline}
</domain>
"""

CMDLINE = "console=ttyS0 quiet panic=-1 mitigations=off"

ROOT_PORT = "<controller type='pci' model='pcie-root-port'/>"

# A disk whose boot sector jumps to itself, and is never done: load on one vCPU without a kernel. The firmware boots
# from no disk that is much smaller.
SPINNING_DISK = (b"\xeb\xfe" + b"\0" * 508 + b"\x55\xaa").ljust(1 << 20, b"\0")

DISK_XML = """<disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file={source}/><target dev='vda' bus='virtio'/><readonly/></disk>"""

# Two ways to give a guest the same host directory.
FILESYSTEM_XML = {
    "9p": """<filesystem type='mount' accessmode='{accessmode}'{multidevs}>
      <driver type='path'/><source dir={source}/><target dir={tag}/>{readonly}</filesystem>""",
    # virtiofsd of QEMU 7.2 knows no read-only export, so libvirt refuses <readonly/> there.
    "virtiofs": """<filesystem type='mount' accessmode='passthrough'>
      <driver type='virtiofs'/>
      <binary path='{virtiofsd}'><cache mode='none'/><sandbox mode='{sandbox}'/></binary>
      <source dir={source}/><target dir={tag}/></filesystem>""",
}

COMMANDLINE_XML = """<qemu:commandline>
    <qemu:arg value='-netdev'/><qemu:arg value='user,id=lab,restrict=on{forwards}'/>
    <qemu:arg value='-device'/><qemu:arg value='virtio-net-pci,netdev=lab,bus=pcie.0,addr=0x1c'/>
  </qemu:commandline>"""


@dataclasses.dataclass
class Share:
    """A host directory that the guest may mount. In its path {uuid} stands for the domain's."""

    source: str
    transport: str = "9p"
    tag: str = "wattport"
    accessmode: str = "passthrough"  # of 9p
    sandbox: str = "namespace"  # of virtiofsd
    readonly: bool = True  # over 9p
    whole_tree: bool = False  # over 9p: also what is mounted below the directory, whose inode numbers may be the same

    def xml(self, uuid):
        """The device, as in a domain or for attach-device."""
        return FILESYSTEM_XML[self.transport].format(
            source=quoteattr(self.source.replace("{uuid}", uuid)), tag=quoteattr(self.tag), accessmode=self.accessmode, sandbox=self.sandbox,
            virtiofsd=VIRTIOFSD, multidevs=" multidevs='remap'" if self.whole_tree else "", readonly="<readonly/>" if self.readonly else "",
        )


@dataclasses.dataclass
class Domain:
    """How a domain is to be made. Without a kernel it stays in the firmware, and is up at once."""

    name: str
    kind: str = "qemu"  # or kvm
    sockets: int = 1
    cores: int = 1
    threads: int = 1
    unplugged: int = 0  # the last so many vCPUs of that topology are not there
    memory_mib: int = 256
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""  # what the kernel is told beside CMDLINE
    disk: str = ""  # an image to boot from
    reboots: bool = False  # whether a guest with a kernel may; else its end is the domain's
    console: str = "/dev/null"
    shares: list = dataclasses.field(default_factory=list)
    forwards: list = dataclasses.field(default_factory=list)  # (host address, port)
    metadata: str = ""
    uuid: str = dataclasses.field(default_factory=lambda: str(uuid_module.uuid4()))

    @property
    def vcpus(self):
        """How many vCPUs it has."""
        return self.sockets * self.cores * self.threads - self.unplugged

    def xml(self):
        """The domain's definition."""
        boot = ""
        if self.kernel:
            boot = (
                f"<kernel>{escape(self.kernel)}</kernel><initrd>{escape(self.initrd)}</initrd>"
                f"<cmdline>{escape(f'{CMDLINE} {self.cmdline}'.strip())}</cmdline>"
            )
        forwards = "".join(f",hostfwd=tcp:{address}:{port}-:{port}" for address, port in self.forwards)
        return DOMAIN_XML.format(
            name=escape(self.name), kind=self.kind, uuid=self.uuid, metadata=self.metadata, memory_mib=self.memory_mib,
            vcpus=self.vcpus, vcpu_places=self.vcpus + self.unplugged, boot=boot, sockets=self.sockets, cores=self.cores,
            threads=self.threads, on_reboot="destroy" if self.kernel and not self.reboots else "restart",
            root_ports=ROOT_PORT * 6,
            console=quoteattr(self.console), filesystems="".join(share.xml(self.uuid) for share in self.shares),
            disk=DISK_XML.format(source=quoteattr(self.disk)) if self.disk else "",
            emulator=shutil.which(EMULATOR), commandline=COMMANDLINE_XML.format(forwards=forwards) if self.forwards else "",
        )


class RunningDomain:
    """A domain that libvirt knows. All virsh calls name it by uuid: names may hold anything."""

    def __init__(self, libvirtd, domain):
        self.libvirtd = libvirtd
        self.domain = domain
        self.uuid = domain.uuid
        self._persistent = False

    def create(self):
        """Starts it as a transient domain."""
        self.libvirtd.virsh("create", "/dev/stdin", text_in=self.domain.xml())

    def define(self):
        """Makes it a persistent domain, which does not run yet."""
        self.libvirtd.virsh("define", "/dev/stdin", text_in=self.domain.xml())
        self._persistent = True

    def start(self):
        """Starts a persistent domain."""
        self.libvirtd.virsh("start", self.uuid)

    def destroy(self):
        """Pulls the plug."""
        self.libvirtd.virsh("destroy", self.uuid)

    def remove(self):
        """Leaves nothing of it behind, whatever state it is in."""
        if self.uuid in self.libvirtd.virsh("list", "--uuid").split():
            self.destroy()
        if self._persistent and self.uuid in self.libvirtd.virsh("list", "--all", "--uuid").split():
            self.libvirtd.virsh("undefine", self.uuid)
        self._persistent = False

    def attach(self, share):
        """Plugs the share into the running domain."""
        self.libvirtd.virsh("attach-device", self.uuid, "/dev/stdin", "--live", text_in=share.xml(self.uuid))

    def detach(self, share):
        """Takes the share out of it; the guest must have unmounted it."""
        self.libvirtd.virsh("detach-device", self.uuid, "/dev/stdin", "--live", text_in=share.xml(self.uuid))

    def pid(self):
        """Its QEMU process, found by the uuid on the command line; 0 if there is none."""
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    arguments = file.read().split(b"\0")
            except OSError:
                continue  # It ended meanwhile.
            if b"qemu-system" in os.path.basename(arguments[0]) and self.uuid.encode() in arguments:
                return int(path.split("/")[2])
        return 0
