"""Commands that compute: print, output, printf, whatis, ptype, variables, registers, diff."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rrdbg.commands.foreign import SETTINGS
from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.values import unreadable_text

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import RegisterValue, Session
    from rrdbg.session.program import Change

_OPTION = re.compile(r"-([a-z][a-z-]*)(?:\s+(on|off|unlimited|\d+)(?=\s))?\s*")
_PRINT_FORMATS = "x hex, d decimal, u unsigned, o octal, t binary, a address, c character, f float, s string, z padded"


@contextlib.contextmanager
def _settings(session: Session, text: str) -> Iterator[str]:
    """Take `-pretty on -elements 5 --` from the front of a command's text, and print like that."""
    head, dashes, rest = text.partition("--") if text.startswith("-") else ("", "", text)
    wanted: list[tuple[str, str]] = []
    if dashes and re.fullmatch(rf"(?:{_OPTION.pattern})+", head):
        wanted = [(match[1], match[2] or "on") for match in _OPTION.finditer(head)]
    else:
        rest = text
    before = [(name, session.print_setting(name)) for name, _ in wanted]
    try:
        for name, value in wanted:
            session.print_setting(name, value)
        yield rest.strip()
    finally:
        for name, value in before:
            session.print_setting(name, value)


@command(
    "print",
    Group.DATA,
    "show the value of an expression",
    "[-OPTION [VALUE]... --] [/FMT] [EXPRESSION]",
    aliases=("p", "inspect"),
    args=(Arg.EXPRESSION,),
    details=(
        f"FMT is one letter: {_PRINT_FORMATS}. Values are kept as $1, $2, ...; $ is the last one, and shown without an "
        "expression. Expressions are C's, in the selected frame: head->next->name, arr[2]@3, (struct task *)$a0, "
        "sizeof(struct task), file.c::counter. OPTIONs are those of `set print`: p -pretty -- *head."
    ),
)
def _print(interpreter: Interpreter, call: Call) -> Output:
    with _settings(interpreter.session, call.args) as expression:
        form = call.format
        if expression.startswith("/"):
            form, _, expression = expression[1:].partition(" ")
        shown = interpreter.session.print_value(expression, form, remember=True)
    data = {"number": shown.index, "value": shown.number, "text": shown.text, "type": shown.type}
    return Output(f"${shown.index} = {shown.text}", data)


