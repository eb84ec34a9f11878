"""Traces of the repository's guests and of programs built here."""

from __future__ import annotations

from pathlib import Path

from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.replay.console_input import BytesInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until
from rrdbg_core.replay.recorder import record as record_trace
from rrdbg_core.trace import image_digest

from tests.guests.manifest import elf


def record(guest: str | Path, folder: Path, *, typed: bytes = b"", until: int | None = None) -> Path:
    """Record a guest, by name or by its ELF, and return the trace."""
    image = elf(guest) if isinstance(guest, str) else guest
    data = image.read_bytes()
    digest = image_digest(data)
    config = MachineConfig(images=(ImageRef(kind="elf", digest=digest, name=image.name),))
    path = folder / f"{image.stem}.rrt"
    source = LiveSource(config, BytesInput(typed), warp=True)
    record_trace(config, {digest: data}, source, path, until=Until(icount=until))
    return path
