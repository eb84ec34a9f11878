"""`--device`: devices that are added to the board, as written on the command line.

virtio-rng[,slot=N][,name=NAME]
file.py:Class@ADDRESS[,irq=N][,name=NAME]
ENTRYPOINT@ADDRESS[,irq=N][,name=NAME]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rrdbg_core.devices.user import load_user_class, read_source
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.virt import VIRTIO_DEVICES, VIRTIO_SLOTS

PLIC_SOURCES = 95
"""Highest interrupt source of the board's PLIC."""

BOARD = {"finisher", "rtc", "clint", "plic", "uart", *(f"virtio{slot}" for slot in range(VIRTIO_SLOTS))}
"""Names of the devices that every board has."""


class BadDevice(RrdbgError):
    """A device specification makes no sense."""

    exit_code = ExitCode.USAGE


def device_refs(specs: Sequence[str]) -> tuple[DeviceRef, ...]:
    """Return the devices that were asked for; virtio devices take free slots from 0.

    Raises:
        RrdbgError: A specification makes no sense, or there is no such device.
    """
    refs: list[DeviceRef] = []
    for spec in specs:
        refs.append(_ref(spec, refs))
    return tuple(refs)


def _ref(spec: str, others: Sequence[DeviceRef]) -> DeviceRef:
    head, *rest = spec.split(",")
    options = dict(_option(spec, item) for item in rest)
    virtio = head in VIRTIO_DEVICES
    for key in options:
        if key not in ("name", "slot" if virtio else "irq"):
            raise BadDevice(f"--device {spec}: no option {key!r}", hint=f"try {'slot' if virtio else 'irq'} or name")
    if virtio:
        taken = {ref.slot for ref in others}
        free = next((slot for slot in range(VIRTIO_SLOTS) if slot not in taken), None)
        slot = _number(spec, options["slot"], VIRTIO_SLOTS - 1) if "slot" in options else free
        if slot is None or slot in taken:
            raise BadDevice(f"--device {spec}: that virtio-mmio slot is taken", hint=f"slots 0 to {VIRTIO_SLOTS - 1}")
        return DeviceRef(kind=head, name=_name(spec, options.get("name", head), others), slot=slot)
    kind, at, address = head.rpartition("@")
    if not at:
        raise BadDevice(
            f"--device {spec}: an address is missing, or no device has that name",
            hint="try virtio-rng, or file.py:Class@0x10010000,irq=12",
        )
    source = read_source(kind)
    cls = load_user_class(kind, source)
    return DeviceRef(
        kind=Path(kind).name if source is not None else kind,
        name=_name(spec, options.get("name", cls.__name__.lower()), others),
        address=_number(spec, address, (1 << 56) - 1),
        irq=_number(spec, options["irq"], PLIC_SOURCES) if "irq" in options else None,
        source=source,
    )


def _option(spec: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise BadDevice(f"--device {spec}: {text!r} is not of the form key=value")
    return key, value


def _number(spec: str, text: str, highest: int) -> int:
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:
        value = -1
    if not 0 <= value <= highest:
        raise BadDevice(f"--device {spec}: {text!r} is not a number from 0 to {highest:#x}")
    return value


def _name(spec: str, wanted: str, others: Sequence[DeviceRef]) -> str:
    """Return a name that no other device has: rng, rng2, ..."""
    taken = BOARD | {ref.name for ref in others}
    return next(n for n in (wanted, *(f"{wanted}{i}" for i in range(2, 100))) if n not in taken)
