"""`export`: write steps into a file, as text or JSON lines."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter


@command(
    "export",
    Group.TRACE,
    "write what each step did into a file",
    "FILE [--to text|jsonl] [--from POSITION] [--until POSITION]",
    args=(Arg.FILE,),
    details="Default: text (jsonl for a FILE that ends in .jsonl), and the whole trace, which may be long.",
)
def _export(interpreter: Interpreter, call: Call) -> Output:
    from rrdbg.export import FORMATS, export

    try:
        words = shlex.split(call.args)
    except ValueError as error:
        raise UsageError(f"cannot read the arguments of export: {error}") from error
    options: dict[str, str] = {}
    files: list[str] = []
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = value if equals else next(rest, "")
        else:
            files.append(word)
    if len(files) != 1 or set(options) - {"to", "from", "until"}:
        raise UsageError("export FILE [--to text|jsonl] [--from POSITION] [--until POSITION]")
    to = options.get("to", "jsonl" if files[0].endswith(".jsonl") else "text")
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}", hint=f"one of {', '.join(FORMATS)}")
    session = interpreter.session
    with Path(files[0]).open("w", encoding="utf-8", newline="\n") as file:
        rows = export(session, file, to=to, start=options.get("from"), until=options.get("until"))
    return Output(f"{rows:_} steps written to {files[0]}.", {"rows": rows, "file": files[0]})
