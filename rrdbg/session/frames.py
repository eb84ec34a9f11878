"""Calls and returns at instruction level: what nexti and finish step over, found without debug information.

A call returns when its return address is reached with the stack pointer it was made with. A deeper call of the same
function has a lower stack pointer, so recursion does not deceive.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL
from rrdbg_core.cpu.condition import Condition, both
from rrdbg_core.frozen import Frozen
from rrdbg_core.isa import expr

from rrdbg.session.decoding import TRAP_RETURNS, Instruction, instruction
from rrdbg.session.errors import NotFound
from rrdbg.session.hunt import SP, Goal, Hunt, any_of, not_below
from rrdbg.session.modes import EPC, PRIV_U, Mode, came_from, in_mode, mode_of, trapped_at, trapped_from

T0 = 5
"""Register that routines which save registers for others return through."""
_NEAREST = 64
"""Entries of a function looked at before the search for the current activation is given up."""


class Frame(Frozen):
    """What tells one activation from another."""

    pc: int
    """Program counter."""
    sp: int
    """Stack pointer."""
    mode: Mode
    """In what it executes."""


class Activation(Frozen):
    """How the current function was entered."""

    entered: int
    """Position of its first instruction."""
    goal: Goal
    """Where and when it returns."""


class Frames(Hunt):
    """The part of a session that knows calls."""

    def _frame(self) -> Frame:
        hart = self._engine.hart
        return Frame(int(hart[L.PC]), int(hart[L.X + 2]), mode_of(hart))

    def _instruction(self, address: int) -> Instruction | None:
        data = self._engine.read(address, 4, False)
        if len(data) < 2 or (data[0] & 3 == 3 and len(data) < 4):
            return None
        return instruction(int.from_bytes(data, "little"), address)

    def _at(self, addresses: tuple[int, ...]) -> Goal:
        """Return the goal of coming to places, in the address space that a breakpoint there would be in."""
        space = self._space_of(addresses)
        if space == PHYSICAL:
            return Goal(addresses)
        mode = Mode(PRIV_U, space)
        return Goal(addresses, lambda: mode_of(self._engine.hart) == mode, condition=in_mode(mode))

    def _back_in(self, frame: Frame, *addresses: int) -> Goal:
        """Return the goal of being at one of the addresses in the frame again, or further out."""
        return Goal(
            addresses,
            lambda: (now := self._frame()).mode == frame.mode and now.sp >= frame.sp,
            condition=in_mode(frame.mode, not_below(SP, frame.sp)),
        )

    def _after(self, frame: Frame, insn: Instruction) -> Goal:
        """Return the goal of having returned from a call."""
        address = frame.pc + insn.length
        if insn.rd == T0:
            # routines that save registers for others are called through t0 and move sp
            return Goal((address,), lambda: self._frame().mode == frame.mode, condition=in_mode(frame.mode))
        return self._back_in(frame, address)

    def _exactly_in(self, frame: Frame, *addresses: int) -> Goal:
        return Goal(
            addresses,
            lambda: (now := self._frame()).mode == frame.mode and now.sp == frame.sp,
            condition=in_mode(frame.mode, expr.eq(SP, frame.sp)),
        )

    def _taken_from(self, frame: Frame) -> Goal:
        """Return the goal of being where a trap was taken that has returned to `frame`.

        An interrupt returns to where it was taken, an exception there or behind its instruction. sp tells the tasks of
        a kernel apart, and the levels of nested traps.
        """
        places = {frame.pc, *(at for at in (frame.pc - 2, frame.pc - 4) if self._length_at(at) == frame.pc - at)}

        def test() -> bool:
            hart = self._engine.hart
            at_place = trapped_at(hart) in places and int(hart[L.X + 2]) == frame.sp
            return at_place and trapped_from(hart) == frame.mode

        condition = both(
            came_from(frame.mode),
            Condition(expr.eq(SP, frame.sp) & any_of(EPC, sorted(places))),
        )
        return Goal(test=test, traps=True, condition=condition)

    def _trapped(self, step: int, pc: int) -> bool:
        """Return whether a step that has just been made, at `pc`, took a trap. The guest is at its end, before too."""
        return trapped_at(self._engine.hart) == pc and self._trap_of(step) is not None

    def _length_at(self, address: int) -> int:
        insn = self._instruction(address)
        return insn.length if insn else 0

    def _entry(self) -> Activation:
        """Return how the function around pc was entered, by looking back. The guest then stands anywhere."""
        here, frame = self._engine.icount, self._frame()
        symbol = self._symbols.around(frame.pc)
        if symbol is None or symbol.kind == "object":
            raise NotFound(
                f"no function is known around {frame.pc:#x}", hint="`until LOCATION` runs to an address of your choice"
            )
        if frame.mode.space != PHYSICAL:
            goal = self._back_in(frame, symbol.address)
        else:  # it may have changed its mode since
            goal = Goal(
                (symbol.address,),
                lambda: self._engine.hart[L.X + 2] >= frame.sp,
                condition=Condition(not_below(SP, frame.sp)),
            )
        if frame.pc == symbol.address:
            return self._activation(here)
        for _ in range(_NEAREST):
            if not self._backward(0, goal, ()).goal:
                break
            entered = self._engine.icount
            activation = self._activation(entered)
            self._engine.seek(entered)
            if not self._comes_to(activation.goal, here):
                return activation
            self._engine.seek(entered)  # that one has returned since: look further back
        raise NotFound(
            f"the recording does not show how {symbol.name} was entered", hint="it may be what the guest started with"
        )

    def _comes_to(self, goal: Goal, limit: int) -> bool:
        """Run to a position; return whether a goal was reached by then, even if an interrupt comes first there."""
        start = self._engine.icount
        if self._forward(limit, goal, ()).goal:
            return True
        return start < limit and self._frame().pc in goal.addresses and goal.test()

    def _activation(self, entered: int) -> Activation:
        """Return the activation that begins at a position. The guest then stands anywhere."""
        entered = self._before_traps(entered)
        if entered == 0:
            raise NotFound("this is the outermost function: nothing called it", hint="the guest starts with it")
        self._engine.seek(entered)
        entry = self._frame()
        returns_to = int(self._engine.hart[L.X + 1])
        trapped = self._trap_of(entered - 1) is not None
        self._engine.seek(entered - 1)
        caller = self._frame()
        insn = self._instruction(caller.pc)
        if trapped:
            after = caller.pc + (insn.length if insn else 4)
            return Activation(entered, self._exactly_in(caller, caller.pc, after))
        if insn is not None and insn.is_call:
            return Activation(entered, self._after(caller, insn))
        return Activation(entered, self._back_in(entry, returns_to))  # a jump: it returns for whoever jumped

    def _before_traps(self, entered: int) -> int:
        """Return when a place was reached first, that a trap was taken at before its instruction was executed."""
        while entered:
            self._engine.seek(entered)
            frame = self._frame()
            self._engine.seek(entered - 1)
            insn = self._instruction(self._frame().pc)
            if insn is None or insn.name not in TRAP_RETURNS or self._trap_of(entered - 1) is not None:
                break
            self._engine.seek(entered - 1)
            taken = self._backward(0, self._taken_from(frame), ()).goal
            if not taken or self._frame().pc != frame.pc:
                break
            entered = self._engine.icount
        return entered
