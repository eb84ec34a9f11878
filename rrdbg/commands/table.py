"""The command table: what every prompt, script and server understands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rrdbg_core.frozen import Frozen

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import Stop


class Arg(StrEnum):
    """What an argument is, for completion."""

    LOCATION = "location"
    """A symbol, an address or `file:line`."""
    EXPRESSION = "expression"
    """An expression: symbols and registers."""
    POSITION = "position"
    """A position: `@bookmark`, `#event`, start, end."""
    REGISTER = "register"
    """A register's name."""
    BOOKMARK = "bookmark"
    """A bookmark's name."""
    POINT = "point"
    """A point's number."""
    COMMAND = "command"
    """A command's name."""
    FILE = "file"
    """A host file."""


class Group(StrEnum):
    """Where the help lists a command."""

    RUNNING = "running"
    POINTS = "breakpoints"
    STACK = "stack"
    SOURCE = "source"
    DATA = "data"
    TRACE = "trace"
    USER = "bookmarks and notes"
    SUPPORT = "support"


class Output(Frozen):
    """What a command answers."""

    text: str = ""
    """For people, without a trailing newline."""
    data: Any = None
    """For programs: what `--json` prints. Dataclasses of the session are allowed."""
    stop: Stop | None = None
    """The stop, when the command moved."""
    quit: bool = False
    """Whether the user wants to leave."""
    raw: bool = False
    """Whether the text is complete as it is: `echo` ends no line by itself."""


Handler = Callable[["Interpreter", "Call"], Output]


class Call(Frozen):
    """One call of a command."""

    name: str
    """Full name of the command."""
    args: str
    """Everything after the name and the format, stripped."""
    format: str = ""
    """What followed the name after a slash: `x/4xg` has "4xg"."""


class Command(Frozen):
    """A row of the table."""

    name: str
    """Full name; two words for a subcommand: "info registers"."""
    handler: Handler
    """Runs it."""
    group: Group
    """Where the help lists it."""
    help: str
    """One line, without a full stop."""
    usage: str = ""
    """Its arguments, as help shows them."""
    details: str = ""
    """Everything else worth knowing."""
    aliases: tuple[str, ...] = ()
    """Short names that win over other commands' abbreviations."""
    args: tuple[Arg, ...] = ()
    """What the arguments are, for completion; the last one repeats."""
    repeats: bool = field(default=False)
    """Whether an empty line does it again."""


_TABLE: list[Command] = []


def command(
    name: str,
    group: Group,
    help: str,
    usage: str = "",
    *,
    aliases: tuple[str, ...] = (),
    args: tuple[Arg, ...] = (),
    details: str = "",
    repeats: bool = False,
) -> Callable[[Handler], Handler]:
    """Enter a function into the table."""

    def enter(handler: Handler) -> Handler:
        _TABLE.append(Command(name, handler, group, help, usage, details, aliases, args, repeats))
        return handler

    return enter


def table() -> tuple[Command, ...]:
    """Return all commands in the order in which the help lists them."""
    from rrdbg.commands import (
        data,
        export,
        frames,
        info,
        listing,
        memory,
        motion,
        points,
        program,
        support,
        trace,
        user,
    )

    assert all((data, export, frames, info, listing, memory, motion, points, program, support, trace, user))
    order = list(Group)
    return tuple(sorted(_TABLE, key=lambda row: order.index(row.group)))
