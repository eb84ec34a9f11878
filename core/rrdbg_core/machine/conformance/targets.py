"""What can be checked: built-in devices by name, users' by file or entry point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rrdbg_core.devices.clint import Clint
from rrdbg_core.devices.contract import Device
from rrdbg_core.devices.finisher import Finisher
from rrdbg_core.devices.goldfish_rtc import GoldfishRtc
from rrdbg_core.devices.plic import Plic
from rrdbg_core.devices.uart import Uart
from rrdbg_core.devices.user import load_user_class, read_source
from rrdbg_core.devices.virtio_blk import SECTOR_BYTES, Medium, VirtioBlk
from rrdbg_core.devices.virtio_console import VirtioConsole
from rrdbg_core.devices.virtio_rng import VirtioRng
from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine import virt
from rrdbg_core.machine.config import DeviceRef, DriveRef

USER_ADDRESS, USER_IRQ = 0x4000_0000, 42


@dataclass(frozen=True, slots=True)
class Target:
    """A device to check."""

    spec: str
    """As the user named it."""
    kind: type[Device]
    """Its class."""
    name: str
    """What it is called in the machine."""
    address: int
    """Where it sits in the machine."""
    irq: int
    """Its PLIC source, 0 for none."""
    added: tuple[DeviceRef, ...]
    """What has to be added to the board for it."""


def _virtio(kind: type[Device], name: str, drive: DriveRef | None = None) -> Target:
    return Target(name, kind, name, virt.VIRTIO, 1, (DeviceRef(kind=name, name=name, slot=0, drive=drive),))


BUILT_IN: dict[str, Target] = {
    target.spec: target
    for target in (
        Target("uart", Uart, "uart", virt.UART, virt.UART_IRQ, ()),
        Target("clint", Clint, "clint", virt.CLINT, 0, ()),
        Target("plic", Plic, "plic", virt.PLIC, 0, ()),
        Target("rtc", GoldfishRtc, "rtc", virt.RTC, virt.RTC_IRQ, ()),
        Target("finisher", Finisher, "finisher", virt.FINISHER, 0, ()),
        _virtio(VirtioBlk, "virtio-blk", DriveRef(name="pattern", size_bytes=Medium().sectors * SECTOR_BYTES)),
        _virtio(VirtioConsole, "virtio-console"),
        _virtio(VirtioRng, "virtio-rng"),
    )
}
"""Built-in devices by name."""


def find(spec: str) -> Target:
    """Return what a specification means.

    Raises:
        RrdbgError: Nothing.
    """
    if spec in BUILT_IN:
        return BUILT_IN[spec]
    source = read_source(spec)
    try:
        kind = load_user_class(spec, source)
    except RrdbgError as error:
        if ":" not in spec:
            error.hint = f"{', '.join(BUILT_IN)}, file.py:Class, or the name of an installed device"
        raise
    short = spec if source is None else Path(spec.rpartition(":")[0]).name + ":" + spec.rpartition(":")[2]
    ref = DeviceRef(kind=short, name="checked", address=USER_ADDRESS, irq=USER_IRQ, source=source)
    return Target(spec, kind, "checked", USER_ADDRESS, USER_IRQ, (ref,))
