"""Moving through the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rrdbg.session.api import Position, Stop, StopReason
from rrdbg.session.decoding import TRAP_RETURNS, Instruction
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.frames import T0, Frame
from rrdbg.session.hunt import Goal, Hit, Outcome
from rrdbg.session.modes import in_mode
from rrdbg.session.points import PointState
from rrdbg.session.positions import looks_like_position
from rrdbg.session.program_source import ProgramSource
from rrdbg.session.wording import frame_text, stop_text

MAX_HISTORY = 1000
"""Places that `back` remembers."""


class Motion(ProgramSource):
    """The part of a session that moves."""

    def _setup(self) -> None:
        super()._setup()
        self._past: list[int] = []
        self._future: list[int] = []

    # verbs

    def goto(self, position: Position) -> Stop:
        """Go to a position."""
        goal = self.position(position)
        return self._jump("goto", goal, lambda: self._seek(goal))

    def tick(self, count: int = 1) -> Stop:
        """Move the machine by steps."""
        start = self.icount
        goal = min(max(start + count, 0), self.end)
        with self._work("tick", start, goal):
            self._engine.seek(goal)
            edge = StopReason.START if start + count < 0 else StopReason.END if start + count > self.end else None
            return self._stop(edge or StopReason.STEP, (), reverse=count < 0)

    def stepi(self, count: int = 1) -> Stop:
        """Execute steps of the selected hart."""
        start = self.icount
        _not_negative(count)
        goal = min(start + count, self.end)
        with self._work("stepi", start, goal):
            return self._stepped(self._forward(goal), start + count)

    def reverse_stepi(self, count: int = 1) -> Stop:
        """Undo steps of the selected hart."""
        start = self.icount
        _not_negative(count)
        goal = max(start - count, 0)
        with self._work("reverse-stepi", start, goal):
            return self._stepped(self._backward(goal), start - count, reverse=True)

    def nexti(self, count: int = 1) -> Stop:
        """Execute instructions, calls and traps as one."""
        _not_negative(count)
        with self._work("nexti", self.icount, self.end):
            stop = self._stop(StopReason.STEP, ())
            for _ in range(count):
                stop = self._nexti()
                if stop.reason is not StopReason.STEP:
                    break
            return stop

    def reverse_nexti(self, count: int = 1) -> Stop:
        """Undo instructions, calls and traps as one."""
        _not_negative(count)
        with self._work("reverse-nexti", self.icount, 0):
            stop = self._stop(StopReason.STEP, (), reverse=True)
            for _ in range(count):
                stop = self._reverse_nexti()
                if stop.reason is not StopReason.STEP:
                    break
            return stop

    def finish(self) -> Stop:
        """Run until the current function has returned to its caller."""
        start = self.icount

        def run() -> Stop:
            goal = self._entry().goal
            self._engine.seek(start)
            return self._stepped(self._forward(self.end, goal), None)

        return self._jump("finish", self.end, run)

    def reverse_finish(self) -> Stop:
        """Go back to before the call of the current function."""
        start = self.icount

        def run() -> Stop:
            entered = self._entry().entered
            self._engine.seek(start)
            return self._stepped(self._backward(max(entered - 1, 0)), entered - 1, reverse=True)

        return self._jump("reverse-finish", 0, run)

    def continue_(self, count: int = 1) -> Stop:
        """Run to the next stop."""
        _not_negative(count)

        def run() -> Stop:
            stop = self._stepped(self._forward(self.end), None)
            for _ in range(count - 1):
                if not stop.points:
                    break
                stop = self._stepped(self._forward(self.end), None)
            return stop

        return self._jump("continue", self.end, run)

    def reverse_continue(self, count: int = 1) -> Stop:
        """Run backwards to the previous stop."""
        _not_negative(count)

        def run() -> Stop:
            stop = self._stepped(self._backward(0), None, reverse=True)
            for _ in range(count - 1):
                if not stop.points:
                    break
                stop = self._stepped(self._backward(0), None, reverse=True)
            return stop

        return self._jump("reverse-continue", 0, run)

    def until(self, location: str | int | None = None, *, here: bool = False) -> Stop:
        """Run until an address or a position is reached or a point stops it."""
        if location is None:
            return self._jump("until", self.end, self._until_next)
        if isinstance(location, str) and (looks_like_position(location) or location.strip() in ("start", "end")):
            goal = self.position(location)
            if goal < self.icount:
                raise UsageError(f"{location} lies before the current position", hint="reverse-until goes back")
            return self._jump("until", goal, lambda: self._stepped(self._forward(goal), goal))
        there = self._at(self._code_addresses(location))
        return self._jump("until", self.end, lambda: self._stepped(self._forward(self.end, there), None))

    def reverse_until(self, location: str | int) -> Stop:
        """Run backwards until an address or a position is reached, or a point stops it."""
        if isinstance(location, str) and (looks_like_position(location) or location.strip() in ("start", "end")):
            goal = self.position(location)
            if goal > self.icount:
                raise UsageError(f"{location} lies after the current position", hint="until goes forward")
            return self._jump("reverse-until", goal, lambda: self._stepped(self._backward(goal), goal, reverse=True))
        there = self._at(self._code_addresses(location))
        return self._jump("reverse-until", 0, lambda: self._stepped(self._backward(0, there), None, reverse=True))

    def back(self) -> Stop:
        """Return to where the last jump or run started."""
        return self._travel(self._past, self._future, "no earlier place is remembered")

    def forward(self) -> Stop:
        """Undo `back`."""
        return self._travel(self._future, self._past, "`back` has not been used, or something moved since")

    # how

    def _jump(self, title: str, goal: int, run: Callable[[], Stop]) -> Stop:
        """Run something that `back` can undo."""
        start = self.icount
        with self._work(title, start, goal):
            stop = run()
        if stop.when.icount != start:
            self._past = [*self._past[-MAX_HISTORY + 1 :], start]
            self._future.clear()
        return stop

    def _travel(self, source: list[int], other: list[int], empty: str) -> Stop:
        self._check_open()
        if not source:
            raise NotFound(empty)
        start, goal = self.icount, source[-1]
        with self._work("goto", start, goal):
            stop = self._seek(goal)
        source.pop()
        other.append(start)
        return stop

    def _seek(self, goal: int) -> Stop:
        self._engine.seek(goal)
        return self._stop(StopReason.SEEK, ())

    def _nexti(self) -> Stop:
        return self._stepped(self._nexti_run(), None)

    def _nexti_run(self, points: Sequence[PointState] | None = None) -> Outcome:
        """Execute an instruction, calls and traps as one. The goal is reached if it is done."""
        start = self.icount
        if start >= self.end:
            return Outcome()
        frame = self._frame()
        insn = self._instruction(frame.pc)
        length = insn.length if insn else 4
        while True:
            here = self.icount
            outcome = self._forward(here + 1, None, points)
            if outcome.hits:
                return outcome
            if self._trapped(here, frame.pc):
                goal = self._exactly_in(frame, frame.pc, frame.pc + length)
            elif insn is not None and insn.is_call and self._frame().pc != frame.pc + length:
                goal = self._after(frame, insn)
            else:
                return Outcome(goal=True)
            outcome = self._forward(self.end, goal, points)
            if outcome.hits or not outcome.goal or self._frame().pc != frame.pc:
                return outcome
            # an interrupt came first and is dealt with: now the instruction itself

    def _reverse_nexti(self) -> Stop:
        return self._stepped(self._reverse_nexti_run(), None, reverse=True)

    def _reverse_nexti_run(self, points: Sequence[PointState] | None = None) -> Outcome:
        """Undo an instruction, calls and traps as one. The goal is reached if it is done."""
        while True:
            start = self.icount
            if start == 0:
                return Outcome()
            frame = self._frame()
            outcome = self._backward(start - 1, None, points)
            if outcome.hits:
                return outcome
            before = self._instruction(self._frame().pc)
            goal = self._way_in(frame, before) if before is not None else None
            if goal is not None and self._trap_of(start - 1) is not None:
                goal = None  # that instruction was not executed: a trap came first
            self._engine.seek(start - 1)
            if goal is None:
                return Outcome(goal=True)
            outcome = self._backward(0, goal, points)
            if outcome.hits:
                return outcome
            if not outcome.goal:
                # the way in lies before the recording, or was no call: one step is what can be undone
                self._engine.seek(start - 1)
                return Outcome(goal=True)
            if self._frame().pc != frame.pc:
                return outcome
            # back where an interrupt was taken: the instruction before it is still to be undone

    def _way_in(self, frame: Frame, insn: Instruction) -> Goal | None:
        """Return where the code that has just returned to `frame` was entered from, by its last instruction."""
        if insn.name in TRAP_RETURNS:
            return self._taken_from(frame)
        if not insn.is_return:
            return None
        calls = [(at, call) for at in (frame.pc - 2, frame.pc - 4) if (call := self._instruction(at)) is not None]
        sites = [at for at, call in calls if call.is_call and call.rd == insn.through and at + call.length == frame.pc]
        if not sites:
            return None
        if insn.through == T0:
            return Goal(tuple(sites), lambda: self._frame().mode == frame.mode, condition=in_mode(frame.mode))
        return self._exactly_in(frame, *sites)

    def _stepped(self, outcome: Outcome, goal: int | None, *, reverse: bool = False) -> Stop:
        """Return the stop of a run that was to end at `goal`, or nowhere in particular."""
        if outcome.hits or outcome.goal:
            return self._stop(StopReason.STEP, outcome.hits, reverse=reverse)
        here = self.icount
        if reverse and here == 0 and goal != 0:
            return self._stop(StopReason.START, (), reverse=True)
        if not reverse and here == self.end and goal != here:
            return self._stop(StopReason.END, ())
        return self._stop(StopReason.STEP, (), reverse=reverse)

    def _until_next(self) -> Stop:
        frame = self._frame()
        insn = self._instruction(frame.pc)
        stop = self._nexti()
        now = self._frame()
        if stop.reason is StopReason.STEP and now.pc <= frame.pc and now.sp == frame.sp and insn is not None:
            return self._stepped(self._forward(self.end, self._back_in(frame, frame.pc + insn.length)), None)
        return stop

    def _where(self) -> str:
        """Return where it stands, in words."""
        return frame_text(self.when())

    def _stop(self, reason: StopReason, hits: tuple[Hit, ...], *, reverse: bool = False) -> Stop:
        """Return the stop here; temporary points that were hit go."""
        if hits:
            kind = hits[0].point.kind.value
            reason = StopReason({"break": "breakpoint", "catch": "catchpoint"}.get(kind, "watchpoint"))
        when = self.when()
        info = self._source.info() if reason is StopReason.END else None
        text = stop_text(reason, self._where(), hits, reverse=reverse, ended=info.reason if info else "")
        for hit in hits:
            if hit.point.temporary:
                self._points.pop(hit.point.number, None)
        first = hits[0] if hits else None
        values = (first.old, first.new) if first is not None and first.point.length <= 8 else (None, None)
        return Stop(
            reason,
            when,
            tuple(hit.point.number for hit in hits),
            first.point.what if first else "",
            first.access if first else "",
            first.address if first else None,
            *values,
            reverse,
            any(hit.point.temporary for hit in hits),
            info.exit_code if info else None,
            text,
        )


def _not_negative(count: int) -> None:
    if count < 0:
        raise UsageError(f"a count of {count} makes no sense", hint="the reverse- verbs go back")
