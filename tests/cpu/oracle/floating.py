"""Random loops of floating point: every instruction of F and D, on numbers of every kind, in every mode.

A loop walks through the data, loads numbers, computes, and stores what comes of it. Its rounds begin with FS and fcsr
as the trap handler has set them: it takes them from a table, one after the other, and begins the loop again. In the
middle of some loops fflags, frm or FS change.
"""

from __future__ import annotations

import random
import struct
from typing import ClassVar

from rrdbg_core.cpu.regions.code import is_translatable
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.isa.expr import Branch, Jump
from rrdbg_core.isa.table import BY_NAME, decode

from tests.cpu.guest import asm
from tests.cpu.oracle.flows import VALUE, Flow
from tests.cpu.oracle.programs import (
    CODE,
    DATA,
    DATA_BYTES,
    FCSR,
    FLOAT,
    HANDLER,
    MSTATUS,
    MTVEC,
    RM,
    ROWS,
    Case,
    Generator,
)

SP, POINTER, OFFSET, BASE, COUNT, AT, TABLE, TAKEN = 2, 8, 9, 18, 19, 20, 21, 22
FLOATS = (8, 9, 10, 11, 12, 13, 14, 15, 0, 31)
"""f registers of a loop; compressed loads and stores know the first eight."""
INTEGERS = (10, 11, 12, 13, 14, 15, 0)
ARITHMETIC = [row for row in ROWS.values() if row.kind == FLOAT]
ROUNDS = 40
ROWS_OF_MODES = 32
MODES = (0, 0, 0, 0, 1, 1, 1, 0x1F, 0x10, 0x21, 0x40, 0x61, 0x80, 0xA1)
"""fcsr as rounds find it: most round to nearest, and have NX raised already."""
STATES = (0x6000, 0x6000, 0x6000, 0x6000, 0x6000, 0x4000, 0x2000, 0)
"""FS, likewise."""


def arithmetic(rng: random.Random, letters: str = "sd") -> int:
    """Return an instruction, in any of the modes, mostly in those that programs use; most are of the given formats."""
    row = rng.choice(ARITHMETIC)
    while letters not in row.name.split(".") and letters != "sd" and rng.random() < 0.95:
        row = rng.choice(ARITHMETIC)
    word = row.match | rng.getrandbits(32) & row.free
    registers = [rng.choice(FLOATS) for _ in range(4)]
    rd, rs1, rs2, rs3 = registers
    insn = BY_NAME[row.name]
    if "rd" not in insn.floats:
        rd = rng.choice(INTEGERS)
    if "rs1" not in insn.floats:
        rs1 = rng.choice(INTEGERS)
    if row.free >> 20 & 31:
        word = word & ~(31 << 20) | rs2 << 20
    if row.free >> 27 & 31:
        word = word & ~(31 << 27) | rs3 << 27
    if row.free & RM:
        usual = (1, 1, 1, 0) if insn.name.startswith(("fcvt.w", "fcvt.l")) else (0, 0, 7, 7)
        word = word & ~RM | rng.choice((*usual, *usual, rng.choice((0, 1, 2, 3, 4, 7)))) << 12
    return word & ~(31 << 7 | 31 << 15) | rd << 7 | rs1 << 15


def compressed(rng: random.Random) -> int:
    """Return c.fld, c.fsd, c.fldsp or c.fsdsp."""
    register, place = rng.randrange(8), 8 * rng.randrange(16)
    near = place >> 3 & 7
    match rng.randrange(4):
        case 0:
            return 0x2000 | near << 10 | (place >> 6) << 5 | 0 << 7 | register << 2
        case 1:
            return 0xA000 | near << 10 | 3 << 5 | 0 << 7 | register << 2
        case 2:
            return 0x2002 | (place >> 3 & 3) << 5 | (8 + register) << 7 | (place >> 6 & 7) << 2
        case _:
            return 0xA002 | near << 10 | 4 << 7 | (8 + register) << 2


