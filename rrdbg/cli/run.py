"""`rrdbg run`: a Python script on a trace."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli._parse import add_symbols

DESCRIPTION = """\
Run a Python script on a trace. The script runs as a program of its own: sys.argv is [SCRIPT, TRACE, ARGS...], and its
folder comes first on sys.path. It finds the trace opened as the global `session` (docs/scripting.md); what else it
needs it imports: `import rrdbg`."""

EPILOG = """\
exit codes:
  the script's own with sys.exit; 0 when it ends; that of an rrdbg error it lets through; 1 for any other exception"""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run", help="run a Python script on a trace", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("script", metavar="SCRIPT", help="a Python file")
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file")
    add_symbols(parser)
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="arguments of the script")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the script and return its exit code."""
    from rrdbg.cli.interrupts import cancelling
    from rrdbg.commands.script import run_script

    return run_script(args.script, [args.trace, *args.args], cancelling, symbols=args.symbols)
