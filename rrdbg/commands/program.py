"""Commands about the program: its variables, functions, types and symbols, and where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rrdbg.commands.data import regex
from rrdbg.commands.formats import address_text
from rrdbg.commands.listing import here
from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import NotFound, UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import Session
    from rrdbg.session.program import LineSpan


def _listed(interpreter: Interpreter, kind: str, pattern: str, title: str) -> Output:
    session = interpreter.session
    found = session.program_symbols(kind, pattern, _MAX_LISTED)
    matching = f'All {title} matching regular expression "{pattern}":' if pattern else f"All defined {title}:"
    lines = [matching]
    file = None
    for row in sorted(found, key=lambda row: (row.file == "", row.file, row.name)):
        if row.file != file:
            file = row.file
            lines += ["", f"File {file}:" if file else "Without a line of their own:"]
        lines.append(f"{row.line}:\t{row.text}" if row.line else f"\t{row.text}")
    if len(found) >= _MAX_LISTED:
        lines.append(f"(the first {_MAX_LISTED}; a regular expression cuts the list down)")
    if kind != "type":
        lines += _undescribed(session, kind, regex(pattern), {row.address for row in found})
    return Output("\n".join(lines), list(found))


_MAX_LISTED = 1000
_SYMBOL_KINDS = {"variable": "object", "function": "function"}


def _undescribed(session: Session, kind: str, wanted: re.Pattern[str], known: set[int | None]) -> Iterator[str]:
    """Yield the lines about symbols that no debug information describes."""
    first = True
    for symbol in session.symbols("", _MAX_LISTED):
        if symbol.kind == _SYMBOL_KINDS[kind] and symbol.address not in known and wanted.search(symbol.name):
            if first:
                yield from ("", "Non-debugging symbols:")
                first = False
            yield f"{symbol.address:#018x}  {symbol.name}"


@command("info variables", Group.DATA, "list the program's global and static variables", "[REGEX]", aliases=("va",))
def _info_variables(interpreter: Interpreter, call: Call) -> Output:
    return _listed(interpreter, "variable", call.args, "variables")


@command("info functions", Group.DATA, "list the program's functions", "[REGEX]", aliases=("fu", "fun"))
def _info_functions(interpreter: Interpreter, call: Call) -> Output:
    return _listed(interpreter, "function", call.args, "functions")


@command("info types", Group.DATA, "list the program's types", "[REGEX]", aliases=("ty",))
def _info_types(interpreter: Interpreter, call: Call) -> Output:
    return _listed(interpreter, "type", call.args, "types")


@command(
    "info scope",
    Group.DATA,
    "list the variables that are visible at a place, and where they are",
    "[LOCATION]",
    aliases=("sc",),
    args=(Arg.LOCATION,),
)
def _info_scope(interpreter: Interpreter, call: Call) -> Output:
    found = interpreter.session.program_symbols("scope", call.args)
    scope = f"Scope for {call.args or '*$pc'}"
    lines = [f"{scope}:", *(row.text for row in found)]
    return Output("\n".join(lines) if found else f"{scope} contains no locals or arguments.", list(found))


@command(
    "info symbol",
    Group.DATA,
    "say what symbol is at an address",
    "ADDRESS",
    aliases=("sym", "symb", "symbo"),
    args=(Arg.EXPRESSION,),
)
def _symbol(interpreter: Interpreter, call: Call) -> Output:
    session, text = interpreter.session, _needed(call)
    address = interpreter.evaluate(text).bits
    where, section = session.locate(address), session.section(address)
    if not where.symbol:
        raise NotFound(f"no symbol matches {text}", hint=f"{section} is around {address:#x}" if section else "")
    offset = f" + {where.offset}" if where.offset else ""
    return Output(f"{where.symbol}{offset}" + (f" in section {section}" if section else ""), where)


@command("info address", Group.DATA, "say where a symbol is", "SYMBOL", args=(Arg.LOCATION,))
def _address(interpreter: Interpreter, call: Call) -> Output:
    text = interpreter.session.whereabouts(_needed(call))
    return Output(text, text)


@command(
    "info line",
    Group.DATA,
    "say which code belongs to a source line",
    "[LINE | FUNCTION | FILE:LINE | *ADDRESS]",
    args=(Arg.LOCATION,),
    details=(
        "Without an argument: to the selected frame's line, or the first one that `list` has shown; then to the line "
        "behind. `x/i` goes on there."
    ),
)
def _line(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    spans = session.line_spans(call.args) if call.args else _line_at_hand(interpreter)
    interpreter.next_line = spans[-1].file, spans[-1].line + 1
    interpreter.memory.next, interpreter.memory.letter = spans[0].start, "i"
    rows = []
    for span in spans:
        line, start = f'Line {span.line} of "{span.file}"', address_text(span.start, session.locate)
        if span.stop == span.start:
            rows.append(f"{line} is at address {start} but contains no code.")
        else:
            stop = address_text(span.stop, session.locate)
            rows.append(f"{line} starts at address {start} and ends at {stop}.")
    return Output("\n".join(rows), list(spans))


def _line_at_hand(interpreter: Interpreter) -> Sequence[LineSpan]:
    """Return the code of the line that was listed or told of last: the first piece of it, as in gdb."""
    session, shown = interpreter.session, interpreter.listing
    if interpreter.next_line is not None:
        file, line = interpreter.next_line
    elif shown is not None:
        file, line = shown.file, shown.first
    else:
        try:
            file, line = here(interpreter)
        except NotFound:
            return session.line_spans()
    return session.line_spans(f"{file}:{line}")[:1]


@command("info symbols", Group.DATA, "list symbols whose names start with a text", "[PREFIX]")
def _symbols(interpreter: Interpreter, call: Call) -> Output:
    found = interpreter.session.symbols(call.args, 1000)
    lines = [f"{symbol.address:#018x}  {symbol.size:>6}  {symbol.kind:<8}  {symbol.name}" for symbol in found]
    lacking = [f"({problem})" for problem in interpreter.session.symbol_problems()]
    return Output("\n".join([*lines, *lacking]) or "No symbols.", list(found))


def _needed(call: Call) -> str:
    if not call.args:
        raise UsageError(f"{call.name} needs an argument", hint=f"help {call.name}")
    return call.args
