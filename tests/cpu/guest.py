"""Small guests for tests: encode instructions by name and put them into a core."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.isa.table import BY_NAME, encode

RAM = 0x8000_0000
RAM_BYTES = 1 << 20
CODE = RAM


def asm(name: str, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> int:
    """Return the word of an instruction."""
    return encode(BY_NAME[name], rd, rs1, rs2, imm)


def put(core: Core, words: Sequence[int], address: int = CODE) -> None:
    """Write instructions as a device would."""
    core.write(address, struct.pack(f"<{len(words)}I", *words))


def start(core: Core, words: Sequence[int], address: int = CODE) -> None:
    """Write instructions and stand before the first."""
    put(core, words, address)
    core.hart[L.PC] = address
