"""Commands about the stack: backtrace, frame, up, down, `info frame`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rrdbg_core.errors import RrdbgError

from rrdbg.commands.interpreter import FRAMES
from rrdbg.commands.listing import line_text
from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import NotFound, UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import FrameInfo, Variable

MAX_FRAMES = 10_000
"""Frames that are looked at, whatever the limit."""
_APPLIED = re.compile(
    r"(?:all|level\s+(?P<levels>\d+(?:-\d+)?(?:\s+\d+(?:-\d+)?)*)|(?P<count>-?\d+))\s+"
    r"(?P<flags>(?:-[qcs]\s+)*)(?P<command>\S.*)"
)
_MORE = "(More stack frames follow...)"


@command(
    "backtrace",
    Group.STACK,
    "show the frames of the stack",
    "[full] [COUNT | -COUNT]",
    aliases=("bt", "ba", "where"),
    details=(
        "COUNT: only the innermost ones; -COUNT: only the outermost ones. `full` shows the local variables too. "
        "The stack goes on through traps into what they interrupted. "
        f"Without a count at most {FRAMES} frames are shown, or as `set backtrace limit` says."
    ),
)
def _backtrace(interpreter: Interpreter, call: Call) -> Output:
    words = call.args.split()
    full = bool(words) and words[0] in ("full", "-full")
    words = words[1:] if full else words
    if len(words) > 1:
        raise UsageError("backtrace takes one count", hint="backtrace [full] [COUNT | -COUNT]")
    limit = MAX_FRAMES if interpreter.frame_limit is None else interpreter.frame_limit
    count = interpreter.evaluate(words[0]).number if words else limit
    session = interpreter.session
    if count < 0:
        frames, more = list(session.backtrace(MAX_FRAMES))[count:], False
    else:
        found = list(session.backtrace(count + 1))
        frames, more = found[:count], len(found) > count
    lines: list[str] = []
    if full:
        selected = session.frame
        try:
            for frame in frames:
                session.select_frame(frame.number)
                lines += [frame.text, *_locals(session.variables("local"))]
        finally:
            session.select_frame(selected)
    else:
        lines = [frame.text for frame in frames]
    if more and words:
        lines.append(_MORE)
    elif more:
        lines.append(
            f"{_MORE} `backtrace {10 * count}` shows more, `backtrace -10` the outermost ones, "
            "`set backtrace limit unlimited` always all"
        )
    return Output("\n".join(lines) or "No stack.", frames)


@command(
    "set backtrace",
    Group.STACK,
    "set how many frames `backtrace` shows without a count",
    "limit NUMBER | limit unlimited",
    aliases=("bt",),
)
def _set_backtrace(interpreter: Interpreter, call: Call) -> Output:
    word, _, text = call.args.partition(" ")
    if word != "limit":
        raise UsageError("set backtrace takes a limit: set backtrace limit NUMBER")
    count = 0 if text.strip() in ("", "unlimited") else interpreter.evaluate(text).number
    if count < 0:
        raise UsageError(f"cannot show {count} frames", hint="`set backtrace limit unlimited` shows all")
    interpreter.frame_limit = count or None  # 0 means all, as in gdb
    return Output()


@command(
    "show backtrace", Group.STACK, "say how many frames `backtrace` shows without a count", "[limit]", aliases=("bt",)
)
def _show_backtrace(interpreter: Interpreter, call: Call) -> Output:
    limit = interpreter.frame_limit
    shown = "unlimited" if limit is None else str(limit)
    return Output(f"An upper bound on the number of stack frames in a backtrace is {shown}.", limit)


def _locals(variables: Sequence[Variable]) -> list[str]:
    return [f"        {variable.name} = {variable.text}" for variable in variables] or ["No locals."]


def _selected(interpreter: Interpreter, frame: FrameInfo) -> Output:
    """Show a frame that was selected, with its source line."""
    interpreter.show(None)
    lines = [frame.text]
    if frame.location.line:
        lines.append(line_text(interpreter, frame.location))
    return Output("\n".join(line for line in lines if line), frame)


@command(
    "frame",
    Group.STACK,
    "select a frame, or show the selected one",
    "[[level] NUMBER | function NAME]",
    aliases=("f",),
    args=(Arg.EXPRESSION,),
    details="Expressions, `info locals` and `info registers` are then about it. Whatever moves selects frame 0.",
)
def _frame(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    if not call.args:
        return _selected(interpreter, session.select_frame(session.frame))
    word, _, rest = call.args.partition(" ")
    if word == "function" and rest:
        name = rest.strip()
        found = next((frame for frame in session.backtrace(MAX_FRAMES) if frame.function == name), None)
        if found is None:
            raise NotFound(f"no frame of function {name!r}", hint="`backtrace` shows the frames")
        return _selected(interpreter, session.select_frame(found.number))
    text = rest if word == "level" and rest else call.args
    return _selected(interpreter, session.select_frame(interpreter.evaluate(text).number))


def _step(interpreter: Interpreter, call: Call, direction: int) -> Output:
    session = interpreter.session
    count = interpreter.evaluate(call.args).number if call.args else 1
    goal = session.frame + direction * count
    if goal < 0:
        if session.frame == 0:
            raise NotFound("bottom (innermost) frame selected; you cannot go down")
        goal = 0
    frames = session.backtrace(goal + 1)
    if len(frames) <= goal:
        if session.frame == len(frames) - 1:
            raise NotFound("initial frame selected; you cannot go up")
        goal = len(frames) - 1
    return _selected(interpreter, session.select_frame(goal))


@command("up", Group.STACK, "select the caller's frame", "[COUNT]", args=(Arg.EXPRESSION,), repeats=True)
def _up(interpreter: Interpreter, call: Call) -> Output:
    return _step(interpreter, call, 1)


@command("down", Group.STACK, "select the frame that was called", "[COUNT]", args=(Arg.EXPRESSION,), repeats=True)
def _down(interpreter: Interpreter, call: Call) -> Output:
    return _step(interpreter, call, -1)


def _silently(interpreter: Interpreter, call: Call, direction: int) -> Output:
    return replace(_step(interpreter, call, direction), text="")


@command("up-silently", Group.STACK, "select the caller's frame and show nothing", "[COUNT]", args=(Arg.EXPRESSION,))
def _up_silently(interpreter: Interpreter, call: Call) -> Output:
    return _silently(interpreter, call, 1)


@command(
    "down-silently", Group.STACK, "select the frame that was called and show nothing", "[COUNT]", args=(Arg.EXPRESSION,)
)
def _down_silently(interpreter: Interpreter, call: Call) -> Output:
    return _silently(interpreter, call, -1)


@command(
    "frame apply",
    Group.STACK,
    "run a command in several frames",
    "all | COUNT | -COUNT | level NUMBER[-NUMBER]... [-q] [-c | -s] COMMAND",
    details=(
        "COUNT: in the innermost ones; -COUNT: in the outermost ones. -q does not say which frame it is, -c goes on "
        "after an error and shows it, -s goes on and says nothing of the frame."
    ),
)
def _frame_apply(interpreter: Interpreter, call: Call) -> Output:
    match = _APPLIED.fullmatch(call.args)
    if match is None:
        raise UsageError("frame apply takes frames and a command", hint="frame apply all COMMAND")
    session, flags = interpreter.session, match["flags"]
    limit = MAX_FRAMES if interpreter.frame_limit is None else interpreter.frame_limit
    if match["levels"]:
        pairs = [tuple(map(int, word.split("-"))) for word in match["levels"].split()]
        highest = min(max(pair[-1] for pair in pairs), MAX_FRAMES) + 1
        found = session.backtrace(highest)
        frames = [frame for pair in pairs for frame in found[pair[0] : pair[-1] + 1]]
    elif match["count"]:
        count = int(match["count"])
        frames = list(session.backtrace(count)) if count >= 0 else list(session.backtrace(MAX_FRAMES))[count:]
    else:
        frames = list(session.backtrace(limit))
    selected, where = session.frame, session.icount
    lines: list[str] = []
    try:
        for frame in frames:
            session.select_frame(frame.number)
            shown = [] if "q" in flags else [frame.text]
            try:
                text = interpreter.run(match["command"]).text.rstrip("\n")
            except RrdbgError as error:
                if not set(flags) & {"c", "s"}:
                    raise
                if "c" in flags:
                    lines += [*shown, str(error)]
                continue
            lines += [*shown, text] if text else shown
            if session.icount != where:
                break  # it has moved: those were the frames of another position
    finally:
        if session.icount == where:
            session.select_frame(selected)
    return Output("\n".join(lines), frames)


@command("faas", Group.STACK, "run a command in all frames: `frame apply all -s`", "COMMAND")
def _faas(interpreter: Interpreter, call: Call) -> Output:
    return _frame_apply(interpreter, replace(call, args=f"all -s {call.args}"))


@command("info frame", Group.STACK, "say all that is known of the selected frame", aliases=("f",))
def _info_frame(interpreter: Interpreter, call: Call) -> Output:
    text = interpreter.session.frame_details()
    return Output(text, interpreter.session.select_frame(interpreter.session.frame))


def _hart(interpreter: Interpreter) -> str:
    when = interpreter.session.when()
    return f"hart {when.hart} ({when.priv} mode{', waiting' if when.waiting else ''})"


@command("info threads", Group.STACK, "show the harts and where they stand, as gdb shows threads", aliases=("th",))
def _info_threads(interpreter: Interpreter, call: Call) -> Output:
    frame, hart = interpreter.session.backtrace(1)[0], _hart(interpreter)
    place = frame.text.partition(" ")[2].lstrip()
    return Output(f"  Id   {'Target Id':<{len(hart)}} Frame\n* 1    {hart} {place}", frame)


@command("thread", Group.STACK, "say which hart is selected; there is one", "[1]", aliases=("t",))
def _thread(interpreter: Interpreter, call: Call) -> Output:
    if call.args not in ("", "1"):
        raise UsageError(f"there is no thread {call.args}", hint="the machine has one hart: thread 1")
    return Output(f"[Current thread is 1 ({_hart(interpreter)})]")


@command("info stack", Group.STACK, "show the frames of the stack", "[full] [COUNT | -COUNT]", aliases=("s",))
def _info_stack(interpreter: Interpreter, call: Call) -> Output:
    return _backtrace(interpreter, call)
