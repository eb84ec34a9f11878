"""Guest images made by the tests themselves: no cross toolchain, and every field can be spoilt."""

from __future__ import annotations

import struct
from pathlib import Path

from rrdbg_core.machine.conformance.assembler import assemble

BASE = 0x8000_0000

PRINT = """
    la a0, text
    li t0, 0x10000000
next:
    lbu t1, 0(a0)
    beqz t1, done
    sb t1, 0(t0)
    addi a0, a0, 1
    j next
done:
"""

FINISH = """
    li t0, 0x100000
    li t1, {word}
    sw t1, 0(t0)
stay:
    j stay
"""

ECHO = """
    li t0, 0x10000000
    li t3, 0x21
    li t1, 1
    sb t1, 2(t0)    # FIFO on
poll:
    lbu t1, 5(t0)
    andi t1, t1, 1
    beqz t1, poll
    lbu t1, 0(t0)
    sb t1, 0(t0)
    bne t1, t3, poll
"""
"""Turns the FIFO on and echoes every byte up to and with an exclamation mark."""

SPIN = "spin: j spin"
SLEEP = "sleep: wfi; j sleep"


def elf(code: bytes, *, entry: int = BASE, address: int = BASE, memory: int | None = None, **spoilt: int) -> bytes:
    """Return an ELF with one segment; `spoilt` names header fields: klass, data, kind, machine, phnum, phentsize."""
    header = (
        bytes([0x7F, 0x45, 0x4C, 0x46, spoilt.get("klass", 2), spoilt.get("data", 1), 1]) + bytes(9)
        + struct.pack("<HHIQQQI", spoilt.get("kind", 2), spoilt.get("machine", 243), 1, entry, 64, 0, 0)
        + struct.pack("<HHHHHH", 64, spoilt.get("phentsize", 56), spoilt.get("phnum", 1), 64, 0, 0)
    )  # fmt: skip
    size = len(code) if memory is None else memory
    segment = struct.pack("<IIQQQQQQ", spoilt.get("segment", 1), 7, 120, address, address, len(code), size, 4096)
    return header + segment + code


def printing(text: str, code: int = 0, *, end: str = FINISH) -> bytes:
    """Return an ELF that prints a text and ends with an exit code, or goes on with other code."""
    word = 0x5555 if code == 0 else code << 16 | 0x3333
    data = ".byte " + ", ".join(str(byte) for byte in [*text.encode(), 0])
    return elf(assemble(PRINT + end.format(word=word) + "\n" + "text: " + data))


def echoing(code: int = 0) -> bytes:
    """Return an ELF that echoes its input until an exclamation mark."""
    return elf(assemble(ECHO + FINISH.format(word=0x5555 if code == 0 else code << 16 | 0x3333)))


def spinning() -> bytes:
    """Return an ELF that never ends."""
    return elf(assemble(SPIN))


def sleeping() -> bytes:
    """Return an ELF that sleeps for ever."""
    return elf(assemble(SLEEP))


def intel_hex(data: bytes, address: int = BASE) -> str:
    """Return an Intel hex file with an extended linear address and 16 bytes a record."""

    def record(kind: int, offset: int, payload: bytes) -> str:
        body = bytes([len(payload), offset >> 8 & 0xFF, offset & 0xFF, kind]) + payload
        return ":" + (body + bytes([-sum(body) & 0xFF])).hex().upper()

    rows = [record(4, 0, struct.pack(">H", address >> 16))]
    rows += [record(0, (address & 0xFFFF) + at, data[at : at + 16]) for at in range(0, len(data), 16)]
    return "\n".join([*rows, record(1, 0, b"")]) + "\n"


def write(path: Path, content: bytes | str) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
