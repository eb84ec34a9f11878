"""Completion of command lines, from the table's argument kinds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rrdbg_core.errors import RrdbgError

from rrdbg.commands.interpreter import Completion
from rrdbg.commands.resolve import resolve
from rrdbg.commands.table import Arg, Command

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter

LIMIT = 200
"""Candidates at most: nobody reads more."""


def complete(interpreter: Interpreter, line: str) -> list[Completion]:
    """Return whole lines that could be meant by the start of one."""
    line = line.lstrip()
    found = [
        Completion(row.name + (" " if row.usage else ""), row.help)
        for row in interpreter.commands
        if row.name.startswith(line)
    ]
    if " " in line:
        found += _subcommands(interpreter, line)
        found += _arguments(interpreter, line)
    unique = {item.text: item for item in reversed(found)}
    return sorted(unique.values(), key=lambda item: item.text)[:LIMIT]


def _subcommands(interpreter: Interpreter, line: str) -> list[Completion]:
    first, _, rest = line.partition(" ")
    firsts = {row.name.split()[0] for row in interpreter.commands if " " in row.name}
    matches = [name for name in firsts if name.startswith(first)]
    if len(matches) != 1 or " " in rest.strip():
        return []
    prefix = f"{matches[0]} {rest.lstrip()}"
    return [
        Completion(row.name + (" " if row.usage else ""), row.help)
        for row in interpreter.commands
        if row.name.startswith(prefix)
    ]


def _arguments(interpreter: Interpreter, line: str) -> list[Completion]:
    try:
        row, call = resolve(line, interpreter.commands)
    except RrdbgError:
        return []
    if not row.args:
        return []
    body = call.args + (" " if line[-1] == " " and call.args else "")
    index = min(len(body.split(" ")) - 1, len(row.args) - 1)
    kind = row.args[index]
    word = re.search(r"[\w.$@#:]*$", body)
    typed = word[0] if word else ""
    if line[-1] == " " and not call.args:
        typed = ""
    head = line[: len(line) - len(typed)]
    return [Completion(head + item.text, item.help) for item in _candidates(interpreter, row, kind, typed)]


def _candidates(interpreter: Interpreter, row: Command, kind: Arg, typed: str) -> list[Completion]:
    session = interpreter.session
    pairs: list[tuple[str, str]] = []
    if kind in (Arg.LOCATION, Arg.EXPRESSION) and not typed.startswith("$") and (typed or kind is Arg.LOCATION):
        pairs += [(name, "") for name in interpreter.symbol_names() if name.startswith(typed)]
    if kind in (Arg.EXPRESSION, Arg.LOCATION) and typed.startswith("$"):
        pairs += [(f"${item.name}", "") for item in session.registers(["all"])]
    if kind is Arg.REGISTER:
        pairs += [(item.name, f"{item.value:#x}") for item in session.registers(["all"])]
        pairs += [("float", "f registers and fcsr"), ("csr", "all CSRs"), ("all", "everything")]
    if kind is Arg.POSITION or (kind is Arg.LOCATION and typed[:1] == "@"):
        pairs += [("start", "of the trace"), ("end", "of the trace")] if kind is Arg.POSITION else []
        pairs += [(f"@{mark.name}", mark.text or f"{mark.icount:_}") for mark in session.bookmarks()]
    if kind is Arg.BOOKMARK:
        pairs += [(mark.name, mark.text or f"{mark.icount:_}") for mark in session.bookmarks()]
    if kind is Arg.POINT:
        pairs += [(str(point.number), point.what) for point in session.points()]
    if kind is Arg.COMMAND:
        pairs += [(other.name, other.help) for other in interpreter.commands]
    return [Completion(text, help) for text, help in pairs if text.startswith(typed)][:LIMIT]
