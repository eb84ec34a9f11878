"""The session in the words of the panes: everything a stop shows, fetched in one go. Runs in the engine's thread."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from rrdbg_core.errors import RrdbgError
from rrdbg_core.isa.csr import MSTATUS_FS

from rrdbg.session.api import Cancelled, EventRow, Point, PointKind, Session, Stop, StopReason
from rrdbg.session.errors import EngineDied
from rrdbg.session.values import ConsoleOutput
from rrdbg.tui.lanes import COUNTED, Lanes
from rrdbg.tui.model import BLOCK, MarkRow, Memory, Overview, View
from rrdbg.tui.program import ProgramReader
from rrdbg.tui.scale import Window
from rrdbg.tui.text import grouped, visible

OWN_COMMANDS = {"memory": "print", "compare": "goto"}
"""Commands that only the interface has, and the command that their arguments are completed like."""

RECENT = 5.0
"""Seconds of silence after which nobody seems to write to a file any more."""

PRINTED = 1 << 19
"""Bytes of console output handed over together: the pane is busy with them for some 50 ms."""

LANE_NAMES = {"irqs": "interrupts", "snaps": "snapshots"}
"""Names that the session gives to lanes, where they differ."""


class Answer(Protocol):
    """What the interpreter answers."""

    @property
    def text(self) -> str:
        """The answer as text."""

    @property
    def stop(self) -> Stop | None:
        """Where a motion ended, if it was one."""

    @property
    def quit(self) -> bool:
        """Whether the user wants to leave."""


class Candidate(Protocol):
    """A way a command line could go on."""

    @property
    def text(self) -> str:
        """The whole line."""


class Interpreter(Protocol):
    """The command table over a session, as `rrdbg.commands.Interpreter`."""

    def run(self, line: str, /) -> Answer:
        """Run a line."""

    def complete(self, line: str, /) -> Sequence[Candidate]:
        """Return the ways on."""


class Source:
    """A session and its command table, as the panes see them."""

    def __init__(self, session: Session, interpreter: Interpreter, commands: Sequence[tuple[str, str]]) -> None:
        self.session = session
        """The session; only `cancel` may be called from another thread."""
        self._interpreter = interpreter
        self._commands = tuple(commands)
        self.program = ProgramReader(session)
        """Reads the program's state."""
        self._reason = ""
        self._printed: tuple[int, int, ConsoleOutput] | None = None

    def overview(self) -> Overview:
        """Return what is known of the whole run."""
        info = self.session.info()
        return Overview(
            info.end,
            info.virtual_end_ns,
            info.shift,
            info.events,
            self._commands,
            info.ended,
            reason=visible(info.reason),
            damage=visible(info.damage),
            written=_written(info.path),
        )

    def events(self, first: int, count: int) -> Sequence[EventRow]:
        """Return journal events."""
        return self.session.events(first, count)

    def console(self, lo: int, hi: int) -> tuple[ConsoleOutput, int]:
        """Return the console output of a stretch, and where it ends: sooner than at `hi` if there is much of it."""
        if self._printed is not None and self._printed[0] <= lo < self._printed[1]:
            _, until, output = self._printed
        else:
            until, output = hi, ConsoleOutput.of(self.session.console(lo, hi))
        first = bisect_right(output.at, lo)
        start = output.until[first - 1] if first else 0
        last = bisect_right(output.until, start + PRINTED)
        if last == len(output):
            self._printed = None
            return output[first:], until
        # all that one step printed, however much that is
        reached = output.at[max(last, first + 1) - 1]
        self._printed = lo, until, output
        return output[first : bisect_right(output.at, reached)], reached

    def lanes(self, window: Window) -> Lanes:
        """Return the counts of the counted lanes for each column of a window."""
        timeline = self.session.timeline(window.start, window.stop, window.columns)
        by_name = {lane.name: lane.counts for lane in timeline.lanes}
        nothing = (0,) * window.columns
        return Lanes(window, {name: by_name.get(LANE_NAMES.get(name, name), nothing) for name in COUNTED})

    def view(self) -> View:
        """Return what the panes show of the current position and frame."""
        session = self.session
        when = session.when()
        frame = session.frame
        frame_pc = when.pc
        if frame:
            frames = session.backtrace(frame + 1)
            frame_pc = frames[frame].pc if frame < len(frames) else when.pc
        return View(
            position=when.icount,
            virtual_ns=when.virtual_ns,
            hart=when.hart,
            priv=when.priv,
            pc=when.pc,
            symbol=when.location.text,
            source=when.location.source,
            reason=self._reason or ("the hart sleeps in wfi" if when.waiting else ""),
            registers=tuple((register.name, register.value) for register in session.registers()),
            csrs=self._csrs(),
            code=self.program.code(frame_pc),
            marks=self._marks(),
            points=tuple(session.points()),
            frame=frame,
            frame_pc=frame_pc,
        )

    def _csrs(self) -> tuple[tuple[str, int, str], ...]:
        """Return the CSRs and, where floating point is switched on, the f registers."""
        rows = list(self.session.registers(["csr"]))
        if any(row.name == "mstatus" and row.value & MSTATUS_FS for row in rows):
            rows += self.session.registers(["float"])
        return tuple((row.name, row.value, row.text) for row in rows)

    def _marks(self) -> tuple[MarkRow, ...]:
        marks = [MarkRow(mark.name, mark.icount, mark.text) for mark in self.session.bookmarks()]
        marks += [MarkRow("", note.icount, note.text) for note in self.session.notes()]
        return tuple(sorted(marks, key=lambda mark: (mark.position, mark.name)))

    def memory(self, blocks: Sequence[int]) -> Memory:
        """Return blocks of memory at the current position."""
        result: dict[int, bytes | None] = {}
        for block in blocks:
            try:
                result[block] = self.session.read_memory(block, BLOCK).data or None
            except (Cancelled, EngineDied):
                raise
            except RrdbgError:  # an address that cannot be read is shown as such, not reported
                result[block] = None
        return Memory(self.session.icount, result)

    def evaluate(self, expression: str) -> int:
        """Return the address an expression means here; raises RrdbgError."""
        return self.session.evaluate(expression)

    def goto(self, position: int | str) -> None:
        """Go to a position, as a number or as the user writes it."""
        self.session.goto(position)
        self._reason = ""

    def select(self, frame: int) -> None:
        """Select a frame: registers, code and variables are then its own."""
        self.session.select_frame(frame)

    def turn(self, direction: int) -> bool:
        """Select the calling frame (1) or the one called (-1); return whether there is one."""
        number = self.session.frame + direction
        if number < 0 or number >= len(self.session.backtrace(number + 1)):
            return False
        self.session.select_frame(number)
        return True

    def step(self, *, over: bool, reverse: bool, count: int = 1) -> None:
        """Step source lines."""
        session = self.session
        if over:
            stop = session.reverse_next(count) if reverse else session.next_(count)
        else:
            stop = session.reverse_step(count) if reverse else session.step(count)
        self._reason = describe(stop)

    def land(self) -> None:
        """Go to where the run went wrong."""
        stop = self.session.land()
        self._reason = describe(stop) or visible(stop.text.strip().split("\n")[0])

    def until(self, location: str | int, *, reverse: bool) -> None:
        """Run to an address or a source line."""
        session = self.session
        self._reason = describe(session.reverse_until(location) if reverse else session.until(location))

    def written(self, expression: str, *, reverse: bool) -> None:
        """Run to the next change of a value, or back before the last one."""
        self._reason = self.program.written(expression, reverse=reverse)

    def command(self, line: str) -> Answer:
        """Run a line of the command table and return what it answers."""
        if line.split(None, 1)[:1] in (["set"], ["unset"], ["directory"]):
            self.program.forget_sources()
        answer = self._interpreter.run(line)
        if answer.stop is not None:
            self._reason = describe(answer.stop)
        return answer

    def complete(self, line: str) -> Sequence[str]:
        """Return whole command lines that could follow from `line`."""
        for own, like in OWN_COMMANDS.items():
            if line.startswith(f"{own} "):
                rest = line[len(own) + 1 :]
                like += " "
                return [f"{own} {text.removeprefix(like)}" for text in self.complete(like + rest)]
        candidates = [candidate.text for candidate in self._interpreter.complete(line)]
        candidates += [f"{own} " for own in OWN_COMMANDS if line and own.startswith(line)]
        return sorted(set(candidates))

    def toggle_breakpoint(self, place: int | str) -> str:
        """Set a breakpoint at an address or `file:line`, or remove those that are there; return what was done."""
        session = self.session
        here = [p for p in session.points() if p.kind is PointKind.BREAK and _is_at(p, place)]
        for point in here:
            session.delete_point(point.number)
        if here:
            numbers = ", ".join(str(point.number) for point in here)
            return f"breakpoint {numbers} removed"
        point = session.add_break(place)
        where = point.location.source.rsplit("/", 1)[-1] if point.location is not None else ""
        return f"breakpoint {point.number} at {where or (f'{point.address:x}' if point.address is not None else place)}"

    def remove(self, row: Point | MarkRow) -> None:
        """Delete a breakpoint, watchpoint or catchpoint, a bookmark or a note."""
        if isinstance(row, Point):
            self.session.delete_point(row.number)
        elif row.name:
            self.session.delete_bookmark(row.name)
        else:
            for note in self.session.notes():
                if (note.icount, note.text) == (row.position, row.text):
                    self.session.delete_note(note.number)
                    return

    def enable(self, point: Point) -> None:
        """Enable a point, or disable it."""
        self.session.enable_point(point.number, on=not point.enabled)

    def position(self, text: str) -> int:
        """Return the position that a text means."""
        return self.session.position(text)

    def verify(self) -> tuple[bool, str]:
        """Replay the whole trace against its digests; return the outcome and a sentence about it."""
        result = self.session.verify()
        return result.ok, result.text

    def cancel(self) -> None:
        """Ask the running method to stop soon with an error; from any thread."""
        self.program.given_up = True
        self.session.cancel()

    def begin(self) -> None:
        """Forget a cancellation that came too late."""
        self.program.given_up = False

    def close(self) -> None:
        """End the engine."""
        self.session.close()