def access(rng: random.Random, letters: str = "sd") -> int:
    """Return a load from what the loop reads, or a store to what it writes, which is elsewhere, most of the time."""
    wide = rng.random() < 0.9 if letters == "d" else rng.random() < 0.5
    imm, register = 8 * rng.randrange(32) + rng.choice((0, 0, 0, 4, rng.randrange(8))), rng.choice(FLOATS)
    load = rng.random() < 0.7
    if load == (rng.random() < 0.95):
        return asm("fld" if wide else "flw", rd=register, rs1=POINTER, imm=imm)
    return asm("fsd" if wide else "fsw", rs1=POINTER, rs2=register, imm=imm + (512 if load else 0))


def odd(rng: random.Random) -> int:
    """Return an instruction that changes the mode."""
    kind = rng.random()
    if kind < 0.7:
        return asm("csrrwi", rd=rng.choice((0, 10)), rs1=rng.choice((0, 1, 1, 2, 31)), imm=1)
    if kind < 0.8:
        return asm("csrrwi", rd=rng.choice((0, 10)), rs1=rng.choice((0, 0, 0, 1, 4, 6)), imm=2)
    if kind < 0.9:
        return asm(rng.choice(("csrrs", "csrrc")), rd=10, rs1=rng.choice((0, 11)), imm=FCSR)
    return asm(rng.choice(("csrrs", "csrrc")), rs1=TAKEN, imm=MSTATUS)


def number(rng: random.Random, temper: float, values: Generator, letters: str = "sd") -> int:
    """Return what an f register may hold: the more temper, the less ordinary."""
    if rng.random() < temper:
        return values.float_value()
    value = rng.choice(
        (0.0, -0.0, 1.0, -2.5, 3e9, rng.uniform(-4, 4), rng.uniform(0, 1e3), float(rng.randrange(-9, 9)))
    )
    if rng.choice(letters) == "d":
        return int.from_bytes(struct.pack("<d", value), "little")
    return int.from_bytes(struct.pack("<f", value), "little") | 0xFFFF_FFFF << 32


