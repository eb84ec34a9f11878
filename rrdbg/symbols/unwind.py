"""The stack, frame by frame: from the registers of a frame to those of its caller.

Call frame information says how, and what it does not say is as gdb assumes it for RISC-V: a register without a rule has
the same value in the caller. Code without it is read: what its instructions have done to the stack since the function's
start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.cfi import How, Row, Rule
from rrdbg.symbols.location import FrameState, Memory, Value, evaluate

if TYPE_CHECKING:
    from rrdbg.symbols.table import SymbolTable

Registers = tuple[int | None, ...]
"""x0 to x31, and f0 to f31 where the guest has them; None: not known."""

RA, SP, S0 = 1, 2, 8
T0 = 5
PROLOGUE_BYTES = 1 << 12
"""Bytes of a function that are read for what they do to the stack."""
_M64 = (1 << 64) - 1


class Code(Frozen):
    """What unwinding needs to know of the guest's code and memory."""

    rules: Callable[[int], Row | None]
    """Returns the call frame information for an address."""
    function: Callable[[int], tuple[int, int] | None]
    """Returns the function around an address: its first address and the one behind it, which may equal the first."""
    read: Callable[[int, int], bytes]
    """Reads memory, as far as it can be read."""
    jumps: Callable[[int, int], tuple[int, ...]] = lambda return_pc, pc: ()
    """Returns where tail calls stand between the call that returns to an address and the function around another one:
    the addresses behind them, in their order."""
    is_mapped: Callable[[int], bool] = lambda address: True
    """Returns whether an address means anything; what does may be no memory."""
    names: SymbolTable | None = None
    """The symbols that hold there; None: those at hand."""


