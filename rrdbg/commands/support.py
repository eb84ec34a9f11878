"""help, echo, source, quit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rrdbg.commands.resolve import resolve
from rrdbg.commands.table import Arg, Call, Command, Group, Output, command
from rrdbg.session.errors import UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter

_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "e": "\x1b", "a": "\a", "r": "\r"}


@command(
    "help", Group.SUPPORT, "explain a command, or list them all", "[COMMAND]", aliases=("h", "?"), args=(Arg.COMMAND,)
)
def _help(interpreter: Interpreter, call: Call) -> Output:
    text = help_text(call.args, interpreter.commands)
    return Output(text.removesuffix("\n"), text)


def help_text(name: str, commands: Sequence[Command]) -> str:
    """Return the help of a command, of all that start with a word, or of all, with a newline.

    Raises:
        UsageError: There is no such command.
    """
    if not name:
        return _overview(commands) + "\n"
    under = [row for row in commands if row.name.startswith(name + " ")]
    if under and not any(row.name == name for row in commands):
        return "\n".join(_line(row) for row in under) + "\n"
    row, _ = resolve(name, commands)
    return explain(row) + "\n"


def explain(row: Command) -> str:
    """Return the whole help of a command."""
    names = f"  (short: {', '.join(row.aliases)})" if row.aliases else ""
    lines = [f"{row.name} {row.usage}".rstrip() + names, f"{row.help[0].upper()}{row.help[1:]}."]
    return "\n".join([*lines, row.details] if row.details else lines)


def _overview(commands: Sequence[Command]) -> str:
    lines: list[str] = []
    for group in Group:
        lines.append(f"{group.value}:")
        lines += [f"  {_line(row)}" for row in commands if row.group is group]
    return "\n".join([*lines, "", "`help COMMAND` explains one. Any unambiguous start of a name will do."])


def _line(row: Command) -> str:
    return f"{row.name:<18} {row.help}"


@command("echo", Group.SUPPORT, "print a text", "TEXT", details=r"\n and \t are understood; no newline is added.")
def _echo(interpreter: Interpreter, call: Call) -> Output:
    text, rest = "", iter(call.args)
    for char in rest:
        if char == "\\":
            char = next(rest, "")
            char = _ESCAPES.get(char, char)
        text += char
    return Output(text, text, raw=True)


@command("source", Group.SUPPORT, "run a file of commands", "FILE", args=(Arg.FILE,))
def _source(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("source needs a file: source FILE")
    text = ""
    results: list[object] = []

    def keep(output: Output) -> None:
        nonlocal text
        text += output.text + ("" if output.raw or not output.text else "\n")
        results.append(output.data)

    went_on = interpreter.run_file(call.args, keep)
    return Output(text, results, quit=not went_on, raw=True)


@command("quit", Group.SUPPORT, "leave", aliases=("q", "exit"))
def _quit(interpreter: Interpreter, call: Call) -> Output:
    return Output(quit=True)
