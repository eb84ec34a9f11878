"""Commands that look at memory: x, disassemble, display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg_core.errors import RrdbgError

from rrdbg.commands.formats import PER_LINE, Format, address_text, number_text, parse_format, string_text
from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.numbers import M64, Type
from rrdbg.session.values import unreadable_text

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Display, Interpreter
    from rrdbg.session.api import DisasmLine

_MAX_STRING = 200
_REPEATS = 10
_UNITS = {1: "char", 2: "short", 4: "int", 8: "long"}
_FORMATS = (
    "FMT is a count, a letter (x hex, d decimal, u unsigned, o octal, t binary, a address, c character, s string, "
    "i instruction, f float, z zero-padded hex) and a size (b 1, h 2, w 4, g 8 bytes)."
)


@command(
    "x",
    Group.DATA,
    "examine memory",
    "[/FMT] [ADDRESS]",
    args=(Arg.EXPRESSION,),
    details=f"{_FORMATS} Without an address, goes on after what was shown last.",
    repeats=True,
)
def _examine(interpreter: Interpreter, call: Call) -> Output:
    form = parse_format(call.format)
    return examine(interpreter, form, call.args)


@command(
    "xp",
    Group.DATA,
    "examine memory at physical addresses",
    "[/FMT] ADDRESS",
    args=(Arg.EXPRESSION,),
    details=(
        "As `x`, past the page tables: what lies there is the same wherever it is mapped. `x` shows memory as the hart "
        f"sees it where it stands. {_FORMATS} Without an address, goes on after what was shown last."
    ),
    repeats=True,
)
def _examine_physical(interpreter: Interpreter, call: Call) -> Output:
    return examine(interpreter, parse_format(call.format), call.args, physical=True)


def examine(interpreter: Interpreter, form: Format, expression: str, *, physical: bool = False) -> Output:
    """Show memory as `x` does, or `xp`."""
    state = interpreter.physical if physical else interpreter.memory
    if not expression and physical and state.next is None:
        raise UsageError("xp needs an address", hint="xp/4xg 0x80000000")
    if expression:
        address = interpreter.evaluate(expression).bits
    else:
        address = state.next if state.next is not None else interpreter.session.pc
    letter = form.letter or (state.letter if not form.size or state.letter not in "is" else "x")
    count = form.count if form.count is not None else 1
    state.letter = letter
    if letter == "i":
        return _instructions(interpreter, address, count, physical)
    if letter == "s":
        return _strings(interpreter, address, count, physical)
    size = form.size or {"a": 8, "c": 1}.get(letter, state.size)
    if letter == "f" and size < 4:
        size = 8
    if letter not in "ac":
        state.size = size
    if count < 0:
        address, count = (address + count * size) & M64, -count
    return _units(interpreter, address, count, letter, size, physical)


def _place_text(interpreter: Interpreter, address: int, physical: bool) -> str:
    """Return an address; virtual ones have names."""
    return f"{address:#x}" if physical else address_text(address, interpreter.session.locate)


def _units(interpreter: Interpreter, address: int, count: int, letter: str, size: int, physical: bool) -> Output:
    session = interpreter.session
    block = session.read_memory(address, count * size, physical=physical)
    data = block.data
    whole = len(data) // size
    values = [int.from_bytes(data[i * size : (i + 1) * size], "little") for i in range(whole)]
    per_line = 8 if letter == "c" else PER_LINE[size]
    kind = Type(size, letter in "dc")
    lines = []
    for start in range(0, whole, per_line):
        row = values[start : start + per_line]
        cells = "".join("\t" + number_text(kind.fit(v), kind, letter, session.locate, padded=True) for v in row)
        lines.append(f"{_place_text(interpreter, (address + start * size) & M64, physical)}:{cells}")
    (interpreter.physical if physical else interpreter.memory).next = (address + whole * size) & M64
    if whole and not physical:
        last = (address + (whole - 1) * size) & M64
        session.print_value(f"$__ = *($_ = ({_UNITS[size]} *) {last:#x})")
    text = "\n".join(lines)
    if whole < count:
        problem = unreadable_text((address + whole * size) & M64, block.mapped)
        if not lines:
            raise NotFound(problem)
        text += f"\n{problem[0].upper()}{problem[1:]}"
    return Output(text, {"address": address, "size": size, "values": values})


def _strings(interpreter: Interpreter, address: int, count: int, physical: bool) -> Output:
    session = interpreter.session
    lines, strings = [], []
    for _ in range(max(count, 1)):
        block = session.read_memory(address, _MAX_STRING, physical=physical)
        data = block.data
        if not data:
            raise NotFound(unreadable_text(address, block.mapped))
        end = data.find(b"\0")
        body = data if end < 0 else data[:end]
        place = _place_text(interpreter, address, physical)
        lines.append(f"{place}:\t{string_text(body, repeats=_REPEATS)}{'...' if end < 0 else ''}")
        strings.append({"address": address, "data": body})
        address = (address + len(body) + (end >= 0)) & M64
    (interpreter.physical if physical else interpreter.memory).next = address
    return Output("\n".join(lines), strings)


def _instructions(interpreter: Interpreter, address: int, count: int, physical: bool) -> Output:
    state = interpreter.physical if physical else interpreter.memory
    if count < 0:
        lines = interpreter.session.disassemble(address, 0, before=-count, physical=physical)
        state.next = lines[0].address if lines else address
    else:
        lines = interpreter.session.disassemble(address, max(count, 1), physical=physical)
        last = lines[-1]
        state.next = (last.address + max(len(last.raw), 2)) & M64
    if physical:
        return Output("\n".join(f"{line.address:#x}:\t{line.text}" for line in lines), list(lines))
    return Output(instructions_text(interpreter, list(lines)), list(lines))


def instructions_text(interpreter: Interpreter, lines: list[DisasmLine]) -> str:
    """Return disassembly as gdb prints it, with an arrow at pc."""
    pc = interpreter.session.pc
    return "\n".join(
        f"{'=>' if line.address == pc else '  '} {line.address:#x}"
        f"{f' <{line.location.text}>' if line.location.text else ''}:\t{line.text}"
        f"{f' <{line.target_text}>' if line.target_text else ''}"
        for line in lines
    )


@command(
    "disassemble",
    Group.DATA,
    "disassemble the function around an address, or a range",
    "[LOCATION] | START,END | START,+LENGTH",
    aliases=("disas",),
    args=(Arg.LOCATION,),
)
def _disassemble(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    start_text, comma, end_text = call.args.partition(",")
    start = interpreter.evaluate(start_text).bits if start_text.strip() else session.pc
    if comma:
        length = end_text.strip()
        end = interpreter.evaluate(length.removeprefix("+")).bits + (start if length.startswith("+") else 0)
        header = f"Dump of assembler code from {start:#x} to {end:#x}:"
    else:
        where = session.locate(start)
        if not where.symbol:
            raise NotFound("no function contains the address", hint="give a range: disassemble START,+LENGTH")
        symbol = session.lookup(where.symbol)
        size = symbol.size
        start = start - where.offset
        end = start + size if size else start + where.offset + 32
        header = f"Dump of assembler code for function {symbol.name}:"
    if not 0 < end - start <= 1 << 20:
        raise UsageError(f"cannot disassemble from {start:#x} to {end:#x}")
    lines = [line for line in session.disassemble(start, (end - start + 1) // 2) if line.address < end]
    pc = session.pc
    body = [
        f"{'=>' if line.address == pc else '  '} {line.address:#018x} <{line.location.offset:+d}>:\t{line.text}"
        f"{f' <{line.target_text}>' if line.target_text else ''}"
        for line in lines
    ]
    return Output("\n".join([header, *body, "End of assembler dump."]), lines)


@command(
    "display",
    Group.DATA,
    "show an expression at each stop",
    "[/FMT] [EXPRESSION]",
    args=(Arg.EXPRESSION,),
    details=f"{_FORMATS} Without an expression, show all now.",
)
def _display(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        return Output("\n".join(show_display(interpreter, item) for item in interpreter.displays if item.enabled))
    form = parse_format(call.format)
    if not (form.letter in ("i", "s") or form.size or form.count):
        interpreter.session.print_value(call.args, call.format)
    else:
        interpreter.evaluate(call.args)
    return Output(show_display(interpreter, interpreter.add_display(call.format, call.args)))


@command("undisplay", Group.DATA, "show an expression no longer", "[NUMBER...]")
def _undisplay(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        interpreter.displays.clear()
        return Output()
    for word in call.args.split():
        found = [item for item in interpreter.displays if str(item.number) == word]
        if not found:
            raise NotFound(f"there is no display {word}", hint="`info display` lists them")
        interpreter.displays.remove(found[0])
    return Output()


command("delete display", Group.DATA, "show an expression no longer", "[NUMBER...]")(_undisplay)


def show_display(interpreter: Interpreter, display: Display) -> str:
    """Return what a display shows here."""
    form = parse_format(display.format)
    head = f"{display.number}: {'x' if form.letter in ('i', 's') or form.size else ''}"
    try:
        if form.letter in ("i", "s") or form.size or form.count:
            saved = interpreter.memory
            interpreter.memory = type(saved)()
            try:
                body = examine(interpreter, form, display.expression).text
            finally:
                interpreter.memory = saved
            return f"{display.number}: x/{display.format} {display.expression}\n{body}"
        text = interpreter.session.print_value(display.expression, display.format).text
        slash = f"/{display.format} " if display.format else ""
        return f"{head}{slash}{display.expression} = {text}"
    except RrdbgError as error:
        return f"{head}{display.expression} = <{error.message}>"