class Frame(Frozen):
    """One frame of the stack. It is a `FrameState`: DWARF expressions are evaluated in it."""

    code: Code = field(repr=False, compare=False)
    """What it stands in."""
    address: int
    """Where it stands: for a caller the address it will be returned to."""
    registers: Registers
    """Its registers."""
    called: bool = False
    """Whether it waits for a call to return: it stands behind the call instruction."""

    @property
    def pc(self) -> int:
        """An address inside of the instruction at which it stands."""
        return (self.address - 1) & _M64 if self.called else self.address

    def register(self, number: int) -> int | None:
        """Return a register by its DWARF number, None when it is not known."""
        if number == 0:
            return 0
        return self.registers[number] if 0 < number < len(self.registers) else None

    def read(self, address: int, length: int) -> bytes:
        """Read memory; fewer bytes where it cannot be read."""
        return self.code.read(address & _M64, length)

    def is_mapped(self, address: int) -> bool:
        """Return whether an address means anything, memory or not."""
        return self.code.is_mapped(address & _M64)

    def cfa(self) -> int | None:
        """Return the canonical frame address: the stack pointer before the call."""
        return self._cfa

    @cached_property
    def row(self) -> Row | None:
        """The call frame information that holds here."""
        return self.code.rules(self.pc)

    @cached_property
    def _cfa(self) -> int | None:
        row = self.row
        if row is None:
            return self._prologue[0]
        if row.cfa.how is How.BASE:
            base = self.register(row.cfa.number)
            return None if base is None else (base + row.cfa.offset) & _M64
        found = evaluate(row.cfa.expression, _WithoutCfa(self))
        return found.address if isinstance(found, Memory) else found.bits if isinstance(found, Value) else None

    @cached_property
    def _prologue(self) -> tuple[int | None, dict[int, int], bool]:
        """The CFA, where registers were saved, and whether the function was left to be read: without CFI."""
        return read_prologue(self)

    def saved(self) -> dict[int, int]:
        """Return where in memory the caller's registers were saved, by DWARF number."""
        cfa, row = self.cfa(), self.row
        if cfa is None:
            return {}
        if row is None:
            return {number: (cfa + offset) & _M64 for number, offset in sorted(self._prologue[1].items())}
        rules = sorted(row.registers.items())
        return {number: (cfa + rule.number) & _M64 for number, rule in rules if rule.how is How.OFFSET}

    def caller(self) -> Frame | None:
        """Return the frame that called this one, or jumped to it, None when it is not known."""
        return self._caller

    @cached_property
    def _caller(self) -> Frame | None:
        frame = self.returning()
        if frame is None or self.row is None:
            return frame
        for address in self.code.jumps(frame.address, self.pc):
            frame = Jumped(self.code, address, frame.registers, True, frame, self.cfa())
        return frame

    def returning(self) -> Frame | None:
        """Return the frame that this one returns to: functions between that have left by tail calls are left out."""
        return self._returning

    @cached_property
    def _returning(self) -> Frame | None:
        cfa = self.cfa()
        if cfa is None:
            return None
        row = self.row
        if row is None:
            registers = self._from_prologue(cfa)
            address = registers[RA]
        else:
            registers = tuple(self._by_rule(number, row, cfa) for number in range(len(self.registers)))
            address = self._return_address(row, registers)
        if address is None:
            return None
        return Frame(self.code, address & ~1 & _M64, registers, not (row is not None and row.signal))

    def _return_address(self, row: Row, registers: Registers) -> int | None:
        column = row.return_address
        rule = row.registers.get(column)
        if self.called and (rule is None or rule.how is How.SAME) and column == RA:
            return None  # the call that it waits for has overwritten it
        return registers[column] if column < len(registers) else None

    def _by_rule(self, number: int, row: Row, cfa: int) -> int | None:
        if number == 0:
            return 0
        rule = row.registers.get(number)
        if rule is None:
            return cfa if number == SP else self.registers[number]
        return self._value(rule, number, cfa)

    def _value(self, rule: Rule, number: int, cfa: int) -> int | None:
        match rule.how:
            case How.SAME:
                return self.registers[number]
            case How.OFFSET:
                return self._word((cfa + rule.number) & _M64)
            case How.VAL_OFFSET:
                return (cfa + rule.number) & _M64
            case How.REGISTER:
                return self.register(rule.number)
            case How.EXPRESSION | How.VAL_EXPRESSION:
                found = evaluate(rule.expression, self, None, (cfa,))
                if isinstance(found, Memory):
                    return self._word(found.address) if rule.how is How.EXPRESSION else found.address
                return found.bits if isinstance(found, Value) else None
        return None

    def _word(self, address: int) -> int | None:
        data = self.code.read(address, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else None

    def _from_prologue(self, cfa: int) -> Registers:
        _, saved, _ = self._prologue
        registers = list(self.registers)
        for number, offset in saved.items():
            registers[number] = self._word((cfa + offset) & _M64)
        if self.called and RA not in saved:
            registers[RA] = None
        registers[SP] = cfa
        return tuple(registers)


class Jumped(Frame):
    """The frame of a function that has left by a tail call: its stack is given back, and so are its registers."""

    called: bool = True
    """Whether it waits for a call to return: it stands behind the jump."""
    outer: Frame | None = None
    """The frame that called it, or jumped to it."""
    base: int | None = None
    """Its canonical frame address, which it has left to the function that runs."""

    def cfa(self) -> int | None:
        """Return the canonical frame address."""
        return self.base

    def saved(self) -> dict[int, int]:
        """Return nothing: what it had saved is given back."""
        return {}

    def caller(self) -> Frame | None:
        """Return the frame that called this one, or jumped to it."""
        return self.outer

    def returning(self) -> Frame | None:
        """Return the frame that what it jumped to returns to."""
        frame = self.outer
        while isinstance(frame, Jumped):
            frame = frame.outer
        return frame


class _WithoutCfa:
    """A frame while its CFA is being computed."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.pc = frame.pc

    def register(self, number: int) -> int | None:
        return self._frame.register(number)

    def read(self, address: int, length: int) -> bytes:
        return self._frame.read(address, length)

    def cfa(self) -> int | None:
        return None

    def caller(self) -> FrameState | None:
        return None


# ---- code without call frame information


def read_prologue(frame: Frame) -> tuple[int | None, dict[int, int], bool]:
    """Read what a function has done to the stack before it came to where a frame stands.

    Only the straight way from its start is followed: adding to sp, saving registers, setting s0 up.

    Returns:
        The CFA, or None; where registers were saved, from the CFA; whether all instructions up to there were read.
    """
    function = frame.code.function(frame.pc)
    if function is None:
        return frame.register(SP), {}, False
    start = function[0]
    data = frame.code.read(start, max(min(frame.pc - start, PROLOGUE_BYTES), 0))
    depth, through_s0 = 0, None
    saved: dict[int, int] = {}
    for name, rd, rs1, rs2, imm in _decoded(data):
        if name == "addi" and rd == SP and rs1 == SP:
            if imm > 0 and saved:
                break  # the stack is given back: the rest is another way out, or not reached
            depth -= imm
        elif name == "addi" and rd == S0 and rs1 == SP:
            through_s0 = depth - imm
        elif name == "sd" and rs1 == SP and (rs2 in (RA, S0, 9) or 18 <= rs2 <= 27):
            saved.setdefault(rs2, imm - depth)
        elif name in _JUMPS:
            break
    base = frame.register(S0) if through_s0 is not None else frame.register(SP)
    if base is None:
        return None, saved, False
    return (base + (through_s0 if through_s0 is not None else depth)) & _M64, saved, len(data) == frame.pc - start


_JUMPS = {"jal", "jalr", "mret", "sret", "beq", "bne", "blt", "bge", "bltu", "bgeu"}


def _decoded(data: bytes) -> Sequence[tuple[str, int, int, int, int]]:
    """Return instructions: name, rd, rs1, rs2, and the immediate as a signed number."""
    from rrdbg_core.isa.rvc import expand
    from rrdbg_core.isa.table import decode

    found: list[tuple[str, int, int, int, int]] = []
    at = 0
    while at + 2 <= len(data):
        half = int.from_bytes(data[at : at + 2], "little")
        size = 2 if half & 3 != 3 else 4
        if at + size > len(data):
            break
        word = expand(half) if size == 2 else int.from_bytes(data[at : at + 4], "little")
        decoded = decode(word) if word else None
        if decoded is None:
            break
        found.append((decoded.insn.name, word >> 7 & 31, word >> 15 & 31, word >> 20 & 31, decoded.imm))
        at += size
    return found


# ---- how far


def endless(frames: Sequence[Frame]) -> bool:
    """Return whether the last frame cannot be: the same as the one before, or further in (gdb: corrupt stack)."""
    if len(frames) < 2:
        return False
    inner, outer = frames[-2], frames[-1]
    if inner.cfa() is None or outer.cfa() is None:
        return False
    lower, upper = inner.cfa() or 0, outer.cfa() or 0
    return upper < lower or (upper == lower and outer.address == inner.address)
