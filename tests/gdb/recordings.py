"""Traces of the repository's guests and of programs built here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.replay.console_input import BytesInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until
from rrdbg_core.replay.recorder import record as record_trace
from rrdbg_core.trace import image_digest

from tests.guests.foreign.programs import GCC
from tests.guests.foreign.programs import HERE as FOREIGN
from tests.guests.manifest import elf

needs_gcc = pytest.mark.skipif(
    GCC is None, reason="riscv64-unknown-elf-gcc is not installed (apt: gcc-riscv64-unknown-elf)"
)


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


def compile_program(name: str, flags: str, folder: Path) -> Path:
    """Compile a program of this folder with debug information, and return its ELF."""
    assert GCC is not None
    elf = folder / f"{name}{flags.replace(' ', '')}.elf"
    options = "-march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -ffreestanding -nostartfiles -nostdlib -static"
    command = [GCC, *options.split(), "-g", *flags.split(), "-I", str(FOREIGN), "-T", str(FOREIGN / "ram.ld")]
    source = Path(__file__).parent / "programs" / f"{name}.c"
    done = subprocess.run([*command, "-o", str(elf), str(source), "-lgcc"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return elf
