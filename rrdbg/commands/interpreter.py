"""Runs command lines on a session, and keeps what gdb keeps between them: displays, where `x` was, the last command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen

from rrdbg.commands.resolve import resolve
from rrdbg.commands.table import Call, Command, Output, table
from rrdbg.session.api import Session, Value
from rrdbg.session.errors import UsageError

if TYPE_CHECKING:
    from rrdbg.commands.listing import Listing

LINES = 10
"""Lines that `list` shows, unless told otherwise."""

FRAMES = 100
"""Frames that `backtrace` shows, unless told otherwise: more are a recursion without end, or traps in the handler."""
MAX_STOPS = 10_000
"""Stops whose points' commands are run in a row."""
MAX_DEPTH = 10
"""Command files that may read each other before it looks like a loop."""


class CommandError(RrdbgError):
    """A line of a command file failed."""


@dataclass(slots=True)
class Display:
    """An expression that is shown at each stop."""

    number: int
    """Its number from 1 on."""
    format: str
    """As for `x` and `p`, without the slash."""
    expression: str
    """As it was written."""
    enabled: bool = True
    """Whether it is shown."""


@dataclass(slots=True)
class Memory:
    """Where `x` or `xp` goes on when it is called again."""

    next: int | None = None
    """Address after what was shown last."""
    letter: str = "x"
    """Format letter used last."""
    size: int = 4
    """Unit size used last, in bytes."""


