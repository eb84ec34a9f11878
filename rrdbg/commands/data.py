"""Commands that compute: print, output, and `info registers`, `info symbol`, `info line`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg.commands.formats import address_text, number_text, parse_format
from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import NotFound, UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import RegisterValue, Value


def value_text(interpreter: Interpreter, value: Value, letter: str) -> str:
    """Return a value as `p` shows it."""
    if not letter:
        if value.is_address:
            return address_text(value.bits, interpreter.session.locate)
        letter = "c" if value.type.size == 1 else ""
    return number_text(value.number, value.type, letter, interpreter.session.locate)


@command(
    "print",
    Group.DATA,
    "show the value of an expression",
    "[/FMT] [EXPRESSION]",
    aliases=("p", "inspect"),
    args=(Arg.EXPRESSION,),
    details=(
        "FMT is one letter: x d u o t a c z. Values are kept as $1, $2, ...; $ is the last one. A symbol is its "
        "address: *(u32*)counter is what it holds."
    ),
)
def _print(interpreter: Interpreter, call: Call) -> Output:
    form = parse_format(call.format)
    if form.letter in ("i", "s") or form.size or form.count is not None:
        raise UsageError(f"format /{call.format} is for memory", hint="x/FMT ADDRESS shows memory")
    value = interpreter.evaluate(call.args or "$")
    text = value_text(interpreter, value, form.letter)
    number = interpreter.remember(value)
    return Output(f"${number} = {text}", {"number": number, "value": value.number, "text": text})


@command("output", Group.DATA, "show a value, without number and newline", "[/FMT] EXPRESSION", args=(Arg.EXPRESSION,))
def _output(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("output needs an expression: output EXPRESSION")
    value = interpreter.evaluate(call.args)
    return Output(value_text(interpreter, value, parse_format(call.format).letter), value.number, raw=True)


@command(
    "info registers",
    Group.DATA,
    "show registers",
    "[NAME...|csr|all]",
    aliases=("r", "reg"),
    args=(Arg.REGISTER,),
    details="Without names: pc and x1 to x31. `csr` and `all` are groups.",
)
def _registers(interpreter: Interpreter, call: Call) -> Output:
    names = [word.removeprefix("$") for word in call.args.replace(",", " ").split()]
    registers = interpreter.session.registers(names or None)
    return Output("\n".join(map(_register_line, registers)), {row.name: row.value for row in registers})


def _register_line(row: RegisterValue) -> str:
    signed = row.value - (1 << 64) if row.value >> 63 else row.value
    text = row.text or (str(signed) if row.group == "general" else "")
    return f"{row.name:<15}{row.value:<#19x}{text}".rstrip()


@command("info all-registers", Group.DATA, "show every register, CSRs included")
def _all_registers(interpreter: Interpreter, call: Call) -> Output:
    registers = interpreter.session.registers(["all"])
    return Output("\n".join(map(_register_line, registers)), {row.name: row.value for row in registers})


@command(
    "info symbol",
    Group.DATA,
    "say what symbol is at an address",
    "ADDRESS",
    aliases=("sym", "symb", "symbo"),
    args=(Arg.EXPRESSION,),
)
def _symbol(interpreter: Interpreter, call: Call) -> Output:
    address = interpreter.evaluate(_needed(call)).bits
    where = interpreter.session.locate(address)
    if not where.symbol:
        raise NotFound(f"no symbol contains {address:#x}")
    offset = f" + {where.offset}" if where.offset else ""
    return Output(f"{where.symbol}{offset}", where)


@command("info address", Group.DATA, "say where a symbol is", "SYMBOL", args=(Arg.LOCATION,))
def _address(interpreter: Interpreter, call: Call) -> Output:
    symbol = interpreter.session.lookup(_needed(call))
    size = f", {symbol.size} bytes" if symbol.size else ""
    return Output(f"{symbol.kind.capitalize()} {symbol.name} is at {symbol.address:#x}{size}.", symbol)


@command("info line", Group.DATA, "say which source line an address belongs to", "[LOCATION]", args=(Arg.LOCATION,))
def _line(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    address = interpreter.evaluate(call.args).bits if call.args else session.pc
    where = session.locate(address)
    if not where.line:
        raise NotFound(
            f"no line number information for address {address_text(address, session.locate)}",
            hint="; ".join(session.symbol_problems()) or None,
        )
    at = address_text(address, session.locate)
    return Output(f"Line {where.line} of {where.file!r} has the instruction at {at}.".replace("'", '"'), where)


@command("info symbols", Group.DATA, "list symbols whose names start with a text", "[PREFIX]", aliases=("functions",))
def _symbols(interpreter: Interpreter, call: Call) -> Output:
    found = interpreter.session.symbols(call.args, 1000)
    lines = [f"{symbol.address:#018x}  {symbol.size:>6}  {symbol.kind:<8}  {symbol.name}" for symbol in found]
    lacking = [f"({problem})" for problem in interpreter.session.symbol_problems()]
    return Output("\n".join([*lines, *lacking]) or "No symbols.", list(found))


def _needed(call: Call) -> str:
    if not call.args:
        raise UsageError(f"{call.name} needs an argument", hint=f"help {call.name}")
    return call.args