def floating(seed: int, steps: int) -> Case:
    """Return a loop."""
    rng, values = random.Random(seed), Generator(seed)
    temper = rng.choice((0.0, 0.05, 0.3, 0.9))
    odds, letters = rng.choice((0.0, 0.0, 0.05)), rng.choice(("s", "d", "d", "sd"))
    words: list[int] = []
    for _ in range(rng.randrange(5, 24)):
        kind = rng.random()
        if kind < odds:
            words.append(odd(rng))
        elif kind < 0.6:
            words.append(arithmetic(rng, letters))
        elif kind < 0.9:
            words.append(access(rng, letters))
        elif kind < 0.95:
            words.append(compressed(rng) | compressed(rng) << 16)
        else:
            words.append(asm("add", rd=rng.choice(INTEGERS[:-1]), rs1=10, rs2=rng.choice(INTEGERS)))
    words += [
        asm("addi", rd=OFFSET, rs1=OFFSET, imm=rng.choice((8, 8, 16, 24))),
        asm("andi", rd=OFFSET, rs1=OFFSET, imm=255),
    ]
    words += [asm("add", rd=POINTER, rs1=BASE, rs2=OFFSET), asm("addi", rd=COUNT, rs1=COUNT, imm=-1)]
    words.append(asm("bne", rs1=COUNT, imm=-4 * len(words)))
    x = [0] + [rng.choice((rng.getrandbits(64), rng.randrange(100), values.value())) for _ in range(31)]
    base = DATA + rng.choice((512, 0x1000 - 128, 0x2000 - 640))
    x[BASE] = x[POINTER] = base
    x[SP], x[OFFSET], x[COUNT], x[AT], x[TABLE] = base + 1024, 0, ROUNDS, 0, HANDLER + 0x100
    x[TAKEN] = rng.choice(STATES)
    code = struct.pack(f"<{len(words) + 1}I", *words, asm("ecall"))
    data = b"".join(struct.pack("<Q", number(rng, temper, values, letters)) for _ in range(DATA_BYTES // 8))
    csrs = {MTVEC: HANDLER, MSTATUS: rng.choice(STATES), FCSR: rng.choice(MODES)}
    f = tuple(number(rng, temper, values, letters) for _ in range(32))
    return Case(f"floating {seed}", CODE, 3, tuple(x), csrs, {HANDLER: _handler(rng), CODE: code, DATA: data}, steps, f)


def _handler(rng: random.Random) -> bytes:
    """Return what sets FS and fcsr as the next row of its table says, and begins the loop again."""
    size = 16 * ROWS_OF_MODES
    body = [
        asm("addi", rd=AT, rs1=AT, imm=16),
        asm("andi", rd=AT, rs1=AT, imm=size - 1),
        asm("add", rd=TAKEN, rs1=TABLE, rs2=AT),
        asm("ld", rd=COUNT, rs1=TAKEN),
        asm("ld", rd=TAKEN, rs1=TAKEN, imm=8),
        asm("lui", rd=OFFSET, imm=0x6000),
        asm("csrrs", rs1=OFFSET, imm=MSTATUS),
        asm("csrrw", rs1=COUNT, imm=FCSR),
        asm("csrrc", rs1=OFFSET, imm=MSTATUS),
        asm("csrrs", rs1=TAKEN, imm=MSTATUS),
        asm("addi", rd=OFFSET),
        asm("addi", rd=COUNT, imm=ROUNDS),
    ]
    body.append(asm("jal", imm=CODE - HANDLER - 4 * len(body)))
    table = [word for _ in range(ROWS_OF_MODES) for word in (rng.choice(MODES), rng.choice(STATES))]
    return struct.pack(f"<{len(body)}I", *body).ljust(0x100, b"\0") + struct.pack(f"<{len(table)}Q", *table)


def blocks(case: Case, *, careful: bool) -> Plan:
    """Return a plan of a loop: all that lies between what is not for regions, each with an entry of its own."""
    code = case.memory[CODE]
    found, at, start = [], 0, 0
    while at < len(code):
        decoded = decode(int.from_bytes(code[at : at + 4], "little"))
        if decoded is None or not is_translatable(decoded) or decoded.insn.name == "ecall":
            if at > start:
                found.append(Block(CODE + start, code[start:at], careful=careful))
            at += 4 if decoded is None else decoded.length
            start = at
        elif isinstance(decoded.insn.effect, Branch | Jump):
            at += decoded.length
            found.append(Block(CODE + start, code[start:at], careful=careful))
            start = at
        else:
            at += decoded.length
    return Plan(tuple(found), tuple(block.pc for block in found))


class FloatFlow(Flow):
    """A program that stays hot, and computes."""

    MORE: ClassVar[dict[str, int]] = {"float": 30, "mode": 1}

    def case(self, name: str, steps: int) -> Case:
        """Return a start state."""
        case = super().case(name, steps)
        rng, values = self.rng, Generator(int(name))
        temper = rng.choice((0.05, 0.3))
        data = b"".join(struct.pack("<Q", number(rng, temper, values)) for _ in range(DATA_BYTES // 8))
        csrs = {**case.csrs, MSTATUS: case.csrs[MSTATUS] | rng.choice(STATES), FCSR: rng.choice(MODES)}
        f = tuple(number(rng, temper, values) for _ in range(32))
        return Case(case.name, case.pc, case.priv, case.x, csrs, {**case.memory, DATA: data}, steps, f)

    def _make_float(self, depth: int, function: int) -> None:
        rng = self.rng
        for _ in range(rng.randrange(1, 9)):
            kind = rng.random()
            imm = 8 * rng.randrange(250)
            if kind < 0.6:
                self._code += struct.pack("<I", arithmetic(rng))
            elif kind < 0.8:
                self._emit(rng.choice(("fld", "flw")), rd=rng.choice(FLOATS), rs1=POINTER, imm=imm)
            elif kind < 0.9:
                self._emit(rng.choice(("fsd", "fsw")), rs1=POINTER, rs2=rng.choice(FLOATS), imm=imm)
            else:
                self._code += struct.pack("<H", 0x2000 | rng.getrandbits(13) & ~0x383 | rng.choice((0, 0, 0x8000)))

    def _make_mode(self, depth: int, function: int) -> None:
        rng = self.rng
        if rng.random() < 0.6:
            self._code += struct.pack("<I", odd(rng))
            return
        self._emit("lui", rd=VALUE, imm=rng.choice((0x2000, 0x4000, 0x6000)))
        self._emit(rng.choice(("csrrs", "csrrs", "csrrc")), rs1=VALUE, imm=MSTATUS)
