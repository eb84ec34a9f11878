"""The session in the words of the panes: everything a stop shows, fetched in one go. Runs in the engine's thread."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Protocol

from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import ConsoleChunk, EventRow, PointKind, Session, Stop, StopReason
from rrdbg.tui.lanes import COUNTED, Lanes
from rrdbg.tui.model import BLOCK, CodeLine, MarkRow, Memory, Overview, View
from rrdbg.tui.scale import Window
from rrdbg.tui.text import grouped, visible

CODE_BEFORE, CODE_AFTER = 60, 140
"""Instructions around pc that the disassembly can scroll to."""

RECENT = 5.0
"""Seconds of silence after which nobody seems to write to a file any more."""

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
        self._reason = ""

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

    def console(self, lo: int, hi: int) -> Sequence[ConsoleChunk]:
        """Return the console output of a stretch."""
        return self.session.console(lo, hi)

    def lanes(self, window: Window) -> Lanes:
        """Return the counts of the counted lanes for each column of a window."""
        timeline = self.session.timeline(window.start, window.stop, window.columns)
        by_name = {lane.name: lane.counts for lane in timeline.lanes}
        nothing = (0,) * window.columns
        return Lanes(window, {name: by_name.get(LANE_NAMES.get(name, name), nothing) for name in COUNTED})

    def view(self) -> View:
        """Return what the panes show of the current position."""
        session = self.session
        when = session.when()
        lines = session.disassemble(None, CODE_AFTER, before=CODE_BEFORE)
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
            csrs=tuple((csr.name, csr.value, csr.text) for csr in session.registers(["csr"])),
            code=tuple(
                CodeLine(
                    line.address,
                    line.raw,
                    f"{line.text} <{line.target_text}>" if line.target_text and "<" not in line.text else line.text,
                    line.location.symbol if line.location.symbol and not line.location.offset else "",
                    line.target,
                )
                for line in lines
            ),
            marks=self._marks(),
            breakpoints=self.breakpoints(),
        )

    def _marks(self) -> tuple[MarkRow, ...]:
        marks = [MarkRow(mark.name, mark.icount, mark.text) for mark in self.session.bookmarks()]
        marks += [MarkRow("", note.icount, note.text) for note in self.session.notes()]
        return tuple(sorted(marks, key=lambda mark: (mark.position, mark.name)))

    def breakpoints(self) -> frozenset[int]:
        """Return the addresses of enabled breakpoints."""
        points = self.session.points()
        return frozenset(p.address for p in points if p.kind is PointKind.BREAK and p.enabled and p.address is not None)

    def memory(self, blocks: Sequence[int]) -> Memory:
        """Return blocks of memory at the current position."""
        result: dict[int, bytes | None] = {}
        for block in blocks:
            try:
                result[block] = self.session.read_memory(block, BLOCK).data or None
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

    def until(self, address: int, *, reverse: bool) -> None:
        """Run to an address."""
        session = self.session
        self._reason = describe(session.reverse_until(address) if reverse else session.until(address))

    def command(self, line: str) -> Answer:
        """Run a line of the command table and return what it answers."""
        answer = self._interpreter.run(line)
        if answer.stop is not None:
            self._reason = describe(answer.stop)
        return answer

    def complete(self, line: str) -> Sequence[str]:
        """Return whole command lines that could follow from `line`."""
        if line.startswith("memory "):
            return [
                "memory " + text.removeprefix("print ") for text in self.complete("print " + line[len("memory ") :])
            ]
        candidates = [candidate.text for candidate in self._interpreter.complete(line)]
        if line and "memory".startswith(line):
            candidates.append("memory ")
        return candidates

    def toggle_breakpoint(self, address: int) -> bool:
        """Set or remove a breakpoint; return whether it is set now."""
        here = [p for p in self.session.points() if p.kind is PointKind.BREAK and p.address == address]
        for point in here:
            self.session.delete_point(point.number)
        if not here:
            self.session.add_break(address)
        return not here

    def verify(self) -> tuple[bool, str]:
        """Replay the whole trace against its digests; return the outcome and a sentence about it."""
        result = self.session.verify()
        return result.ok, result.text

    def cancel(self) -> None:
        """Ask the running method to stop soon with an error; from any thread."""
        self.session.cancel()

    def close(self) -> None:
        """End the engine."""
        self.session.close()


def _written(path: str) -> bool:
    try:
        return abs(time.time() - os.stat(path).st_mtime) < RECENT
    except OSError:  # the file has gone; the open trace has not
        return False


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
