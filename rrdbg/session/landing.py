"""Where a run went wrong: what somebody who opens a trace wants to see first.

The rules, in this order:

1. A trap loop: at the end the hart takes the same trap again and again, and nothing else happens.
2. The end of the run was a panic: it ended in a function whose name says so (panic, abort, assert, a fault handler),
   however long it went on there, or such a function was called within the last steps. The landing is where it was
   called; of panics that call each other, the first one.
3. The guest exited with a code other than 0: where it did.
4. An exception that was never returned from: the latest one before the end, if the run ended in its handler.
5. Else the exit, or the end of the recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import Condition
from rrdbg_core.frozen import Frozen
from rrdbg_core.isa import expr

from rrdbg.session.api import Stop, StopReason
from rrdbg.session.backtrace import Level
from rrdbg.session.csrs import cause_text
from rrdbg.session.engine import Gated, Targets
from rrdbg.session.errors import NotFound
from rrdbg.session.modes import CAUSE, EPC
from rrdbg.session.returning import Returning

PANICS = re.compile(
    r"(?i)(?:^|_)(?:panic|abort|oops|bug_?check|assert(?:ion)?(?:_?(?:fail(?:ed|ure)?|func))?|stack_chk_fail|die|fatal"
    r"|hard_?fault(?:_?handler)?|(?:kernel_?)?fault_?handler|unhandled(?:_\w+)?|(?:trap|unexpected)_?panic"
    r"|rust_begin_unwind|terminate|xCeptionTerminate|vAssertCalled|k_sys_fatal_error_handler)(?:$|_|\.)"
)
"""Names of functions that nobody calls when all is well."""
MAX_PANICS = 48
"""Functions of such names that are looked for."""
PANIC_REACH = 1 << 26
"""Steps before the end in which a panic counts as its cause, when the run did not end in it."""
LOOP_TRAPS = 8
"""Equal traps in a row that are a loop."""
LOOP_SPACING = 1 << 16
"""Steps between two traps of a loop, at most."""
TRAP_REACH = 1 << 26
"""Steps in which the first trap of a loop is looked for, where the index does not tell."""


class _Landing(Frozen):
    """Where to go, and why."""

    position: int
    why: str


class Landing(Returning):
    """The part of a session that finds where it went wrong."""

    def land(self) -> Stop:
        """Go to where the run went wrong: the last panic, trap loop or exit. The stop's text begins with the rule."""

        def run() -> Stop:
            landing = self._landing()
            self._engine.seek(landing.position)
            stop = self._stop(StopReason.SEEK, ())
            return replace(stop, what=landing.why, text=f"{landing.why}\n{stop.text}")

        return self._jump("looking for where it went wrong", self.end, run)

    def _landing(self) -> _Landing:
        info, end = self._source.info(), self.end
        found = self._trap_loop(end) or self._panic(end)
        if found is not None:
            return found
        if info.exit_code:
            return _Landing(self._before_end(end), f"The guest exited with code {info.exit_code}.")
        found = self._lost_exception(end)
        if found is not None:
            return found
        if info.exit_code is not None:
            return _Landing(self._before_end(end), f"The guest exited with code {info.exit_code}.")
        return _Landing(end, f"End of the recording: {info.reason}.")

    def _before_end(self, end: int) -> int:
        """Return the position before the last step, by which the guest exited."""
        return max(end - 1, 0)

    def _trap_loop(self, end: int) -> _Landing | None:
        """Return the first trap of a loop of equal exceptions at the end."""
        traps: list[tuple[int, int, int]] = []
        upper = end
        while len(traps) < LOOP_TRAPS:
            step = self._engine.last_hit(max(upper - LOOP_SPACING, 0), upper, Targets(exceptions=True))
            if step is None:
                return None
            traps.append((step, *self._trap_key(step)))
            if traps[-1][1:] != traps[0][1:]:
                return None
            upper = step
        cause, pc = traps[0][1:]
        first = self._first_of_loop(traps[-1][0], (cause, pc))
        return _Landing(first, f"A trap loop: {cause_text(cause)} at {pc:#x} again and again until the end.")

    def _trap_key(self, step: int) -> tuple[int, int]:
        """Return cause and pc of a step that takes a trap. The guest then stands behind it."""
        pc = self._pc_at(step)
        return self._trap_of(step) or 0, pc

    def _first_of_loop(self, step: int, key: tuple[int, int]) -> int:
        """Return the first of the equal traps that go on to a step, with no other trap between them."""
        cause, pc = key
        floor = max(step - TRAP_REACH, 0)
        window = self._beginning_of_loop(step)
        if window is not None and window[1] < step:
            near = self._engine.last_hit(*window, Targets(exceptions=True))
            if near is not None and self._trap_key(near) == key:
                floor, step = window[0], near
        other = Condition(expr.ne(CAUSE, cause) | expr.ne(EPC, pc))
        different = Gated(Targets(exceptions=True, interrupts=True), other)
        before = self._engine.last_hit(floor, step, Targets(gated=(different,)))
        while before is not None and self._trap_key(before) == key:  # the engine could not tell
            before = self._engine.last_hit(floor, before, Targets(gated=(different,)))
        first = step
        for position in reversed(self._engine.traps(floor if before is None else before + 1, step + 1)[:, 0].tolist()):
            if first - position > LOOP_SPACING:
                break
            first = position
        return first

    def _beginning_of_loop(self, step: int) -> tuple[int, int] | None:
        """Return between which positions a loop of traps began that goes on to a step; None where no index tells.

        While it goes on they are equally frequent, and nothing has to be replayed: a run may end with an hour of them.
        """
        low, size, frequency = step + 1, 0, 0.0
        for lo, hi, exceptions, interrupts in self._counted_before(step):
            here = exceptions / (hi - lo)
            if not size:
                if step - hi > hi - lo:
                    return None
                frequency = here
            elif hi != low:
                break
            if interrupts or abs(here - frequency) > frequency / 16:
                break
            low, size = lo, hi - lo
        return (max(low - size, 0), low + size) if size else None

    def _counted_before(self, step: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield parts of the index before a step, newest first: where each begins and stops, exceptions, interrupts."""
        for epoch in reversed(self._source.epochs()):
            base, size = epoch.window
            for number in reversed(range(len(epoch.exceptions))):
                lo = base + number * size
                if epoch.start <= lo and lo + size <= min(epoch.stop, step):
                    yield lo, lo + size, int(epoch.exceptions[number]), int(epoch.interrupts[number])

    def _panic(self, end: int) -> _Landing | None:
        """Return the call of a function that says by its name that something went wrong, if the run ended with it."""
        names = {
            symbol.address: symbol.name
            for symbol in self._symbols.starting_with("", 1 << 20)
            if symbol.kind != "object" and PANICS.search(symbol.name)
        }
        if not names:
            return None
        self._engine.seek(end)
        outer = self._outermost_panic()
        if outer is not None and (entered := self._called(outer)) is not None:
            return _Landing(entered, f"A panic: {outer.function} was called.")
        floor = max(end - PANIC_REACH, 0)
        step = self._engine.last_hit(floor, end, Targets(tuple(sorted(names)[:MAX_PANICS])))
        if step is None:
            return None
        self._engine.seek(step)
        outer = self._outermost_panic()
        entered = self._called(outer) if outer is not None else None
        name = outer.function if outer is not None and entered is not None else names[self._pc_at(step)]
        return _Landing(step if entered is None else entered, f"A panic: {name} was called.")

    def _outermost_panic(self) -> Level | None:
        """Return the outermost frame here whose function says by its name that something went wrong."""
        return next((level for level in reversed(self._levels(64)) if PANICS.search(level.function)), None)

    def _called(self, level: Level) -> int | None:
        """Return the position at which a frame's function was entered, None if the recording does not show it."""
        cfa = level.cfa()
        if cfa is None:
            return None
        try:
            return self._entered(level, cfa)
        except NotFound:
            return None

    def _pc_at(self, step: int) -> int:
        self._engine.seek(step)
        return int(self._engine.hart[L.PC])

    def _lost_exception(self, end: int) -> _Landing | None:
        """Return the exception in whose handling the run ended, ecalls left out."""
        self._engine.seek(end)
        for level in self._levels(64):
            if level.trap.startswith("exception") and "ecall" not in level.trap and level.taken is not None:
                return _Landing(level.taken, f"An exception that was not returned from: {level.trap}.")
        return None
