"""What motions mean, said over the whole list of states: where each ends, and which points stop it.

Nothing here knows how the session searches. Calls and traps are followed by their depth, which the random programs
keep to. Like a breakpoint, the goal of `nexti` and `finish` is an instruction that is about to be executed: where an
interrupt comes first, it is reached once that is dealt with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from rrdbg_core.cpu import layout as L

from rrdbg.session.decoding import instruction

from .history import History, pieces_of


@dataclass(repr=False)
class Place:
    """A guest state as a condition sees it."""

    history: History
    position: int

    def x(self, number: int) -> int:
        return self.history.x(self.position, number)

    def byte(self, address: int) -> int:
        return self.history.read(self.position, address, 1)[0]


Condition = Callable[[Place], bool]


@dataclass(repr=False)
class NaivePoint:
    """A point as the naive search knows it."""

    number: int
    kind: str
    """"break", "watch", "rwatch", "awatch", "register", "catch"."""
    address: int = 0
    length: int = 0
    register: int = 0
    catches: Callable[[int], bool] = lambda cause: True
    condition: Condition = lambda place: True
    ignore: int = 0
    hits: int = 0
    temporary: bool = False
    enabled: bool = True
    places: tuple[tuple[int, int], ...] = ()
    """Where it lies, if that is not where its address says: physical addresses and bytes."""
    satp: int | None = None
    """For a breakpoint of U mode: the satp under which it stops, but for the ASID."""
    physical: bool = False
    """For a breakpoint: whether its address is a physical one."""

    @property
    def where(self) -> tuple[tuple[int, int], ...]:
        return self.places or ((self.address, self.length),)

    def bytes_at(self, history: History, position: int) -> bytes:
        return b"".join(history.read(position, start, length) for start, length in self.where)


@dataclass(frozen=True)
class Ended:
    """Where a motion ends."""

    position: int
    points: frozenset[int] = frozenset()
    reason: str = "step"


@dataclass(repr=False)
class Naive:
    """A session that looks at every state."""

    history: History
    points: list[NaivePoint] = field(default_factory=list)
    here: int = 0

    @cached_property
    def depths(self) -> list[int]:
        """How many calls and traps have not returned yet, at each position; for programs that keep to that."""
        return depths(self.history)

    # what is hit

    def hit_in(self, step: int) -> list[NaivePoint]:
        """Return the points hit in a step, breakpoints aside, whose condition holds behind it."""
        history = self.history
        row = history.steps[step]
        found = []
        for point in self.points:
            if point.kind == "break" or not point.enabled:
                continue
            overlaps = [
                access
                for access in row.accesses
                if any(
                    place < start + length and start < place + size
                    for place, size in pieces_of(access)
                    for start, length in point.where
                )
            ]
            changed = point.bytes_at(history, step) != point.bytes_at(history, step + 1)
            hit = {
                "watch": changed,
                "rwatch": any(not access.is_write for access in overlaps),
                "awatch": bool(overlaps) or changed,
                "register": history.x(step, point.register) != history.x(step + 1, point.register),
                "catch": row.cause is not None and point.catches(row.cause),
            }[point.kind]
            if hit and point.condition(Place(history, step + 1)):
                found.append(point)
        return found

    def hit_before(self, position: int) -> list[NaivePoint]:
        """Return the breakpoints that stand at a position."""
        history = self.history
        if not history.executes(position):
            return []
        return [
            point
            for point in self.points
            if point.kind == "break"
            and point.enabled
            and (history.place(position) if point.physical else history.pc(position)) == point.address
            and point.satp in (None, history.user_satp(position))
            and point.condition(Place(history, position))
        ]

    def _stops(self, hit: list[NaivePoint]) -> frozenset[int]:
        stops = []
        for point in hit:
            point.hits += 1
            if point.ignore:
                point.ignore -= 1
            else:
                stops.append(point)
        for point in stops:
            if point.temporary:
                self.points.remove(point)
        return frozenset(point.number for point in stops)

    # searches

    def forward(self, limit: int) -> Ended | None:
        """Return the first stop at a position up to `limit`, and go there, or go to `limit`."""
        for position in range(self.here + 1, limit + 1):
            stops = self._stops(self.hit_in(position - 1) + self.hit_before(position))
            if stops:
                self.here = position
                return Ended(position, stops, "hit")
        self.here = max(limit, self.here)
        return None

    def backward(self, floor: int) -> Ended | None:
        """Return the first stop at a step down to `floor`, and go there, or go to `floor`."""
        for step in range(self.here - 1, floor - 1, -1):
            stops = self._stops(self.hit_before(step) + self.hit_in(step))
            if stops:
                self.here = step
                return Ended(step, stops, "hit")
        self.here = min(floor, self.here)
        return None

    # motions

    def run_to(self, goal: int, wanted: int | None = None) -> Ended:
        found = self.forward(min(goal, self.history.end))
        if found:
            return found
        return Ended(self.here, reason="end" if self.here == self.history.end != wanted else "step")

    def back_to(self, goal: int, wanted: int | None = None) -> Ended:
        found = self.backward(max(goal, 0))
        if found:
            return found
        return Ended(self.here, reason="start" if self.here == 0 != wanted else "step")

    def stepi(self, count: int) -> Ended:
        goal = self.here + count
        return self.run_to(goal, goal)

    def reverse_stepi(self, count: int) -> Ended:
        goal = self.here - count
        return self.back_to(goal, goal)

    def continue_(self) -> Ended:
        return self.run_to(self.history.end)

    def reverse_continue(self) -> Ended:
        return self.back_to(0)

    def nexti(self) -> Ended:
        history, depth = self.history, self.depths
        start = self.here
        if start >= history.end:
            return Ended(start, reason="end")
        while True:
            here = self.here
            goal = here + 1
            while goal < history.end and (depth[goal] > depth[start] or (goal > here + 1 and history.interrupt(goal))):
                goal += 1
            back = depth[goal] <= depth[start]
            found = self.forward(goal)
            if found:
                return found
            if not back:
                return Ended(goal, reason="end")
            # an interrupt came first: the instruction itself is still to be executed
            if not (history.interrupt(here) and history.pc(goal) == history.pc(start)):
                return Ended(goal)

    def reverse_nexti(self) -> Ended:
        history, depth = self.history, self.depths
        while True:
            start = self.here
            if start == 0:
                return Ended(0, reason="start")
            goal = start - 1
            while goal > 0 and depth[goal] > depth[start]:
                goal -= 1
            if depth[goal] > depth[start]:
                goal = start - 1
            found = self.backward(goal)
            if found:
                return found
            if not (history.interrupt(goal) and goal < start - 1 and history.pc(goal) == history.pc(start)):
                return Ended(goal)

    def finish(self) -> Ended | None:
        """Run until the current function or handler has returned; None in the outermost one."""
        history, depth = self.history, self.depths
        if depth[self.here] == 0:
            return None
        for goal in range(self.here, history.end + 1):
            if depth[goal] < depth[self.here] and (goal == history.end or not history.interrupt(goal)):
                return self.forward(goal) or Ended(goal)
        return self.continue_()

    def reverse_finish(self) -> Ended | None:
        """Go back to before the call or trap that led here; None in the outermost function."""
        depth = self.depths
        if depth[self.here] == 0:
            return None
        goal = next(p for p in range(self.here, -1, -1) if depth[p] < depth[self.here])
        return self.backward(goal) or Ended(goal)


def depths(history: History) -> list[int]:
    """Return for each position how many calls and traps have not returned yet."""
    depth = [0]
    for step in history.steps:
        change = 0
        if step.cause is not None:
            change = 1
        else:
            insn = instruction(step.insn, step.pc)
            length = insn.length
            after = int(history.harts[step.icount + 1][L.PC])
            if insn.is_call and after != step.pc + length:
                change = 1
            elif insn.is_return or insn.name == "mret":
                change = -1
        depth.append(depth[-1] + change)
    assert min(depth) >= 0
    return depth
