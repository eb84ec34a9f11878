"""`rrdbg guests`: the guest programs that rrdbg brings along."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli import host
from rrdbg.cli.images import PREFIX, bundled_guests, purposes


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "guests",
        help="list the bundled guest programs",
        description=f"List the guest programs that rrdbg brings along. Each can be recorded as {PREFIX}NAME.",
        epilog="Columns are separated by tabs unless they go to a terminal.",
        **kwargs,
    )
    parser.add_argument("--all", action="store_true", help="those of benchmarks and tests too")
    parser.add_argument("--path", action="store_true", help="print the paths of their ELF files too")
    return parser


def run(args: argparse.Namespace) -> int:
    """List the guests."""
    known = purposes()
    guests = {
        name: path for name, path in bundled_guests().items() if args.all or not name.startswith(("bench/", "tiny/"))
    }
    width = max(map(len, guests), default=0) + len(PREFIX) if host.is_terminal(1) else 0
    for name, path in guests.items():
        columns = [f"{PREFIX}{name}".ljust(width), known.get(name, ""), *([str(path)] if args.path else [])]
        print(("  " if width else "\t").join(columns))
    return 0
