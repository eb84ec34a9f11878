"""Random guest programs: every instruction of the supported ISA, near misses and noise, in random control flow.

The encodings here are transcribed from the ISA manual and not taken from rrdbg's own table, so that a wrong row
cannot hide itself. A `Case` is a whole start state; the same seed always gives the same case.

Memory of a case:

    0x8000_0000  trap handler, and its vectors
    0x8000_1000  the program, 2 KiB; the handler folds every return address back into it
    0x8000_8000  data, 16 KiB, that pointer registers point into
    0x8002_0000  end of RAM
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

HANDLER = 0x8000_0000
CODE = 0x8000_1000
CODE_BYTES = 0x800
DATA = 0x8000_8000
DATA_BYTES = 0x4000
RAM_END = 0x8002_0000
MSIP = 0x200_0000
MTIMECMP = 0x200_4000
M64 = (1 << 64) - 1

RD, RS1, RS2 = 0x1F << 7, 0x1F << 15, 0x1F << 20
IMM12 = 0xFFF << 20
PLAIN, LOAD, STORE, AMO, BRANCH, JAL, JALR, CSR, FLOAT, FLOAT_LOAD, FLOAT_STORE = range(11)
RM, RS3 = 7 << 12, 0x1F << 27
CSR_RW, CSR_READ_ONLY_QUADRANT = 0, 3


@dataclass(frozen=True)
class Row:
    """One instruction: the bits that are fixed, the bits that are free."""

    name: str
    match: int
    free: int
    kind: int = PLAIN


def _rows() -> list[Row]:
    rows: list[Row] = []

    def r_type(opcode: int, text: str) -> None:
        for item in text.split():
            name, f7, f3 = item.split(":")
            rows.append(Row(name, int(f7, 16) << 25 | int(f3) << 12 | opcode, RD | RS1 | RS2))

    def i_type(opcode: int, free: int, text: str) -> None:
        for item in text.split():
            name, imm, f3 = item.split(":")
            rows.append(Row(name, int(imm, 16) << 20 | int(f3) << 12 | opcode, RD | RS1 | free))

    r_type(0x33, "add:0:0 sub:20:0 sll:0:1 slt:0:2 sltu:0:3 xor:0:4 srl:0:5 sra:20:5 or:0:6 and:0:7")
    r_type(0x33, "mul:1:0 mulh:1:1 mulhsu:1:2 mulhu:1:3 div:1:4 divu:1:5 rem:1:6 remu:1:7")
    r_type(0x33, "sh1add:10:2 sh2add:10:4 sh3add:10:6 andn:20:7 orn:20:6 xnor:20:4 min:5:4 minu:5:5 max:5:6 maxu:5:7")
    r_type(0x33, "rol:30:1 ror:30:5 bclr:24:1 bext:24:5 binv:34:1 bset:14:1")
    r_type(0x3B, "addw:0:0 subw:20:0 sllw:0:1 srlw:0:5 sraw:20:5 mulw:1:0 divw:1:4 divuw:1:5 remw:1:6 remuw:1:7")
    r_type(0x3B, "add.uw:4:0 sh1add.uw:10:2 sh2add.uw:10:4 sh3add.uw:10:6 rolw:30:1 rorw:30:5")
    i_type(0x13, IMM12, "addi:0:0 slti:0:2 sltiu:0:3 xori:0:4 ori:0:6 andi:0:7")
    i_type(0x13, 0x3F << 20, "slli:0:1 srli:0:5 srai:400:5 rori:600:5 bclri:480:1 bexti:480:5 binvi:680:1 bseti:280:1")
    i_type(0x13, 0, "clz:600:1 ctz:601:1 cpop:602:1 sext.b:604:1 sext.h:605:1 orc.b:287:5 rev8:6b8:5")
    i_type(0x1B, IMM12, "addiw:0:0")
    i_type(0x1B, 0x1F << 20, "slliw:0:1 srliw:0:5 sraiw:400:5 roriw:600:5")
    i_type(0x1B, 0x3F << 20, "slli.uw:80:1")
    i_type(0x1B, 0, "clzw:600:1 ctzw:601:1 cpopw:602:1")
    i_type(0x3B, 0, "zext.h:80:4")
    rows += [Row("lui", 0x37, 0xFFFF_FF80), Row("auipc", 0x17, 0xFFFF_FF80)]
    rows += [
        Row(n, f3 << 12 | 3, RD | RS1 | IMM12, LOAD)
        for f3, n in enumerate(["lb", "lh", "lw", "ld", "lbu", "lhu", "lwu"])
    ]
    rows += [Row(n, f3 << 12 | 0x23, RD | RS1 | IMM12, STORE) for f3, n in enumerate(["sb", "sh", "sw", "sd"])]
    branches = zip((0, 1, 4, 5, 6, 7), ["beq", "bne", "blt", "bge", "bltu", "bgeu"], strict=True)
    rows += [Row(n, f3 << 12 | 0x63, RS1 | RS2, BRANCH) for f3, n in branches]
    rows += [Row("jal", 0x6F, RD, JAL), Row("jalr", 0x67, RD | RS1 | IMM12, JALR)]
    rows += [Row("fence", 0x0F, 0x0FF0_0000), Row("fence.i", 0x100F, 0)]
    csr = zip((1, 2, 3, 5, 6, 7), ["csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"], strict=True)
    rows += [Row(n, f3 << 12 | 0x73, RD | RS1 | IMM12, CSR) for f3, n in csr]
    rows += [
        Row("ecall", 0x73, 0),
        Row("ebreak", 0x0010_0073, 0),
        Row("mret", 0x3020_0073, 0),
        Row("wfi", 0x1050_0073, 0),
    ]
    amos = {"amoadd": 0, "amoswap": 1, "amoxor": 4, "amoor": 8, "amoand": 12, "amomin": 16, "amomax": 20}
    amos |= {"amominu": 24, "amomaxu": 28, "sc": 3}
    for width, suffix in ((2, "w"), (3, "d")):
        for name, f5 in amos.items():
            rows.append(Row(f"{name}.{suffix}", f5 << 27 | width << 12 | 0x2F, RD | RS1 | RS2 | 3 << 25, AMO))
        rows.append(Row(f"lr.{suffix}", 2 << 27 | width << 12 | 0x2F, RD | RS1 | 3 << 25, AMO))
    return rows + _float_rows()


def _float_rows() -> list[Row]:
    rows: list[Row] = []
    for wide, letter in enumerate("sd"):

        def add(name: str, f5: int, free: int, f3: int = 0, rs2: int = 0, fmt: int = wide) -> None:
            rows.append(Row(name, f5 << 27 | fmt << 25 | rs2 << 20 | f3 << 12 | 0x53, RD | RS1 | free, FLOAT))

        for opcode, name in ((0x43, "fmadd"), (0x47, "fmsub"), (0x4B, "fnmsub"), (0x4F, "fnmadd")):
            rows.append(Row(f"{name}.{letter}", wide << 25 | opcode, RD | RS1 | RS2 | RS3 | RM, FLOAT))
        for f5, name in enumerate(("fadd", "fsub", "fmul", "fdiv")):
            add(f"{name}.{letter}", f5, RS2 | RM)
        add(f"fsqrt.{letter}", 11, RM)
        for f3, name in enumerate(("fsgnj", "fsgnjn", "fsgnjx")):
            add(f"{name}.{letter}", 4, RS2, f3)
        for f3, name in enumerate(("fmin", "fmax")):
            add(f"{name}.{letter}", 5, RS2, f3)
        for f3, name in enumerate(("fle", "flt", "feq")):
            add(f"{name}.{letter}", 20, RS2, f3)
        add(f"fclass.{letter}", 28, 0, 1)
        for kind, integer in enumerate(("w", "wu", "l", "lu")):
            add(f"fcvt.{integer}.{letter}", 24, RM, 0, kind)
            add(f"fcvt.{letter}.{integer}", 26, RM, 0, kind)
        add(f"fmv.x.{'wd'[wide]}", 28, 0)
        add(f"fmv.{'wd'[wide]}.x", 30, 0)
        rows.append(Row(f"fl{'wd'[wide]}", (2 + wide) << 12 | 0x07, RD | RS1 | IMM12, FLOAT_LOAD))
        rows.append(Row(f"fs{'wd'[wide]}", (2 + wide) << 12 | 0x27, RD | RS1 | IMM12, FLOAT_STORE))
        add(("fcvt.s.d", "fcvt.d.s")[wide], 8, RM, 0, 1 - wide)
    return rows


ROWS: dict[str, Row] = {row.name: row for row in _rows()}

SPECIAL = (0, 1, 2, M64, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, 0xFFFF_FFFF, 0xFFFF_FFFF_8000_0000,
           0x8080_8080_8080_8080, 0xFF, 0x7F80, 0x8000, 0x0123_4567_89AB_CDEF, 63, 64, 32, 31, M64 - 1)  # fmt: skip

# Numbers that a program names; others come at random. Cycle and time counters are left to their own tests.
MSTATUS, MISA, MIE, MTVEC, MCOUNTEREN, MENVCFG = 0x300, 0x301, 0x304, 0x305, 0x306, 0x30A
MCOUNTINHIBIT, MSCRATCH, MEPC, MCAUSE, MTVAL, MIP, PMPCFG0, PMPADDR0 = (
    0x320,
    0x340,
    0x341,
    0x342,
    0x343,
    0x344,
    0x3A0,
    0x3B0,
)
MINSTRET = 0xB02
FCSR = 3
TRAP_CSRS = (MSTATUS, MIE, MTVEC, MSCRATCH, MEPC, MCAUSE, MTVAL, MIP)
NAMED_CSRS = (
    *TRAP_CSRS, *TRAP_CSRS, 1, 2, FCSR, MISA, MCOUNTEREN, MCOUNTINHIBIT,
    PMPCFG0, PMPCFG0 + 2, *range(PMPADDR0, PMPADDR0 + 16), 0xF11, 0xF12, 0xF13, 0xF14, 0xF15,
)  # fmt: skip
# Read by no random program: see `differences.py`.
UNREAD_CSRS = frozenset((0xC00, 0xC01, 0xC02, 0xB00, 0xB02))

# What a case draws, as weights. Each case picks one mix, so that long stretches without traps occur too.
MIXES: tuple[dict[str, int], ...] = (
    {"alu": 70, "mem": 14, "branch": 8, "compressed": 8, "trap": 1},
    {
        "alu": 40,
        "mem": 15,
        "branch": 12,
        "jump": 4,
        "compressed": 20,
        "csr": 3,
        "amo": 3,
        "trap": 1,
        "near": 1,
        "noise": 1,
    },
    {"alu": 15, "mem": 40, "amo": 25, "pair": 8, "branch": 6, "compressed": 10, "csr": 2, "clint": 4, "fence": 1},
    {"alu": 25, "mem": 8, "branch": 10, "jump": 5, "compressed": 12, "csr": 20, "trap": 8, "clint": 8, "near": 3},
    {"alu": 20, "mem": 20, "branch": 6, "compressed": 14, "pmp": 14, "csr": 8, "trap": 8, "amo": 10, "pair": 3},
    {"alu": 15, "near": 35, "noise": 30, "trap": 3, "branch": 10, "compressed": 10},
    {"compressed": 90, "alu": 10},
    {"float": 60, "float_mem": 16, "alu": 8, "branch": 6, "compressed": 8, "mode": 2},
    {"float": 40, "float_mem": 12, "mem": 8, "branch": 6, "compressed": 12, "csr": 4, "near": 3, "mode": 4, "trap": 1},
    {"alu": 30, "mem": 5, "branch": 10, "patch": 10, "fence": 5, "jump": 5, "compressed": 20},
)


@dataclass(frozen=True)
class Case:
    """A start state and how long to run from it."""

    name: str
    pc: int
    priv: int
    x: tuple[int, ...]
    csrs: dict[int, int]
    memory: dict[int, bytes] = field(repr=False)
    steps: int
    f: tuple[int, ...] = (0,) * 32

    def shortened(self, steps: int) -> Case:
        return replace(self, steps=steps)


class Generator:
    """A stream of cases."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self._alu = [r for r in ROWS.values() if r.kind == PLAIN and (r.match & 0x7F) not in (0x73, 0x0F)]
        self._mem = [r for r in ROWS.values() if r.kind in (LOAD, STORE)]
        self._by_kind = {k: [r for r in ROWS.values() if r.kind == k] for k in range(11)}
        self._all = list(ROWS.values())
        self._makers: dict[str, Callable[[], int]] = {
            "alu": self._make_alu, "mem": self._make_mem, "branch": self._make_branch, "jump": self._make_jump,
            "compressed": lambda: self.halfword() | self.halfword() << 16, "csr": self._make_csr, "amo": self._make_amo,
            "pair": self._make_pair,
            "trap": self._make_trap, "near": self._make_near, "noise": lambda: self.rng.getrandbits(32),
            "clint": self._make_clint, "pmp": self._make_pmp, "patch": self._make_patch, "fence": self._make_fence,
            "float": self._make_float, "float_mem": self._make_float_mem, "mode": self._make_mode,
        }  # fmt: skip

    # One word each. x2, x8, x9 are data pointers and x1, x5 code pointers as long as nothing overwrites them.

    def _rd(self) -> int:
        while True:
            rd = self.rng.getrandbits(5)
            if rd not in (1, 2, 3, 4, 5, 8, 9, 14) or self.rng.random() < 0.03:
                return rd << 7

    def _make_alu(self) -> int:
        row = self.rng.choice(self._alu)
        return row.match | self.rng.getrandbits(32) & row.free & ~RD | self._rd()

    def _pointer(self) -> int:
        return self.rng.choice((2, 8, 9, 8, 9, 8, 9, 15, self.rng.getrandbits(5))) << 15

    def _make_mem(self) -> int:
        row = self.rng.choice(self._mem)
        # Small displacements meet each other; multiples of eight keep most accesses aligned.
        imm = self.rng.getrandbits(5) << 3 if self.rng.random() < 0.7 else self.rng.getrandbits(12)
        if row.kind == LOAD:
            return row.match | imm << 20 | self._pointer() | self._rd()
        rs2 = self.rng.getrandbits(5) << 20
        return row.match | (imm >> 5) << 25 | (imm & 31) << 7 | self._pointer() | rs2

    def _make_float(self) -> int:
        row = self.rng.choice(self._by_kind[FLOAT])
        rm = (
            self.rng.choice((0, 1, 2, 3, 4, 7, 7, 7, 7)) << 12 if self.rng.random() < 0.98 else self.rng.getrandbits(32)
        )
        return row.match | self.rng.getrandbits(32) & row.free & ~(RD | RM) | rm & row.free | self._rd()

    def _make_float_mem(self) -> int:
        row = self.rng.choice(self._by_kind[FLOAT_LOAD] + self._by_kind[FLOAT_STORE])
        imm, register = self.rng.getrandbits(5) << 3, self.rng.getrandbits(5)
        if row.kind == FLOAT_LOAD:
            return row.match | imm << 20 | self._pointer() | register << 7
        return row.match | (imm >> 5) << 25 | (imm & 31) << 7 | self._pointer() | register << 20

    def _make_mode(self) -> int:
        """Set the rounding mode, or FS."""
        if self.rng.random() < 0.8:
            number, value = (
                self.rng.choice((1, 2, 2, 2, FCSR)),
                self.rng.choice((0, 1, 2, 3, 4, self.rng.getrandbits(5))),
            )
            return 0x5073 | number << 20 | value << 15 | self._rd()
        # csrrs or csrrc mstatus, with whatever is in a register
        return self.rng.choice((0x2073, 0x2073, 0x3073)) | MSTATUS << 20 | self.rng.randrange(10, 32) << 15

    def float_value(self) -> int:
        """Return what an f register may hold: numbers of all kinds, in their box and not."""
        rng = self.rng
        if rng.random() < 0.1:
            return rng.getrandbits(64)
        wide = rng.random() < 0.5
        places, top = (52, 2047) if wide else (23, 255)
        exponent = rng.choice(
            (0, 1, top, top - 1, top // 2, rng.randrange(top), *(top // 2 + rng.randrange(-30, 65),) * 6)
        )
        fraction = rng.getrandbits(places)
        match rng.randrange(4):
            case 0:
                fraction &= -1 << rng.randrange(places)
            case 1:
                fraction = rng.choice((0, 1, 1 << places - 1, (1 << places) - 1))
        value = (rng.getrandbits(1) * (top + 1) | exponent) << places | fraction
        return value if wide else value | 0xFFFF_FFFF_0000_0000

    def _make_amo(self) -> int:
        row = self.rng.choice(self._by_kind[AMO])
        return row.match | self.rng.getrandbits(32) & row.free & ~(RD | RS1) | self._aligned_pointer() | self._rd()

    def _make_pair(self) -> int:
        """Return lr and sc, mostly to one address and of one width, as two words."""
        rs1 = self._aligned_pointer()
        width = self.rng.choice((2, 3)) << 12
        order = self.rng.getrandbits(4)
        load = 0x1000_002F | width | rs1 | self._rd() | (order & 3) << 25
        if self.rng.random() < 0.15:
            rs1, width = self._aligned_pointer(), self.rng.choice((2, 3)) << 12
        return load | (0x1800_002F | width | rs1 | self._rd() | self.rng.getrandbits(5) << 20 | order >> 2 << 25) << 32

    def _aligned_pointer(self) -> int:
        return self.rng.choice((2, 8, 9)) << 15 if self.rng.random() < 0.97 else self._pointer()

    def _make_branch(self) -> int:
        row = self.rng.choice(self._by_kind[BRANCH])
        return row.match | self.rng.getrandbits(32) & row.free | branch_bits(self._distance())

    def _distance(self) -> int:
        if self.rng.random() < 0.05:
            return (self.rng.getrandbits(11) - 1024) & ~1
        return self.rng.randrange(-8, 24) * (4 if self.rng.random() < 0.8 else 2)

    def _make_jump(self) -> int:
        if self.rng.random() < 0.6:
            return 0x6F | jal_bits(self._distance()) | self.rng.choice((0, 1, 5, 6)) << 7
        rs1 = self.rng.choice((1, 5, 1, 5, 6, self.rng.getrandbits(5)))
        imm = (self.rng.getrandbits(6) - 32) & 0xFFF
        return 0x67 | self.rng.choice((0, 1, 5, 6)) << 7 | rs1 << 15 | imm << 20

    def _make_csr(self) -> int:
        row = self.rng.choice(self._by_kind[CSR])
        number = self.rng.choice(NAMED_CSRS) if self.rng.random() < 0.85 else self.rng.getrandbits(12)
        if number in UNREAD_CSRS:
            number = MSCRATCH
        rs1 = self.rng.choice((0, 0, self.rng.getrandbits(5)))
        if number in (MTVEC, MISA) and self.rng.random() < 0.95:
            # A wild trap vector ends a program in a loop of fetch faults, and misa without C nearly so.
            return 0x1073 | number << 20 | 14 << 15 if number == MTVEC else 0x2073 | MISA << 20 | self._rd()
        return row.match | number << 20 | rs1 << 15 | self._rd()

    def _make_pmp(self) -> int:
        number = self.rng.choice((PMPCFG0, PMPCFG0 + 2, *range(PMPADDR0, PMPADDR0 + 16)))
        # x16..x23 hold likely configurations, x24..x27 likely addresses.
        rs1 = self.rng.randrange(16, 24) if number < PMPADDR0 else self.rng.randrange(24, 28)
        return self.rng.choice((0x1073, 0x2073, 0x3073)) | number << 20 | rs1 << 15 | self._rd()

    def _make_trap(self) -> int:
        return self.rng.choice((0x73, 0x73, 0x73, 0x0010_0073, 0x3020_0073, 0x3020_0073, 0x1050_0073, 0x9002_9002))

    def _make_near(self) -> int:
        row = self.rng.choice(self._all)
        return (row.match | self.rng.getrandbits(32) & row.free) ^ 1 << self.rng.randrange(32)

    def _make_clint(self) -> int:
        rs2 = self.rng.choice((0, 0, 10, 11, 12)) << 20
        return 0x2023 | 3 << 15 | rs2 if self.rng.random() < 0.5 else 0x3023 | 4 << 15 | rs2

    def _make_fence(self) -> int:
        return self.rng.choice((0x100F, 0x100F, 0x8330_000F, 0x0FF0_000F, 0x0F | self.rng.getrandbits(8) << 20))

    def _make_patch(self) -> int:
        """Store an instruction word into the program itself (a fence.i may or may not follow)."""
        imm = (self.rng.getrandbits(8) << 2) - 512
        return 0x2023 | (imm >> 5 & 0x7F) << 25 | (imm & 31) << 7 | 5 << 15 | self.rng.randrange(28, 30) << 20

    def halfword(self) -> int:
        while True:
            h = self.rng.getrandbits(16)
            if h & 3 != 3:
                # Jumps and branches by name would end every run of straight code.
                if h & 0xE003 in (0xA001, 0xC001, 0xE001) and self.rng.random() < 0.7:
                    continue
                return h

    def value(self) -> int:
        r = self.rng.random()
        if r < 0.35:
            return self.rng.choice(SPECIAL)
        if r < 0.5:
            return self.rng.getrandbits(self.rng.randrange(1, 65))
        return self.rng.getrandbits(64)

    def words(self, mix: dict[str, int], count: int) -> list[int]:
        makers = [self._makers[name] for name in mix]
        chosen = self.rng.choices(makers, weights=list(mix.values()), k=count)
        return [make() for make in chosen]

    def program(self) -> tuple[dict[str, int], bytes]:
        """Return a mix and its 2 KiB of code."""
        mix = self.rng.choice(MIXES)
        out = bytearray()
        for word in self.words(mix, CODE_BYTES // 4):
            out += struct.pack("<Q" if word >> 32 else "<I", word)
            # A lone halfword moves what follows off its word boundary.
            if self.rng.random() < 0.02:
                out += struct.pack("<H", self.halfword())
        return mix, bytes(out[:CODE_BYTES])

    def cases(self, per_program: int = 4, steps: int = 500) -> list[Case]:
        """Return a few cases that share one program."""
        mix, code = self.program()
        rng = self.rng
        cases = []
        for _ in range(per_program):
            x = [0] + [self.value() for _ in range(31)]
            for pointer in (2, 8, 9):
                x[pointer] = DATA + 0x800 + (rng.getrandbits(10) << 3)
            x[15] = DATA + 0x800 + rng.getrandbits(13)
            if rng.random() < 0.05:
                x[rng.choice((8, 9, 15))] = RAM_END - rng.getrandbits(6)
            for link in (1, 5):
                x[link] = CODE + 0x400 + (rng.getrandbits(7) << 2)
            x[3], x[4] = MSIP, MTIMECMP
            if mix.get("pmp"):
                for i in range(16, 24):
                    x[i] = self._pmpcfg()
                for i in range(24, 28):
                    x[i] = self._pmpaddr()
            if mix.get("patch"):
                x[28], x[29] = self._make_alu(), self._make_branch()
            handler, vectored = self._handler()
            x[14] = HANDLER | vectored
            csrs = {
                MTVEC: x[14] if rng.random() < 0.97 else CODE + (rng.getrandbits(9) << 2 & ~0x3F) | vectored,
                MSTATUS: rng.choice((0, 8, 8, 0x88, 0x1800, 0x1880, 0x2_0000, rng.getrandbits(22)))
                | (rng.choice((0x2000, 0x4000, 0x6000, 0x6000)) if "float" in mix or rng.random() < 0.3 else 0),
                FCSR: rng.choice((0, 0, rng.getrandbits(5), rng.randrange(5) << 5 | rng.getrandbits(5))),
                MIE: rng.choice((0, 0x888, 0x888, rng.getrandbits(12))),
                MSCRATCH: self.value(),
                MEPC: CODE + (rng.getrandbits(9) << 2),
                MCOUNTEREN: rng.getrandbits(3),
            }
            if rng.random() < 0.3 or mix.get("pmp"):
                for i in range(rng.randrange(4)):
                    csrs[PMPADDR0 + i] = self._pmpaddr()
                csrs[PMPCFG0] = self._pmpcfg() & 0x7F7F_7F7F_7F7F_7F7F
            # The last entry opens everything that no other entry decides, so that user mode gets somewhere.
            csrs[PMPADDR0 + 15] = (1 << 54) - 1
            csrs[PMPCFG0 + 2] = (self._pmpcfg() & 0x7F7F_7F7F_7F7F_7F7F if mix.get("pmp") else 0) & (
                1 << 56
            ) - 1 | 0x1F << 56
            memory = {HANDLER: handler, CODE: code, DATA: rng.randbytes(DATA_BYTES)}
            name = f"{self.seed}/{len(cases)}"
            priv = rng.choice((3, 3, 0))
            f = tuple(self.float_value() for _ in range(32))
            cases.append(Case(name, CODE + (rng.getrandbits(8) << 2), priv, tuple(x), csrs, memory, steps, f))
        return cases

    def _pmpcfg(self) -> int:
        """Return eight entries, mostly unlocked."""
        value = 0
        for i in range(8):
            entry = self.rng.choice(
                (0, 0, 0x1F, 0x0F, 0x19, 0x11, self.rng.getrandbits(8) & 0x9F, self.rng.getrandbits(5))
            )
            if entry & 0x80 and self.rng.random() < 0.8:
                entry &= 0x1F
            value |= entry << 8 * i
        return value

    def _pmpaddr(self) -> int:
        base = self.rng.choice((HANDLER, CODE, DATA, DATA, DATA, RAM_END)) + (self.rng.getrandbits(12) & ~3)
        base >>= 2
        if self.rng.random() < 0.5:
            return base
        ones = self.rng.randrange(12)
        return base >> ones << ones | (1 << ones) - 1

    def _handler(self) -> tuple[bytes, int]:
        """Return the trap handler and the mode bits for mtvec."""
        rng = self.rng
        body = [
            0x340F_9FF3,  # csrrw t6, mscratch, t6
            0x3410_2FF3,  # csrr t6, mepc
            0x004F_8F93,  # addi t6, t6, 4
            0x7FEF_FF93,  # andi t6, t6, 0x7fe
            0x29FF_9F93,  # bseti t6, t6, 31
            0x28CF_9F93,  # bseti t6, t6, 12
            0x341F_9073,  # csrw mepc, t6
        ]
        switch = rng.random()
        if switch < 0.4:
            # MPP := M or U
            body += [0x0000_2FB7, 0x800F_8F9B, 0x300F_A073 if switch < 0.2 else 0x300F_B073]
        if rng.random() < 0.5:
            # Quieten the interrupt that brought us here: msip := 0, mtimecmp := -1
            body += [0x0200_0FB7, 0x000F_A023, 0x0200_4FB7]
            body += [0x0000_0F13, 0xFFFF_0F13, 0x01EF_B023] if rng.random() < 0.5 else [0x000F_B023]
        body += [0x340F_9FF3, 0x3020_0073]  # csrrw t6, mscratch, t6; mret
        if rng.random() < 0.6:
            return struct.pack(f"<{len(body)}I", *body), rng.choice((0, 0, 0, 2))
        # Vectored: sixteen entries that jump to the one body behind them.
        table = [0x6F | jal_bits((16 - i) * 4) for i in range(16)]
        return struct.pack(f"<{16 + len(body)}I", *table, *body), 1


def branch_bits(offset: int) -> int:
    """Return the immediate field of a B-type instruction."""
    o = offset & 0x1FFF
    return (o >> 12 & 1) << 31 | (o >> 5 & 0x3F) << 25 | (o >> 1 & 15) << 8 | (o >> 11 & 1) << 7


def jal_bits(offset: int) -> int:
    """Return the immediate field of a J-type instruction."""
    o = offset & 0x1F_FFFF
    return (o >> 20 & 1) << 31 | (o >> 1 & 0x3FF) << 21 | (o >> 11 & 1) << 20 | (o >> 12 & 0xFF) << 12
