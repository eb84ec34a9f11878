"""Random privileged programs: page tables of all kinds and in all states, and code in M, S and U mode that edits them.

The code of a case lies behind page tables that mostly let it run, in S mode at its physical address and in U mode
elsewhere; the pages lie in another order there than in RAM. Loads and stores go to addresses that are mapped, mapped
wrongly, or not at all; some lead into the page tables themselves. sfence.vma comes where it pleases.

Memory of a case:

    0x8000_0000  trap handlers: of M mode, and a page further on of S mode
    0x8000_4000  the program, four pages
    0x8000_8000  page tables, eight pages, the root first
    0x8001_0000  data, sixteen pages
"""

from __future__ import annotations

import random
import struct

from rrdbg_core.isa.csr import MENVCFG_ADUE, MENVCFG_STCE, NUMBERS, SUPERVISOR_NUMBERS

from tests.cpu.guest import asm
from tests.cpu.oracle.bare import li
from tests.cpu.oracle.programs import M64, ROWS, Case, Generator

RAM, PAGE = 0x8000_0000, 4096
M_HANDLER, S_HANDLER, CODE, TABLES, DATA = RAM, RAM + 0x1000, RAM + 0x4000, RAM + 0x8000, RAM + 0x1_0000
CODE_PAGES, TABLE_PAGES, PAGES = 4, 8, 32
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
NUMBER = NUMBERS | SUPERVISOR_NUMBERS
MPP, MPRV, SUM, MXR, TVM, TW, TSR = 3 << 11, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22
POINTERS = (8, 9, 18, 19, 20, 21)
"""Registers that hold addresses of data; 20 and 21 those of PTEs."""
PTES, SATPS, BITS, TARGETS = (22, 23), (24, 25), (26, 27), (28, 29)
"""Registers that hold PTEs, values for satp, bits for status and delegation, and addresses of code."""
FREE = (5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17)
_SPILL = 31  # of the handlers
_WATCHED_CSRS = (
    *("sstatus", "sie", "sip", "stvec", "sepc", "scause", "stval", "sscratch", "scounteren", "senvcfg", "satp"),
    *("medeleg", "mideleg", "stimecmp", "mstatus", "mie", "mip", "mepc", "mcause", "mtval", "mscratch", "mcounteren"),
)
_COUNTING_CSRS = (*(NUMBER[name] for name in ("minstret", "mcycle", "mcountinhibit", "instret", "cycle")), 0xC10)
"""Counters, and what stops them."""
PMPCFG0, PMPADDR0 = NUMBER["pmpcfg0"], NUMBER["pmpaddr0"]


class Tables:
    """Page tables that grow page by page.

    Args:
        levels: 3 for Sv39 and so on.
    """

    def __init__(self, rng: random.Random, levels: int) -> None:
        self.rng, self.levels = rng, levels
        self.words = [[0] * 512 for _ in range(TABLE_PAGES)]
        self.used = 1
        self.leaves: list[tuple[int, int]] = []
        """Table and index of each leaf."""

    def indices(self, address: int) -> list[int]:
        """Return the index at each level, the root's first."""
        return [address >> 12 + 9 * level & 511 for level in reversed(range(self.levels))]

    def canonical(self, address: int) -> int:
        """Return the address with the sign in its upper bits."""
        bits = 12 + 9 * self.levels
        low = address & (1 << bits) - 1
        return low | M64 & -1 << bits if low >> bits - 1 else low

    def map(self, address: int, physical: int, flags: int, leaf: int = 0) -> bool:
        """Map a page, or a superpage at level `leaf`; return whether there was room."""
        table, indices = 0, self.indices(address)
        for depth, index in enumerate(indices):
            level = self.levels - 1 - depth
            entry = self.words[table][index]
            if level == leaf:
                self.words[table][index] = (physical >> 12) << 10 | flags
                self.leaves.append((table, index))
                return True
            if not entry:
                if self.used == TABLE_PAGES:
                    return False
                entry = self.words[table][index] = (TABLES + self.used * PAGE >> 12) << 10 | V
                self.used += 1
            if entry & (R | W | X):
                return False
            table = ((entry >> 10 << 12) - TABLES) // PAGE
            if not 0 <= table < self.used:
                return False  # a superpage that lost its permissions
        return False

    def content(self) -> bytes:
        return b"".join(struct.pack("<512Q", *table) for table in self.words)


