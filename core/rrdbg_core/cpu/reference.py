"""The reference interpreter: the instruction table read as plain Python integers, one step at a time.

What the compiled kernel is compared with, and the engine that needs no compiler. It has the interface and the state
arrays of `Core`. Only the expression trees are shared; traps, CSRs, PMP, counters, atomics and the MMIO protocol are
written down a second time here, from the manual (RISC-V Privileged Architecture 20240411), not from the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import build
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import CHECK_PERIOD, REGISTER_HIT, TRAP_HIT, Core, Exit
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.isa.csr import MISA
from rrdbg_core.isa.expr import Branch, Ex, Helper, Jump, Load, SetRd, Store
from rrdbg_core.isa.rows import Insn
from rrdbg_core.isa.rvc import expand
from rrdbg_core.isa.table import INSNS, Decoded, decode

M64 = (1 << 64) - 1
_SIGN = 1 << 63

# ---- expression trees as Python source -------------------------------------------------------------------------------


def _signed(value: int) -> int:
    return value - (1 << 64) if value & _SIGN else value


def _sext(value: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return ((value & (1 << bits) - 1) ^ sign) - sign & M64


def _divs(a: int, b: int) -> int:
    if b == 0:
        return M64
    x, y = _signed(a), _signed(b)
    quotient = abs(x) // abs(y)
    return (-quotient if (x < 0) != (y < 0) else quotient) & M64


def _rems(a: int, b: int) -> int:
    if b == 0:
        return a
    x, y = _signed(a), _signed(b)
    remainder = abs(x) % abs(y)
    return (-remainder if x < 0 else remainder) & M64


def _orcb(a: int) -> int:
    return int.from_bytes(bytes(0xFF if byte else 0 for byte in a.to_bytes(8, "little")), "little")


_FORMS: dict[str, str] = {
    "add": "({0} + {1} & M64)",
    "sub": "({0} - {1} & M64)",
    "mul": "({0} * {1} & M64)",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "xor": "({0} ^ {1})",
    "not": "({0} ^ M64)",
    "shl": "({0} << {1} & M64)",
    "shr": "({0} >> {1})",
    "sar": "(signed({0}) >> {1} & M64)",
    "sext8": "sext({0}, 8)",
    "sext16": "sext({0}, 16)",
    "sext32": "sext({0}, 32)",
    "ltu": "(1 if {0} < {1} else 0)",
    "lts": "(1 if {0} ^ SIGN < {1} ^ SIGN else 0)",
    "eq": "(1 if {0} == {1} else 0)",
    "ne": "(1 if {0} != {1} else 0)",
    "select": "({1} if {0} else {2})",
    "mulhu": "({0} * {1} >> 64)",
    "mulh": "(signed({0}) * signed({1}) >> 64 & M64)",
    "mulhsu": "(signed({0}) * {1} >> 64 & M64)",
    "divu": "divu({0}, {1})",
    "divs": "divs({0}, {1})",
    "remu": "remu({0}, {1})",
    "rems": "rems({0}, {1})",
    "clz": "(64 - {0}.bit_length())",
    "ctz": "ctz({0})",
    "cpop": "{0}.bit_count()",
    "orcb": "orcb({0})",
    "rev8": 'int.from_bytes({0}.to_bytes(8, "little"), "big")',
}

_NAMES = {
    "M64": M64,
    "SIGN": _SIGN,
    "signed": _signed,
    "sext": _sext,
    "divs": _divs,
    "rems": _rems,
    "divu": lambda a, b: a // b if b else M64,
    "remu": lambda a, b: a % b if b else a,
    "ctz": lambda a: (a & -a).bit_length() - 1 if a else 64,
    "orcb": _orcb,
}


def source(tree: Ex) -> str:
    """Return a tree as a Python expression over h (the hart's words), rs1, rs2 (register numbers) and imm."""
    if tree.op == "const":
        return f"0x{tree.args[0]:x}"
    if tree.op == "operand":
        return {"rs1": "h[rs1]", "rs2": "h[rs2]", "imm": "imm", "pc": f"h[{L.PC}]"}[str(tree.args[0])]
    return _FORMS[tree.op].format(*(source(arg) for arg in tree.args if isinstance(arg, Ex)))


# ---- how a step ends otherwise ---------------------------------------------------------------------------------------


class _Trap(Exception):
    """An exception; nothing of the step happened."""

    def __init__(self, cause: int, tval: int) -> None:
        super().__init__(cause, tval)
        self.cause = cause
        self.tval = tval


class _Exit(Exception):
    """The machine has to do something before the step can complete."""

    def __init__(self, code: Exit) -> None:
        super().__init__(code)
        self.code = code


# ---- the hart --------------------------------------------------------------------------------------------------------

_PAGE = 4096
_M, _U = L.PRIV_M, L.PRIV_U
_READ, _WRITE, _EXEC = 1, 2, 4
_LOCKED = 0x80
_FETCH_FAULT, _ILLEGAL, _BREAKPOINT, _LOAD_MISALIGNED, _LOAD_FAULT, _STORE_MISALIGNED, _STORE_FAULT, _ECALL = range(
    1, 9
)
_MIE, _MPIE, _MPP, _MPRV, _TW = 1 << 3, 1 << 7, 3 << 11, 1 << 17, 1 << 21
_INTERRUPT = 1 << 63

# What software can write, by CSR number; the rest of the register reads as it did. Privileged spec 3.1.
_PLAIN = {
    0x304: (L.MIE, 0x888),
    0x305: (L.MTVEC, M64 & ~2),
    0x306: (L.MCOUNTEREN, 0xFFFF_FFFF),
    0x30A: (L.MENVCFG, 1),
    0x340: (L.MSCRATCH, M64),
    0x341: (L.MEPC, M64 & ~1),
    0x342: (L.MCAUSE, M64),
    0x343: (L.MTVAL, M64),
    0x344: (L.MIP, 0),
    0xF14: (L.MHARTID, 0),
}
_READ_AS_ZERO = {0x7A0, 0x7A1, 0x7A2, 0x7A3, 0xF11, 0xF12, 0xF13, 0xF15}
_READ_AS_ZERO |= {*range(0x323, 0x340), *range(0xB03, 0xB20), *range(0xC03, 0xC20)}

Region = tuple[int, int, int]
"""First byte, byte behind the last, pmpcfg."""
Step = Callable[[], int | None]
"""An instruction with its operands bound: does it and returns where to go on, None for the next one."""


def pmp_regions(hart: list[int]) -> list[Region]:
    """Return the PMP entries in use, lowest number first (privileged spec 3.7.1)."""
    regions = []
    below = 0
    for i in range(16):
        cfg, address = hart[L.PMPCFG + i], hart[L.PMPADDR + i]
        match cfg >> 3 & 3:
            case 1:  # TOR: from the entry below up to this one
                regions.append((below << 2, address << 2, cfg))
            case 2:  # NA4
                regions.append((address << 2, (address << 2) + 4, cfg))
            case 3:  # NAPOT: the trailing ones say how large
                ones = (~address & -~address).bit_length() - 1
                size = 8 << ones
                base = address >> ones << ones << 2
                regions.append((base, base + size, cfg))
        below = address
    return regions


def pmp_allows(regions: list[Region], address: int, size: int, kind: int, priv: int) -> bool:
    """Return whether `size` bytes may be accessed; all must lie in the first region that holds any of them."""
    for low, high, cfg in regions:
        if address < high and low < address + size:
            inside = low <= address and address + size <= high
            return inside and ((priv == _M and not cfg & _LOCKED) or cfg & kind == kind)
    return priv == _M


def amo_result(funct5: int, old: int, operand: int) -> int:
    """Return what an AMO writes; words come sign-extended, which keeps their unsigned order too."""
    match funct5:
        case 0b00000:
            return old + operand
        case 0b00001:
            return operand
        case 0b00100:
            return old ^ operand
        case 0b01000:
            return old | operand
        case 0b01100:
            return old & operand
        case 0b10000:
            return min(old, operand, key=_signed)
        case 0b10100:
            return max(old, operand, key=_signed)
        case 0b11000:
            return min(old, operand)
        case _:
            return max(old, operand)


# ---- instructions as closures ----------------------------------------------------------------------------------------


def _factory(insn: Insn) -> Callable[..., Step]:
    """Return a function that binds an instruction's operands: bind(core, h, decoded)."""
    match insn.effect:
        case SetRd(value):
            body = [f"h[rd] = {source(value)}"]
        case Load(addr, size, signed):
            value_text = f"core._load({source(addr)}, {size})"
            body = [f"h[rd] = {f'sext({value_text}, {8 * size})' if signed else value_text}"]
        case Store(addr, size, value):
            body = [f"core._store({source(addr)}, {size}, {source(value)})"]
        case Branch(taken):
            body = [f"if {source(taken)}:", f"    return h[{L.PC}] + imm & M64"]
        case Jump(target):
            body = [f"target = {source(target)}", f"h[rd] = h[{L.PC}] + length & M64", "return target"]
        case Helper(name):
            return lambda core, h, decoded: partial(getattr(core, f"_{name}"), decoded)
    lines = [
        "def bind(core, h, decoded):",
        f"    rd, rs1, rs2 = decoded.rd or {L.XD}, decoded.rs1, decoded.rs2",
        "    imm, length = decoded.imm & M64, decoded.length",
        "    def step():",
    ]
    lines += [f"        {line}" for line in body] + ["    return step"]
    names: dict[str, object] = dict(_NAMES)
    exec("\n".join(lines), names)
    bind = names["bind"]
    assert callable(bind)
    return bind


_FACTORIES = {insn.name: _factory(insn) for insn in INSNS}


_CHECK_MULTIPLIER = 0x9E37_79B9_7F4A_7C15


def _mix(a: int, b: int) -> int:
    a = (a ^ b) * _CHECK_MULTIPLIER & M64
    return a ^ a >> 29


class ReferenceCore(Core):
    """`Core` without a kernel: the same arrays, exits, checks, logs and stops; slower by a factor of some hundreds."""

    def __init__(self, ram_bytes: int, *, hart_count: int = 1, progress: build.Progress | None = None) -> None:
        # While it runs, the words of the hart and of the machine are lists of ints: numpy scalars are slow and wrap.
        self._h: list[int] = [0] * L.HART_WORDS
        self._m: list[int] = [0] * L.MACH_WORDS
        self._regions: list[Region] = []
        self._bound: dict[int, tuple[Step, int]] = {}
        self._log_rows: list[list[int]] = []
        super().__init__(ram_bytes, hart_count=hart_count, progress=progress)

    # -- what the compiled core does with its caches -------------------------------------------------------------------

    def _prepare(self, progress: build.Progress | None) -> None:
        self._ram = self.memory.ram.data
        self.mach[L.RAM_BASE] = RAM_BASE
        self.mach[L.RAM_PAGES] = self.memory.pages
        self.mach[L.GENERATION] = 1

    def drop_caches(self) -> None:
        """Forget bound instructions, the only cache there is."""
        self._bound.clear()

    def _flush_tlb(self) -> None:
        pass

    def _point(self) -> None:
        pass

    def _undecode(self, addresses: Iterable[int]) -> None:
        pass

    def _forget_code(self, numbers: npt.NDArray[np.int64]) -> None:
        pass

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, limit: int) -> Exit:
        """Run until icount is `limit`, or until something is due before that. Never goes beyond the limit."""
        h, m = self._h, self._m
        h[:] = self.hart.tolist()
        m[:] = self.mach.tolist()
        self._regions = pmp_regions(h)
        self._checks_made: list[int] = []
        self._traps_taken: list[tuple[int, int]] = []
        try:
            return self._run(limit)
        finally:
            self.hart[:] = h
            self.mach[:] = m
            if self._checks_made:
                self.check_words.append(np.array(self._checks_made, np.uint64))
            if self._traps_taken:
                self.trap_rows.append(np.array(self._traps_taken, np.uint64))
            self._hand_over_log()

    def _run(self, limit: int) -> Exit:
        h, m = self._h, self._m
        while m[L.ICOUNT] < limit:
            m[L.HIT_INDEX] = m[L.TRACKED_HIT] = m[L.ACCESS_COUNT] = 0
            stepping = m[L.STEPPING]
            if stepping:
                old = h[:32]
                row = self._row_before()
            code = self._step()
            if code is not None:
                return code
            if m[L.ICOUNT] % CHECK_PERIOD == 0:
                self._checks_made.append(self._check_word())
            if stepping:
                self._after(old, row)
            if m[L.CATCH] and self._cause:
                self._caught()
            if m[L.HIT_INDEX]:
                return Exit.WATCH
            if m[L.TRACKED_HIT]:
                return Exit.TRACKED
        return Exit.LIMIT

    def _check_word(self) -> int:
        h, m = self._h, self._m
        a = _mix(m[L.ACC], m[L.ICOUNT])
        for i in range(1, 32):
            a = _mix(a, h[i])
        for value in (h[L.PC], h[L.PRIV] | h[L.WFI] << 8):
            a = _mix(a, value)
        for offset in (L.MSTATUS, L.MIP, L.MIE, L.MEPC, L.MCAUSE, L.MSCRATCH):
            a = _mix(a, h[offset])
        return a

    # -- what the debugger sees ----------------------------------------------------------------------------------------

    def _row_before(self) -> list[int]:
        """Return the step log's row as far as it is known before the step; the last word is where rd lies."""
        h = self._h
        pc = h[L.PC]
        word, place = 0, 0
        if self._in_ram(pc, 2) and (self._peek(pc, 2) & 3 != 3 or self._in_ram(pc, 4)):
            word = self._peek(pc, 2)
            if word & 3 == 3:
                word = self._peek(pc, 4)
            expanded = word if word & 3 == 3 else expand(word)
            if decode(expanded) is not None:
                place = expanded >> 7 & 31 or L.XD
        return [self._m[L.ICOUNT], pc, word, h[L.PRIV], place]

    def _after(self, old: list[int], row: list[int]) -> None:
        h, m = self._h, self._m
        if m[L.LOG_LIMIT]:
            *known, place = row
            accesses = m[L.ACCESSES : L.ACCESSES + 3 * m[L.ACCESS_COUNT]]
            words = [*known, self._cause, h[place], m[L.ACCESS_COUNT], *accesses]
            self._log_rows.append(words + [0] * (L.LOG_WORDS - len(words)))
            if len(self._log_rows) >= m[L.LOG_LIMIT]:
                self._hand_over_log()
        for r in range(1, 32):
            if m[L.REG_WATCH] >> r & 1 and h[r] != old[r]:
                self._found(REGISTER_HIT + r, 0, 0, 0, old[r], h[r])

    def _hand_over_log(self) -> None:
        if self._log_rows and self.on_log:
            self.on_log(np.array(self._log_rows, np.uint64))
        self._log_rows = []

    def _found(self, index: int, address: int, size: int, kind: int, old: int, new: int) -> None:
        """Stop behind this step, or remember the hit. Of several hits the first stops and the last is remembered."""
        m = self._m
        if m[L.SEARCH]:
            m[L.LAST_HIT], m[L.LAST_HIT_INDEX] = self._at, index
            m[L.HITS] += 1
        elif not m[L.HIT_INDEX]:
            m[L.HIT_INDEX], m[L.HIT_ADDR], m[L.HIT_SIZE], m[L.HIT_KIND] = index, address, size, kind
            m[L.HIT_OLD], m[L.HIT_NEW] = old, new

    def _caught(self) -> None:
        if self._m[L.CATCH] & (2 if self._cause & _INTERRUPT else 1):
            self._found(TRAP_HIT, 0, 0, 0, 0, 0)

    def _at_break(self) -> bool:
        """Return whether to stop before the instruction at pc."""
        m = self._m
        count = m[L.BREAKS]
        if self._h[L.PC] not in m[L.BREAKS + 1 : L.BREAKS + 1 + count]:
            return False
        if m[L.SKIP_BREAK] == self._at + 1 or m[L.MMIO_STATE] >= 2 or m[L.SEMIHOSTED]:
            return False
        if m[L.SEARCH]:
            self._found(0, 0, 0, 0, 0, 0)
        return not m[L.SEARCH]

    def _log_access(self, kind: int, address: int, size: int, value: int) -> None:
        m = self._m
        if m[L.STEPPING] and m[L.ACCESS_COUNT] < 3:
            row = L.ACCESSES + 3 * m[L.ACCESS_COUNT]
            m[row : row + 3] = [kind | size << 8, address, value]
            m[L.ACCESS_COUNT] += 1

    def _accessed(self, kind: int, address: int, size: int, old: int, new: int) -> None:
        """Note an access to RAM: the page's generation, and the watches that it hits."""
        m = self._m
        generations = self.memory.written if kind == _WRITE else self.memory.read_
        for byte in (address, address + size - 1):
            generations[byte - RAM_BASE >> 12] = m[L.GENERATION]
            if kind == _WRITE:
                self.memory.dirty_lines[byte - RAM_BASE >> 6] = 1
        for i in range(m[L.WATCHES]):
            row = L.WATCHES + 1 + i * L.WATCH_WORDS
            start, length, kinds = m[row : row + 3]
            if address >= start + length or start >= address + size:
                continue
            if kinds & L.WATCH_TRACKED:
                if kind == _WRITE:
                    m[L.TRACKED_HIT] = 1
            elif kinds & (L.WATCH_READ if kind == _READ else L.WATCH_WRITE):
                self._found(i + 1, address, size, kind, old, new)
            elif kind == _WRITE and kinds & L.WATCH_CHANGE:
                inside = [b for b in range(size) if start <= address + b < start + length]
                if any((old ^ new) >> 8 * b & 0xFF for b in inside):
                    self._found(i + 1, address, size, kind, old, new)

    # -- memory --------------------------------------------------------------------------------------------------------

    def _in_ram(self, address: int, size: int) -> bool:
        base = self._m[L.RAM_BASE]
        return base <= address and address + size <= base + self._m[L.RAM_PAGES] * _PAGE

    def _peek(self, address: int, size: int) -> int:
        at = address - self._m[L.RAM_BASE]
        return int.from_bytes(self._ram[at : at + size], "little")

    def _data_priv(self) -> int:
        status = self._h[L.MSTATUS]
        return status >> 11 & 3 if status & _MPRV else self._h[L.PRIV]

    def _is_ram(self, address: int, size: int, kind: int, cause: int) -> bool:
        """Return True for RAM, False for what may be a device; raise if PMP forbids or there is nothing.

        An access across a page is two accesses, and the fault names the one that failed.
        """
        priv = self._data_priv()
        first = min(size, _PAGE - address % _PAGE)
        if not pmp_allows(self._regions, address, first, kind, priv):
            raise _Trap(cause, address)
        if not self._in_ram(address, first):
            if first < size:
                raise _Trap(cause, address)
            return False
        if first < size:
            rest = address + first
            if not pmp_allows(self._regions, rest, size - first, kind, priv) or not self._in_ram(rest, size - first):
                raise _Trap(cause, rest)
        return True

    def _device(self, address: int, size: int, write: bool, value: int) -> int:
        """Ask the machine for a device access, or take its answer."""
        m, cause = self._m, _STORE_FAULT if write else _LOAD_FAULT
        state = m[L.MMIO_STATE]
        if state >= 2:
            m[L.MMIO_STATE] = 0
            if state == 3:
                raise _Trap(cause, address)
            return m[L.MMIO_VALUE]
        if address % size:
            raise _Trap(cause, address)
        m[L.MMIO_STATE], m[L.MMIO_ADDR], m[L.MMIO_SIZE] = 1, address, size
        m[L.MMIO_WRITE], m[L.MMIO_VALUE] = int(write), value
        raise _Exit(Exit.MMIO_WRITE if write else Exit.MMIO_READ)

    def _load(self, address: int, size: int) -> int:
        address &= M64
        if not self._is_ram(address, size, _READ, _LOAD_FAULT):
            value = self._device(address, size, False, 0)
        else:
            value = self._peek(address, size)
            self._accessed(_READ, address, size, value, value)
        self._log_access(_READ, address, size, value)
        return value

    def _store(self, address: int, size: int, value: int) -> None:
        value &= (1 << 8 * size) - 1
        if self._is_ram(address, size, _WRITE, _STORE_FAULT):
            self._poke(address, size, value)
        else:
            self._device(address, size, True, value)
            self._log_access(_WRITE, address, size, value)

    def _poke(self, address: int, size: int, value: int) -> None:
        at = address - self._m[L.RAM_BASE]
        old = self._peek(address, size)
        self._ram[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        new = self._peek(address, size)
        self._log_access(_WRITE, address, size, new)
        self._accessed(_WRITE, address, size, old, new)

    # -- atomics, unprivileged spec "A" --------------------------------------------------------------------------------

    def _atomic_operands(self, decoded: Decoded, misaligned: int) -> tuple[int, int]:
        address = self._h[decoded.rs1]
        size = 8 if decoded.imm & 7 == 3 else 4
        if address % size:
            raise _Trap(misaligned, address)
        return address, size

    def _lr(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, _LOAD_MISALIGNED)
        if not self._is_ram(address, size, _READ, _LOAD_FAULT):
            raise _Trap(_LOAD_FAULT, address)
        value = _sext(self._peek(address, size), 8 * size)
        self._log_access(_READ, address, size, value)
        self._accessed(_READ, address, size, value, value)
        self._h[L.RES_VALID], self._h[L.RES_ADDR] = 1, address
        self._h[decoded.rd or L.XD] = value

    def _sc(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, _STORE_MISALIGNED)
        if not self._is_ram(address, size, _WRITE, _STORE_FAULT):
            raise _Trap(_STORE_FAULT, address)
        h = self._h
        holds = h[L.RES_VALID] == 1 and h[L.RES_ADDR] == address
        h[L.RES_VALID] = h[L.RES_ADDR] = 0
        value = h[decoded.rs2]
        h[decoded.rd or L.XD] = 0 if holds else 1
        if holds:
            self._poke(address, size, value)

    def _amo(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, _STORE_MISALIGNED)
        for kind in (_WRITE, _READ):
            if not self._is_ram(address, size, kind, _STORE_FAULT):
                raise _Trap(_STORE_FAULT, address)
        bits = 8 * size
        old = _sext(self._peek(address, size), bits)
        self._log_access(_READ, address, size, old)
        self._accessed(_READ, address, size, old, old)
        self._poke(address, size, amo_result(decoded.imm >> 3, old, _sext(self._h[decoded.rs2], bits)))
        self._h[decoded.rd or L.XD] = old

    # -- CSRs, privileged spec chapters 2 and 3 ------------------------------------------------------------------------

    def _counts(self, offset: int, inhibit: int, icount: int) -> int:
        h = self._h
        return h[offset] if h[L.MCOUNTINHIBIT] & inhibit else h[offset] + icount & M64

    def _set_count(self, offset: int, inhibit: int, value: int) -> None:
        # The next step sees the value, so this one does not count.
        h = self._h
        h[offset] = value if h[L.MCOUNTINHIBIT] & inhibit else value - self._m[L.ICOUNT] - 1 & M64

    def _read_csr(self, number: int) -> int | None:
        """Return the value of a register, or None if there is none."""
        h, m = self._h, self._m
        icount = m[L.ICOUNT]
        if number in _PLAIN:
            return h[_PLAIN[number][0]]
        if number in _READ_AS_ZERO:
            return 0
        match number:
            case 0x300:
                return h[L.MSTATUS] | 2 << 32
            case 0x301:
                return MISA
            case 0x320:
                return h[L.MCOUNTINHIBIT]
            case 0x3A0 | 0x3A2:
                first = L.PMPCFG + (number - 0x3A0) * 4
                return sum(h[first + i] << 8 * i for i in range(8))
            case 0xB00 | 0xC00:
                return self._counts(L.MCYCLE, 1, icount)
            case 0xB02 | 0xC02:
                return self._counts(L.MINSTRET, 4, icount)
            case 0xC01:
                return ((icount << m[L.SHIFT]) + m[L.WARP_NS] & M64) // 100
        if 0x3B0 <= number < 0x3C0:
            return h[L.PMPADDR + number - 0x3B0]
        return None

    def _write_csr(self, number: int, value: int) -> None:
        h = self._h
        if number in _PLAIN:
            offset, mask = _PLAIN[number]
            if mask:
                h[offset] = value & mask
            return
        match number:
            case 0x300:
                if value & _MPP != _MPP:
                    value &= ~_MPP
                h[L.MSTATUS] = value & (_MIE | _MPIE | _MPP | _MPRV | _TW)
            case 0x320:
                # Whether this step counts is up to the new value.
                icount = self._m[L.ICOUNT]
                counts = [(at, bit, self._counts(at, bit, icount)) for at, bit in ((L.MCYCLE, 1), (L.MINSTRET, 4))]
                h[L.MCOUNTINHIBIT] = value & 5
                for at, bit, count in counts:
                    h[at] = count if value & bit else count - icount & M64
            case 0xB00:
                self._set_count(L.MCYCLE, 1, value)
            case 0xB02:
                self._set_count(L.MINSTRET, 4, value)
            case 0x3A0 | 0x3A2:
                for i in range(8):
                    entry = L.PMPCFG + (number - 0x3A0) * 4 + i
                    cfg = value >> 8 * i & 0x9F
                    if not h[entry] & _LOCKED:
                        h[entry] = cfg if cfg & _READ else cfg & ~_WRITE
                self._regions = pmp_regions(h)
        if 0x3B0 <= number < 0x3C0:
            i = number - 0x3B0
            above = h[L.PMPCFG + i + 1] if i < 15 else 0
            if not h[L.PMPCFG + i] & _LOCKED and above & 0x98 != 0x88:
                h[L.PMPADDR + i] = value & (1 << 54) - 1
            self._regions = pmp_regions(h)

    def _csr(self, decoded: Decoded) -> None:
        h, number = self._h, decoded.imm
        name = decoded.insn.name
        operand = decoded.rs1 if name.endswith("i") else h[decoded.rs1]
        writes = name.startswith("csrrw") or decoded.rs1 != 0
        enabled = True
        if 0xC00 <= number < 0xC20 and h[L.PRIV] != _M:
            enabled = bool(h[L.MCOUNTEREN] >> (number & 31) & 1)
        old = self._read_csr(number)
        if old is None or not enabled or number >> 8 & 3 > h[L.PRIV] or (writes and number >> 10 == 3):
            self._illegal()
            return
        if writes:
            operation = name[4]
            new = operand if operation == "w" else old | operand if operation == "s" else old & ~operand
            self._write_csr(number, new)
        h[decoded.rd or L.XD] = old

    # -- privileged instructions and traps -----------------------------------------------------------------------------

    def _nop(self, decoded: Decoded) -> None:
        pass

    def _illegal(self) -> None:
        pc = self._h[L.PC]
        word = self._peek(pc, 2)
        if word & 3 == 3:
            word |= self._peek(pc + 2, 2) << 16
        raise _Trap(_ILLEGAL, word)

    def _ecall(self, decoded: Decoded) -> None:
        raise _Trap(_ECALL + self._h[L.PRIV], 0)

    def _ebreak(self, decoded: Decoded) -> None:
        m, pc = self._m, self._h[L.PC]
        if m[L.SEMIHOSTED]:
            m[L.SEMIHOSTED] = 0
            return
        possible = m[L.SEMIHOSTING] and decoded.length == 4 and self._in_ram(pc - 4, 12)
        # slli x0, x0, 0x1f; ebreak; srai x0, x0, 7 (RISC-V semihosting 0.4)
        if possible and self._peek(pc - 4, 4) == 0x01F0_1013 and self._peek(pc + 4, 4) == 0x4070_5013:
            raise _Exit(Exit.SEMIHOST)
        raise _Trap(_BREAKPOINT, pc)

    def _mret(self, decoded: Decoded) -> int:
        h = self._h
        if h[L.PRIV] != _M:
            self._illegal()
        status = h[L.MSTATUS]
        previous = status >> 11 & 3
        new = status & ~(_MIE | _MPP) | _MPIE
        if status & _MPIE:
            new |= _MIE
        if previous != _M:
            new &= ~_MPRV
        h[L.MSTATUS], h[L.PRIV] = new, previous
        return h[L.MEPC]

    def _wfi(self, decoded: Decoded) -> None:
        h = self._h
        if h[L.PRIV] == _U:
            self._illegal()
        if not h[L.MIP] & h[L.MIE]:
            h[L.WFI] = 1

    def _pending_interrupt(self) -> int:
        """Return the cause of the interrupt to take now, or 0."""
        h = self._h
        pending = h[L.MIP] & h[L.MIE]
        if not pending or (h[L.PRIV] == _M and not h[L.MSTATUS] & _MIE):
            return 0
        return _INTERRUPT | next(line for line in (11, 3, 7) if pending >> line & 1)

    def _take_trap(self, cause: int, tval: int) -> None:
        h = self._h
        self._traps_taken.append((self._m[L.ICOUNT], cause))
        status = h[L.MSTATUS]
        h[L.MEPC], h[L.MCAUSE], h[L.MTVAL] = h[L.PC], cause, tval
        new = status & ~(_MIE | _MPIE | _MPP) | h[L.PRIV] << 11
        h[L.MSTATUS] = new | _MPIE if status & _MIE else new
        h[L.PRIV] = _M
        h[L.PC] = h[L.MTVEC] & ~3
        if h[L.MTVEC] & 1 and cause & _INTERRUPT:
            h[L.PC] = h[L.PC] + 4 * (cause & 0xFF) & M64
        if not h[L.MCOUNTINHIBIT] & 4:
            # minstret is this word plus icount, and a trap retires nothing.
            h[L.MINSTRET] = h[L.MINSTRET] - 1 & M64

    # -- one step ------------------------------------------------------------------------------------------------------

    def _fetch(self) -> tuple[Step, int]:
        """Return the instruction at pc, bound to its operands, and its length."""
        pc, priv = self._h[L.PC], self._h[L.PRIV]
        word = self._fetch_half(pc, priv)
        if word & 3 == 3:
            word |= self._fetch_half(pc + 2 & M64, priv) << 16
        found = self._bound.get(word)
        if found is None:
            found = self._bound[word] = self._bind(word)
        return found

    def _fetch_half(self, address: int, priv: int) -> int:
        if not self._in_ram(address, 2) or not pmp_allows(self._regions, address, 2, _EXEC, priv):
            raise _Trap(_FETCH_FAULT, address)
        self.memory.executed[address - RAM_BASE >> 12] = self._m[L.GENERATION]
        return self._peek(address, 2)

    def _bind(self, word: int) -> tuple[Step, int]:
        decoded = decode(word)
        if decoded is None:
            return self._illegal, 4 if word & 3 == 3 else 2
        if len(self._bound) > 1 << 16:
            self._bound.clear()
        return _FACTORIES[decoded.insn.name](self, self._h, decoded), decoded.length

    def _step(self) -> Exit | None:
        """Make one step, or return why it cannot be made. Sets `_cause` to what the step log calls the trap."""
        h, m = self._h, self._m
        self._cause = 0
        self._at = m[L.ICOUNT]
        if m[L.MMIO_STATE] < 2 and not m[L.SEMIHOSTED]:
            interrupt = self._pending_interrupt()
            if interrupt:
                h[L.WFI] = 0
                self._take_trap(interrupt, 0)
                self._cause = interrupt
                m[L.ICOUNT] += 1
                return None
            if h[L.WFI]:
                if not h[L.MIP] & h[L.MIE]:
                    return Exit.WFI
                h[L.WFI] = 0
        try:
            step, length = self._fetch()
            if m[L.BREAKS] and self._at_break():
                return Exit.BREAK
            target = step()
            h[L.PC] = h[L.PC] + length & M64 if target is None else target
        except _Trap as trap:
            self._take_trap(trap.cause, trap.tval)
            self._cause = trap.cause + 1
        except _Exit as exit_:
            return exit_.code
        m[L.ICOUNT] += 1
        return None
