"""Random guest programs that stay hot: loops, calls, recursion, jump tables, patches of their own code, interrupts.

`programs` makes cases that end up everywhere within a few hundred steps; these go on for as long as they are run, most
of the time in loops, and come to every odd corner now and then: wild and crossing accesses, faults in the middle of
blocks, stores to code that runs soon (with fence.i and without), timer interrupts at every distance, user mode.

Memory of a case:

    0x8000_0000  trap handler
    0x8000_1000  functions, on three pages
    0x8000_8000  data, 16 KiB, with the stack at its end
"""

from __future__ import annotations

import random
import struct
from typing import ClassVar

from tests.cpu.guest import asm
from tests.cpu.oracle.programs import CODE, DATA, DATA_BYTES, HANDLER, MIE, MSTATUS, MTIMECMP, MTVEC, Case

PAGES = 3
RA, SP, DATA_AT, ARM_AT, DEPTH = 1, 2, 8, 4, 26
SCRATCH = (5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29)
COUNTERS = (18, 19, 20, 21)
"""Of nested loops, outermost first."""
ADDRESS, VALUE = 30, 31
NEIGHBOURS = (9, 22)
"""Pointers near ADDRESS."""
ALU = (
    *("add", "sub", "sll", "slt", "sltu", "xor", "srl", "sra", "or", "and", "addw", "subw", "sllw", "srlw", "sraw"),
    *("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu", "mulw", "divw", "divuw", "remw", "remuw"),
    *("sh1add", "sh2add", "sh3add", "add.uw", "andn", "orn", "xnor", "max", "maxu", "min", "minu", "rol", "ror"),
    *("bclr", "bext", "binv", "bset", "rolw", "rorw"),
)
IMMEDIATE = ("addi", "slti", "sltiu", "xori", "ori", "andi", "addiw")
BRANCHES = ("beq", "bne", "blt", "bge", "bltu", "bgeu")
LOADS = ("lb", "lbu", "lh", "lhu", "lw", "lwu", "ld")
STORES = ("sb", "sh", "sw", "sd")
AMOS = tuple(f"amo{op}.{w}" for op in ("swap", "add", "xor", "and", "or", "min", "max", "minu", "maxu") for w in "wd")


