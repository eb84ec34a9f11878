"""`rrdbg guests`: the guest programs that rrdbg brings along."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli.images import PREFIX, bundled_guests


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "guests",
        help="list the bundled guest programs",
        description=f"List the guest programs that rrdbg brings along. Each can be recorded as {PREFIX}NAME.",
        **kwargs,
    )
    parser.add_argument("--path", action="store_true", help="print the paths of their ELF files too")
    return parser


def run(args: argparse.Namespace) -> int:
    """List the guests."""
    for name, path in bundled_guests().items():
        print(f"{PREFIX}{name}\t{path}" if args.path else f"{PREFIX}{name}")
    return 0
