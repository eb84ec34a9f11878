"""Commands that move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import UsageError
from rrdbg.session.positions import FORMS

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter
    from rrdbg.session.api import Session, Stop

_COUNT = "With a count, that many times; a stop on the way ends it. The count is an expression."


def _moved(stop: Stop) -> Output:
    return Output(stop.text, stop, stop)


def _count(interpreter: Interpreter, call: Call) -> int:
    if not call.args:
        return 1
    count = interpreter.evaluate(call.args).number
    if count < 0:
        raise UsageError(f"{call.name} takes a count from 0 on, not {count}", hint="the reverse- commands go back")
    return count


def _counted(
    name: str, verb: Callable[[Session, int], Stop], help: str, aliases: tuple[str, ...], details: str = _COUNT
) -> None:
    def handler(interpreter: Interpreter, call: Call) -> Output:
        return _moved(verb(interpreter.session, _count(interpreter, call)))

    argument = (Arg.EXPRESSION,)
    command(name, Group.RUNNING, help, "[COUNT]", aliases=aliases, args=argument, details=details, repeats=True)(
        handler
    )


_BACK = f"Breakpoints and watchpoints count on the way back too. {_COUNT}"
_TICK = "Nothing stops it on the way: breakpoints and watchpoints do not count. The count is an expression."
_LINES = (
    "Traps on the way are passed over as a whole. In a function without line information it runs until that is left. "
    f"{_COUNT}"
)
_LINES_BACK = f"It ends where that line begins; before a function's first line lies the line of the call. {_COUNT}"
_counted("step", lambda s, n: s.step(n), "execute to the start of another source line, into functions", ("s",), _LINES)
_counted(
    "reverse-step",
    lambda s, n: s.reverse_step(n),
    "go back to the start of the previous source line, into functions",
    ("rs",),
    _LINES_BACK,
)
_counted(
    "next", lambda s, n: s.next_(n), "execute to the start of another source line, calls as a whole", ("n",), _LINES
)
_counted(
    "reverse-next",
    lambda s, n: s.reverse_next(n),
    "go back to the start of the previous source line, calls as a whole",
    ("rn",),
    _LINES_BACK,
)
_counted("stepi", lambda s, n: s.stepi(n), "execute one instruction, or take one trap", ("si",))
_counted("reverse-stepi", lambda s, n: s.reverse_stepi(n), "undo one instruction", ("rsi",), _BACK)
_counted("nexti", lambda s, n: s.nexti(n), "execute one instruction, calls as a whole", ("ni",))
_counted("reverse-nexti", lambda s, n: s.reverse_nexti(n), "undo one instruction, calls as a whole", ("rni",), _BACK)
_counted("tick", lambda s, n: s.tick(n), "move the machine by one step, whichever hart makes it", (), _TICK)
_counted("reverse-tick", lambda s, n: s.tick(-n), "move the machine back by one step", (), _TICK)


@command(
    "continue",
    Group.RUNNING,
    "run to the next breakpoint or watchpoint, or to the end of the recording",
    "[COUNT]",
    aliases=("c", "fg"),
    args=(Arg.EXPRESSION,),
    details="With a count, the stop is the count-th one: those before it are passed over.",
    repeats=True,
)
def _continue(interpreter: Interpreter, call: Call) -> Output:
    return _moved(interpreter.session.continue_(max(_count(interpreter, call), 1)))


@command(
    "reverse-continue",
    Group.RUNNING,
    "run backwards to the previous breakpoint or watchpoint, or to the start of the recording",
    "[COUNT]",
    aliases=("rc",),
    args=(Arg.EXPRESSION,),
    details="A breakpoint right here is not hit again; a watchpoint stops before the access.",
    repeats=True,
)
def _reverse_continue(interpreter: Interpreter, call: Call) -> Output:
    return _moved(interpreter.session.reverse_continue(max(_count(interpreter, call), 1)))


@command(
    "finish",
    Group.RUNNING,
    "run until the selected frame has returned",
    aliases=("fin",),
    details="Shows what the function returned. Without debug information its entry is found by looking back.",
    repeats=True,
)
def _finish(interpreter: Interpreter, call: Call) -> Output:
    session = interpreter.session
    frame = session.backtrace(session.frame + 1)[session.frame]
    output = _moved(session.finish())
    return replace(output, text=f"Run till exit from {frame.text}\n{output.text}")


@command(
    "reverse-finish",
    Group.RUNNING,
    "go back to before the call of the selected frame's function",
    aliases=("rfin",),
    repeats=True,
)
def _reverse_finish(interpreter: Interpreter, call: Call) -> Output:
    return _moved(interpreter.session.reverse_finish())


@command(
    "until",
    Group.RUNNING,
    "run until a location or position is reached, or something stops it",
    "[LOCATION|POSITION]",
    aliases=("u",),
    args=(Arg.LOCATION,),
    details=(
        "Without an argument: like next, but a jump back does not count: it leaves a loop. A place counts where the "
        "selected frame comes to it; it ends there, or where that frame has returned. `advance` takes any frame."
    ),
    repeats=True,
)
def _until(interpreter: Interpreter, call: Call) -> Output:
    return _moved(interpreter.session.until(call.args, here=True) if call.args else interpreter.session.until())


@command(
    "advance",
    Group.RUNNING,
    "run until a location is reached, or the selected frame has returned",
    "LOCATION",
    args=(Arg.LOCATION,),
)
def _advance(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("advance needs a location: advance LOCATION")
    return _moved(interpreter.session.advance(call.args))


@command(
    "reverse-until",
    Group.RUNNING,
    "run backwards until a location or position is reached, or something stops it",
    "LOCATION|POSITION",
    args=(Arg.LOCATION,),
)
def _reverse_until(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("reverse-until needs a location: reverse-until LOCATION")
    return _moved(interpreter.session.reverse_until(call.args))


@command(
    "goto",
    Group.RUNNING,
    "go to a position of the recording",
    "POSITION",
    aliases=("seek",),
    args=(Arg.POSITION,),
    details=f"Positions are written {FORMS}.",
)
def _goto(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("goto needs a position", hint=f"positions are written {FORMS}")
    return _moved(interpreter.session.goto(call.args))


@command("back", Group.RUNNING, "return to where the last jump or run started", repeats=True)
def _back(interpreter: Interpreter, call: Call) -> Output:
    return _moved(interpreter.session.back())


@command("forward", Group.RUNNING, "undo `back`", repeats=True)
def _forward(interpreter: Interpreter, call: Call) -> Output:
    return _moved(interpreter.session.forward())
