"""`rrdbg tui`: the terminal interface."""

from __future__ import annotations

import argparse
from typing import Any

DESCRIPTION = """\
Walk along a trace in the terminal: a timeline to scrub, disassembly, registers, memory, console and events.
F1 or ? shows the keys, : opens the command prompt, q leaves. Works over SSH, from 80x24 upwards."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "tui", help="walk along a trace in the terminal", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file; one that is still being recorded will do")
    parser.add_argument("--theme", metavar="NAME", help="colours; an unknown name lists them")
    return parser


def run(args: argparse.Namespace) -> int:
    """Show the trace until the user quits."""
    from rrdbg.tui.run import run_tui

    return run_tui(args.trace, theme=args.theme)
