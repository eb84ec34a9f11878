"""`--device`: devices that are added to the board, as written on the command line.

virtio-rng[,slot=N][,name=NAME]
virtio-console[,slot=N][,name=NAME]
virtio-blk,drive=ID[,serial=TEXT][,slot=N][,name=NAME]
file.py:Class@ADDRESS[,irq=N][,name=NAME]
ENTRYPOINT@ADDRESS[,irq=N][,name=NAME]

QEMU's spellings do as well: virtio-blk-device for the device, bus=virtio-mmio-bus.N for the slot, id=NAME for the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rrdbg_core.devices.user import load_user_class, read_source
from rrdbg_core.devices.virtio_blk import ID_BYTES
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.virt import VIRTIO_DEVICES, VIRTIO_SLOTS
from rrdbg_core.replay.media import HostImage

from rrdbg.cli.drives import Drive, drives

PLIC_SOURCES = 95
"""Highest interrupt source of the board's PLIC."""

BOARD = {"finisher", "rtc", "clint", "plic", "uart", *(f"virtio{slot}" for slot in range(VIRTIO_SLOTS))}
"""Names of the devices that every board has."""


class BadDevice(RrdbgError):
    """A device specification makes no sense."""

    exit_code = ExitCode.USAGE


@dataclass
class Added:
    """What is added to the board."""

    refs: list[DeviceRef] = field(default_factory=list)
    """The devices."""
    media: dict[str, HostImage] = field(default_factory=dict)
    """Disk images, by device."""


def added_devices(device_specs: Sequence[str], drive_specs: Sequence[str] = ()) -> Added:
    """Return the devices that were asked for; virtio devices take free slots from 0, drives of their own come last.

    Raises:
        RrdbgError: A specification makes no sense, or there is no such device or image.
    """
    left = drives(drive_specs)
    added = Added()
    for spec in device_specs:
        _add(spec, added, left)
    for drive in left:
        if not drive.own:
            raise BadDevice(
                f"--drive {drive.spec}: no device uses it", hint=f"--device virtio-blk-device,drive={drive.id or 'ID'}"
            )
        _add_disk(f"--drive {drive.spec}", {}, drive, added)
    return added


def _add(spec: str, added: Added, left: list[Drive]) -> None:
    """Add the device that is asked for; the drive that it uses is not left."""
    head, *rest = spec.split(",")
    options = dict(_option(spec, item) for item in rest)
    kind = head.removesuffix("-device")
    if kind not in VIRTIO_DEVICES:
        added.refs.append(_ref(spec, head, options, added.refs))
        return
    keys = ["name", "id", "slot", "bus", *(("drive", "serial") if kind == "virtio-blk" else ())]
    _check_keys(spec, options, keys)
    if kind != "virtio-blk":
        added.refs.append(_virtio(f"--device {spec}", kind, options, kind, added.refs))
        return
    wanted = options.get("drive")
    drive = next((drive for drive in left if drive.id == wanted), None)
    if wanted is None or drive is None:
        what = "which drive?" if wanted is None else f"no drive is called {wanted!r}, or it is used already"
        raise BadDevice(
            f"--device {spec}: {what}",
            hint=f"--drive file=IMAGE,if=none,id={wanted or 'hd0'} --device {head},drive={wanted or 'hd0'}",
        )
    left.remove(drive)
    _add_disk(f"--device {spec}", options, drive, added)


def _add_disk(what: str, options: dict[str, str], drive: Drive, added: Added) -> None:
    ref = _virtio(what, "virtio-blk", options, drive.id or "disk", added.refs)
    serial = options.get("serial", drive.ref.serial)
    if len(serial.encode()) > ID_BYTES:
        raise BadDevice(f"{what}: the serial number has more than {ID_BYTES} bytes")
    added.refs.append(replace(ref, drive=replace(drive.ref, serial=serial)))
    added.media[ref.name] = drive.image


def _virtio(what: str, kind: str, options: dict[str, str], name: str, others: Sequence[DeviceRef]) -> DeviceRef:
    """Return a device in a virtio-mmio slot."""
    taken = {ref.slot for ref in others}
    wanted = options.get("slot", options.get("bus", "").removeprefix("virtio-mmio-bus."))
    free = next((slot for slot in range(VIRTIO_SLOTS) if slot not in taken), None)
    slot = _number(what, wanted, VIRTIO_SLOTS - 1) if wanted else free
    if slot is None or slot in taken:
        raise BadDevice(f"{what}: that virtio-mmio slot is taken", hint=f"slots 0 to {VIRTIO_SLOTS - 1}")
    name = options.get("name", options.get("id", name))
    return DeviceRef(kind=kind, name=_name(name, others), slot=slot)


def _check_keys(spec: str, options: dict[str, str], keys: Sequence[str]) -> None:
    for key in options:
        if key not in keys:
            raise BadDevice(f"--device {spec}: no option {key!r}", hint=f"try {', '.join(keys)}")


def _ref(spec: str, head: str, options: dict[str, str], others: Sequence[DeviceRef]) -> DeviceRef:
    """Return a user's device."""
    _check_keys(spec, options, ("irq", "name"))
    kind, at, address = head.rpartition("@")
    if not at:
        raise BadDevice(
            f"--device {spec}: an address is missing, or no device has that name",
            hint=f"try {', '.join(VIRTIO_DEVICES)}, or file.py:Class@0x10010000,irq=12",
        )
    source = read_source(kind)
    cls = load_user_class(kind, source)
    return DeviceRef(
        kind=Path(kind).name if source is not None else kind,
        name=_name(options.get("name", cls.__name__.lower()), others),
        address=_number(f"--device {spec}", address, (1 << 56) - 1),
        irq=_number(f"--device {spec}", options["irq"], PLIC_SOURCES) if "irq" in options else None,
        source=source,
    )


def _option(spec: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise BadDevice(f"--device {spec}: {text!r} is not of the form key=value")
    return key, value


def _number(what: str, text: str, highest: int) -> int:
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:
        value = -1
    if not 0 <= value <= highest:
        raise BadDevice(f"{what}: {text!r} is not a number from 0 to {highest:#x}")
    return value


def _name(wanted: str, others: Sequence[DeviceRef]) -> str:
    """Return a name that no other device has: rng, rng2, ..."""
    taken = BOARD | {ref.name for ref in others}
    return next(n for n in (wanted, *(f"{wanted}{i}" for i in range(2, 100))) if n not in taken)
