"""`info`: what the session knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.api import Location, Point, PointKind
from rrdbg.session.errors import UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter

_TYPE = {
    PointKind.BREAK: "breakpoint",
    PointKind.WATCH: "hw watchpoint",
    PointKind.RWATCH: "read watchpoint",
    PointKind.AWATCH: "acc watchpoint",
    PointKind.CATCH: "catchpoint",
}

_MOST_CONSOLE = 1 << 16
"""Bytes of console output that are shown: a guest may print megabytes without a line end."""


@command("info breakpoints", Group.POINTS, "list breakpoints, watchpoints and catchpoints", aliases=("b",))
def _breakpoints(interpreter: Interpreter, call: Call) -> Output:
    points = list(interpreter.session.points())
    return Output(_points(points, interpreter) or "No breakpoints, watchpoints or catchpoints.", points)


@command("info watchpoints", Group.POINTS, "list watchpoints")
def _watchpoints(interpreter: Interpreter, call: Call) -> Output:
    kinds = (PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH)
    points = [point for point in interpreter.session.points() if point.kind in kinds]
    return Output(_points(points, interpreter) or "No watchpoints.", points)


def _points(points: list[Point], interpreter: Interpreter) -> str:
    if not points:
        return ""
    lines = ["Num     Type           Disp Enb Address            What"]
    for point in points:
        code = point.kind is PointKind.BREAK
        places = [point.location, *point.more] if code and point.location is not None else []
        address, what = _place(places[0], point.what) if places else (" " * 18, point.what)
        if point.more:
            address, what = f"{'<MULTIPLE>':<18}", ""
        lines.append(
            f"{point.number:<7} {_TYPE[point.kind]:<14} {'del ' if point.temporary else 'keep'} "
            f"{'y' if point.enabled else 'n'}   {address} {what}".rstrip()
        )
        if point.physical:
            lines.append("\tstop by whatever address this physical one is executed")
        if point.space:
            lines.append(f"\tstop only in the address space with root {(point.space & (1 << 44) - 1) << 12:#x}")
        if point.condition:
            lines.append(f"\tstop only if {point.condition}")
        if point.hits:
            lines.append(f"\tbreakpoint already hit {point.hits} time{'s' * (point.hits != 1)}")
        if point.ignore:
            lines.append(f"\tignore next {point.ignore} hits")
        if point.more:
            for number, place in enumerate(places, 1):
                address, what = _place(place, point.what)
                enabled = "y" if point.enabled else "y-"
                lines.append(f"{f'{point.number}.{number}':<28}{enabled:<4}{address} {what}".rstrip())
        lines += [f"        {line}" for line in interpreter.point_commands.get(point.number, ())]
    return "\n".join(lines)


def _place(place: Location, otherwise: str) -> tuple[str, str]:
    """Return the address of a place, and what is there."""
    what = f"in {place.symbol or place.text}" if place.text else otherwise
    return f"{place.address:#018x}", f"{what} at {place.source}" if place.text and place.source else what


@command("info display", Group.DATA, "list the expressions shown at each stop")
def _display(interpreter: Interpreter, call: Call) -> Output:
    rows = interpreter.displays
    if not rows:
        return Output("There are no auto-display expressions now.", [])
    lines = ["Auto-display expressions now in effect:", "Num Enb Expression"]
    for row in rows:
        slash = f"/{row.format} " if row.format else ""
        lines.append(f"{row.number}:   {'y' if row.enabled else 'n'}  {slash}{row.expression}")
    return Output("\n".join(lines), [(row.number, row.format, row.expression) for row in rows])


@command(
    "info events",
    Group.TRACE,
    "list what reached the guest from outside",
    "[FIRST [COUNT]]",
    details="`goto #NUMBER` goes to one. Default: the 20 around the current position.",
    aliases=("ev",),
)
def _events(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    words = call.args.split()
    if not all(word.isdecimal() for word in words) or len(words) > 2:
        raise UsageError("info events takes the first number and a count: info events [FIRST [COUNT]]")
    total = session.info().events
    if words:
        first = int(words[0])
    else:
        first = max(min(_event_before(interpreter, total) - 10, total - 20), 0)
    rows = list(session.events(first, int(words[1]) if len(words) > 1 else 20))
    if not rows:
        return Output("No events." if not total else f"No events from {first} on: there are {total:_}.", rows)
    lines = [f"{'#':>6} {'icount':>16} {'virtual ms':>14}  what"]
    lines += [f"{row.number:>6} {row.icount:>16_} {row.virtual_ns / 1e6:>14.6f}  {row.text}" for row in rows]
    if total > rows[-1].number + 1 or first:
        lines.append(f"{rows[0].number} to {rows[-1].number} of {total:_} events")
    return Output("\n".join(lines), rows)


def _event_before(interpreter: Interpreter, total: int) -> int:
    """Return the number of the first event at or after the current position."""
    here = interpreter.session.icount
    lo, hi = 0, total
    while lo < hi:
        middle = (lo + hi) // 2
        if interpreter.session.events(middle, 1)[0].icount < here:
            lo = middle + 1
        else:
            hi = middle
    return lo


@command("info bookmarks", Group.USER, "list bookmarks", aliases=("bo",))
def _bookmarks(interpreter: Interpreter, call: Call) -> Output:
    rows = list(interpreter.session.bookmarks())
    lines = [f"@{row.name:<20} {row.icount:>16_}  {row.text}".rstrip() for row in rows]
    return Output("\n".join(lines) or "No bookmarks.", rows)


@command("info notes", Group.USER, "list notes")
def _notes(interpreter: Interpreter, call: Call) -> Output:
    rows = list(interpreter.session.notes())
    lines = [f"{row.number:>4} {row.icount:>16_}  {row.text}" for row in rows]
    return Output("\n".join(lines) or "No notes.", rows)


@command("info trace", Group.TRACE, "say what is known of the whole trace", aliases=("record",))
def _trace(interpreter: Interpreter, call: Call) -> Output:
    info = interpreter.session.info()
    lines = [
        f"{info.path}: machine {info.machine}, {info.harts} hart{'s' * (info.harts != 1)}, "
        f"{info.ram_bytes >> 20} MiB of RAM at {info.ram_base:#x}",
        f"{info.end:_} steps, {info.virtual_end_ns / 1e6:_.6f} ms of virtual time, {info.events:_} events, "
        f"{len(info.snapshots):_} snapshots",
        info.reason,
    ]
    return Output("\n".join(line for line in [*lines, info.damage] if line), info)


@command(
    "info console",
    Group.TRACE,
    "show the console output up to here",
    "[LINES]",
    details="The last LINES lines (default 20) as they stood at this position.",
    args=(Arg.EXPRESSION,),
)
def _console(interpreter: Interpreter, call: Call) -> Output:
    from rrdbg.symbols.escape import harmless

    count = interpreter.evaluate(call.args).number if call.args else 20
    data = interpreter.session.console().data
    shown, more = _last_lines(data, max(count, 1) + 1)
    lines = [harmless(line) for line in _text(shown).split("\n")]
    return Output(("..." if more else "") + "\n".join(lines).rstrip("\n"), _text(data))


def _last_lines(data: bytes, count: int) -> tuple[bytes, bool]:
    """Return the last lines of some output, and whether the first of them is cut: a line may be endless."""
    at = len(data)
    while count and at >= 0:
        at = data.rfind(b"\n", 0, at)
        count -= 1
    start, least = at + 1, len(data) - _MOST_CONSOLE
    return data[max(start, least) :], start < least


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
