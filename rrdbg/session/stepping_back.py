"""Steps of source lines backwards: `reverse-step` and `reverse-next`.

A way back ends where a line begins: at the start of a row of the line table, where what the activation did before was
on another line. So it ends where a step forwards ends; what is reached in the middle is passed. What a line, or a whole
function, was entered by is known from the instructions that lead there: the guest is searched backwards for them, in
the same activation.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

from rrdbg_core.frozen import Frozen

from rrdbg.session.api import Stop, StopReason
from rrdbg.session.backtrace import Scopes, begins_at
from rrdbg.session.hunt import Goal
from rrdbg.session.stepping import MAX_TARGETS, Activation, Stepping, inlined_into
from rrdbg.session.stepping_code import Kind, Ranges, inside
from rrdbg.symbols.scopes import Scope

NEAR = 1 << 12
"""Steps in which a way back looks first: a short search is a quick one."""
MAX_VISITS = 100_000
"""Lines that a way back may pass that are no place to stop at."""

Key = tuple[str, int] | None
"""A line, as a step sees it."""


class _Visit(Frozen):
    """A visit of a line, as far as a way back has to know."""

    begins: int | None
    """Its first position; None: the way back leads into a callee, or out of the recording."""
    before: int | None
    """A position in what comes before it; None: nothing in the recording."""
    elsewhere: bool = False
    """Whether that is another activation."""


class SteppingBack(Stepping):
    """The part of a session that steps back through source."""

    def _setup(self) -> None:
        super()._setup()
        self._keys_of = lru_cache(maxsize=256)(self._keys)

    def reverse_step(self, count: int = 1) -> Stop:
        """Go back to the start of the previous line, into functions that have lines."""
        return self._steps("reverse-step", count, lambda: self._line_back(into=True), reverse=True)

    def reverse_next(self, count: int = 1) -> Stop:
        """Go back to the start of the previous line, calls as a whole."""
        return self._steps("reverse-next", count, lambda: self._line_back(into=False), reverse=True)

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
            return self._visit_by_instructions(position, into, base)
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
            return self._visit_by_instructions(position, into, base)
        places = tuple(sorted(targets))
        goal = Goal(
            places,
            lambda: self._is_in(activation),
            condition=self._cfa_is(places, activation.mode, activation.cfa),
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

    def _visit_by_instructions(self, position: int, into: bool, base: Scopes) -> _Visit:
        """The same, instruction by instruction, calls and traps as one: for code of which nothing is known."""
        key, sp = self._key(self.pc, base), self._frame().sp
        at = position
        while True:
            before, pc = at, self.pc
            if into:
                end = self._returned_at(at)
                if end is not None:
                    return _Visit(None if self._key(pc - 2, base) == key else at, end, elsewhere=True)
                self._engine.seek(at)
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
