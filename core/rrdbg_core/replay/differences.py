"""Say in which fields and bytes two states of a machine differ, and where a divergence happened."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import read_virtual, space_of
from rrdbg_core.cpu.interrupts import interrupt_due
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.isa.disasm import disassemble
from rrdbg_core.machine.machine import Machine
from rrdbg_core.replay.capsule import Capsule

SHOWN = 12
"""Fields, or stretches of RAM, that are named."""


def state_differences(machine: Machine, a: Capsule, b: Capsule) -> list[str]:
    """Return the fields in which two states differ, one line each: name, value in `a`, value in `b`."""
    lines = list(machine.differences(a.state, b.state))
    if a.events != b.events:
        lines.append(f"events applied: {a.events}, {b.events}")
    memory = _memory_differences(a, b)
    return [*_some(lines, "fields"), *_some(memory, "stretches of RAM")]


def _some(lines: list[str], what: str) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"{more} more {what}"] if more > 0 else lines


def _memory_differences(a: Capsule, b: Capsule) -> list[str]:
    """Return the bytes of RAM that differ, by doubleword."""
    lines = []
    zero = np.zeros(PAGE_BYTES, np.uint8)
    a_rows = {page: row for row, page in enumerate(a.pages.tolist())}
    b_rows = {page: row for row, page in enumerate(b.pages.tolist())}
    for page in sorted(a_rows.keys() | b_rows.keys()):
        left = a.content[a_rows[page]] if page in a_rows else zero
        right = b.content[b_rows[page]] if page in b_rows else zero
        if (left == right).all():
            continue
        words = left.view("<u8"), right.view("<u8")
        for index in np.flatnonzero(words[0] != words[1]).tolist():
            address = RAM_BASE + page * PAGE_BYTES + 8 * index
            lines.append(f"RAM 0x{address:x}: 0x{int(words[0][index]):016x}, 0x{int(words[1][index]):016x}")
    return lines


def next_step(machine: Machine) -> str:
    """Return what the machine does next, in words: place and instruction, or the interrupt that it takes."""
    hart = machine.core.hart
    pc = int(hart[L.PC])
    if interrupt_due(hart):
        return f"an interrupt at pc 0x{pc:x}"

    def read(address: int, length: int) -> bytes:
        length = min(length, RAM_BASE + machine.memory.size - address)
        return machine.memory.read(address, length) if machine.memory.contains(address, 1) else b""

    code = read_virtual(space_of(hart), pc, 4, read)
    if len(code) < 2:
        return f"pc 0x{pc:x}, outside RAM"
    return f"pc 0x{pc:x}: {disassemble(int.from_bytes(code, 'little'), pc)}"
