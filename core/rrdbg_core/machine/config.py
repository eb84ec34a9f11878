"""What a machine is made of: the part of the manifest that guest state depends on."""

from __future__ import annotations

from typing import Annotated, Literal

from rrdbg_core.checked import Checked, Range

MACHINE_VERSION = "virt-1"
"""The board's version: a fix that a guest could see makes a new one, and old traces replay on theirs."""

MIN_RAM, MAX_RAM = 1 << 16, 64 << 30
MAX_IMAGE_BYTES = 1 << 47
"""Size of a disk image."""

ImageKind = Literal["elf", "raw", "hex"]
"""File formats of images."""


class ImageRef(Checked):
    """A guest image."""

    kind: ImageKind
    """File format."""
    digest: str
    """Name of its content in the trace."""
    name: str
    """File name, for people."""
    load_address: int | None = None
    """Where a raw binary goes, or the lowest byte of a hex file."""


class DriveRef(Checked):
    """What was put into a block device. Its blocks are in the trace as far as the guest read them."""

    name: str
    """File name of the image, for people."""
    size_bytes: Annotated[int, Range(1, MAX_IMAGE_BYTES)]
    """Size of the image."""
    readonly: bool = False
    """The guest may not write."""
    serial: str = ""
    """What the drive calls itself."""


class DeviceRef(Checked):
    """A device that was added to the board."""

    kind: str
    """"virtio-rng", "virtio-blk", "virtio-console", or "file.py:Class" of a user's device."""
    name: str
    """Name in events and dumps."""
    slot: int | None = None
    """virtio-mmio slot."""
    address: int | None = None
    """First register of a user's device."""
    irq: int | None = None
    """PLIC source of a user's device."""
    source: str | None = None
    """Source text of a user's device, so that the trace replays without the file."""
    drive: DriveRef | None = None
    """What is in a block device."""


class MachineConfig(Checked):
    """Everything that the guest's state is a function of, beside the journal."""

    machine: str = MACHINE_VERSION
    """Name and version of the board."""
    ram_bytes: Annotated[int, Range(MIN_RAM, MAX_RAM, multiple_of=4096)] = 128 << 20
    """RAM."""
    isa: Literal["rv64imac", "rv64gc"] = "rv64imac"
    """Without F and D (and what traces say that do not say it), or with them; C, and Zb* in part, in any case."""
    privilege: Literal["mu", "msu"] = "mu"
    """Modes of the hart: M and U (and what traces say that do not say it), or S as well, with paging and Sstc."""
    firmware: Literal["none", "sbi"] = "none"
    """Who runs in M mode: what the images bring, or nobody: the hart starts in S mode, and the machine answers it."""
    device_tree: int | None = None
    """Address of the device tree; it is in a1 at the first instruction."""
    next_stage: int | None = None
    """Address of what tells OpenSBI's fw_dynamic where to go on; it is in a2 at the first instruction."""
    harts: Literal[1] = 1
    """Harts."""
    shift: Annotated[int, Range(0, 10)] = 0
    """A step takes 2^shift ns of virtual time."""
    seed: int | None = None
    """Seed of the guest's entropy; None: the host's."""
    rtc_base_ns: int = 0
    """Wall clock at power-on, ns since 1970."""
    semihosting: bool = True
    """Semihosting calls are carried out."""
    images: tuple[ImageRef, ...] = ()
    """What is loaded at power-on, in order."""
    entry: int | None = None
    """First instruction; None: the image says."""
    devices: tuple[DeviceRef, ...] = ()
    """Devices beside those that every board has."""
