"""Commands that show source: list, `info source`, `info sources`, directory, `set substitute-path`."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from rrdbg_core.frozen import Frozen

from rrdbg.commands.interpreter import LINES
from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import NotFound, UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import Location

MAX_LINES = 10_000
"""Lines that `list` can be told to show."""
_PLACE = re.compile(r"(?:(.+):)?(\d+)")


class Listing(Frozen):
    """What `list` has shown last."""

    file: str
    """Source file."""
    first: int
    """Its first line that was shown."""
    last: int
    """Its last line that was shown."""


def line_text(interpreter: Interpreter, location: Location) -> str:
    """Return a source line as it is shown at a stop, `12\\tx = 1;`; without its text when the file is not there."""
    where = f"{location.line}\tin {location.file}"
    try:
        lines = interpreter.session.source(location.file).lines
    except NotFound:
        return where
    return f"{location.line}\t{lines[location.line - 1]}" if location.line <= len(lines) else where


@command(
    "list",
    Group.SOURCE,
    "show source lines",
    "[LINE | FUNCTION | FILE:LINE | FIRST,LAST | -]",
    aliases=("l",),
    args=(Arg.LOCATION,),
    details=(
        "Without an argument: around the current line, then the lines after those shown last; `list -`: those before. "
        f"{LINES} lines each, or as `set listsize` says. `set substitute-path` and `directory` say where sources are."
    ),
    repeats=True,
)
def _list(interpreter: Interpreter, call: Call) -> Output:
    text, shown = call.args.strip(), interpreter.listing
    if text == "-":
        if shown is None:
            file, line = here(interpreter)
            shown = Listing(file, max(line - interpreter.list_size // 2, 1), 0)
        if shown.first <= 1:
            raise NotFound(f"already at the start of {shown.file}")
        return _show(interpreter, shown.file, max(shown.first - interpreter.list_size, 1), shown.first - 1)
    if not text:
        if shown is not None:
            return _show(interpreter, shown.file, shown.last + 1, shown.last + interpreter.list_size)
        return _around(interpreter, *here(interpreter))
    if "," in text:
        first_text, last_text = (part.strip() for part in text.split(",", 1))
        if not first_text and not last_text:
            raise UsageError("list needs a first or a last line: list FIRST,LAST")
        if first_text:
            file, first = _place(interpreter, first_text)
            last = _place(interpreter, last_text, file)[1] if last_text else first + interpreter.list_size - 1
        else:
            file, last = _place(interpreter, last_text)
            first = max(last - interpreter.list_size + 1, 1)
        if last < first:
            raise UsageError(f"the last line, {last}, lies before the first one, {first}")
        return _show(interpreter, file, first, last)
    return _with_place(interpreter, text, _around(interpreter, *_place(interpreter, text)))


def _with_place(interpreter: Interpreter, text: str, output: Output) -> Output:
    """Return a listing, that of an address with what gdb says above it: where the address is."""
    if not text.startswith("*"):
        return output
    where = interpreter.session.source_place(text)
    name = interpreter.session.locate(where.address).symbol
    return replace(output, text=f"{where.address:#x} is in {name} ({where.source}).\n{output.text}")


def here(interpreter: Interpreter) -> tuple[str, int]:
    """Return the line of the selected frame."""
    session = interpreter.session
    frames = session.backtrace(session.frame + 1)
    location = frames[session.frame].location if len(frames) > session.frame else session.when().location
    if not location.line:
        problems = "; ".join(session.symbol_problems())
        raise NotFound(f"no source line is known for {location.address:#x}", hint=problems or "`disassemble` shows it")
    return location.file, location.line


def _place(interpreter: Interpreter, text: str, file: str = "") -> tuple[str, int]:
    """Return the file and line that a text means."""
    match = _PLACE.fullmatch(text)
    if match is None:
        location = interpreter.session.source_place(text)
        return location.file, location.line
    if match[1]:
        return match[1], int(match[2])
    if not file:
        file = interpreter.listing.file if interpreter.listing else here(interpreter)[0]
    return file, int(match[2])


def _around(interpreter: Interpreter, file: str, line: int) -> Output:
    first = max(line - interpreter.list_size // 2, 1)
    return _show(interpreter, file, first, first + interpreter.list_size - 1)


def _show(interpreter: Interpreter, file: str, first: int, last: int) -> Output:
    source = interpreter.session.source(file)
    count = len(source.lines)
    if first > count:
        raise UsageError(f"line number {first} out of range; {source.file} has {count} lines")
    last = min(last, count)
    interpreter.show(Listing(source.file, first, last))
    rows = [(number, source.lines[number - 1]) for number in range(max(first, 1), last + 1)]
    return Output("\n".join(f"{number}\t{text}" for number, text in rows), rows)


@command("set listsize", Group.SOURCE, "set how many lines `list` shows", "NUMBER", args=(Arg.EXPRESSION,))
def _set_list_size(interpreter: Interpreter, call: Call) -> Output:
    size = interpreter.evaluate(call.args).number if call.args not in ("", "unlimited") else MAX_LINES
    if not 0 < size <= MAX_LINES:
        raise UsageError(f"cannot list {size} lines", hint=f"from 1 to {MAX_LINES}")
    interpreter.list_size = size
    return Output()


@command("show listsize", Group.SOURCE, "say how many lines `list` shows")
def _show_list_size(interpreter: Interpreter, call: Call) -> Output:
    size = interpreter.list_size
    return Output(f"Number of source lines rrdbg will list by default is {size}.", size)


@command("info source", Group.SOURCE, "say which source file the current line is in", aliases=("so",))
def _info_source(interpreter: Interpreter, call: Call) -> Output:
    text = interpreter.session.source_details()
    return Output(text, text.splitlines())


@command(
    "info sources",
    Group.SOURCE,
    "list the program's source files",
    "[TEXT]",
    details="With a text: those whose names contain it.",
)
def _info_sources(interpreter: Interpreter, call: Call) -> Output:
    files = [file for file in interpreter.session.source_files() if call.args in file]
    return Output("\n".join(files) or "No source files.", files)


@command(
    "set substitute-path",
    Group.SOURCE,
    "look for sources elsewhere",
    "FROM TO",
    args=(Arg.FILE,),
    details="Names of source files that start with FROM are looked for under TO.",
)
def _substitute(interpreter: Interpreter, call: Call) -> Output:
    words = call.args.split()
    if len(words) != 2:
        raise UsageError("set substitute-path takes two paths: set substitute-path FROM TO")
    interpreter.session.substitute_path(words[0], os.path.expanduser(words[1]))
    return Output()


@command("unset substitute-path", Group.SOURCE, "forget a rule of `set substitute-path`, or all", "[FROM]")
def _unset(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    known = [old for old, _ in session.substitutions()]
    if call.args and call.args not in known:
        raise NotFound(f"no rule for {call.args!r}", hint="`show substitute-path` lists them")
    for old in [call.args] if call.args else known:
        session.substitute_path(old, "")
    return Output()


@command("show substitute-path", Group.SOURCE, "list the rules of `set substitute-path`")
def _show_rules(interpreter: Interpreter, call: Call) -> Output:
    rules = list(interpreter.session.substitutions())
    lines = ["List of all source path substitution rules:", *(f"  {old!r} -> {new!r}." for old, new in rules)]
    return Output("\n".join(lines), rules)


@command(
    "directory",
    Group.SOURCE,
    "look for sources in a directory first",
    "[DIRECTORY]",
    aliases=("dir",),
    args=(Arg.FILE,),
    details="Without one, the directories named before are forgotten.",
)
def _directory(interpreter: Interpreter, call: Call) -> Output:
    known = interpreter.session.source_directory(os.path.expanduser(call.args))
    return Output(f"Source directories searched: {':'.join([*known, '$cdir', '$cwd'])}", known)


@command(
    "set step-mode",
    Group.SOURCE,
    "let step go into functions without line information, or not",
    "on|off",
    details="Off, which is the default: step passes over such functions.",
)
def _step_mode(interpreter: Interpreter, call: Call) -> Output:
    if call.args not in ("on", "off", "1", "0"):
        raise UsageError("set step-mode takes on or off")
    interpreter.session.set_step_mode(call.args in ("on", "1"))
    return Output()
