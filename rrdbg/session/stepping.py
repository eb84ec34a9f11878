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

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import PC, BadCondition, Condition, hart
from rrdbg_core.isa import expr
from rrdbg_core.isa.expr import Ex

from rrdbg.session.api import Stop, StopReason
from rrdbg.session.backtrace import Scopes, begins_at
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.hunt import SP, Goal, Outcome, any_of, at_privilege, not_below
from rrdbg.session.motion import Motion
from rrdbg.session.stepping_code import Flow, Kind, Op, Ranges, inside
from rrdbg.symbols.cfi import How
from rrdbg.symbols.debuginfo import Scope
from rrdbg.symbols.lines import Line
from rrdbg.symbols.unwind import Frame

MAX_TARGETS = 48
"""Ways out of a line that are run to at once; a line with more goes instruction by instruction."""
NEAR = 1 << 12
"""Steps in which a way back looks first: a short search is a quick one."""
MAX_VISITS = 100_000
"""Lines that a way back may pass that are no place to stop at."""
_M64 = (1 << 64) - 1


@dataclass(frozen=True)
class Activation:
    """One call of a function, on its way."""

    cfa: int
    """Its canonical frame address."""
    priv: int
    """Privilege mode."""
    returns_to: int | None
    """Address behind its call, if known."""
    flow: Flow
    """Its instructions."""
    start: int
    """Address at which it was entered."""


@dataclass(frozen=True)
class _Way:
    """How a run out of some ranges ended."""

    outcome: Outcome
    """What stopped it."""
    left: bool = False
    """Whether the ranges, or the activation, were left."""
    entered: bool = False
    """Whether that was by a call."""


@dataclass(frozen=True)
class _Visit:
    """A visit of a line, as far as a way back has to know."""

    begins: int | None
    """Its first position; None: the way back leads into a callee, or out of the recording."""
    before: int | None
    """A position in what comes before it; None: nothing in the recording."""
    elsewhere: bool = False
    """Whether that is another activation."""


