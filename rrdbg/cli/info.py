"""`rrdbg info`: what a trace holds, in a screenful or as JSON."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "info",
        help="say what a trace holds",
        description="Say what a trace holds: the machine, the images, how far it goes, how it ended, what was lost.",
        **kwargs,
    )
    parser.add_argument("trace", help="a .rrt file")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser
