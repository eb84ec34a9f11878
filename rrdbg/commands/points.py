"""Commands about breakpoints, watchpoints and catchpoints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.api import Point, PointKind
from rrdbg.session.errors import NotFound, UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter

_CONDITION = "With `if EXPRESSION`, only where it is not zero."


def split_condition(text: str) -> tuple[str, str]:
    """Return what stands before and after the word `if`."""
    parts = re.split(r"(?:^|\s)if(?=[\s(])", text, maxsplit=1)
    return parts[0].strip(), parts[1].strip() if len(parts) > 1 else ""


def describe(point: Point) -> str:
    """Return a point as the command that sets it announces it."""
    kind = "Temporary breakpoint" if point.temporary and point.kind is PointKind.BREAK else _KIND[point.kind]
    where = f" at {point.address:#x}" if point.kind is PointKind.BREAK and point.address is not None else ""
    where = where.replace(" at ", " at physical address ") if point.physical else where
    what = f": {point.what}" if point.kind is not PointKind.BREAK else ""
    at = point.location
    if where and point.more:
        return f"{kind} {point.number}{where}: {point.what}. ({1 + len(point.more)} locations)"
    source = f": file {at.file}, line {at.line}." if where and at is not None and at.line else ""
    return f"{kind} {point.number}{where}{what}{source}"


_KIND = {
    PointKind.BREAK: "Breakpoint",
    PointKind.WATCH: "Hardware watchpoint",
    PointKind.RWATCH: "Hardware read watchpoint",
    PointKind.AWATCH: "Hardware access (read/write) watchpoint",
    PointKind.CATCH: "Catchpoint",
}


def _set(interpreter: Interpreter, point: Point) -> Output:
    interpreter.last_point = point.number
    interpreter.session.print_value(f"$bpnum = {point.number}")
    return Output(describe(point), point)


def _break(interpreter: Interpreter, call: Call, temporary: bool) -> Output:
    location, condition = split_condition(call.args)
    flags = set()
    while match := re.match(r"-([ap])(?:\s+|$)", location):
        flags.add(match[1])
        location = location[match.end() :]
    if "p" in flags and not location:
        raise UsageError(f"{call.name} -p needs a physical address", hint=f"{call.name} -p 0x80001234")
    point = interpreter.session.add_break(
        location or "*$pc", condition=condition, temporary=temporary, everywhere="a" in flags, physical="p" in flags
    )
    return _set(interpreter, point)


_LOCATION = (
    "LOCATION is a function (its body: behind the prologue), `FILE:LINE`, `LINE`, `+N` lines from here, `*EXPRESSION`, "
    "an address or `symbol+8`; default: here. In a page of U mode it stops in the address space in which it is set, "
    "with -a in all of them; code of a kernel belongs to none. -p: a physical address, by whatever address it is "
    "executed."
)


@command(
    "break",
    Group.POINTS,
    "stop where an instruction is about to be executed",
    "[-a | -p] [LOCATION] [if EXPRESSION]",
    aliases=("b", "br", "bre", "brea", "hb", "hbreak"),
    args=(Arg.LOCATION,),
    details=f"{_LOCATION} {_CONDITION}",
)
def _break_command(interpreter: Interpreter, call: Call) -> Output:
    return _break(interpreter, call, False)


@command(
    "tbreak",
    Group.POINTS,
    "set a breakpoint that goes at its first stop",
    "[-a | -p] [LOCATION] [if EXPRESSION]",
    aliases=("tb", "thbreak"),
    args=(Arg.LOCATION,),
    details=f"{_LOCATION} {_CONDITION}",
)
def _tbreak(interpreter: Interpreter, call: Call) -> Output:
    return _break(interpreter, call, True)


def _watch(interpreter: Interpreter, call: Call, kind: PointKind) -> Output:
    what, condition = split_condition(call.args)
    length, physical = 0, False
    while match := re.match(r"-(l|location|p)\s+", what):
        physical = physical or match[1] == "p"
        what = what[match.end() :]
    match = re.fullmatch(r"(.*\S)\s*(?:,\s*|\s+)(\d+)", what)
    if match and match[1][-1] not in "+-*/%&|^~<>=!([?:":
        what, length = match[1].rstrip(","), int(match[2])
    if not what:
        raise UsageError(f"{call.name} needs something to watch", hint=f"{call.name} counter, {call.name} *(u32*)$sp")
    point = interpreter.session.add_watch(what, length=length, kind=kind, condition=condition, physical=physical)
    return _set(interpreter, point)


_WATCHED = (
    "WHAT is an expression that lies in memory, which is watched over its size (`head->count`, `*(u32*)$sp`), an "
    "address, or a register (`$a0`). The address is taken now, with or without -l, and what is mapped there now is "
    "watched, by whatever address it is accessed. -p: a physical address. Forwards it stops after the access, "
    "backwards before it."
)


@command(
    "watch",
    Group.POINTS,
    "stop when a value changes",
    "[-l] [-p] WHAT [LENGTH] [if EXPRESSION]",
    args=(Arg.EXPRESSION,),
    details=f"{_WATCHED} {_CONDITION}",
)
def _watch_command(interpreter: Interpreter, call: Call) -> Output:
    return _watch(interpreter, call, PointKind.WATCH)


@command(
    "rwatch",
    Group.POINTS,
    "stop when memory is read",
    "[-l] [-p] WHAT [LENGTH] [if EXPRESSION]",
    args=(Arg.EXPRESSION,),
    details=f"{_WATCHED} {_CONDITION}",
)
def _rwatch(interpreter: Interpreter, call: Call) -> Output:
    return _watch(interpreter, call, PointKind.RWATCH)


@command(
    "awatch",
    Group.POINTS,
    "stop when memory is read or written, changed or not",
    "[-l] [-p] WHAT [LENGTH] [if EXPRESSION]",
    args=(Arg.EXPRESSION,),
    details=f"{_WATCHED} {_CONDITION}",
)
def _awatch(interpreter: Interpreter, call: Call) -> Output:
    return _watch(interpreter, call, PointKind.AWATCH)


@command(
    "catch",
    Group.POINTS,
    "stop when a trap is taken",
    "[trap|exception|interrupt|CAUSE] [if EXPRESSION]",
    details=(
        "A cause is an exception's name or number (`catch ecall-m`, `catch 2`), or `catch interrupt 7`. "
        f"{_CONDITION} It is evaluated in the handler."
    ),
)
def _catch(interpreter: Interpreter, call: Call) -> Output:
    what, condition = split_condition(call.args)
    return _set(interpreter, interpreter.session.add_catch(what or "trap", condition=condition))


@command(
    "delete",
    Group.POINTS,
    "delete points by number, or all of them",
    "[NUMBER...]",
    aliases=("d",),
    args=(Arg.POINT,),
)
def _delete(interpreter: Interpreter, call: Call) -> Output:
    numbers = _numbers_or_all(call)
    for number in numbers:
        interpreter.session.delete_point(number)
    return Output(data={"deleted": numbers})


command(
    "delete breakpoints", Group.POINTS, "delete points by number, or all of them", "[NUMBER...]", args=(Arg.POINT,)
)(_delete)


@command(
    "clear",
    Group.POINTS,
    "delete the breakpoints at a place",
    "[LOCATION]",
    args=(Arg.LOCATION,),
    details="Without one: those where the guest stands.",
)
def _clear(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    if call.args:
        probe = session.add_break(call.args, internal=True)
        session.delete_point(probe.number)
        place, address = probe.location, probe.address
    else:
        place, address = session.locate(session.pc), session.pc
    line = place.source if place is not None and ":" in call.args else ""
    numbers = [
        point.number
        for point in session.points()
        if point.kind is PointKind.BREAK
        and (point.address == address or (line and point.location is not None and point.location.source == line))
    ]
    if not numbers:
        raise NotFound(f"no breakpoint at {call.args or 'this line'}", hint="`info breakpoints` lists them")
    for number in numbers:
        session.delete_point(number)
    shown = " ".join(map(str, numbers))
    return Output(f"Deleted breakpoint{'s' * (len(numbers) > 1)} {shown} ", {"deleted": numbers})


@command("enable", Group.POINTS, "enable points by number, or all of them", "[NUMBER...]", args=(Arg.POINT,))
def _enable(interpreter: Interpreter, call: Call) -> Output:
    for number in _numbers_or_all(call):
        interpreter.session.enable_point(number)
    return Output()


@command(
    "disable",
    Group.POINTS,
    "disable points by number, or all of them",
    "[NUMBER...]",
    aliases=("dis", "disa"),
    args=(Arg.POINT,),
)
def _disable(interpreter: Interpreter, call: Call) -> Output:
    for number in _numbers_or_all(call):
        interpreter.session.enable_point(number, on=False)
    return Output()


@command("ignore", Group.POINTS, "pass over the next hits of a point", "NUMBER COUNT", args=(Arg.POINT,))
def _ignore(interpreter: Interpreter, call: Call) -> Output:
    words = call.args.split(None, 1)
    if len(words) != 2:
        raise UsageError("ignore needs a point's number and a count: ignore NUMBER COUNT")
    point = interpreter.session.ignore_point(_number(words[0]), max(interpreter.evaluate(words[1]).number, 0))
    crossings = f"next {point.ignore} crossings" if point.ignore != 1 else "next crossing"
    text = f"Will ignore {crossings} of breakpoint {point.number}."
    if not point.ignore:
        text = f"Will stop next time breakpoint {point.number} is reached."
    return Output(text, point)


@command(
    "condition",
    Group.POINTS,
    "set a point's condition; without an expression, remove it",
    "NUMBER [EXPRESSION]",
    args=(Arg.POINT, Arg.EXPRESSION),
)
def _condition(interpreter: Interpreter, call: Call) -> Output:
    number, _, condition = call.args.partition(" ")
    if not number:
        raise UsageError("condition needs a point's number: condition NUMBER [EXPRESSION]")
    point = interpreter.session.condition_point(_number(number), condition.strip())
    return Output("" if point.condition else f"Breakpoint {point.number} now unconditional.", point)


@command(
    "commands",
    Group.POINTS,
    "run commands whenever a point stops: the lines that follow, up to `end`",
    "[NUMBER...]",
    args=(Arg.POINT,),
    details=(
        "Default: the point set last. With `silent` as the first line the stop itself is not shown. A command that "
        "moves is the last one to be run; where it stops at a point, that one's commands are next."
    ),
)
def _commands(interpreter: Interpreter, call: Call) -> Output:
    numbers = _numbers(call) or ([interpreter.last_point] if interpreter.last_point else [])
    known = {point.number for point in interpreter.session.points()}
    if not numbers:
        raise NotFound("no breakpoints specified", hint="`break` sets one")
    if unknown := [number for number in numbers if number not in known]:
        raise NotFound(f"no breakpoint number {unknown[0]}", hint="`info breakpoints` lists them")
    interpreter.collect(numbers)
    names = ", ".join(map(str, numbers))
    return Output(f'Commands for breakpoint {names}, one per line.\nEnd with a line saying just "end".')


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r} is not a point's number", hint="`info breakpoints` lists them")
    return int(text)


def _numbers(call: Call) -> list[int]:
    numbers: list[int] = []
    for word in call.args.replace(",", " ").split():
        if match := re.fullmatch(r"(\d+)-(\d+)", word):
            numbers.extend(range(int(match[1]), min(int(match[2]), int(match[1]) + 10_000) + 1))
        else:
            numbers.append(_number(word))
    return numbers


def _numbers_or_all(call: Call) -> list[int] | list[None]:
    return _numbers(call) or [None]
