"""Programs from elsewhere print on rrdbg what they print on QEMU, and exit with the same code."""

from __future__ import annotations

from pathlib import Path

import pytest
from rrdbg_core.machine.machine import StopReason

from tests.guests.foreign.programs import GCC, PROGRAMS, Program, build
from tests.guests.machine import run
from tests.guests.qemu import needs_qemu, run_qemu

needs_gcc = pytest.mark.skipif(
    GCC is None, reason="riscv64-unknown-elf-gcc is not installed (apt: gcc-riscv64-unknown-elf)"
)
LIMIT = 50_000_000


@needs_gcc
@needs_qemu
@pytest.mark.oracle
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_same_on_rrdbg_and_qemu(program: Program, tmp_path: Path) -> None:
    image = build(program, tmp_path)
    raw = 0x8000_0000 if program.image == "bin" else None
    output, exit_code = run_qemu(image, load_address=raw, stdin=program.typed, timeout=30)
    typed = [(100_000, program.typed)] if program.typed else []
    result = run(image, load_address=raw, typed=typed, limit=LIMIT)
    assert result.output.decode("latin-1") == output.decode("latin-1")
    assert result.reason is StopReason.EXIT
    assert result.exit_code is not None
    assert result.exit_code & 0xFF == exit_code
    assert output