class Flow:
    """One program."""

    MORE: ClassVar[dict[str, int]] = {}
    """What else there may be in it, and how often."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._code = bytearray()
        self._fixes: list[tuple[int, str, int, str]] = []  # offset, kind, register, label
        self._labels: dict[str, int] = {}
        self._patchable: list[str] = []
        self._count = 0
        self._functions = self.rng.randrange(3, 7)
        self._odd = self.rng.choice((0.0, 0.01, 0.05))
        self._patches = self.rng.random() < 0.4
        self._build()

    def case(self, name: str, steps: int) -> Case:
        """Return a start state."""
        rng = self.rng
        x = [0] + [
            rng.choice((0, 1, (1 << 64) - 1, 1 << 63, rng.getrandbits(64), rng.getrandbits(8))) for _ in range(31)
        ]
        x[SP], x[DATA_AT], x[ARM_AT], x[DEPTH] = DATA + DATA_BYTES - 64, DATA, MTIMECMP, 0
        csrs = {MTVEC: HANDLER, MSTATUS: rng.choice((0, 8, 8)), MIE: 0x80}
        # one PMP entry opens everything to user mode
        csrs |= {0x3B0: (1 << 54) - 1, 0x3A0: 0x1F}
        memory = {HANDLER: self._handler(), CODE: bytes(self._code), DATA: rng.randbytes(DATA_BYTES)}
        return Case(name, CODE, rng.choice((3, 3, 0)), tuple(x), csrs, memory, steps)

    # ---- assembly ----------------------------------------------------------------------------------------------------
    def _emit(self, name: str, **fields: int) -> None:
        self._code += struct.pack("<I", asm(name, **fields))

    def _label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def _fresh(self) -> str:
        self._count += 1
        return f"l{self._count}"

    def _fix(self, kind: str, register: int, label: str, size: int = 4) -> None:
        self._fixes.append((len(self._code), kind, register, label))
        self._code += bytes(size)

    def _resolve(self) -> None:
        for at, kind, register, label in self._fixes:
            distance = self._labels[label] - at
            if kind == "la":
                high = (distance + 0x800) >> 12 << 12
                words = asm("auipc", rd=register, imm=high), asm("addi", rd=register, rs1=register, imm=distance - high)
            elif kind == "jal":
                words = (asm("jal", rd=register, imm=distance),)
            else:
                words = (asm(kind, rs1=register & 31, rs2=register >> 5, imm=distance),)
            struct.pack_into(f"<{len(words)}I", self._code, at, *words)

    def _build(self) -> None:
        self._label("main")
        for number in range(self._functions):
            self._call(number)
        self._segments(2, 0, self._functions)
        self._fix("jal", 0, "main")
        for number in range(self._functions):
            if self.rng.random() < 0.6:  # often at the end of a page, or across one
                gap = -len(self._code) % 4096 - self.rng.randrange(0, 200, 2)
                if gap > 0 and len(self._code) + gap < (PAGES - 1) * 4096:
                    self._code += b"\x13\0\0\0" * (gap // 4)
                    if gap % 4:
                        self._code += b"\x01\0"
            self._function(number)
        self._resolve()
        assert len(self._code) <= PAGES * 4096

    # ---- what programs are made of -----------------------------------------------------------------------------------
    def _function(self, number: int) -> None:
        self._label(f"f{number}")
        self._emit("addi", rd=SP, rs1=SP, imm=-48)
        for slot, register in enumerate((RA, *COUNTERS)):
            self._emit("sd", rs1=SP, rs2=register, imm=8 * slot)
        self._segments(self.rng.randrange(2, 6), 0, number)
        for slot, register in enumerate((RA, *COUNTERS)):
            self._emit("ld", rd=register, rs1=SP, imm=8 * slot)
        self._emit("addi", rd=SP, rs1=SP, imm=48)
        self._emit("jalr", rs1=RA)

    def _segments(self, count: int, depth: int, function: int) -> None:
        for _ in range(count):
            if len(self._code) > PAGES * 4096 - 1500:
                return
            kinds = {"alu": 10, "memory": 8, "if": 5, "reach": 5, "atomic": 2, "switch": 2, "fence": 1, "far": 1}
            kinds |= self.MORE
            if depth < len(COUNTERS):
                kinds["loop"] = 6
            if function > 0:
                kinds |= {"call": 3, "indirect": 2}
            if function < self._functions:
                kinds["recursion"] = 2
            if self._odd:
                kinds |= {"trap": 1, "csr": 1, "arm": 2}
            if self._patches:
                kinds["patch"] = 2
            (kind,) = self.rng.choices(list(kinds), list(kinds.values()))
            getattr(self, f"_make_{kind}")(depth, function)

    def _scratch(self) -> int:
        return self.rng.choice(SCRATCH)

    def _make_alu(self, depth: int, function: int) -> None:
        rng = self.rng
        for _ in range(rng.randrange(1, 9)):
            rd, rs1, rs2 = (self._scratch() for _ in range(3))
            kind = rng.random()
            if kind < 0.15:
                register = rng.choice((10, 11, 12, 13, 14, 15))
                small = rng.randrange(1, 31)
                c_addi, c_mv = 0x0001 | register << 7 | small << 2, 0x8002 | register << 7 | rs2 << 2
                c_add, c_xor = 0x9002 | register << 7 | rs2 << 2, 0x8C21 | (register - 8) << 7 | small % 8 << 2
                half = rng.choice((c_addi, c_mv, c_add, c_xor))
                self._code += struct.pack("<H", half)
            elif kind < 0.5:
                if rng.random() < 0.2:
                    self._label(name := self._fresh())
                    self._patchable.append(name)
                self._emit(rng.choice(IMMEDIATE), rd=rd, rs1=rs1, imm=rng.randrange(-2048, 2048))
            elif kind < 0.6:
                self._emit(rng.choice(("lui", "auipc")), rd=rd, imm=rng.getrandbits(20) << 12)
            else:
                self._emit(rng.choice(ALU), rd=rng.choice((rd, rd, rd, 0)), rs1=rs1, rs2=rng.choice((rs2, rs2, 0)))

    def _point(self) -> None:
        """Let ADDRESS point somewhere."""
        rng = self.rng
        source = self._scratch()
        if rng.random() < self._odd:
            self._emit("addi", rd=ADDRESS, rs1=source)
            return
        self._emit("andi", rd=ADDRESS, rs1=source, imm=rng.choice((0x7F8, 0x7FC, 0x7F8, 0x7F0, 0x7FF)))
        if rng.random() < 0.3:
            self._emit("slli", rd=ADDRESS, rs1=ADDRESS, imm=rng.randrange(3))
        self._emit("add", rd=ADDRESS, rs1=ADDRESS, rs2=DATA_AT)

    def _make_memory(self, depth: int, function: int) -> None:
        rng = self.rng
        self._point()
        for _ in range(rng.randrange(1, 5)):
            imm = rng.choice((0, 8, 16, 0x7F8, rng.randrange(0, 2040), 8 * rng.randrange(250)))
            if rng.random() < 0.5:
                self._emit(rng.choice(LOADS), rd=self._scratch(), rs1=ADDRESS, imm=imm)
            else:
                self._emit(rng.choice(STORES), rs1=ADDRESS, rs2=self._scratch(), imm=imm)

    def _make_reach(self, depth: int, function: int) -> None:
        """Access a few places that lie close together, through pointers made of one another; often at a page's end."""
        rng = self.rng
        if self._patchable and rng.random() < 0.15:
            # code, with what it is; nothing else there is written
            self._fix("la", ADDRESS, rng.choice(self._patchable), 8)
            self._emit("andi", rd=ADDRESS, rs1=ADDRESS, imm=-8)
            for imm in rng.sample((-16, -8, 0, 8, 16), rng.randrange(1, 4)):
                self._emit("ld", rd=VALUE, rs1=ADDRESS, imm=imm)
                self._emit("sd", rs1=ADDRESS, rs2=VALUE, imm=imm)
            return
        if rng.random() < 0.5:
            self._emit("lui", rd=ADDRESS, imm=rng.randrange(1, 4) << 12)
            self._emit("andi", rd=VALUE, rs1=self._scratch(), imm=rng.choice((0x78, 0x78, 0x78, 0x7F)))
            self._emit("add", rd=ADDRESS, rs1=ADDRESS, rs2=VALUE)
            self._emit("add", rd=ADDRESS, rs1=ADDRESS, rs2=DATA_AT)
            self._emit("addi", rd=ADDRESS, rs1=ADDRESS, imm=-rng.choice((16, 64, 104)))
        else:
            self._point()
            self._emit("addi", rd=ADDRESS, rs1=ADDRESS, imm=256)
        for pointer in NEIGHBOURS:
            self._emit("addi", rd=pointer, rs1=ADDRESS, imm=rng.choice((0, 8, -24)))
        step = rng.choice((8, 8, 4, 1))
        for _ in range(rng.randrange(2, 12)):
            pointer, other = rng.choice((ADDRESS, *NEIGHBOURS)), rng.choice((ADDRESS, *NEIGHBOURS))
            kind = rng.random()
            imm = 8 * rng.randrange(-8, 8) + rng.choice((0, 0, 0, step, 4, 4, 2))
            if kind < 0.35:
                self._emit(rng.choice(LOADS), rd=self._scratch(), rs1=pointer, imm=imm)
            elif kind < 0.7:
                self._emit(rng.choice(STORES), rs1=pointer, rs2=self._scratch(), imm=imm)
            elif kind < 0.8:
                self._emit("addi", rd=pointer, rs1=pointer, imm=rng.choice((8, -8, step)))
            elif kind < 0.9:
                self._emit("add", rd=pointer, rs1=rng.choice((0, other)), rs2=rng.choice((0, other)))
            elif kind < 0.95:
                self._code += struct.pack("<H", 0x8002 | pointer << 7 | other << 2)
            else:
                self._emit("xori", rd=pointer, rs1=pointer, imm=rng.choice((8, 16)))
            if rng.random() < 0.2:
                self._emit("andi", rd=pointer, rs1=other, imm=-step)

    def _make_atomic(self, depth: int, function: int) -> None:
        rng = self.rng
        self._point()
        self._emit("andi", rd=ADDRESS, rs1=ADDRESS, imm=-8 if rng.random() < 0.95 else -1)
        if rng.random() < 0.5:
            self._emit(rng.choice(AMOS), rd=rng.choice((0, self._scratch())), rs1=ADDRESS, rs2=self._scratch())
            return
        w = rng.choice("wd")
        self._label(again := self._fresh())
        if rng.random() < 0.9:
            self._emit(f"lr.{w}", rd=VALUE, rs1=ADDRESS)
        if rng.random() < 0.2:
            self._emit("xori", rd=ADDRESS, rs1=ADDRESS, imm=8)
        if rng.random() < 0.3:
            self._emit("sd", rs1=DATA_AT, rs2=self._scratch(), imm=8 * rng.randrange(100))
        self._emit("add", rd=VALUE, rs1=VALUE, rs2=self._scratch())
        self._emit(f"sc.{w if rng.random() < 0.9 else 'w'}", rd=VALUE, rs1=ADDRESS, rs2=VALUE)
        if rng.random() < 0.5:
            self._fix("bne", VALUE, again)

    def _make_if(self, depth: int, function: int) -> None:
        over = self._fresh()
        self._fix(self.rng.choice(BRANCHES), self._scratch() | self.rng.choice((0, self._scratch())) << 5, over)
        self._segments(self.rng.randrange(1, 3), depth + 1, function)
        self._label(over)

    def _make_loop(self, depth: int, function: int) -> None:
        counter, top = COUNTERS[depth], self._fresh()
        self._emit("addi", rd=counter, imm=self.rng.choice((1, 2, 3, 5, 9, 30 if depth < 2 else 4)))
        self._label(top)
        self._segments(self.rng.randrange(1, 4), depth + 1, function)
        self._emit("addi", rd=counter, rs1=counter, imm=-1)
        self._fix("bne", counter, top)

    def _call(self, number: int) -> None:
        self._fix("jal", RA, f"f{number}")

    def _make_call(self, depth: int, function: int) -> None:
        self._call(self.rng.randrange(function))

    def _make_indirect(self, depth: int, function: int) -> None:
        """Call one of two functions, as a register says."""
        over = self._fresh()
        self._fix("la", ADDRESS, f"f{self.rng.randrange(function)}", 8)
        self._fix(self.rng.choice(BRANCHES), self._scratch() | self._scratch() << 5, over)
        self._fix("la", ADDRESS, f"f{self.rng.randrange(function)}", 8)
        self._label(over)
        through = self.rng.choice((ADDRESS, RA))
        if through == RA:
            self._emit("addi", rd=RA, rs1=ADDRESS)
        self._emit("jalr", rd=RA, rs1=through)

    def _make_recursion(self, depth: int, function: int) -> None:
        out = self._fresh()
        self._fix("beq", DEPTH, f"{out}s")
        self._emit("addi", rd=DEPTH, rs1=DEPTH, imm=-1)
        self._call(function)
        self._fix("jal", 0, out)
        self._label(f"{out}s")
        self._emit("andi", rd=DEPTH, rs1=self._scratch(), imm=3)
        self._label(out)

    def _make_switch(self, depth: int, function: int) -> None:
        table, out = self._fresh(), self._fresh()
        self._emit("andi", rd=VALUE, rs1=self._scratch(), imm=12)
        self._fix("la", ADDRESS, table, 8)
        self._emit("add", rd=ADDRESS, rs1=ADDRESS, rs2=VALUE)
        self._emit("jalr", rs1=ADDRESS, imm=self.rng.choice((0, 0, 1)))
        self._label(table)
        for way in range(4):
            self._fix("jal", 0, f"{table}w{way}")
        for way in range(4):
            self._label(f"{table}w{way}")
            self._make_alu(depth, function)
            self._fix("jal", 0, out)
        self._label(out)

    def _make_fence(self, depth: int, function: int) -> None:
        self._emit(self.rng.choice(("fence", "fence.i")))

    def _make_far(self, depth: int, function: int) -> None:
        """Use more pages than are at hand: DATA and what lies before it."""
        self._emit("lui", rd=ADDRESS, imm=self.rng.randrange(1, 8) << 12)
        self._emit("sub", rd=ADDRESS, rs1=DATA_AT, rs2=ADDRESS)
        self._emit(self.rng.choice(LOADS), rd=self._scratch(), rs1=ADDRESS, imm=self.rng.randrange(2000))

    def _make_trap(self, depth: int, function: int) -> None:
        self._emit(self.rng.choice(("ecall", "ebreak")))

    def _make_csr(self, depth: int, function: int) -> None:
        number = self.rng.choice((0x340, 0xC02, 0xC00, 0x304, 0xB02))
        if number == 0x304:
            self._emit("csrrs", rd=self._scratch(), imm=number)
        else:
            self._emit(self.rng.choice(("csrrs", "csrrw")), rd=self._scratch(), rs1=self._scratch(), imm=number)

    def _make_arm(self, depth: int, function: int) -> None:
        """Let the timer interrupt soon: one of the next ticks of 100 steps."""
        self._emit("ld", rd=VALUE, rs1=ARM_AT, imm=0)
        self._emit("andi", rd=VALUE, rs1=self._scratch(), imm=self.rng.choice((1, 7, 63)))
        self._emit("sd", rs1=ARM_AT, rs2=VALUE)

    def _make_patch(self, depth: int, function: int) -> None:
        if not self._patchable:
            return
        rng = self.rng
        self._fix("la", ADDRESS, rng.choice(self._patchable[-8:]), 8)
        word = asm(rng.choice(IMMEDIATE), rd=self._scratch(), rs1=self._scratch(), imm=rng.randrange(-2048, 2048))
        self._emit("lui", rd=VALUE, imm=word + 0x800 & 0xFFFF_F000)
        self._emit("addi", rd=VALUE, rs1=VALUE, imm=(word & 0xFFF) - (word << 1 & 0x1000))
        self._emit("sw", rs1=ADDRESS, rs2=VALUE)
        if rng.random() < 0.5:
            self._emit("fence.i")

    def _handler(self) -> bytes:
        """Quieten interrupts, pass over what traps; sometimes change the privilege."""
        rng = self.rng
        t = 27
        body = [
            asm("csrrw", rd=t, rs1=t, imm=0x340),
            asm("csrrs", rd=t, imm=0x342),  # mcause
            asm("bge", rs1=t, rs2=0, imm=20),
            asm("addi", rd=t, imm=-1),
            asm("sd", rs1=ARM_AT, rs2=t),
            asm("csrrw", rd=t, rs1=t, imm=0x340),
            asm("mret"),
            asm("csrrs", rd=t, imm=0x341),  # mepc
            asm("addi", rd=t, rs1=t, imm=4),
            asm("csrrw", rs1=t, imm=0x341),
        ]
        if rng.random() < 0.3:
            body += [asm("lui", rd=t, imm=0x2000), asm("addiw", rd=t, rs1=t, imm=-2048)]
            body += [asm(rng.choice(("csrrs", "csrrc")), rs1=t, imm=0x300)]
        body += [asm("csrrw", rd=t, rs1=t, imm=0x340), asm("mret")]
        return struct.pack(f"<{len(body)}I", *body)
