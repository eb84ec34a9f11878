"""`rrdbg export`: what each step did, as text or JSON lines."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from rrdbg.cli._parse import add_symbols

DESCRIPTION = """\
Write what each step of a trace did, a line per step: icount, virtual time, hart, mode, instruction, symbol, source
line, registers written, memory accesses, traps, events, bookmarks and notes."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export", help="write what each step did, as text or JSON lines", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file")
    add_symbols(parser)
    parser.add_argument("--to", choices=("text", "jsonl"), default="text", help="format (text)")
    parser.add_argument(
        "--from", dest="start", metavar="P", help="first step: 1_000, 50%%, 2.5ms, @bookmark, #event (start)"
    )
    parser.add_argument("--until", metavar="P", help="position behind the last step (end)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (standard output)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Export."""
    import rrdbg
    from rrdbg.cli.interrupts import cancelling
    from rrdbg.cli.progress import SessionProgress
    from rrdbg.export import export

    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(SessionProgress())
        session = stack.enter_context(rrdbg.open(args.trace, progress, symbols=args.symbols))
        stack.enter_context(cancelling(session))
        wanted = {"to": args.to, "start": args.start, "until": args.until}
        if not args.output or args.output == "-":
            export(session, sys.stdout, **wanted)
            return 0
        try:
            with open(args.output, "w", encoding="utf-8", newline="\n") as out:
                export(session, out, **wanted)
        except OSError as error:
            error.filename = args.output  # a write names no file
            raise
    return 0