@command("output", Group.DATA, "show a value, without number and newline", "[/FMT] EXPRESSION", args=(Arg.EXPRESSION,))
def _output(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("output needs an expression: output EXPRESSION")
    shown = interpreter.session.print_value(call.args, call.format)
    return Output(shown.text, shown.number if shown.number is not None else shown.text, raw=True)


@command(
    "call",
    Group.DATA,
    "show the value of an expression; functions cannot be called",
    "EXPRESSION",
    args=(Arg.EXPRESSION,),
    details="As `print`, but shows nothing for void. A recording cannot be made to run other code.",
)
def _call(interpreter: Interpreter, call: Call) -> Output:
    if call.args and interpreter.session.whatis(call.args) == "void":
        interpreter.session.print_value(call.args)
        return Output()
    return _print(interpreter, call)


@command(
    "set",
    Group.DATA,
    "set a variable of your own: set $name = EXPRESSION",
    "[var] $NAME = EXPRESSION",
    args=(Arg.EXPRESSION,),
    details=(
        "Such variables live as long as the session, and may be used in expressions and conditions. Guest variables "
        "and registers cannot be set: a recording is read-only. gdb's settings of prompt and screen, such as `set "
        "pagination off`, are accepted and change nothing."
    ),
)
def _set(interpreter: Interpreter, call: Call) -> Output:
    text = re.sub(r"^var(?:i(?:able?)?)?\s+", "", call.args)
    if not text:
        raise UsageError("set needs an expression: set $name = EXPRESSION", hint="`help set` lists the settings")
    setting = _SETTING.fullmatch(text) if text == call.args else None
    if setting is not None:
        if setting[1] not in SETTINGS:
            raise UsageError(
                f"there is no setting {setting[1]!r}", hint="`help set` lists them; set $name = EXPRESSION"
            )
        return Output()
    interpreter.session.print_value(text)
    return Output()


_SETTING = re.compile(r"([a-z][a-z-]+)(?:\s+[\w./:@*-]+)*")
"""A setting as gdb writes it: a name and words, without an operator."""


command("set variable", Group.DATA, "set a variable of your own", "$NAME = EXPRESSION", aliases=("var",))(_set)

_SHOWN = {
    "address": "Printing of addresses is {}.",
    "array": "Pretty formatting of arrays is {}.",
    "array-indexes": "Printing of array indexes is {}.",
    "elements": "Limit on string chars or array elements to print is {}.",
    "null-stop": "Printing of char arrays to stop at first null char is {}.",
    "pretty": "Pretty formatting of structures is {}.",
    "repeats": "Threshold for repeated print elements is {}.",
    "static-members": "Printing of C++ static members is {}.",
    "symbol": "Printing of symbol names when printing pointers is {}.",
    "union": "Printing of unions interior to structures is {}.",
}


@command(
    "set print",
    Group.DATA,
    "set how values are printed",
    "SETTING [on|off|NUMBER|unlimited]",
    aliases=("p", "pr"),
    details=f"Settings: {', '.join(_SHOWN)}. `show print` shows them.",
)
def _set_print(interpreter: Interpreter, call: Call) -> Output:
    name, _, value = call.args.partition(" ")
    if not name:
        raise UsageError("set print needs a setting", hint=f"settings: {', '.join(_SHOWN)}")
    interpreter.session.print_setting(name, value.strip() or "on")
    return Output()


@command("show print", Group.DATA, "show how values are printed", "[SETTING]", aliases=("p", "pr"))
def _show_print(interpreter: Interpreter, call: Call) -> Output:
    names = [name for name in _SHOWN if name.startswith(call.args)]
    if call.args and not names:
        raise UsageError(f"there is no print setting {call.args!r}", hint=f"settings: {', '.join(_SHOWN)}")
    values = {name: interpreter.session.print_setting(name) for name in names}
    if call.args in values or len(names) == 1:
        name = call.args if call.args in values else names[0]
        return Output(_SHOWN[name].format(values[name]), values[name])
    return Output("\n".join(f"{name}:  {_SHOWN[name].format(value)}" for name, value in values.items()), values)


# formatted text

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\d*)(?P<precision>\.\d*)?(?P<length>hh|h|ll|l|L|z|t|j)?(?P<letter>.)"
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}
_MAX_TEXT = 1 << 16
_MAX_WIDTH = 1000


@command(
    "printf",
    Group.DATA,
    "show values in a format of your own",
    '"FORMAT", EXPRESSION...',
    args=(Arg.EXPRESSION,),
    details=r"As C: %d %u %x %o %c %s %p %f %e %g, flags, widths and lengths (no newline is added).",
)
def _printf(interpreter: Interpreter, call: Call) -> Output:
    match = re.match(r'\s*"((?:\\.|[^"\\])*)"\s*(.*)', call.args, re.DOTALL)
    if match is None or (match[2] and not match[2].startswith(",")):
        raise UsageError("bad format string", hint='printf "FORMAT", EXPRESSION...')
    text = _unescaped(match[1])
    arguments = _split(match[2][1:]) if match[2] else []
    needed = sum(directive["letter"] != "%" for directive in _DIRECTIVE.finditer(text))
    if needed != len(arguments):
        raise UsageError(f"bad format string, {len(arguments)} arguments for {needed} directives")
    pieces: list[str] = []
    at = 0
    for directive in _DIRECTIVE.finditer(text):
        pieces.append(text[at : directive.start()])
        at = directive.end()
        if directive["letter"] == "%":
            pieces.append("%")
        else:
            pieces.append(_directed(interpreter.session, directive, arguments.pop(0)))
    if "%" in text[at:]:
        raise UsageError("incomplete format specifier at end of format string")
    whole = "".join(pieces) + text[at:]
    return Output(whole, whole, raw=True)


