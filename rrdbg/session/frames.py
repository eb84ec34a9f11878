"""Calls and returns at instruction level: what nexti and finish step over, found without debug information.

A call returns when its return address is reached with the stack pointer it was made with. A deeper call of the same
function has a lower stack pointer, so recursion does not deceive.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg_core.cpu import layout as L

from rrdbg.session.decoding import Instruction, instruction
from rrdbg.session.errors import NotFound
from rrdbg.session.hunt import Goal, Hunt

_INTERRUPT = 1 << 63
_NEAREST = 64
"""Entries of a function looked at before the search for the current activation is given up."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What tells one activation from another."""

    pc: int
    """Program counter."""
    sp: int
    """Stack pointer."""
    priv: int
    """Privilege mode."""


@dataclass(frozen=True, slots=True)
class Activation:
    """How the current function was entered."""

    entered: int
    """Position of its first instruction."""
    goal: Goal
    """Where and when it returns."""


class Frames(Hunt):
    """The part of a session that knows calls."""

    def _frame(self) -> Frame:
        hart = self._engine.hart
        return Frame(int(hart[L.PC]), int(hart[L.X + 2]), int(hart[L.PRIV]))

    def _instruction(self, address: int) -> Instruction | None:
        data = self._engine.read(address, 4, False)
        if len(data) < 2 or (data[0] & 3 == 3 and len(data) < 4):
            return None
        return instruction(int.from_bytes(data, "little"), address)

    def _back_in(self, frame: Frame, *addresses: int) -> Goal:
        """Return the goal of being at one of the addresses in the frame again, or further out."""
        return Goal(addresses, lambda: (now := self._frame()).priv == frame.priv and now.sp >= frame.sp)

    def _exactly_in(self, frame: Frame, *addresses: int) -> Goal:
        return Goal(addresses, lambda: (now := self._frame()).priv == frame.priv and now.sp == frame.sp)

    def _trap_of(self, step: int) -> int | None:
        """Run one step and return the cause of the trap it took, or None. The guest is at its end afterwards."""
        if self._engine.icount != step:
            self._engine.seek(step)
        cause = int(self._row_of(step)[4])
        return None if cause == 0 else cause if cause & _INTERRUPT else cause - 1

    def _entry(self) -> Activation:
        """Return how the function around pc was entered, by looking back. The guest then stands anywhere."""
        here, frame = self._engine.icount, self._frame()
        symbol = self._symbols.around(frame.pc)
        if symbol is None or symbol.kind == "object":
            raise NotFound(
                f"no function is known around {frame.pc:#x}", hint="`until LOCATION` runs to an address of your choice"
            )
        goal = Goal((symbol.address,), lambda: self._engine.hart[L.X + 2] >= frame.sp)
        if frame.pc == symbol.address:
            return self._activation(here)
        for _ in range(_NEAREST):
            if not self._backward(0, goal, ()).goal:
                break
            entered = self._engine.icount
            activation = self._activation(entered)
            self._engine.seek(entered)
            if not self._forward(here, activation.goal, ()).goal:
                return activation
            self._engine.seek(entered)  # that one has returned since: look further back
        raise NotFound(
            f"the recording does not show how {symbol.name} was entered", hint="it may be what the guest started with"
        )

    def _activation(self, entered: int) -> Activation:
        """Return the activation that begins at a position. The guest then stands anywhere."""
        self._engine.seek(entered)
        entry = self._frame()
        returns_to = int(self._engine.hart[L.X + 1])
        if entered and self._trap_of(entered - 1) is not None:
            self._engine.seek(entered - 1)
            caller = self._frame()
            insn = self._instruction(caller.pc)
            after = caller.pc + (insn.length if insn else 4)
            return Activation(entered, self._exactly_in(caller, caller.pc, after))
        return Activation(entered, self._back_in(entry, returns_to))