def _written(path: str) -> bool:
    try:
        return abs(time.time() - os.stat(path).st_mtime) < RECENT
    except OSError:  # the file has gone; the open trace has not
        return False


def _is_at(point: Point, place: int | str) -> bool:
    if isinstance(place, int):
        return place in (point.address, *(other.address for other in point.more))
    return point.what == place or (point.location is not None and point.location.source == place)


def describe(stop: Stop) -> str:
    """Return why it stopped, in one short line."""
    numbers = ", ".join(str(number) for number in stop.points)
    match stop.reason:
        case StopReason.BREAKPOINT:
            return f"breakpoint {numbers}"
        case StopReason.WATCHPOINT:
            values = ""
            if stop.old is not None and stop.new is not None:
                values = f" {stop.new:#x}" if stop.old == stop.new else f" {stop.old:#x} → {stop.new:#x}"
            return f"watchpoint {numbers}: {stop.access} of {stop.what}{values}"
        case StopReason.CATCHPOINT:
            return f"catchpoint {numbers}: {stop.what}"
        case StopReason.START:
            return "start of the recording"
        case StopReason.END:
            return "end of the recording" + (f", exit code {stop.exit_code}" if stop.exit_code is not None else "")
        case StopReason.STEP:
            return ""
        case _:
            return "" if stop.reason is StopReason.SEEK else f"{stop.reason} at {grouped(stop.when.icount)}"