class Interpreter:
    """A prompt's mind.

    Example:
        >>> interpreter = Interpreter(session)
        >>> print(interpreter.run("info registers pc").text)
    """

    def __init__(self, session: Session, commands: Sequence[Command] | None = None) -> None:
        self.session = session
        self.commands = tuple(commands) if commands is not None else table()
        self.displays: list[Display] = []
        self.memory = Memory()
        self.physical = Memory()
        self.listing: Listing | None = None
        """What `list` has shown last since the last stop."""
        self.next_line: tuple[str, int] | None = None
        """The line that `info line` goes on with: behind the one that it has told of since the last stop or `list`."""
        self.list_size = LINES
        """How many lines `list` shows."""
        self.frame_limit: int | None = FRAMES
        """How many frames `backtrace` shows; None: all."""
        self.last_point = 0
        """Number of the point that a command has set last; 0: none yet."""
        self.point_commands: dict[int, tuple[str, ...]] = {}
        """What is run when a point stops, by its number."""
        self._collected: tuple[Sequence[int], list[str]] | None = None
        self._display_numbers = 0
        self._last: tuple[Command, Call] | None = None
        self._depth = 0
        self._symbols: list[str] | None = None

    # running

    def run(self, line: str) -> Output:
        """Run one line. An empty one repeats the last command, if that makes sense; `#` starts a comment.

        Behind `commands` lines are kept for later, up to `end`.

        Raises:
            RrdbgError: The command makes no sense, or failed.
        """
        line = line.strip()
        if line.startswith("#"):
            return Output()
        if self._collected is not None:
            self._collect(line)
            return Output()
        output = self._run(line)
        return self._with_point_commands(output) if output.stop is not None and self.point_commands else output

    def _run(self, line: str) -> Output:
        if not line:
            if self._last is None:
                return Output()
            command, call = self._last
            call = replace(call, args="") if command.name in ("x", "list") else call
        else:
            command, call = resolve(line, self.commands)
            self._last = (command, call) if command.repeats else None
        output = command.handler(self, call)
        if output.stop is not None:
            self.show(None)
            output = self._with_displays(output)
        return output

    def run_lines(self, lines: Iterable[str], write: Callable[[Output], None], origin: str = "") -> bool:
        """Run lines until one fails. Return False when one asked to quit.

        Raises:
            CommandError: A line failed; says which.
        """
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise UsageError(
                    f"command files are nested more than {MAX_DEPTH} deep", hint="do they read each other?"
                )
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    output = self.run(line)
                except RrdbgError as error:
                    if not origin or isinstance(error, CommandError):
                        raise
                    raise CommandError(
                        f"{origin}:{number}: {error.message}", hint=error.hint, exit_code=error.exit_code
                    ) from error
                write(output)
                if output.quit:
                    return False
        finally:
            self._depth -= 1
        return True

    def run_file(self, path: str, write: Callable[[Output], None]) -> bool:
        """Run a command file. Return False when it asked to quit.

        Raises:
            CommandError: A line failed; says which.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CommandError(f"cannot read command file {path}: {what}", exit_code=ExitCode.NOT_FOUND) from error
        return self.run_lines(text.splitlines(), write, path)

    # for the commands

    def show(self, listing: Listing | None) -> None:
        """Remember what `list` has shown; None: the selected frame's line, at a stop."""
        self.listing = listing
        self.next_line = None

    def evaluate(self, text: str) -> Value:
        """Return the value of an expression as a number."""
        return self.session.value(text)

    def add_display(self, form: str, expression: str) -> Display:
        """Show an expression at each stop from now on."""
        self._display_numbers += 1
        display = Display(self._display_numbers, form, expression)
        self.displays.append(display)
        return display

    def symbol_names(self) -> list[str]:
        """Return all symbols' names, for completion; asked for once."""
        if self._symbols is None:
            self._symbols = [symbol.name for symbol in self.session.symbols("", 100_000)]
        return self._symbols

    def complete(self, line: str) -> list[Completion]:
        """Return whole lines that could be meant by the start of one."""
        from rrdbg.commands.complete import complete

        return complete(self, line)

    # commands of points

    @property
    def collecting(self) -> bool:
        """Whether the next line is kept for later: a prompt may show that."""
        return self._collected is not None

    def collect(self, numbers: Sequence[int]) -> None:
        """Keep the lines that follow, up to `end`, as the commands of some points; of none, keep no more lines."""
        self._collected = (numbers, []) if numbers else None

    def _collect(self, line: str) -> None:
        assert self._collected is not None
        numbers, lines = self._collected
        if line != "end":
            lines += [line] if line else []
            return
        self._collected = None
        for number in numbers:
            self.point_commands.pop(number, None)
            if lines:
                self.point_commands[number] = tuple(lines)

    def _with_point_commands(self, output: Output) -> Output:
        """Run the commands of the points that stopped, and of those that stop what they run."""
        texts: list[str] = []
        for _ in range(MAX_STOPS):
            assert output.stop is not None
            lines = [line for number in output.stop.points for line in self.point_commands.get(number, ())]
            silent = lines[:1] == ["silent"]
            if output.text and not silent:
                texts.append(output.text)
            if not lines:
                return replace(output, text="\n".join(texts))
            moved = self._run_for_point(lines[silent:], texts)
            if moved is None:
                return replace(output, text="\n".join(texts), raw=False)
            output = moved
        texts.append(f"(commands of points were run {MAX_STOPS:_} times: that is where this ends)")
        return replace(output, text="\n".join(texts))

    def _run_for_point(self, lines: Sequence[str], texts: list[str]) -> Output | None:
        """Run lines up to the first one that moves, and return what that answers; an error ends it, and is told."""
        for line in lines:
            try:
                output = self._run(line)
            except RrdbgError as error:
                texts.append(f"Error in the commands of a breakpoint: {error.message}")
                return None
            if output.stop is not None:
                return output
            if output.text:
                texts.append(output.text.removesuffix("\n"))
        return None

    def _with_displays(self, output: Output) -> Output:
        from rrdbg.commands.memory import show_display

        shown = [show_display(self, display) for display in self.displays if display.enabled]
        return replace(output, text="\n".join([output.text, *shown])) if shown else output


class Completion(Frozen):
    """A way in which a command line could go on."""

    text: str
    """The whole line."""
    help: str = field(default="")
    """One line about it."""
