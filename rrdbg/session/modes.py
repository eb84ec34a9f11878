"""In what the hart executes, as conditions say it: privilege, and for U mode the address space.

Programs of U mode lie at the same addresses, with the same stack. The code of a kernel goes on when it changes satp: so
only pages of U mode belong to an address space, and everything else is wherever the hart comes by.
"""

from __future__ import annotations

from typing import NamedTuple

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL, SPACE, space_of
from rrdbg_core.cpu.condition import Condition, hart
from rrdbg_core.isa import expr
from rrdbg_core.isa.expr import Ex

from rrdbg.session.engine import Words

PRIV_U, PRIV_S, PRIV_M = L.PRIV_U, L.PRIV_S, L.PRIV_M


class Mode(NamedTuple):
    """In what code executes."""

    priv: int
    """Privilege mode."""
    space: int = PHYSICAL
    """Of U mode the address space, if there is one."""


def mode_of(words: Words) -> Mode:
    """Return in what a hart executes."""
    priv = int(words[L.PRIV])
    return Mode(priv, space_of(words) if priv == PRIV_U else PHYSICAL)


def in_mode(mode: Mode, *tests: Ex) -> Condition:
    """Return the condition of being in a mode while some other tests, which are 0 or 1, say yes."""
    tree = expr.eq(hart(L.PRIV), mode.priv)
    if mode.space != PHYSICAL:
        tree = tree & expr.eq(hart(L.SATP) & SPACE, mode.space)
    for test in tests:
        tree = tree & test
    return Condition(tree)


def by_handler(machine: int, supervisor: int) -> Ex:
    """Return a CSR of the mode that has just taken a trap, given the one of M mode and the one of S mode."""
    return expr.select(expr.eq(hart(L.PRIV), PRIV_S), hart(supervisor), hart(machine))


CAUSE, EPC = by_handler(L.MCAUSE, L.SCAUSE), by_handler(L.MEPC, L.SEPC)
"""Behind a step that took a trap: its cause, and where it was taken."""


def came_from(mode: Mode) -> Condition:
    """Return the condition that a trap that has just been taken was taken in a mode."""
    to_s = expr.eq(hart(L.PRIV), PRIV_S)
    previous = expr.select(to_s, (hart(L.MSTATUS) >> 8) & 1, (hart(L.MSTATUS) >> 11) & 3)
    tree = expr.eq(previous, mode.priv)
    return Condition(tree if mode.space == PHYSICAL else tree & expr.eq(hart(L.SATP) & SPACE, mode.space))


def trapped_at(words: Words) -> int:
    """Return where the trap was taken that a hart has just taken."""
    return int(words[L.SEPC if int(words[L.PRIV]) == PRIV_S else L.MEPC])


def trapped_from(words: Words) -> Mode:
    """Return the mode in which the trap was taken that a hart has just taken."""
    status, satp = int(words[L.MSTATUS]), int(words[L.SATP])
    priv = status >> 8 & 1 if int(words[L.PRIV]) == PRIV_S else status >> 11 & 3
    return Mode(priv, satp & SPACE if priv == PRIV_U and satp >> 60 else PHYSICAL)