def _directed(session: Session, directive: re.Match[str], expression: str) -> str:
    letter, length = directive["letter"], directive["length"] or ""
    width, precision = directive["width"], directive["precision"] or ""
    if int(width or 0) > _MAX_WIDTH or int(precision[1:] or 0) > _MAX_WIDTH:
        raise UsageError(f"{directive[0]} is too wide", hint=f"at most {_MAX_WIDTH}")
    head = f"%{directive['flags']}{width}"
    if letter in "diuoxXc":
        value = session.value(expression)
        size = {"hh": 1, "h": 2, "": 4}.get(length, 8)
        bits = value.bits & ((1 << 8 * size) - 1)
        if letter == "c":
            return f"%{directive['flags']}{width}s" % chr(bits & 255)
        if letter in "di" and bits >> (8 * size - 1):
            bits -= 1 << 8 * size
        return f"{head}{precision}{'d' if letter in 'diu' else letter}" % bits
    if letter == "p":
        return f"{head}s" % f"{session.value(expression).bits:#x}"
    if letter == "s":
        return f"{head}{precision}s" % _string(session, expression)
    if letter in "eEfFgGaA":
        shown = session.print_value(f"(double)({expression})").text
        number = float(re.sub(r"nan\(.*\)", "nan", shown))
        return f"{head}{precision}{letter}" % number
    raise UsageError(f"unrecognized format specifier {letter!r} in printf")


def _string(session: Session, expression: str) -> str:
    address = session.evaluate(expression)
    block = session.read_memory(address, _MAX_TEXT)
    data = block.data
    if not data:
        raise NotFound(unreadable_text(address, block.mapped))
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 8) & 255)
        return _ESCAPES.get(match[2], match[2])

    return re.sub(r"\\(?:([0-7]{1,3})|(.))", character, text, flags=re.DOTALL)


def _split(text: str) -> list[str]:
    """Cut a list of expressions at the commas outside of parentheses and quotes."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[()\[\]{},]""", text):
        if match[0] in "([{":
            depth += 1
        elif match[0] in ")]}":
            depth -= 1
        elif match[0] == "," and depth == 0:
            found.append(text[start : match.start()])
            start = match.end()
    return [part.strip() for part in [*found, text[start:]]]


# types


@command(
    "whatis",
    Group.DATA,
    "say what type an expression has",
    "EXPRESSION | TYPE",
    args=(Arg.EXPRESSION,),
    details="Of a typedef's name, the type that it stands for. The expression is not computed.",
)
def _whatis(interpreter: Interpreter, call: Call) -> Output:
    text = interpreter.session.whatis(call.args or "$")
    return Output(f"type = {text}", text)


@command(
    "ptype",
    Group.DATA,
    "describe a type, or the type of an expression",
    "EXPRESSION | TYPE",
    aliases=("pt",),
    args=(Arg.EXPRESSION,),
    details="Structures with their members, enumerations with their constants.",
)
def _ptype(interpreter: Interpreter, call: Call) -> Output:
    text = interpreter.session.whatis(call.args or "$", expand=True)
    return Output(f"type = {text}", text)


# frames' variables


@command("info locals", Group.DATA, "show the selected frame's variables", "[REGEX]", aliases=("lo",))
def _locals(interpreter: Interpreter, call: Call) -> Output:
    return _variables(interpreter, "local", call.args, "No locals.")


@command("info args", Group.DATA, "show the selected frame's arguments", "[REGEX]", aliases=("ar",))
def _args(interpreter: Interpreter, call: Call) -> Output:
    return _variables(interpreter, "arg", call.args, "No arguments.")


