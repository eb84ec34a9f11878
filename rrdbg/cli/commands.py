"""`rrdbg commands`: the reference of the debugger's commands."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "commands",
        help="list the debugger's commands",
        description="List the commands of `rrdbg replay`, of the TUI's prompt and of command files, or explain one.",
        **kwargs,
    )
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="explain this one")
    parser.add_argument("--markdown", action="store_true", help="the whole reference, as in docs/commands.md")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the reference."""
    from rrdbg.commands import COMMANDS
    from rrdbg.commands.reference import markdown
    from rrdbg.commands.support import help_text

    print(markdown() if args.markdown else help_text(" ".join(args.command), COMMANDS), end="")
    return 0
