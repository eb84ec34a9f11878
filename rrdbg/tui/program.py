"""The guest's program in the words of the panes: stack, variables, source, lines executed. Runs in the engine's thread.

A part that cannot be found (no debug information, an address that cannot be read) leaves its pane empty, with the
reason; only a cancellation or the end of the engine reaches the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import Cancelled, FrameInfo, LineVisit, Session, SourceFile, Stop, StopReason, Variable
from rrdbg.session.errors import EngineDied
from rrdbg.session.values import DisasmLine, Location
from rrdbg.tui.model import NEAR, CodeLine, Compared, Peek, Place, Program, Trail, Watch, Wish
from rrdbg.tui.text import grouped, visible

CODE_BEFORE, CODE_AFTER = 60, 140
"""Instructions around pc that the disassembly can scroll to."""

FRAMES = 64
"""Frames of the stack that are fetched."""

PARTS = 1000
"""Parts of opened values that are fetched for one screen, however deep they lie."""

TRAILS = (250, 4000)
"""Steps before and after the cursor whose source lines are shaded: where the first have enough lines, those do."""

CHANGES = 2000
"""Runs of changed bytes that a comparison shows."""

T = TypeVar("T")


class ProgramReader:
    """Asks the session what the program's panes show."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sources: dict[str, SourceFile | str] = {}
        self._code: tuple[CodeLine, ...] = ()
        self._code_at: dict[int, int] = {}
        self.given_up = False
        """Set by another thread: what the panes show is not wanted any more."""

    def forget_sources(self) -> None:
        """Look for source files anew: a substitution may have been set."""
        self._sources = {}

    # code

    def code(self, address: int | None) -> tuple[CodeLine, ...]:
        """Return the disassembly around an address; None: pc. The last one again where it will do."""
        if address is None or not self._still_there(address):
            lines = self._session.disassemble(address, CODE_AFTER, before=CODE_BEFORE)
            self._code = tuple(_code_line(line) for line in lines)
            self._code_at = {line.address: number for number, line in enumerate(self._code)}
        return self._code

    def _still_there(self, address: int) -> bool:
        """Return whether the last disassembly has an address well inside, and memory still holds what it shows."""
        number, lines = self._code_at.get(address, 0), self._code
        if not CODE_BEFORE // 2 <= number < len(lines) - CODE_AFTER // 2:
            return False
        known = b"".join(line.raw for line in lines)
        start = lines[0].address
        if lines[-1].address + len(lines[-1].raw) - start != len(known):
            return False
        return self._session.read_memory(start, len(known)).data == known

    def source(self, file: str) -> tuple[SourceFile | None, str]:
        """Return a source file, or why there is none and what to do."""
        if not file:
            return None, "no source lines are known for this code"
        found = self._sources.get(file)
        if found is None:
            try:
                found = self._session.source(file)
            except (Cancelled, EngineDied):
                raise
            except RrdbgError as error:
                found = "\n".join(filter(None, (error.message, error.hint)))
            self._sources[file] = found
        return (None, found) if isinstance(found, str) else (found, "")

    def place(self, what: str | int) -> Place:
        """Return a piece of the program to look at: an address, or text as breakpoints have it. Raises RrdbgError."""
        address = what if isinstance(what, int) else self._address(what)
        location = self._session.locate(address)
        source, missing = self.source(location.file)
        return Place(location, self.code(address), source, missing)

    def _address(self, what: str) -> int:
        _, colon, line = what.rpartition(":")
        if not (colon and line.isdigit()):
            return self._session.evaluate(what)
        # The session knows which code a line has: a breakpoint of our own says it.
        point = self._session.add_break(what, internal=True)
        surely(lambda: self._session.delete_point(point.number))
        if point.address is None:
            raise RrdbgError(f"no code at {what}")
        return point.address

    # state

    def program(self, wish: Wish) -> Program:
        """Return what the program's panes show of the current position and frame."""
        session = self._session
        position, number = session.icount, session.frame
        trouble: list[str] = []
        frames: Sequence[FrameInfo] = self._part(trouble, lambda: session.backtrace(FRAMES), ())
        location = frames[number].location if number < len(frames) else session.locate(session.pc)
        source, missing = self.source(location.file)
        nothing: Sequence[Variable] = ()
        variables = [
            *self._part(trouble, lambda: session.variables("arg"), nothing),
            *self._part(trouble, lambda: session.variables("local"), nothing),
        ]
        watches = tuple(self._watch(watch) for watch in wish.watches)
        parts: dict[str, tuple[Variable, ...]] = {}
        self._open((*variables, *watches), wish.open, parts)
        return Program(
            position,
            number,
            tuple(frames),
            location,
            source,
            missing,
            tuple(variables),
            watches,
            parts,
            self._texts(location, source) if wish.mixed else {},
            visible(trouble[0]) if trouble else "",
        )

    def _part(self, trouble: list[str], ask: Callable[[], T], nothing: T) -> T:
        self._go_on()
        try:
            return ask()
        except (Cancelled, EngineDied):
            raise
        except RrdbgError as error:
            trouble.append(error.message)
            return nothing

    def _go_on(self) -> None:
        # Values are printed in one go, each quickly; a cancellation of the session would not be heeded.
        if self.given_up:
            raise Cancelled("something else was asked for")

    def _watch(self, watch: Watch) -> Variable:
        self._go_on()
        try:
            printed = self._session.print_value(watch.expression, watch.format)
        except (Cancelled, EngineDied):
            raise
        except RrdbgError as error:
            return Variable(watch.name, "", error.message, watch.expression, "missing")
        text = " ".join(printed.text.split())
        return Variable(
            watch.name, printed.type, text, watch.expression, "watch", printed.address, printed.expandable
        )  # fmt: skip

    def _open(self, roots: Iterable[Variable], opened: frozenset[str], parts: dict[str, tuple[Variable, ...]]) -> None:
        # Breadth first: what lies nearest to the top is on the screen.
        waiting = [variable for variable in roots if variable.expandable and variable.expression in opened]
        room = PARTS
        while waiting and room > 0:
            variable = waiting.pop(0)
            if variable.expression in parts:
                continue
            found = self._children(variable.expression)
            parts[variable.expression] = found
            room -= len(found)
            waiting += [part for part in found if part.expandable and part.expression in opened]

    def _children(self, expression: str) -> tuple[Variable, ...]:
        nothing: Sequence[Variable] = ()
        return tuple(self._part([], lambda: self._session.children(expression), nothing))

    def _texts(self, location: Location, source: SourceFile | None) -> dict[str, tuple[str, ...]]:
        files = {line.file for line in self.code(location.address) if line.file}
        texts = {file: found.lines for file in files if (found := self.source(file)[0]) is not None}
        return {**texts, source.file: source.lines} if source is not None else texts

    def trail(self) -> Trail:
        """Return the source lines executed around the current position."""
        session = self._session
        here = session.icount
        visits: Sequence[LineVisit] = ()
        for reach in TRAILS:
            visits = self._part([], lambda reach=reach: session.line_visits(reach, reach, NEAR[-1]), ())  # type: ignore[misc]
            past = sum(visit.icount < here for visit in visits)
            if min(past, len(visits) - past) >= NEAR[-1]:
                break
        return Trail(here, tuple(visits))

    # elsewhere

    def compared(self, base: int) -> Compared:
        """Return how the current position differs from another one."""
        here = self._session.icount
        found = self._session.difference(base, here, CHANGES)
        return Compared(base, here, found.registers, found.memory, found.bytes)

    def peek(self, position: int) -> Peek | None:
        """Return what is known of a position, without going there; None at the end of the run."""
        rows = self._session.step_rows(position, 1)
        if not rows:
            return None
        row = rows[0]
        where = row.location.text or f"{row.pc:x}"
        if row.location.line:
            where += f" {row.location.file.rsplit('/', 1)[-1]}:{row.location.line}"
        what = row.trap or row.text
        what += "".join(f"; {event.text}" for event in row.events[:1])
        return Peek(position, row.virtual_ns, visible(where), " ".join(visible(what.replace("\t", " ")).split()))

    def written(self, expression: str, *, reverse: bool) -> str:
        """Run to the next change of a value, or back before the last one, past all other points; return what happened.

        Raises:
            RrdbgError: The value lies nowhere in memory, or never changes: the session stands where it stood.
        """
        session = self._session
        start = session.icount
        shown = visible(expression)
        if expression.startswith("$") and expression[1:].replace("_", "").isalnum():
            point = session.add_watch(expression, internal=True)
        else:
            printed = session.print_value(expression)
            if printed.address is None:
                raise RrdbgError(
                    f"{shown} has no address here: it lives in a register, or in pieces, or is computed",
                    hint="watch the register instead: a $a0",
                )
            point = session.add_watch(printed.address, length=printed.size, internal=True)
        others = [other.number for other in session.points() if other.enabled and other.number > 0]
        try:
            for number in others:
                session.enable_point(number, on=False)
            stop = session.reverse_continue() if reverse else session.continue_()
        finally:
            for number in others:
                surely(lambda number=number: session.enable_point(number))  # type: ignore[misc]
            surely(lambda: session.delete_point(point.number))
        if stop.reason is not StopReason.WATCHPOINT:
            session.goto(start)
            raise RrdbgError(f"{shown} does not change {'before' if reverse else 'after'} {grouped(start)}")
        return f"{shown}{_values(stop)}"


def _values(stop: Stop) -> str:
    return f": {stop.old:#x} → {stop.new:#x}" if stop.old is not None and stop.new is not None else " changes"


def surely(call: Callable[[], object]) -> None:
    """Clean up, also when the user's cancelling hits this very call; what was cleaned up already is no error."""
    for _ in range(3):
        with suppress(RrdbgError):
            try:
                call()
            except Cancelled:
                continue
        return


def _code_line(line: DisasmLine) -> CodeLine:
    location = line.location
    return CodeLine(
        line.address,
        line.raw,
        f"{line.text} <{line.target_text}>" if line.target_text and "<" not in line.text else line.text,
        location.symbol if location.symbol and not location.offset else "",
        line.target,
        location.file,
        location.line,
    )