class PagedGenerator:
    """A stream of privileged cases."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self._words = Generator(seed)

    # -- code ----------------------------------------------------------------------------------------------------------

    def _rd(self) -> int:
        return self.rng.choice(FREE) if self.rng.random() < 0.99 else self.rng.randrange(32)

    def _access(self) -> int:
        rng = self.rng
        if rng.random() < 0.5:
            imm = rng.choice((0, 8, -8, rng.randrange(-2048, 2048)))
        else:
            imm = rng.randrange(-9, 9)
        base = rng.choice(POINTERS[:4])
        if rng.random() < 0.5:
            return asm(rng.choice(("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu")), self._rd(), base, imm=imm)
        return asm(rng.choice(("sb", "sh", "sw", "sd")), 0, base, rng.choice(FREE), imm)

    def _atomic(self) -> int:
        rng = self.rng
        row = ROWS[rng.choice(("lr", "sc", "amoadd", "amoswap", "amomaxu")) + rng.choice((".w", ".d"))]
        rs2 = 0 if row.name.startswith("lr") else rng.choice(FREE) << 20
        return row.match | rng.choice(POINTERS) << 15 | rs2 | self._rd() << 7

    def _pte(self) -> int:
        """Edit a page table."""
        rng = self.rng
        base, value = rng.choice(POINTERS[4:]), rng.choice((*PTES, *PTES, 0, *FREE))
        kind = rng.random()
        if kind < 0.2:
            return asm("ld", rng.choice(PTES), base, imm=8 * rng.randrange(-4, 5))
        if kind < 0.3:
            # flip permissions of a PTE that was read
            pte = rng.choice(PTES)
            return asm("xori", pte, pte, imm=rng.choice((V, R, W, X, U, A, D, A | D)))
        if kind < 0.4:
            return asm("sb", 0, base, value, 8 * rng.randrange(-4, 5))
        return asm("sd", 0, base, value, 8 * rng.randrange(-4, 5))

    def _csr(self) -> int:
        rng = self.rng
        kind = rng.random()
        if kind < 0.15:
            return asm(rng.choice(("csrrw", "csrrs", "csrrc")), 0, rng.choice((*SATPS, 0)), imm=NUMBER["satp"])
        if kind < 0.5:
            number = NUMBER[rng.choice(("sstatus", "mstatus", "sstatus", "mstatus", "mie", "sie", "sip", "mip"))]
            return asm(rng.choice(("csrrs", "csrrc")), self._rd(), rng.choice(BITS), imm=number)
        if kind < 0.6:
            return asm("csrrw", 0, rng.choice(TARGETS), imm=NUMBER[rng.choice(("sepc", "mepc"))])
        if kind < 0.65:
            return asm(
                rng.choice(("csrrw", "csrrs")), 0, rng.choice(BITS), imm=NUMBER[rng.choice(("medeleg", "mideleg"))]
            )
        if kind < 0.7:
            # immediate bits: SIE, MIE, SSIP
            return asm(rng.choice(("csrrsi", "csrrci")), 0, 2, imm=NUMBER[rng.choice(("sstatus", "sip", "sie", "mip"))])
        if kind < 0.76:
            number = rng.choice(_COUNTING_CSRS)
            operand = 0 if number >> 10 == 3 else rng.choice((0, 0, *FREE))
            return asm(rng.choice(("csrrw", "csrrs", "csrrc")[number >> 10 == 3 :]), self._rd(), operand, imm=number)
        if kind < 0.78:
            # entry 0 may be anything; it is locked seldom enough
            number, operand = rng.choice(((PMPCFG0, FREE), (PMPCFG0, BITS), (PMPADDR0, FREE), (PMPADDR0, POINTERS)))
            return asm(rng.choice(("csrrw", "csrrs", "csrrc")), self._rd(), rng.choice(operand), imm=number)
        if kind < 0.8:
            return asm(rng.choice(("csrrs", "csrrc", "csrrw")), self._rd(), rng.choice(FREE), imm=NUMBER["menvcfg"])
        name = rng.choice(_WATCHED_CSRS)
        if name in ("satp", "stvec") or rng.random() < 0.5:
            return asm("csrrs", self._rd(), 0, imm=NUMBER[name])
        operand = 0 if name == "stimecmp" else rng.choice((*FREE, *BITS))
        return asm(rng.choice(("csrrw", "csrrs", "csrrc")), self._rd(), operand, imm=NUMBER[name])

    def _privileged(self) -> int:
        rng = self.rng
        return rng.choice(
            (
                *(asm("ecall"), asm("ebreak"), asm("sret"), asm("sret"), asm("mret"), asm("mret"), asm("wfi")),
                asm("sfence.vma", 0, rng.choice((0, *POINTERS)), rng.choice((0, 0, *FREE))),
            )
        )

    def _plain(self) -> int:
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            return asm("addi", self._rd(), rng.choice((0, *FREE)), imm=rng.randrange(-2048, 2048))
        if kind < 0.5:
            return asm(rng.choice(("add", "xor", "sub")), self._rd(), rng.choice(FREE), rng.choice(FREE))
        if kind < 0.6:
            return asm("add", rng.choice(POINTERS), rng.choice(POINTERS), 0)
        if kind < 0.8:
            return asm(
                rng.choice(("beq", "bne", "bltu")), 0, rng.choice(FREE), rng.choice(FREE), 4 * rng.randrange(2, 8)
            )
        if kind < 0.85:
            return asm("jal", rng.choice((0, 1)), imm=2 * rng.randrange(2, 1500))
        if kind < 0.9:
            return asm("jalr", 1, rng.choice(TARGETS), imm=2 * rng.randrange(-64, 64))
        return self._words.halfword() | self._words.halfword() << 16

    def program(self) -> bytes:
        """Return four pages of code."""
        rng, out = self.rng, bytearray()
        weights = {
            self._access: 40,
            self._atomic: 5,
            self._pte: rng.choice((0, 6, 15)),
            self._csr: rng.choice((4, 15, 30)),
        }
        weights |= {self._privileged: rng.choice((1, 4, 8)), self._plain: 25}
        makers = rng.choices(list(weights), weights=list(weights.values()), k=CODE_PAGES * PAGE // 4)
        for make in makers:
            out += struct.pack("<I", make())
            if rng.random() < 0.05:
                out += struct.pack("<H", self._words.halfword())
        return bytes(out[: CODE_PAGES * PAGE])

    def _handler(self, mode: str, base: int, priv: int) -> bytes:
        """Return a trap handler that goes on behind the trap, in the code at `base`, with privilege `priv`."""
        scratch, epc, status = (NUMBER[mode + name] for name in ("scratch", "epc", "status"))
        shift, every = (11, 3) if mode == "m" else (8, 1)
        code = [asm("csrrw", _SPILL, _SPILL, imm=scratch)]
        code += [*li(_SPILL, every << shift), asm("csrrc", 0, _SPILL, imm=status)]
        if priv:
            code += [*li(_SPILL, priv << shift), asm("csrrs", 0, _SPILL, imm=status)]
        if self.rng.random() < 0.6:
            code += [asm("csrrw", 0, 0, imm=NUMBER[mode + "ip"])]
        # epc + 4, its lowest fourteen bits, at base: the spare register stands for them all
        code += [asm("csrrs", _SPILL, 0, imm=epc), asm("addi", _SPILL, _SPILL, imm=4)]
        code += [asm("slli", _SPILL, _SPILL, imm=50), asm("srli", _SPILL, _SPILL, imm=50)]
        code += [asm("csrrw", 0, _SPILL, imm=epc), *li(_SPILL, base), asm("csrrs", 0, _SPILL, imm=epc)]
        code += [asm("csrrw", _SPILL, _SPILL, imm=scratch), asm("mret" if mode == "m" else "sret")]
        return struct.pack(f"<{len(code)}I", *code)

    # -- a case --------------------------------------------------------------------------------------------------------

    def _leaf_flags(self, user: bool) -> int:
        rng = self.rng
        flags = V | (U if user else 0)
        flags |= rng.choice((R, R | W, R | W, R | W, R | X, X, R | W | X))
        flags |= rng.choice((0, A, A | D, A | D, D)) | rng.choice((0, 0, G))
        if rng.random() < 0.06:
            flags ^= 1 << rng.randrange(8)
        if rng.random() < 0.02:
            flags |= 1 << rng.randrange(54, 64)
        return flags | rng.getrandbits(2) << 8

    def cases(self, per_program: int = 3, steps: int = 400) -> list[Case]:
        """Return a few cases that share code, not page tables."""
        code = self.program()
        return [self._case(f"{self.seed}/{number}", code, steps) for number in range(per_program)]

    def _case(self, name: str, code: bytes, steps: int) -> Case:
        rng = self.rng
        mode = rng.choice((8, 8, 9, 10))
        tables = Tables(rng, mode - 5)
        order = list(range(CODE_PAGES))
        user_code = rng.choice((0x4000, 0x1F_C000))
        for page in range(CODE_PAGES):
            flags = V | R | X | rng.choice((A, A, A, 0)) | (W if rng.random() < 0.1 else 0)
            tables.map(CODE + page * PAGE, CODE + page * PAGE, flags)
        rng.shuffle(order)
        for page, place in enumerate(order):
            flags = V | R | X | U | rng.choice((A, A, A, 0)) | (W if rng.random() < 0.1 else 0)
            tables.map(user_code + page * PAGE, CODE + place * PAGE, flags)
        tables.map(S_HANDLER, S_HANDLER, V | R | X | A)
        window = tables.canonical((1 << 12 + 9 * tables.levels - 1) | 0x20_0000)
        seen = [RAM + rng.randrange(16, PAGES) * PAGE, CODE, TABLES]
        for page in range(TABLE_PAGES):
            if tables.map(window + page * PAGE, TABLES + page * PAGE, V | R | W | A | (D if rng.random() < 0.7 else 0)):
                seen.append(window + page * PAGE)
        for number in range(rng.randrange(4, 12)):
            user = rng.random() < 0.5
            address = tables.canonical(rng.choice((user_code, window, RAM)) + rng.randrange(8, 24) * PAGE)
            physical = RAM + rng.randrange(16, PAGES) * PAGE
            leaf = 0
            if rng.random() < 0.2:
                leaf = rng.randrange(1, tables.levels)
                address = tables.canonical((number + 1 << 12 + 9 * leaf) | rng.randrange(PAGES) * PAGE)
                physical = RAM if rng.random() < 0.7 else physical
            elif rng.random() < 0.05:
                physical = rng.choice((0x1000_0000_0000, 0x200_0000, RAM + PAGES * PAGE))
            if tables.map(address, physical, self._leaf_flags(user), leaf):
                seen.append(address)
        if rng.random() < 0.15:
            table, index = rng.choice(tables.leaves)
            tables.words[table][index] = rng.getrandbits(64) & rng.getrandbits(64)
        root = mode << 60 | rng.choice((0, rng.getrandbits(16))) << 44 | TABLES >> 12
        handlers = {}
        for letter, place, privs in (("m", M_HANDLER, (1, 1, 0, 0, 3)), ("s", S_HANDLER, (1, 0, 0))):
            priv = rng.choice(privs)
            handlers[place] = self._handler(letter, CODE if priv else user_code, priv)
        x = [0] + [rng.choice((rng.getrandbits(64), rng.randrange(64))) for _ in range(31)]
        for register in POINTERS:
            x[register] = rng.choice(seen) + rng.choice((0, 8, 2048, PAGE - 4, PAGE - 2, PAGE - 8, rng.randrange(PAGE)))
            if rng.random() < 0.02:
                x[register] ^= 1 << rng.randrange(30, 64)
        for register in POINTERS[4:]:
            table, index = rng.choice(tables.leaves)
            # through the window, or past paging
            x[register] = (window if rng.random() < 0.8 else TABLES) + table * PAGE + 8 * index & M64
        for register in PTES:
            x[register] = (RAM + rng.randrange(PAGES) * PAGE >> 12) << 10 | self._leaf_flags(rng.random() < 0.5)
        x[SATPS[0]], x[SATPS[1]] = (
            root,
            rng.choice((0, root ^ 1 << 44, root & ~(15 << 60) | rng.choice((8, 9, 10, 11, 1)) << 60)),
        )
        x[BITS[0]] = rng.choice((SUM, MXR, SUM | MXR, MPRV, MPP, 1 << 8, 0x2, 0x20, 0x222, 1 << 11))
        x[BITS[1]] = rng.choice(
            (SUM, MPRV | 1 << 11, MPRV, TVM, TW, TSR, 0xB3FF, 0xF0FF, 0x2, 0x8, rng.getrandbits(24))
        )
        x[TARGETS[0]], x[TARGETS[1]] = CODE + 2 * rng.randrange(0x1000), user_code + 2 * rng.randrange(0x2000) & M64
        x[1] = rng.choice((CODE, user_code)) + 0x100
        status = rng.choice((0, SUM, MXR, SUM | MXR, 0xA, 0x2 | SUM, TVM, TW | TSR)) | rng.choice(
            (0, 0, 0, MPRV | 1 << 11)
        )
        priv = rng.choice((1, 1, 1, 0, 0, 3))
        csrs = {
            NUMBER["mstatus"]: status | rng.choice((0, 1 << 11, MPP)),
            NUMBER["menvcfg"]: rng.choice((MENVCFG_ADUE, MENVCFG_ADUE, MENVCFG_ADUE, 0))
            | rng.choice((0, MENVCFG_STCE)),
            NUMBER["mtvec"]: M_HANDLER,
            NUMBER["stvec"]: S_HANDLER,
            NUMBER["medeleg"]: rng.choice((0, 0xB3FE, 0xB1FE, 0xB000, rng.getrandbits(16) & 0xB3FE)),
            NUMBER["mideleg"]: rng.choice((0, 0x222, 0x222, 0x20, 0x200, rng.getrandbits(10) & 0x222)),
            NUMBER["mie"]: rng.choice((0, 0x222, 0xAAA)),
            NUMBER["mip"]: rng.choice((0, 0, 0x20, 0x200, 0x222)),
            NUMBER["mepc"]: x[TARGETS[0]],
            NUMBER["sepc"]: x[TARGETS[rng.randrange(2)]],
            NUMBER["satp"]: rng.choice((root, root, root, root, 0)),
            NUMBER["stimecmp"]: M64,
            NUMBER["mcounteren"]: rng.choice((0, 7)),
            0x3BF: (1 << 54) - 1,
            0x3A2: 0x1F << 56,
        }
        if csrs[NUMBER["menvcfg"]] & MENVCFG_STCE:
            csrs[NUMBER["mip"]] &= ~0x20  # time is before stimecmp
        if rng.random() < 0.25:
            # one page, or part of one, that not everybody may touch
            base = rng.choice((TABLES, TABLES + PAGE, DATA, CODE, S_HANDLER, rng.randrange(PAGES) * PAGE + RAM))
            csrs[0x3B0] = (base >> 2) | rng.choice((0x1FF, 0x1FF, 0xFF, 0x3FF))
            csrs[0x3A0] = 0x18 | rng.choice((0, 1, 3, 4, 5))
        memory = handlers | {CODE: code, TABLES: tables.content(), DATA: rng.randbytes(16 * PAGE)}
        pc = CODE + 4 * rng.randrange(1024) if priv else user_code + 4 * rng.randrange(1024)
        return Case(name, pc, priv, tuple(word & M64 for word in x), csrs, memory, steps)