def _variables(interpreter: Interpreter, kind: str, pattern: str, nothing: str) -> Output:
    wanted = regex(pattern)
    found = [row for row in interpreter.session.variables(kind) if wanted.search(row.name)]
    return Output("\n".join(f"{row.name} = {row.text}" for row in found) or nothing, found)


def regex(text: str) -> re.Pattern[str]:
    """Return a pattern that the user wrote. Raises UsageError."""
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"{text!r} is no regular expression: {error}") from error


@command(
    "info registers",
    Group.DATA,
    "show registers",
    "[NAME...|float|csr|all]",
    aliases=("r", "reg"),
    args=(Arg.REGISTER,),
    details="Without names: pc and x1 to x31. `float`, `csr` and `all` are groups.",
)
def _registers(interpreter: Interpreter, call: Call) -> Output:
    names = [word.removeprefix("$") for word in call.args.replace(",", " ").split()]
    registers = interpreter.session.registers(names or None)
    return Output("\n".join(map(_register_line, registers)), {row.name: row.value for row in registers})


def _register_line(row: RegisterValue) -> str:
    signed = row.value - (1 << 64) if row.value >> 63 else row.value
    text = row.text or (str(signed) if row.group == "general" else "")
    return f"{row.name:<15}{row.value:<#19x}{text}".rstrip()


@command("info float", Group.DATA, "show the floating-point registers")
def _float_registers(interpreter: Interpreter, call: Call) -> Output:
    registers = interpreter.session.registers(["float"])
    return Output("\n".join(map(_register_line, registers)), {row.name: row.value for row in registers})


@command("info all-registers", Group.DATA, "show every register, CSRs included")
def _all_registers(interpreter: Interpreter, call: Call) -> Output:
    registers = interpreter.session.registers(["all"])
    return Output("\n".join(map(_register_line, registers)), {row.name: row.value for row in registers})


@command(
    "diff",
    Group.TRACE,
    "show what differs between two positions: registers, CSRs and RAM",
    "[FROM [TO]]",
    args=(Arg.POSITION, Arg.POSITION),
    details=(
        "Default: from where the last jump or run started to here; with one position, from there to here. Counters are "
        "left out, and at most 100 changes of memory are shown."
    ),
)
def _diff(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    words = call.args.split()
    if len(words) > 2:
        raise UsageError("diff takes two positions: diff FROM TO")
    lo: int | str = words[0] if words else _before(session)
    found = session.difference(lo, words[1] if len(words) > 1 else session.icount, _SHOWN_CHANGES)
    lines = [f"{found.lo:_} to {found.hi:_}: {len(found.registers)} registers and {found.bytes:_} bytes of RAM differ"]
    lines += [f"{name:<15}{old:#x} -> {new:#x}" for name, old, new in found.registers]
    lines += [line for change in found.memory for line in _change_lines(session, change)]
    if len(found.memory) >= _SHOWN_CHANGES:
        lines.append("...")
    return Output("\n".join(lines), found)


_SHOWN_CHANGES = 100


def _before(session: Session) -> int:
    """Return where the last jump or run started."""
    here = session.icount
    before = session.back().when.icount
    session.forward()
    if session.icount != here:
        session.goto(here)
    return before


def _change_lines(session: Session, change: Change) -> Iterator[str]:
    """Yield a line for each number, of up to 8 bytes, that a change consists of."""
    for at in range(0, len(change.old), 8):
        old, new = change.old[at : at + 8], change.new[at : at + 8]
        if old == new:
            continue
        where = session.locate(change.address + at).text if at else change.location.text
        name = f" <{where}>" if where else ""
        digits = 2 * len(old) + 2
        before, after = (int.from_bytes(data, "little") for data in (old, new))
        yield f"{change.address + at:#x}{name}: {before:#0{digits}x} -> {after:#0{digits}x}"
