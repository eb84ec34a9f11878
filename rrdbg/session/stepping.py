"""Steps of source lines: `step`, `next`, `until` and their ways back, with gdb's rules.

Forwards, a line is left when control comes to the start of a row of another line. What is reached in the middle (by a
return into the middle of a call's line, by a jump) is run to its end. Calls are passed over, or entered behind the
prologue where the callee has lines. Backwards, a step ends where a line begins; before the first line of a function
lies the line of the call. Traps that are taken on the way are passed over as a whole.

The same activation is told by its canonical frame address, so that recursion does not deceive. Nothing is looked at
step by step: the ways out of a line, and into it, are known from its instructions, and the guest runs to them at full
speed. Code without call frame information, assembly mostly, goes instruction by instruction, calls and traps as one.

In a function without line information gdb's rule holds: `step` and `next` run until it is left. `set step-mode on`
makes `step` stop in functions without lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import PC, BadCondition, Condition, hart
from rrdbg_core.frozen import Frozen
from rrdbg_core.isa import expr
from rrdbg_core.isa.expr import Ex

from rrdbg.session.api import Stop, StopReason
from rrdbg.session.backtrace import Scopes, begins_at
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.hunt import SP, Goal, Outcome, any_of, not_below
from rrdbg.session.modes import Mode, in_mode
from rrdbg.session.motion import Motion
from rrdbg.session.stepping_code import Flow, Kind, Op, Ranges, inside
from rrdbg.symbols.cfi import How
from rrdbg.symbols.lines import Line
from rrdbg.symbols.scopes import Scope
from rrdbg.symbols.unwind import Frame

MAX_TARGETS = 48
"""Ways out of a line that are run to at once; a line with more goes instruction by instruction."""
_M64 = (1 << 64) - 1


class Activation(Frozen):
    """One call of a function, on its way."""

    cfa: int
    """Its canonical frame address."""
    mode: Mode
    """In what it executes."""
    returns_to: int | None
    """Address behind its call, if known."""
    flow: Flow
    """Its instructions."""
    start: int
    """Address at which it was entered."""


class _Way(Frozen):
    """How a run out of some ranges ended."""

    outcome: Outcome
    """What stopped it."""
    left: bool = False
    """Whether the ranges, or the activation, were left."""
    entered: bool = False
    """Whether that was by a call."""


class Stepping(Motion):
    """The part of a session that steps through source."""

    def _setup(self) -> None:
        super()._setup()
        self.step_mode = False
        self._flows = lru_cache(maxsize=256)(lambda ranges, space: Flow(ranges, self._read_code))

    def _flow_of(self, ranges: Ranges) -> Flow:
        """Return the instructions of some code of the address space at hand."""
        return self._flows(ranges, self._space)

    def _read_code(self, address: int, length: int) -> bytes:
        return self._engine.read(address, length, False)

    # verbs

    def step(self, count: int = 1) -> Stop:
        """Execute to the start of another source line, into functions that have lines."""
        return self._steps("step", count, lambda: self._line_forward(into=True))

    def next_(self, count: int = 1) -> Stop:
        """Execute to the start of another source line, calls as a whole."""
        return self._steps("next", count, lambda: self._line_forward(into=False))

    def _steps(self, title: str, count: int, one: Callable[[], Stop], *, reverse: bool = False) -> Stop:
        if count < 0:
            raise UsageError(f"a count of {count} makes no sense", hint="the reverse- verbs go back")

        def run() -> Stop:
            stop = self._stop(StopReason.STEP, (), reverse=reverse)
            for _ in range(count):
                stop = one()
                if stop.reason is not StopReason.STEP:
                    break
            return stop

        with self._work(title, self.icount, 0 if reverse else self.end):
            return run()

    def _until_next(self) -> Stop:
        if self._symbols.line(self.pc) is None:
            return super()._until_next()
        return self._line_forward(into=False, onwards=True)

    # forwards

    def _line_forward(self, *, into: bool, onwards: bool = False) -> Stop:
        """Step to the start of another line.

        Args:
            into: Whether calls of functions that have lines are entered.
            onwards: Whether what lies before the line, in its function, counts as the line: `until`.
        """
        if self.icount >= self.end:
            return self._stop(StopReason.END, ())
        hidden = self._hidden
        if into and hidden:
            self._hide(hidden - 1)  # the call is inlined: it is entered on the spot
            return self._stop(StopReason.STEP, ())
        row = self._symbols.line(self.pc)
        if row is None and self._function(self.pc) is None:
            raise NotFound(
                "no function and no source line are known here", hint="stepi and nexti go on by instructions"
            )
        line = (row.file, row.line) if row else None
        ranges = self._ranges_of(row, onwards)
        if hidden:
            call = self._symbols.debug.scopes(self.pc)[hidden - 1]
            line, ranges = (call.call_file, call.call_line), (*ranges, *call.ranges)
        inner = self._cfa_now(), self._seen_scopes()
        while True:
            if row is not None and self._here_frame().row is None:
                way = self._left_by_instructions(ranges, into)
            else:
                way = self._leave(ranges, into)
            if way.outcome.hits:
                return self._stop(StopReason.STEP, way.outcome.hits)
            if not way.left:
                return self._stepped(way.outcome, None)
            if way.entered:
                return self._into_body()
            pc = self.pc
            if inside(ranges, pc):
                continue  # returned within the line, as a recursive function may: as in gdb it goes on in the caller
            row = self._symbols.line(pc)
            if row is None:
                return self._stop(StopReason.STEP, ())
            deeper = self._inlined_since(inner)
            if deeper is not None:
                beginning = begins_at(deeper, pc)
                other = (deeper.call_file, deeper.call_line) != line
                if into or (beginning and other):
                    # of a call on another line the line comes first; one on the same line is entered
                    self._hide(max(self._beginning() - (not other), 0))
                    return self._stop(StopReason.STEP, ())
                ranges = (*self._ranges_of(row, False), *deeper.ranges)
                continue
            here: tuple[str, int] | None = (row.file, row.line)
            changed = inner != (self._cfa_now(), self._symbols.debug.scopes(pc))
            if pc == row.address and here != line:
                if row.statement:
                    self._hide(self._beginning())
                    return self._stop(StopReason.STEP, ())
                # no place to stop at: it does not make the line another one
                here = line if not changed else None
            line, inner = here, (self._cfa_now(), self._symbols.debug.scopes(pc))
            ranges = self._ranges_of(row, False)

    def _ranges_of(self, row: Line | None, onwards: bool) -> Ranges:
        """Return the code of a line around pc: its row. Without one that of the whole function."""
        extent = self._function(self.pc)
        if row is None:
            assert extent is not None
            return ((extent[0], max(extent[1], extent[0] + 2)),)
        if onwards and extent is not None and extent[0] <= row.address:
            return ((extent[0], max(row.stop, self.pc + 2)),)
        return ((row.address, max(row.stop, self.pc + 2)),)

    def _inlined_since(self, start: tuple[int | None, Scopes]) -> Scope | None:
        """Return the outermost call, inlined into where a step started, in which the guest is now."""
        inlined = inlined_into(self._symbols.debug.scopes(self.pc), start[1])
        return inlined if inlined is not None and self._cfa_now() == start[0] else None

    def _into_body(self) -> Stop:
        """Run from a function's first instruction to the end of its prologue."""
        extent = self._function(self.pc)
        if extent is not None:
            body = self._body(self.pc, extent[1])
            if body != self.pc:
                mode, cfa = self._frame().mode, self._cfa_now()
                goal = Goal(
                    (body,),
                    lambda: self._frame().mode == mode and self._cfa_now() == cfa,
                    condition=self._cfa_is((body,), mode, cfa),
                )
                return self._stepped(self._forward(self.end, goal), None)
        return self._stop(StopReason.STEP, ())

    def _wants_into(self, address: int) -> bool:
        """Return whether `step` goes into a function."""
        return self.step_mode or self._symbols.line(address) is not None

    # the activation

    def _here_frame(self) -> Frame:
        return self._here_physical().state

    def _cfa_now(self) -> int | None:
        hart = self._engine.hart
        row = self._symbols.frame_rules(int(hart[L.PC]))
        if row is not None and row.cfa.how is How.BASE and 0 < row.cfa.number < 32:
            return (int(hart[L.X + row.cfa.number]) + row.cfa.offset) & _M64
        return self._here_frame().cfa()

    def _cfa_is(self, addresses: Sequence[int], mode: Mode, cfa: int | None, *others: Ex) -> Condition | None:
        """Return the condition of being in the frame of a CFA at one of some addresses, or of something else.

        None where more than registers must be looked at to tell.
        """
        bases: dict[tuple[int, int], list[int]] = {}
        for address in addresses:
            row = self._symbols.frame_rules(address)
            if row is None or row.cfa.how is not How.BASE or not 0 < row.cfa.number < 32:
                return None
            bases.setdefault((row.cfa.number, row.cfa.offset), []).append(address)
        if cfa is None or not bases:
            return None
        # what most addresses have in common holds where nothing else is said
        tree: Ex | None = None
        for (number, offset), places in sorted(bases.items(), key=lambda item: -len(item[1])):
            here = expr.eq(hart(L.X + number) + offset, cfa)
            tree = here if tree is None else expr.select(any_of(PC, places), here, tree)
        assert tree is not None
        for other in others:
            tree = tree | other
        try:
            return in_mode(mode, tree)
        except BadCondition:
            return None

    def _activation_here(self) -> Activation | None:
        """Return the activation in which the guest is; None where its frame cannot be told."""
        frame = self._here_frame()
        cfa = frame.cfa()
        scopes = self._symbols.debug.scopes(frame.pc)
        extent = self._function(frame.pc)
        if cfa is None or (extent is None and not scopes):
            return None
        if scopes:
            ranges, start = scopes[-1].ranges, scopes[-1].low_pc
        else:
            assert extent is not None
            ranges, start = ((extent[0], max(extent[1], frame.pc + 2)),), extent[0]
        caller = self._plausible(frame.returning())
        returns_to = caller.address if caller is not None and caller.address else None
        return Activation(cfa, self._frame().mode, returns_to, self._flow_of(ranges), start)

    def _is_in(self, activation: Activation) -> bool:
        return self._frame().mode == activation.mode and self._cfa_now() == activation.cfa

    def _is_beyond(self, activation: Activation) -> bool:
        """Return whether an activation has returned to where it was called."""
        now = self._frame()
        return now.mode == activation.mode and now.pc == activation.returns_to and now.sp >= activation.cfa

    # out of a line

    def _leave(self, ranges: Ranges, into: bool) -> _Way:
        """Run until control leaves some ranges of the activation, by itself or with the activation.

        Calls are passed over, but for those that `into` enters: they end the run at their first instruction.
        """
        activation = self._activation_here()
        if activation is None:
            return self._left_by_instructions(ranges, into)
        flow = activation.flow
        special = {op.address: op for op in flow.within(ranges) if self._is_special(op, into)}
        targets = flow.exits(ranges) | set(special)
        if activation.returns_to is not None:
            targets.add(activation.returns_to)
        if len(targets) > MAX_TARGETS or not flow.within(ranges):
            return self._left_by_instructions(ranges, into)
        places, back = tuple(sorted(targets)), activation.returns_to
        beyond = () if back is None else (expr.eq(PC, back) & not_below(SP, activation.cfa),)
        goal = Goal(
            places,
            lambda: self._is_in(activation) or self._is_beyond(activation),
            condition=self._cfa_is(places, activation.mode, activation.cfa, *beyond),
        )
        while True:
            op = special.get(self.pc)
            if op is not None and not self._interrupt_due():
                way = self._execute(op, ranges)
                if way is not None:
                    return way
                if inside(ranges, self.pc) and self._is_in(activation):
                    continue
            outcome = self._forward(self.end, goal)
            if outcome.hits or not outcome.goal:
                return _Way(outcome)
            if self.pc not in special or self._is_beyond(activation):
                return _Way(outcome, left=True)

    def _is_special(self, op: Op, into: bool) -> bool:
        """Return whether a run stops before an instruction to see where it goes."""
        if op.kind is Kind.CALL:
            return into and (op.target is None or self._wants_into(op.target))
        return op.kind in (Kind.RETURN, Kind.INDIRECT, Kind.TRAP_RETURN)

    def _execute(self, op: Op, ranges: Ranges) -> _Way | None:
        """Execute an instruction that goes somewhere; None: the run goes on."""
        here = self.icount
        outcome = self._forward(here + 1)
        if outcome.hits or self.icount == here:
            return _Way(outcome)
        if self._trapped(here, op.address):
            return None
        pc = self.pc
        if op.kind is Kind.CALL:
            entered = pc != op.after and self._wants_into(pc)
            return _Way(outcome, left=True, entered=True) if entered else None
        return None if inside(ranges, pc) and op.kind is Kind.INDIRECT else _Way(outcome, left=True)

    def _left_by_instructions(self, ranges: Ranges, into: bool) -> _Way:
        """The same, instruction by instruction, calls and traps as one: for code of which nothing is known."""
        while True:
            insn = self._instruction(self.pc)
            if into and insn is not None and insn.is_call and not self._interrupt_due():
                here, at = self.icount, self.pc
                outcome = self._forward(here + 1)
                if outcome.hits or self.icount == here:
                    return _Way(outcome)
                if self.pc != at + insn.length and self._wants_into(self.pc) and not self._trapped(here, at):
                    return _Way(outcome, left=True, entered=True)
                self._engine.seek(here)
            stop = self._nexti_outcome()
            if stop is not None:
                return stop
            if not inside(ranges, self.pc):
                return _Way(Outcome(goal=True), left=True)

    def _nexti_outcome(self) -> _Way | None:
        """Execute one instruction, calls and traps as one; None: the run goes on."""
        start = self.icount
        if start >= self.end:
            return _Way(Outcome())
        outcome = self._nexti_run()
        if outcome.hits or not (outcome.goal or self.icount < self.end):
            return _Way(outcome)
        return None


def inlined_into(scopes: Scopes, base: Scopes) -> Scope | None:
    """Return the outermost of the calls that were inlined into the innermost scope of `base`; () is anywhere."""
    if not base or len(scopes) <= len(base) or scopes[len(scopes) - len(base) :] != base:
        return None
    return scopes[len(scopes) - len(base) - 1]
