"""`rrdbg open`: a trace at the place where it went wrong."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from rrdbg.cli._parse import add_symbols

if TYPE_CHECKING:
    from rrdbg.session.api import FrameInfo, Session, Stop

DESCRIPTION = """\
Open a trace where the run went wrong, and show the stack there: at a trap loop, the last panic, an exit with a code,
an exception that was never returned from, or the end. It says which of them it is. Then the prompt of `rrdbg replay`
follows."""

EPILOG = """\
what counts, in this order:
  trap loop   the same exception at the same pc, again and again until the end
  panic       a function called like panic, abort, assert or a fault handler ran last
  exit        with a code other than 0
  exception   the run ended in its handler
  end         the exit with code 0, or the end of the recording

examples:
  rrdbg open run.rrt
  rrdbg open run.rrt --batch          print it and leave, for scripts and CI"""

FRAMES = 32
"""Frames that are shown."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "open", help="open a trace where the run went wrong", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file; one that is still being recorded will do")
    add_symbols(parser)
    parser.add_argument("-batch", "--batch", action="store_true", help="no prompt: print where it is, and leave")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object, and leave")
    return parser


def run(args: argparse.Namespace) -> int:
    """Open the trace."""
    import rrdbg
    from rrdbg.cli.interrupts import cancelling
    from rrdbg.cli.progress import SessionProgress

    with (
        SessionProgress() as progress,
        rrdbg.open(args.trace, progress, symbols=args.symbols) as session,
        cancelling(session),
    ):
        stop = session.land()
        frames = list(session.backtrace(FRAMES))
        progress.clear()
        print(_json(stop, frames) if args.json else _text(session, stop, frames), flush=True)
        if args.batch or args.json or not sys.stdin.isatty():
            return 0
        from rrdbg.cli.prompt import prompt
        from rrdbg.commands import Interpreter, Output

        def write(output: Output) -> None:
            progress.clear()
            print(output.text, end="\n" if output.text and not output.raw else "", flush=True)

        prompt(Interpreter(session), write, progress.clear)
    return 0


def _text(session: Session, stop: Stop, frames: list[FrameInfo]) -> str:
    """Return the landing for people."""
    when = stop.when
    lines = [stop.text, "", *(frame.text for frame in frames)]
    lines.append(f"\nPosition {when.icount:_} of {when.end:_}. reverse-step and reverse-next go back from here.")
    if problems := session.symbol_problems():
        lines += [f"({problem})" for problem in problems]
    return "\n".join(lines)


def _json(stop: Stop, frames: list[FrameInfo]) -> str:
    """Return the landing for programs."""
    when = stop.when
    rows = [
        {
            "number": frame.number,
            "pc": frame.pc,
            "function": frame.function,
            "file": frame.location.file,
            "line": frame.location.line,
            "trap": frame.trap,
            "icount": frame.icount,
        }
        for frame in frames
    ]
    return json.dumps({"why": stop.what, "icount": when.icount, "end": when.end, "pc": when.pc, "frames": rows})
