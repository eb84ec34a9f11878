"""The search for the next or the previous stop.

A *hit* belongs to a step n. A breakpoint hits before it, at position n in both directions. A watchpoint or catchpoint
hits in it: forwards the stop is at n + 1, backwards at n. What watches compare is the guest at positions n and n + 1,
so that a device's write between the two counts as well.

The engine knows conditions and counts as well, and passes over what does not stop at full speed. What it cannot judge
(see `Gated`) stops it, and is judged here. Conditions that it cannot know at all are judged here hit by hit: backwards,
windows are walked forwards, the newest window first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL, is_fetchable, space_of, translate
from rrdbg_core.cpu.condition import Condition, hart
from rrdbg_core.cpu.interrupts import interrupt_due
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.errors import RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.isa import expr
from rrdbg_core.isa.expr import Ex

from rrdbg.session.api import PointKind
from rrdbg.session.csrs import cause_text
from rrdbg.session.engine import Found, Gated, Targets, Words
from rrdbg.session.modes import mode_of
from rrdbg.session.points import Points, PointState, targets_of

_INTERRUPT = 1 << 63
_FIRST_WINDOW, _LAST_WINDOW = 1 << 12, 1 << 18
"""Steps that are judged hit by hit in one go. A hit costs some 20 us, were it the millionth in a row."""


class Hit(Frozen):
    """A point that was hit in a step."""

    point: PointState
    """The point."""
    access: str = ""
    """"read", "write", "trap", or empty for breakpoints."""
    address: int | None = None
    """Address of the access."""
    old: int | None = None
    """Watched value before: as many bytes as are watched, as a number."""
    new: int | None = None
    """Watched value after."""
    problem: str = ""
    """Why the condition could not be evaluated."""
    cause: str = ""
    """The trap, in words."""


SP = hart(L.X + 2)
"""The stack pointer, in conditions."""


def not_below(value: Ex, bound: int) -> Ex:
    """Return whether an address is not below another one."""
    return expr.eq(expr.ltu(value, bound), 0)


def any_of(value: Ex, numbers: Sequence[int]) -> Ex:
    """Return whether a value is one of some numbers, at least one."""
    if len(numbers) == 1:
        return expr.eq(value, numbers[0])
    half = len(numbers) // 2
    return any_of(value, numbers[:half]) | any_of(value, numbers[half:])


def always() -> bool:
    """Return True: what a goal tests that tests nothing."""
    return True


class Goal(Frozen):
    """An internal breakpoint or catchpoint."""

    addresses: tuple[int, ...] = ()
    """Where: instructions about to be executed."""
    test: Callable[[], bool] = always
    """Whether it counts; called with the guest standing before the instruction, or behind the trap."""
    traps: bool = False
    """Whether steps that take a trap count, instead of addresses. Only backwards."""
    condition: Condition | None = None
    """The test as the engine judges it, if it can."""

    @property
    def judged_by_engine(self) -> bool:
        """Whether the engine can tell when it is reached."""
        return self.condition is not None or self.test is always

    def targets(self) -> Targets | Gated:
        """Return what the engine has to look for."""
        plain = Targets(self.addresses, exceptions=self.traps, interrupts=self.traps)
        return plain if self.condition is None else Gated(plain, self.condition)


class Outcome(Frozen):
    """How a search ended."""

    hits: tuple[Hit, ...] = ()
    """Points that stop it."""
    goal: bool = False
    """Whether the goal was reached."""


class Hunt(Points):
    """The part of a session that searches."""

    def _active(self) -> list[PointState]:
        return [point for point in self._points.values() if point.enabled]

    # forwards

    def _forward(self, limit: int, goal: Goal | None = None, points: Sequence[PointState] | None = None) -> Outcome:
        """Run to the first stop, or to `limit`. The start position itself does not count for breakpoints."""
        active = self._active() if points is None else list(points)
        start = self._engine.icount
        while self._engine.icount < limit:
            targets, behind = targets_of(active, goal.targets() if goal else None, count=True)
            if not targets.any:  # nothing can stop it: by the snapshots
                self._engine.seek(limit)
                break
            began = self._engine.icount
            found = self._engine.run(limit, targets)
            if self._learned(active, began + 1, self._engine.icount):
                self._engine.seek(began)
                continue
            self._passed(behind)
            hits: list[Hit] = []
            if found is not None and not found.is_break:
                hits += self._in_last_step(active, found)
            if self._engine.icount > start:
                hits += self._before_next(active)
            stops = [hit for hit in map(self._judge, hits) if hit is not None and self._counts(hit)]
            reached = goal is not None and self._engine.icount > start and self._at_goal(goal)
            if stops or reached:
                return Outcome(tuple(stops), reached)
        return Outcome()

    def _learned(self, active: Sequence[PointState], lo: int, hi: int) -> bool:
        """Return whether a physical breakpoint was passed in the steps lo <= n < hi, by an address now known.

        The engine stops at virtual addresses, and none of those that are known was passed. If nothing was passed, the
        guest stands where it stood.
        """
        here = self._engine.icount
        physical = [point for point in active if point.physical]
        if not physical or lo >= hi:
            return False
        for point in physical:
            if not self._engine.executed(lo, hi, point.addresses):
                continue
            first, stop = lo, hi
            while stop - first > 1:
                middle = (first + stop) // 2
                first, stop = (
                    (first, middle) if self._engine.executed(first, middle, point.addresses) else (middle, stop)
                )
            self._engine.seek(first)
            pc = int(self._engine.hart[L.PC])
            if pc not in point.aliases and self._is_at(point, pc):
                point.aliases = (*point.aliases, pc)
                return True
        self._engine.seek(here)
        return False

    def _passed(self, points: Sequence[PointState]) -> None:
        """Count what the engine has passed over."""
        for point, passed in zip(points, self._engine.passed, strict=False):
            point.hits += passed
            point.ignore -= passed

    def _at_goal(self, goal: Goal) -> bool:
        return int(self._engine.hart[L.PC]) in goal.addresses and self._executes() and goal.test()

    def _executes(self) -> bool:
        """Return whether an instruction is about to be executed: no interrupt comes first, and it can be fetched."""
        hart = self._engine.hart
        return not self._interrupt_due() and is_fetchable(hart, int(hart[L.PC]), self._ram)

    def _interrupt_due(self) -> bool:
        """Return whether the next step takes an interrupt instead of the instruction at pc."""
        return interrupt_due(self._engine.hart)

    def _before_next(self, active: Sequence[PointState]) -> list[Hit]:
        pc = int(self._engine.hart[L.PC])
        found = [Hit(point) for point in active if point.is_break and self._is_at(point, pc)]
        return found if found and self._executes() else []

    def _is_at(self, point: PointState, pc: int) -> bool:
        """Return whether a breakpoint stands where the hart does."""
        hart = self._engine.hart
        if point.physical:
            return translate(space_of(hart), pc, self._ram) in point.addresses
        return pc in point.addresses and point.space in (PHYSICAL, mode_of(hart).space)

    def _in_last_step(self, active: Sequence[PointState], found: Found, goal: Goal | None = None) -> list[Hit]:
        """Return what was hit in the step that just ended. The guest is at its end, before and after."""
        watching = [point for point in active if not point.is_break]
        if len(watching) == 1 and found.whole and not (goal and goal.traps):
            if watching[0].kind is PointKind.WATCH and watching[0].length:
                hit = self._quick_hit(watching[0], found)
                return [hit] if hit.old != hit.new else []
            if watching[0].register:
                return [Hit(watching[0], "write", None, found.old, found.new)]
        return self._examine(self._engine.icount - 1, watching) if watching else []

    def _quick_hit(self, point: PointState, found: Found) -> Hit:
        """Return the hit of the only watchpoint there is, from what the kernel remembers."""
        access = "write" if found.is_write else "read"
        new = self._watched(point)
        old = bytearray(new)
        if found.is_write:
            before = found.old.to_bytes(8, "little")
            behind = 0
            for start, length in point.places:
                for i in range(max(start - found.address, 0), min(start + length - found.address, found.size, 8)):
                    old[behind + found.address + i - start] = before[i]
                behind += length
        return Hit(point, access, point.address_of(found.address), _number(bytes(old)), _number(new))

    def _watched(self, point: PointState) -> bytes:
        if len(point.places) == 1:
            return self._ram(*point.places[0])
        return b"".join(self._ram(start, length) for start, length in point.places)

    def _examine(self, step: int, watching: Sequence[PointState]) -> list[Hit]:
        """Run one step and return what was hit in it. The guest is at its end afterwards."""
        if self._engine.icount != step:
            self._engine.seek(step)
        before_step = self._engine.hart.copy()
        before = {point.number: self._watched(point) for point in watching if point.length}
        row = self._row_of(step)
        hits: list[Hit] = []
        for point in watching:
            hit = self._compare(point, row, before.get(point.number, b""), before_step)
            if hit is not None:
                hits.append(hit)
        return hits

    def _row_of(self, step: int) -> Words:
        """Run one step with the log on and return its row."""
        rows: list[Words] = []
        self._engine.log(step, step + 1, rows.append)
        row: Words = rows[-1][-1]
        return row

    def _trap_of(self, step: int) -> int | None:
        """Run one step and return the cause of the trap it took, or None. The guest is at its end afterwards."""
        if self._engine.icount != step:
            self._engine.seek(step)
        cause = int(self._row_of(step)[4])
        return None if cause == 0 else cause if cause & _INTERRUPT else cause - 1

    def _compare(self, point: PointState, row: Words, before: bytes, hart: Words) -> Hit | None:
        if point.kind is PointKind.CATCH:
            cause = int(row[4])
            cause = cause if cause & _INTERRUPT else cause - 1
            return Hit(point, "trap", cause=cause_text(cause)) if cause >= 0 and point.catches(cause) else None
        if point.register:
            word = L.register_word(point.register)
            old, new = int(hart[word]), int(self._engine.hart[word])
            return Hit(point, "write", None, old, new) if old != new else None
        after = self._watched(point)
        old_value, new_value = _number(before), _number(after)
        wanted = {PointKind.WATCH: (), PointKind.RWATCH: ("read",), PointKind.AWATCH: ("read", "write")}[point.kind]
        writer: int | None = None
        for access, address, spans in accesses_of(row):
            if any(point.overlaps(*span) for span in spans):
                if access in wanted:
                    return Hit(point, access, address, old_value, new_value)
                writer = address if access == "write" else writer
        if point.kind is not PointKind.RWATCH and before != after:
            start = point.addresses[0]
            return Hit(point, "write", writer if writer is not None else start, old_value, new_value)
        return None

    def _judge(self, hit: Hit) -> Hit | None:
        """Return the hit if its condition holds here; one that cannot be evaluated stops, as in gdb."""
        condition = hit.point.condition
        if hit.point.program and not self._symbols.counts(hit.point.program):
            return None
        if condition is None:
            return hit
        try:
            return hit if condition.holds(self) else None
        except RrdbgError as error:
            return Hit(hit.point, hit.access, hit.address, hit.old, hit.new, error.message, hit.cause)

    def _counts(self, hit: Hit) -> bool:
        """Count a hit whose condition holds, and return whether it stops."""
        hit.point.hits += 1
        if hit.point.ignore:
            hit.point.ignore -= 1
            return False
        return True

    # backwards

    def _backward(self, floor: int, goal: Goal | None = None, points: Sequence[PointState] | None = None) -> Outcome:
        """Run back to the first stop, or to `floor`. The start position itself does not count."""
        active = self._active() if points is None else list(points)
        if all(point.judged_by_engine for point in active) and (goal is None or goal.judged_by_engine):
            candidates = self._candidates(floor, active, goal)
        else:
            candidates = self._judged(floor, active, goal)
        for step, hits, reached in candidates:
            stops = tuple(hit for hit in hits if self._counts(hit))
            if stops or reached:
                self._engine.seek(step)
                return Outcome(stops, reached)
        self._engine.seek(floor)
        return Outcome()

    def _candidates(
        self, floor: int, active: list[PointState], goal: Goal | None
    ) -> Iterator[tuple[int, list[Hit], bool]]:
        """Yield the steps that hit something under its condition, the newest first, found by the engine."""
        watching = [point for point in active if not point.is_break]
        upper = self._engine.icount
        while upper > floor:
            targets, behind = targets_of(active, goal.targets() if goal else None, count=True)
            step = self._engine.last_hit(floor, upper, targets) if targets.any else None
            self._passed(behind)
            if step is None:
                return
            self._engine.seek(step)
            hits = self._before_next(active)
            judged = [hit for hit in map(self._judge, hits) if hit is not None]
            reached = goal is not None and self._at_goal(goal)
            if watching:
                hits = self._examine(step, watching)
                judged += [hit for hit in map(self._judge, hits) if hit is not None]
            if goal is not None and goal.traps:
                reached = self._trap_of(step) is not None and goal.test()
            yield step, judged, reached
            upper = step

    def _judged(self, floor: int, active: list[PointState], goal: Goal | None) -> Iterator[tuple[int, list[Hit], bool]]:
        """Yield the steps that hit something under its condition, the newest first.

        The engine finds where something could hit; from there windows are judged hit by hit. They grow, so that the
        stop that is near is found at once, and the one that is far with few beginnings.
        """
        targets, _ = targets_of(active, goal.targets() if goal else None, count=False)
        upper = self._engine.icount
        size = _FIRST_WINDOW
        while targets.any and upper > floor:
            step = self._engine.last_hit(floor, upper, targets)
            if self._learned(active, floor if step is None else step + 1, upper):
                targets, _ = targets_of(active, goal.targets() if goal else None, count=False)
                continue
            if step is None:
                return
            lower = max(step + 1 - size, floor)
            yield from reversed(list(self._window(lower, step + 1, active, goal)))
            upper = lower
            size = min(size * 4, _LAST_WINDOW)

    def _window(
        self, lower: int, upper: int, active: list[PointState], goal: Goal | None
    ) -> Iterator[tuple[int, list[Hit], bool]]:
        """Walk a window forwards and yield its hits."""
        self._engine.seek(lower)
        pending: tuple[int, list[Hit], bool] | None = self._here(active, goal)
        while (began := self._engine.icount) < upper:
            targets, _ = targets_of(active, goal.targets() if goal else None, count=False)
            found = self._engine.run(upper, targets)
            here = self._engine.icount
            if self._learned(active, began + 1, here):
                self._engine.seek(began)
                continue
            if found is not None and not found.is_break:
                step = here - 1
                hits = self._in_last_step(active, found, goal)
                judged = [hit for hit in map(self._judge, hits) if hit is not None]
                reached = goal is not None and goal.traps and goal.test() and self._trap_of(step) is not None
                if pending is not None and pending[0] == step:
                    pending = (step, pending[1] + judged, pending[2] or reached)
                elif judged or reached:
                    if pending is not None:
                        yield pending
                    pending = (step, judged, reached)
            if here < upper:
                stop = self._here(active, goal)
                if stop is not None:
                    if pending is not None:
                        yield pending
                    pending = stop
        if pending is not None:
            yield pending

    def _here(self, active: list[PointState], goal: Goal | None) -> tuple[int, list[Hit], bool] | None:
        hits = [hit for hit in map(self._judge, self._before_next(active)) if hit is not None]
        reached = goal is not None and self._at_goal(goal)
        return (self._engine.icount, hits, reached) if hits or reached else None


def accesses_of(row: Words) -> list[tuple[str, int, list[tuple[int, int]]]]:
    """Return the accesses of a log row: kind, virtual address, first and last physical address of their pieces."""
    found = []
    for index in range(int(row[6])):
        kind, address = (int(word) for word in row[7 + 3 * index : 9 + 3 * index])
        first, last = (int(word) for word in row[L.LOG_PLACES + 2 * index : L.LOG_PLACES + 2 * index + 2])
        size = kind >> 8
        spans = [(first, last)]
        if last != first + size - 1:  # in two pages that are no neighbours
            inside = PAGE_BYTES - address % PAGE_BYTES
            spans = [(first, first + inside - 1), (last - (size - inside) + 1, last)]
        found.append(("write" if kind & 0xFF == 2 else "read", address, spans))
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
