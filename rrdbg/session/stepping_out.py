"""Steps that leave something: `finish` and its way back, `advance`, and a range of addresses; and stops as gdb tells
them, with their lines of source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from rrdbg_core.cpu.condition import PC, BadCondition, Condition
from rrdbg_core.isa.expr import Ex
from rrdbg_core.isa.registers import ABI

from rrdbg.session.api import Location, Stop, StopReason
from rrdbg.session.backtrace import Level
from rrdbg.session.base import PRIVS
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.hunt import SP, Goal, Outcome, any_of, not_below
from rrdbg.session.modes import in_mode
from rrdbg.session.positions import looks_like_position
from rrdbg.session.stepping import Activation
from rrdbg.session.stepping_back import SteppingBack
from rrdbg.session.stepping_code import Ranges, inside
from rrdbg.symbols.scopes import Scope

WINDOWS = (1 << 6, 1 << 10, 1 << 14, 1 << 18)
"""Steps that are looked at one by one for where a range of addresses is left; the last one again and again."""


class SteppingOut(SteppingBack):
    """The part of a session that leaves functions and ranges."""

    # finish

    def finish(self) -> Stop:
        """Run until the selected frame's function has returned to its caller."""
        level = self._level()
        if level.number == 0 and not level.inlined and level.state.row is None:
            return super().finish()

        def run() -> Stop:
            outcome = self._out_of(level)
            stop = self._arrived(outcome)
            if outcome.hits or not outcome.goal:
                return stop
            scope = level.scope
            value = self._result_of(scope) if scope is not None and scope.kind == "function" else ""
            return replace(stop, returned=value, text=f"{stop.text}\nValue returned is {value}") if value else stop

        return self._jump("finish", self.end, run)

    def _out_of(self, level: Level) -> Outcome:
        """Run until a frame is left."""
        if level.inlined:
            assert level.scope is not None
            if level.number:
                outcome = self._forward(self.end, self._again_in(level))
                if outcome.hits or not outcome.goal:
                    return outcome
            return self._leave(level.scope.ranges, into=False).outcome
        return self._forward(self.end, self._return_of(level))

    def _again_in(self, level: Level) -> Goal:
        """Return the goal of being back in a frame that waits for a call."""
        state, cfa = level.state, level.cfa()
        return Goal(
            (state.address,),
            lambda: self._frame().mode == level.mode and (cfa is None or self._cfa_now() == cfa),
            condition=self._cfa_is((state.address,), level.mode, cfa),
        )

    def _return_of(self, level: Level) -> Goal:
        """Return the goal of having returned from a frame's function."""
        cfa, state = level.cfa(), level.state
        number = level.number + 1
        found = self._levels(number + 1)
        while len(found) > number and (found[number].state is state or found[number].tail_call):
            number += 1
            found = self._levels(number + 1)
        if len(found) > number:
            caller = found[number]
        else:  # main is the last frame that is shown, but it was called all the same
            behind = self._plausible(state.returning())
            if behind is None:
                raise self._no_caller(level)
            caller = replace(level, state=behind, trap="")
        if caller.trap:
            return self._after_trap(caller)
        if caller.state.address == 0:
            raise self._no_caller(level)
        return Goal(
            (caller.state.address,),
            lambda: (now := self._frame()).mode == level.mode and (cfa is None or now.sp >= cfa),
            condition=in_mode(level.mode, *(() if cfa is None else (not_below(SP, cfa),))),
        )

    def _after_trap(self, interrupted: Level) -> Goal:
        """Return the goal of being back in what a trap interrupted, at its instruction or behind it."""
        at, sp = interrupted.state.address, interrupted.state.register(2)
        places = (at, at + (self._length_at(at) or 4))
        return Goal(places, lambda: (now := self._frame()).mode == interrupted.mode and now.sp == sp)

    def _no_caller(self, level: Level) -> NotFound:
        return NotFound(
            f"{level.function or 'this'} is the outermost frame: nothing called it",
            hint="`until LOCATION` runs to a place of your choice",
        )

    def _result_of(self, scope: Scope) -> str:
        """Return what a function has just returned, as gdb prints it: `$1 = 5`; empty: nothing."""
        return ""

    def reverse_finish(self) -> Stop:
        """Go back to before the call of the selected frame's function."""
        level = self._level()
        cfa = level.cfa()
        if level.state.row is None or cfa is None:
            return super().reverse_finish()
        start = self.icount

        def run() -> Stop:
            entered = self._entered(level, cfa)
            self._engine.seek(start)
            return self._stepped(self._backward(max(entered - 1, 0)), entered - 1, reverse=True)

        return self._jump("reverse-finish", 0, run)

    def _entered(self, level: Level, cfa: int) -> int:
        """Return the position at which a frame was entered. The guest then stands anywhere."""
        if level.inlined:
            assert level.scope is not None
            return self._entered_inlined(level.scope)
        scopes = self._symbols.debug.scopes(level.pc)
        extent = self._function(level.pc)
        start = scopes[-1].low_pc if scopes else extent[0] if extent else level.pc
        goal = Goal(
            (start,),
            lambda: self._frame().mode == level.mode and self._cfa_now() == cfa,
            condition=self._cfa_is((start,), level.mode, cfa),
        )
        here = self.pc == start and level.number == 0
        flow = self._flow_of(scopes[-1].ranges if scopes else (extent or (start, start + 2),))
        activation = Activation(cfa, level.mode, None, flow, start)
        while here or self._backward(0, goal, ()).goal:
            position = self.icount
            before = self._entered_at(position, activation)
            if before is not None:
                return before + 1
            self._engine.seek(position)
            here = False
        raise NotFound(
            f"the recording does not show how {level.function or 'this function'} was entered",
            hint="it may be what the guest started with",
        )

    def _entered_inlined(self, scope: Scope) -> int:
        """Return the position at which an inlined call began that the guest is in."""
        activation = self._activation_here()
        entries = activation.flow.entries(scope.ranges) if activation is not None else ()
        goal = Goal(tuple(sorted(entries)), lambda: activation is not None and self._is_in(activation))
        if not entries or not self._backward(0, goal, ()).goal:
            raise NotFound(f"the recording does not show how {scope.name} was entered")
        return self.icount + 1

    # until, advance

    def until(self, location: str | int | None = None, *, here: bool = False) -> Stop:
        """Run until a place or a position is reached or a point stops it."""
        if not here or location is None:
            return super().until(location)
        if isinstance(location, str) and (looks_like_position(location) or location.strip() in ("start", "end")):
            return super().until(location)
        level = self._level()
        back, places, cfa = self._goal_of_return(level), self._code_addresses(location), level.cfa()
        if cfa is None or level.state.row is None or not back.addresses:
            return super().until(location)
        mine = Goal(
            places,
            lambda: self._frame().mode == level.mode and self._cfa_now() == cfa,
            condition=self._cfa_is(places, level.mode, cfa),
        )
        return self._jump("until", self.end, lambda: self._to_either(mine, back))

    def advance(self, location: str | int) -> Stop:
        """Run until a place is reached, or the selected frame's function has returned, or a point stops it."""
        if isinstance(location, str) and (looks_like_position(location) or location.strip() in ("start", "end")):
            return self.until(location)
        anywhere, back = self._at(self._code_addresses(location)), self._goal_of_return(self._level())
        return self._jump("advance", self.end, lambda: self._to_either(anywhere, back))

    def _goal_of_return(self, level: Level) -> Goal:
        """Return the goal of having returned from a frame's function; without addresses where nothing called it."""
        try:
            return self._return_of(level)
        except NotFound:
            return Goal()

    def _to_either(self, first: Goal, second: Goal) -> Stop:
        goal = Goal(
            (*first.addresses, *second.addresses),
            lambda: any(self.pc in goal.addresses and goal.test() for goal in (first, second)),
            condition=_either(first, second),
        )
        return self._arrived(self._forward(self.end, goal))

    def _arrived(self, outcome: Outcome) -> Stop:
        """Return the stop of a run to a place: as in gdb it comes before inlined calls that begin there."""
        if outcome.goal and not outcome.hits:
            self._hide(self._beginning())
        return self._stepped(outcome, None)

    # ranges

    def step_range(self, lo: int, hi: int, *, over: bool = False, reverse: bool = False) -> Stop:
        """Step until pc leaves lo <= pc < hi; `over`: calls and traps as a whole."""
        if lo >= hi:
            raise UsageError(f"{lo:#x} to {hi:#x} is no range of addresses")
        ranges = ((lo, hi),)
        with self._work("step", self.icount, 0 if reverse else self.end):
            if over:
                outcome = self._back_out_of(ranges) if reverse else self._leave(ranges, into=False).outcome
                return self._stepped(outcome, None, reverse=reverse)
            start = self.icount
            goal = self._out_before(ranges, start) if reverse else self._out_after(ranges, start)
            self._engine.seek(start)
            outcome = self._backward(goal) if reverse else self._forward(goal)
            # the recording may end, or begin, before they are left
            return self._stepped(outcome, None if inside(ranges, self.pc) else goal, reverse=reverse)

    def _out_after(self, ranges: Ranges, start: int) -> int:
        """Return the first position behind `start` at which pc lies outside of some ranges, or the end."""
        lower = start + 1
        for window in self._windows():
            upper = min(lower + window, self.end)
            if lower >= upper:
                return self.end
            outside = self._positions_outside(lower, upper, ranges)
            if len(outside):
                return lower + int(outside[0])
            lower = upper
        return self.end

    def _out_before(self, ranges: Ranges, start: int) -> int:
        """Return the last position before `start` at which pc lies outside of some ranges, or 0."""
        upper = start
        for window in self._windows():
            lower = max(upper - window, 0)
            if lower == upper:
                return 0
            outside = self._positions_outside(lower, upper, ranges)
            if len(outside):
                return lower + int(outside[-1])
            upper = lower
        return 0

    @staticmethod
    def _windows() -> Iterator[int]:
        yield from WINDOWS
        while True:
            yield WINDOWS[-1]

    def _positions_outside(self, lower: int, upper: int, ranges: Ranges) -> npt.NDArray[np.intp]:
        """Return at which of the positions lower <= p < upper pc lies outside of some ranges, from `lower`."""
        pcs = self._rows(lower, upper)[:, 1]
        known, inverse = np.unique(pcs, return_inverse=True)
        is_out = np.array([not inside(ranges, int(pc)) for pc in known], bool)
        return np.flatnonzero(is_out[inverse])

    def _back_out_of(self, ranges: Ranges) -> Outcome:
        """Go back, calls and traps as one, until pc leaves some ranges."""
        while True:
            outcome = self._reverse_nexti_run()
            if outcome.hits or not outcome.goal or not inside(ranges, self.pc):
                return outcome

    # stops in words

    def _steps(self, title: str, count: int, one: Callable[[], Stop], *, reverse: bool = False) -> Stop:
        before = self._standing()
        stop = super()._steps(title, count, one, reverse=reverse)
        if stop.reason is not StopReason.STEP or self._standing() != before:
            return stop
        line = self._source_line()
        return replace(stop, text=line) if line else stop

    def _standing(self) -> tuple[str, int | None]:
        """Return what tells that a step has stayed in its function: gdb then shows no more than the line."""
        level = self._level(0)
        return level.function, level.cfa()

    def _where(self) -> str:
        """Return where it stands, as gdb tells it after a stop: the frame, and its line of source."""
        level = self._level(0)
        place = self._place_line(level, self._arguments(level))
        line = self._source_line(address=False)
        return f"{place}\n{line}" if line else place

    def _source_line(self, *, address: bool = True) -> str:
        """Return the line of source at which it stands, as gdb shows it; empty when it cannot be shown."""
        level = self._level(0)
        if not level.line:
            return ""
        text = self._sources.text(level.file)
        if text is None or level.line > len(text.lines):
            return ""
        shown = "" if not address or self._at_line_start(level) else f"{level.state.address:#018x}\t"
        return f"{shown}{level.line}\t{text.lines[level.line - 1]}"

    # what listings and details ask for

    def set_step_mode(self, on: bool) -> None:
        """Let `step` go into functions without line information, or not."""
        self._check_open()
        self.step_mode = on

    def source_place(self, location: str) -> Location:
        """Return file and line of a place as `list` takes it."""
        self._check_open()
        text = location.strip()
        if not text:
            level = self._level()
            if not level.line:
                raise self._no_line(level.state.address)
            return Location(level.state.address, level.function, 0, level.file, level.line)
        if re.fullmatch(r"[+-]?\d{1,7}", text):
            level = self._level()
            if not level.file:
                raise self._no_line(level.state.address)
            line = int(text) + (level.line if text[0] in "+-" else 0)
            return Location(0, "", 0, level.file, max(line, 1))
        if match := re.fullmatch(r"(.+):(\d+)", text):
            file = self._sources.named(match[1])
            if file is not None:
                return Location(0, "", 0, file, int(match[2]))
        elif not text.startswith("*"):
            name = text.rpartition(":")[2] if re.fullmatch(r".+\.\w+:\w+", text) else text
            for scope in self._symbols.debug.function_named(name):
                if row := self._symbols.line(scope.low_pc):  # as in gdb the line of the first instruction
                    return Location(scope.low_pc, name, 0, row.file, row.line)
            for scope in self._symbols.debug.inlined_calls(name):
                if scope.line:
                    return Location(scope.low_pc, name, 0, scope.file, scope.line)
        found = self.locate(self._code_addresses(text)[0])
        if not found.line:
            raise self._no_line(found.address)
        return found

    def _no_line(self, address: int) -> NotFound:
        return NotFound(
            f"no line number information for address {address:#x}",
            hint="; ".join(self._symbols.problems()) or "the program was built without -g there",
        )

    def source_details(self) -> str:
        """Return what is known of the source file in which the selected frame stands."""
        level = self._level()
        if not level.file:
            raise self._no_line(level.state.address)
        debug, pc = self._symbols.debug, level.pc
        text = self._sources.text(level.file)
        rows = [f"Current source file is {level.file}"]
        if folder := self._symbols.source_files().get(level.file):
            rows.append(f"Compilation directory is {folder}")
        if text is not None:
            rows.append("It is carried in the trace." if text.origin == "trace" else f"Located in {text.origin}")
            rows.append(f"Contains {len(text.lines)} line{'s' * (len(text.lines) != 1)}.")
        else:
            rows.append("Its text was not found: `set substitute-path FROM TO` or `directory DIR` say where it is.")
        rows += [
            f"Source language is {debug.language(pc) or 'unknown'}.",
            f"Producer is {debug.producer(pc) or 'unknown'}.",
        ]
        if version := debug.dwarf_version(pc):
            rows.append(f"Compiled with DWARF {version} debugging format.")
            rows.append(f"{'Includes' if debug.has_macros(pc) else 'Does not include'} preprocessor macro info.")
        return "\n".join(rows)

    def frame_details(self) -> str:
        """Return all that is known of the selected frame."""
        level = self._level()
        state, cfa = level.state, level.cfa()
        around = [*self._levels(level.number + 2)]
        caller = around[level.number + 1] if len(around) > level.number + 1 else None
        at = f" at {cfa:#x}" if cfa is not None else ""
        source = f" ({level.file}:{level.line})" if level.line else ""
        saved = f"; saved pc = {caller.state.address:#x}" if caller is not None and not level.inlined else ""
        rows = [
            f"Stack level {level.number}, frame{at}:",
            f" pc = {state.address:#x} in {level.function or '??'}{source}{saved}",
        ]
        if level.inlined and caller is not None:
            rows.append(f" inlined into frame {caller.number}")
        elif level.tail_call:
            rows.append(" tail call frame")
        elif caller is None:
            rows.append(" Outermost frame")
        elif caller.trap:
            rows.append(f" interrupted by {caller.trap} at {caller.taken:_}: frame {caller.number}")
        else:
            rows.append(f" called by frame at {caller.cfa() or 0:#x}")
        if level.number:
            rows.append(f" caller of frame {level.number - 1}")
        if language := self._symbols.debug.language(level.pc):
            rows.append(f" source language {language}.")
        rows.append(f" {PRIVS.get(level.mode.priv, '?')} mode")
        if cfa is not None:
            rows.append(f" Previous frame's sp is {cfa:#x}")
            if places := state.saved():
                shown = ", ".join(f"{ABI[number]} at {address:#x}" for number, address in places.items())
                rows += [" Saved registers:", f"  {shown}"]
        return "\n".join(rows)


def _either(*goals: Goal) -> Condition | None:
    """Return the condition that one of some goals is reached; None where the engine cannot judge it."""
    tree: Ex | None = None
    for goal in filter(lambda goal: goal.addresses, goals):
        if not goal.judged_by_engine:
            return None
        one = any_of(PC, goal.addresses)
        one = one if goal.condition is None else one & goal.condition.tree
        tree = one if tree is None else tree | one
    try:
        return None if tree is None else Condition(tree)
    except BadCondition:
        return None
