"""What a row of the instruction table is, and how one is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rrdbg_core.isa.expr import Effect, Ex, Helper, SetRd, operand

FORMATS = ("R", "I", "SH6", "SH5", "S", "B", "U", "J", "CSR", "CSRI", "AMO", "N", "F", "RF", "RM", "R4")
"""How operands lie in the word (unprivileged spec, "Base Instruction Formats").

SH6/SH5: a 6- or 5-bit shift amount as imm. CSR/CSRI: CSR number as imm, CSRI's rs1 field is a 5-bit value.
AMO: R with aq/rl. N: no operands. F: fence, operands ignored. RF, RM, R4: R with all of the word as imm; RM with a
rounding mode, R4 with that and rs3.
"""


@dataclass(frozen=True, slots=True)
class Insn:
    """One instruction."""

    name: str
    """Mnemonic, as in the spec."""
    ext: str
    """Extension it belongs to."""
    fmt: str
    """One of `FORMATS`."""
    mask: int
    """Bits of the word that are fixed."""
    match: int
    """Their value."""
    effect: Effect
    """What it does."""
    floats: frozenset[str] = frozenset()
    """Operands that are f registers: rd, rs1, rs2, rs3."""


ROWS: list[Insn] = []


def insn(
    name: str, ext: str, fmt: str, pattern: str, floats: Iterable[str] = ()
) -> Callable[[Callable[..., Effect | Ex]], None]:
    """Add a row: `pattern` is the word from bit 31 down, `.` where it is an operand."""
    bits = pattern.replace(" ", "")
    assert len(bits) == 32, (name, len(bits))
    mask = int("".join("0" if bit == "." else "1" for bit in bits), 2)
    match = int(bits.replace(".", "0"), 2)

    def add(function: Callable[..., Effect | Ex]) -> None:
        effect = function(*(operand(p) for p in inspect.signature(function).parameters))
        if isinstance(effect, Ex):
            effect = SetRd(effect)
        ROWS.append(Insn(name, ext, fmt, mask, match, effect, frozenset(floats)))

    return add


def helper(name: str, ext: str, fmt: str, pattern: str, function: str, floats: Iterable[str] = ()) -> None:
    """Add a row whose meaning is a named helper."""
    insn(name, ext, fmt, pattern, floats)(lambda: Helper(function))
