"""`rrdbg tui`: the terminal interface."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli._parse import add_symbols

DESCRIPTION = """\
Walk along a trace in the terminal: a timeline to scrub, disassembly, registers, memory, console and events.
F1 or ? shows the keys, : opens the command prompt, q leaves. Works over SSH, from 80x24 upwards.
Keys and colours can be changed in a file: docs/tui.md."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "tui", help="walk along a trace in the terminal", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file; one that is still being recorded will do")
    add_symbols(parser)
    parser.add_argument("--theme", metavar="NAME", help="colours; an unknown name lists them")
    parser.add_argument("--config", metavar="FILE", help="keys and colours (tui.toml in your configuration folder)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Show the trace until the user quits."""
    from rrdbg.tui.run import run_tui

    return run_tui(args.trace, theme=args.theme, symbols=args.symbols, config=args.config)
