"""A program that computes with floating point, as a compiler makes it, prints the same bits here and on QEMU."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason

from tests.guests.machine import ScriptedSource
from tests.guests.qemu import needs_qemu, run_qemu

HERE = Path(__file__).parent / "floats"
GCC = shutil.which("riscv64-unknown-elf-gcc")
pytestmark = [
    pytest.mark.oracle,
    needs_qemu,
    pytest.mark.skipif(GCC is None, reason="no riscv64-unknown-elf-gcc (apt: gcc-riscv64-unknown-elf)"),
]


def compiled(folder: Path, *options: str) -> Path:
    """Compile the program."""
    assert GCC is not None
    path = folder / "floats.elf"
    target = ["-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding", "-nostdlib", "-static"]
    sources = [str(HERE / "start.S"), str(HERE / "floats.c")]
    linked = ["-Wl,--build-id=none", "-fno-math-errno", "-T", str(HERE / "floats.ld"), "-o", str(path)]
    subprocess.run([GCC, *target, *options, *sources, *linked], check=True)
    return path


def run(image: Path) -> tuple[bytes, int]:
    """Run it here, and return what it printed and how it ended."""
    config = MachineConfig(isa="rv64gc", images=(ImageRef(kind="elf", digest="image", name=image.name),))
    machine = Machine(config, {"image": image.read_bytes()}, ScriptedSource((), 1))
    out = bytearray()
    machine.on_console = lambda step, data: out.extend(data)
    assert machine.run(1 << 26) == StopReason.EXIT
    assert machine.exit_code is not None
    return bytes(out), machine.exit_code


@pytest.mark.parametrize("option", ["-O2", "-Os", "-O0"])
def test_the_same_bits_as_qemu(tmp_path: Path, option: str) -> None:
    image = compiled(tmp_path, option)
    mine, theirs = run(image), run_qemu(image)
    assert mine[0].decode().splitlines() == theirs[0].decode().replace("\r", "").splitlines()
    assert mine[1] == theirs[1] == 0
