"""`--drive`: disk images, spelled as QEMU's option.

file=PATH[,if=virtio|none][,id=ID][,readonly=on|off][,format=raw]

The image is never written, so `snapshot=on` says nothing new, and how the host caches it makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rrdbg_core.devices.virtio_blk import ID_BYTES
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.config import DriveRef
from rrdbg_core.replay.media import HostImage

_KEYS = ("file", "if", "id", "readonly", "read-only", "format", "serial", "snapshot", "media", "cache", "aio")
_SWITCH = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False}
_FORMATS = {b"QFI\xfb": "qcow2", b"KDMV": "vmdk", b"conectix": "vpc", b"vhdxfile": "vhdx"}
"""Other formats, by how their files begin."""


class BadDrive(RrdbgError):
    """A drive specification makes no sense."""

    exit_code = ExitCode.USAGE


class Drive(Frozen):
    """A disk image that was asked for."""

    spec: str
    """As the user wrote it."""
    id: str
    """Name for `--device virtio-blk-device,drive=ID`, or ""."""
    own: bool
    """It comes with a device of its own, unless one asks for it."""
    image: HostImage
    """The image."""
    ref: DriveRef
    """What the trace says of it."""


def drives(specs: Sequence[str]) -> list[Drive]:
    """Return the drives that were asked for, their images opened.

    Raises:
        RrdbgError: A specification makes no sense, or an image cannot be used.
    """
    found: list[Drive] = []
    for spec in specs:
        drive = _drive(spec)
        if drive.id and drive.id in [other.id for other in found]:
            raise BadDrive(f"--drive {spec}: two drives are called {drive.id!r}")
        found.append(drive)
    return found


def split(option: str, spec: str) -> list[tuple[str, str]]:
    """Return the `key=value` items of an option; a comma in a value is written twice, as for QEMU."""
    items = []
    for item in spec.replace(",,", "\0").split(","):
        key, equals, value = item.partition("=")
        if not equals or not value:
            raise BadDrive(f"{option} {spec}: {item!r} is not of the form key=value")
        items.append((key, value.replace("\0", ",")))
    return items


def _drive(spec: str) -> Drive:
    options = dict(split("--drive", spec))
    for key in options:
        if key not in _KEYS:
            raise BadDrive(f"--drive {spec}: no option {key!r}", hint="try file=IMAGE,id=hd0,readonly=on,format=raw")
    path = options.get("file")
    if path is None:
        raise BadDrive(f"--drive {spec}: which image?", hint="--drive file=IMAGE")
    _one_of(spec, options, "if", ("virtio", "none"))
    _one_of(spec, options, "media", ("disk",))
    _one_of(spec, options, "format", ("raw",), "convert the image: qemu-img convert -O raw IMAGE disk.raw")
    if not _switch(spec, options.get("snapshot", "on")):
        raise BadDrive(f"--drive {spec}: the image is never written", hint="leave snapshot=off out")
    serial = options.get("serial", "")
    if len(serial.encode()) > ID_BYTES:
        raise BadDrive(f"--drive {spec}: the serial number has more than {ID_BYTES} bytes")
    image = HostImage(path)
    if "format" not in options:
        _look_for_format(path, image)
    readonly = _switch(spec, options.get("readonly", options.get("read-only", "off")))
    ref = DriveRef(name=Path(path).name, size_bytes=image.size_bytes, readonly=readonly, serial=serial)
    return Drive(spec, options.get("id", ""), options.get("if", "virtio") == "virtio", image, ref)


def _look_for_format(path: str, image: HostImage) -> None:
    """Refuse images that are hardly meant to be raw."""
    start = image.read(0) or b""
    for magic, name in _FORMATS.items():
        if start.startswith(magic):
            raise BadDrive(
                f"the disk image {path} looks like {name}, which is not supported",
                hint=f"qemu-img convert -O raw {path} disk.raw; or format=raw if it is raw all the same",
            )


def _one_of(spec: str, options: dict[str, str], key: str, values: Sequence[str], hint: str | None = None) -> None:
    value = options.get(key, values[0])
    if value not in values:
        raise BadDrive(f"--drive {spec}: {key}={value} is not supported", hint=hint or f"{key}={' or '.join(values)}")


def _switch(spec: str, text: str) -> bool:
    if text not in _SWITCH:
        raise BadDrive(f"--drive {spec}: {text!r} is neither on nor off")
    return _SWITCH[text]