class Stepping(Motion):
    """The part of a session that steps through source."""

    def _setup(self) -> None:
        super()._setup()
        self.step_mode = False
        self._keys_of = lru_cache(maxsize=256)(self._keys)
        self._flow_of = lru_cache(maxsize=256)(lambda ranges: Flow(ranges, self._read_code))

    def _read_code(self, address: int, length: int) -> bytes:
        return self._engine.read(address, length, False)

    # verbs

    def step(self, count: int = 1) -> Stop:
        """Execute to the start of another source line, into functions that have lines."""
        return self._steps("step", count, lambda: self._line_forward(into=True))

    def next_(self, count: int = 1) -> Stop:
        """Execute to the start of another source line, calls as a whole."""
        return self._steps("next", count, lambda: self._line_forward(into=False))

    def reverse_step(self, count: int = 1) -> Stop:
        """Go back to the start of the previous line, into functions that have lines."""
        return self._steps("reverse-step", count, lambda: self._line_back(into=True), reverse=True)

    def reverse_next(self, count: int = 1) -> Stop:
        """Go back to the start of the previous line, calls as a whole."""
        return self._steps("reverse-next", count, lambda: self._line_back(into=False), reverse=True)

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
                priv, cfa = self._frame().priv, self._cfa_now()
                goal = Goal(
                    (body,),
                    lambda: self._frame().priv == priv and self._cfa_now() == cfa,
                    condition=self._cfa_is((body,), priv, cfa),
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

    def _cfa_is(self, addresses: Sequence[int], priv: int, cfa: int | None, *others: Ex) -> Condition | None:
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
            return at_privilege(priv, tree)
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
        caller = self._plausible(frame.caller())
        returns_to = caller.address if caller is not None and caller.address else None
        return Activation(cfa, self._frame().priv, returns_to, self._flow_of(ranges), start)

    def _is_in(self, activation: Activation) -> bool:
        return self._frame().priv == activation.priv and self._cfa_now() == activation.cfa

    def _is_beyond(self, activation: Activation) -> bool:
        """Return whether an activation has returned to where it was called."""
        now = self._frame()
        return now.priv == activation.priv and now.pc == activation.returns_to and now.sp >= activation.cfa

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
            condition=self._cfa_is(places, activation.priv, activation.cfa, *beyond),
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

    # backwards

    def _line_back(self, *, into: bool) -> Stop:
        """Go back to where a line begins."""
        start = self.icount
        if start == 0:
            return self._stop(StopReason.START, (), reverse=True)
        goal = self._line_begin(start, into)
        self._engine.seek(start)
        outcome = self._backward(goal or 0)
        if not outcome.hits and goal is not None:
            self._hide(0 if into else self._beginning())
        return self._stepped(outcome, goal, reverse=True)

    def _line_begin(self, start: int, into: bool) -> int | None:
        """Return the latest position before `start` at which a line begins; None: the recording begins first.

        It lies in the same activation, in one that was called and that `into` goes into, or in a caller. The guest then
        stands anywhere.
        """
        base = () if into else self._seen_scopes()
        position = start
        for _ in range(MAX_VISITS):
            self._engine.seek(position)
            visit = self._visit(position, into, base)
            if visit.begins is not None and visit.begins < start:
                self._engine.seek(visit.begins)
                if self._is_begin_here(base):
                    return visit.begins
            if visit.before is None:
                return None
            position = visit.before
            if visit.elsewhere:
                self._engine.seek(position)
                if self._symbols.line(self.pc) is None:
                    return position
                base = () if into else self._symbols.debug.scopes(self.pc)
        return None

    def _is_begin_here(self, base: Scopes) -> bool:
        """Return whether a step may end at the guest's position, where a visit begins: at the start of a row."""
        pc = self.pc
        inlined = inlined_into(self._symbols.debug.scopes(pc), base)
        if inlined is not None:
            return begins_at(inlined, pc)
        row = self._symbols.line(pc)
        if row is None or row.address != pc or not row.statement:
            return False
        extent = self._extent(pc)
        return extent is None or pc != extent[0] or self._body(*extent) == pc

    def _extent(self, pc: int) -> tuple[int, int] | None:
        """Return the function around an address: where it is entered, and the end of the code there."""
        scopes = self._symbols.debug.scopes(pc)
        if scopes:
            start = scopes[-1].low_pc
            return start, next((hi for lo, hi in scopes[-1].ranges if lo <= start < hi), start)
        return self._function(pc)

    def _visit(self, position: int, into: bool, base: Scopes) -> _Visit:
        """Return the visit of a line that a position belongs to: what an activation spends on one line without a break.

        Calls and traps are left out, but where `into` would have entered a callee, the way back enters it at its end.
        The guest stands at the position, and then anywhere.
        """
        activation = self._activation_here()
        if activation is None or self._here_frame().row is None:
            return self._visit_by_instructions(position, base)
        flow = activation.flow
        ranges = self._ranges_of_key(activation, base, self._key(self.pc, base))
        entries = flow.entries(ranges)
        if inside(ranges, activation.start):
            entries.add(activation.start)
        returns = {
            op.after: op.address
            for op in flow.by_address.values()
            if into and op.kind is Kind.CALL and inside(ranges, op.after)
            if op.target is None or self._wants_into(op.target)
        }
        targets = entries | set(returns)
        if len(targets) > MAX_TARGETS or not ranges:
            return self._visit_by_instructions(position, base)
        places = tuple(sorted(targets))
        goal = Goal(
            places,
            lambda: self._is_in(activation),
            condition=self._cfa_is(places, activation.priv, activation.cfa),
        )
        at = position
        while True:
            pc = self.pc
            if pc in returns:
                end = self._returned_at(at)
                if end is not None:
                    return _Visit(None if inside(ranges, returns[pc]) else at, end, elsewhere=True)
                self._engine.seek(at)
            if pc == activation.start and inside(ranges, pc):
                before = self._entered_at(at, activation)
                if before is not None:
                    return _Visit(at, before if before >= 0 else None, elsewhere=True)
                self._engine.seek(at)
            if not self._back_to(goal):
                return _Visit(None, None)
            at = self.icount
            if self.pc in entries and not inside(ranges, self.pc):
                self._nexti_run(())
                return _Visit(min(self.icount, position), at)

    def _back_to(self, goal: Goal) -> bool:
        """Go back to the latest place before here that is a goal: mostly it is near."""
        near = max(self.icount - NEAR, 0)
        return self._backward(near, goal, ()).goal or (near > 0 and self._backward(0, goal, ()).goal)

    def _returned_at(self, position: int) -> int | None:
        """Return the step of the return that led to a position, if it was one from a function that has lines."""
        position = self._before_traps(position)
        if position == 0:
            return None
        self._engine.seek(position - 1)
        insn = self._instruction(self.pc)
        if insn is None or not insn.is_return or not self._wants_into(self.pc):
            return None
        return None if self._trap_at(position - 1) else position - 1

    def _entered_at(self, position: int, activation: Activation) -> int | None:
        """Return the step by which a function was entered at a position; -1: the recording begins with it.

        None: it was in the function before, and went on there.
        """
        position = self._before_traps(position)
        if position == 0:
            return -1
        self._engine.seek(position - 1)
        op = activation.flow.by_address.get(self.pc)
        same = op is not None and op.kind is not Kind.CALL and self._is_in(activation)
        return None if same and not self._trap_at(position - 1) else position - 1

    def _trap_at(self, step: int) -> bool:
        """Return whether a step took a trap. The guest then stands behind it."""
        return self._trap_of(step) is not None

    def _visit_by_instructions(self, position: int, base: Scopes) -> _Visit:
        """The same, instruction by instruction, calls and traps as one."""
        key, sp = self._key(self.pc, base), self._frame().sp
        at = position
        while True:
            before = at
            outcome = self._reverse_nexti_run(())
            if not outcome.goal:
                return _Visit(None if before == position else before, None)
            at = self.icount
            now = self._frame()
            if self._key(now.pc, base) != key:
                function, was = self._function(now.pc), self._function_at(before)
                elsewhere = function != was
                self._engine.seek(at)
                return _Visit(before, at, elsewhere=elsewhere and now.sp != sp)

    def _function_at(self, position: int) -> tuple[int, int] | None:
        self._engine.seek(position)
        return self._function(self.pc)

    # lines as a step sees them

    def _key(self, pc: int, base: Scopes) -> Key:
        """Return the line of an address, as a step sees it that started in `base`: of what is inlined there, the call.

        A prologue is a line of its own. None: there is no line.
        """
        inlined = inlined_into(self._symbols.debug.scopes(pc), base)
        if inlined is not None:
            return inlined.call_file, inlined.call_line
        row = self._symbols.line(pc)
        if row is None:
            return None
        extent = self._extent(pc)
        if extent is not None and extent[0] <= pc < self._body(*extent):
            return "prologue", extent[0]
        return row.file, row.line

    def _ranges_of_key(self, activation: Activation, base: Scopes, key: Key) -> Ranges:
        """Return the code of a function that belongs to a line."""
        found: list[tuple[int, int]] = []
        for lo, hi, this in self._keys_of(activation.flow.ranges, base):
            if this == key:
                if found and found[-1][1] == lo:
                    found[-1] = (found[-1][0], hi)
                else:
                    found.append((lo, hi))
        return tuple(found)

    def _keys(self, ranges: Ranges, base: Scopes) -> tuple[tuple[int, int, Key], ...]:
        """Return the stretches of a function with their lines."""
        found: list[tuple[int, int, Key]] = []
        for lo, hi in ranges:
            extent = self._extent(lo)
            cuts = {lo, hi}
            for row in self._symbols.lines_between(lo, hi):
                cuts |= {row.address, row.stop}
            for scope in self._inlined_in(lo, hi):
                cuts |= {at for pair in scope.ranges for at in pair}
            if extent is not None:
                cuts.add(self._body(*extent))
            edges = sorted(at for at in cuts if lo <= at <= hi)
            found += [(a, b, self._key(a, base)) for a, b in itertools.pairwise(edges)]
        return tuple(found)

    def _inlined_in(self, lo: int, hi: int) -> set[Scope]:
        """Return the calls that were inlined into some code."""
        rows = self._symbols.lines_between(lo, hi)
        return {scope for row in rows for scope in self._symbols.debug.scopes(row.address) if scope.kind == "inline"}


def inlined_into(scopes: Scopes, base: Scopes) -> Scope | None:
    """Return the outermost of the calls that were inlined into the innermost scope of `base`; () is anywhere."""
    if not base or len(scopes) <= len(base) or scopes[len(scopes) - len(base) :] != base:
        return None
    return scopes[len(scopes) - len(base) - 1]


Key = tuple[str, int] | None
"""A line, as a step sees it."""
