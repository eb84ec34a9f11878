"""`rrdbg cache`: what is kept of compiled code on this machine, and how to be rid of it."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rrdbg_core.errors import ExitCode

from rrdbg.cli.terminal import count, size
from rrdbg.symbols.escape import harmless

if TYPE_CHECKING:
    from rrdbg_core.cpu.kept import Kept, KeptFile

DESCRIPTION = """\
Say what is kept of compiled code, or drop it. The guest CPU is compiled once for each version of rrdbg. Hot stretches
of a guest program, its regions, are compiled while it runs; the next run of the program on this machine starts with
them. What is dropped is compiled again when it is needed."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "cache", help="say what is kept of compiled code, or drop it", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("action", choices=("info", "clear"), help="info: say what is there; clear: drop it")
    parser.add_argument("--regions", action="store_true", help="only regions, not the guest CPU itself")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Say what is there, or drop it."""
    from rrdbg_core.cpu import kept

    kinds = (kept.REGIONS,) if args.regions else (kept.KERNELS, kept.REGIONS)
    if args.action == "info":
        there = {kind: kept.survey(kind) for kind in kinds}
        print(json.dumps(_values(there), indent=2) if args.json else "\n".join(_lines(there)))
        return ExitCode.OK
    dropped = {kind: kept.clear(kind) for kind in kinds}
    if args.json:
        print(json.dumps({kind: {"files": files, "size": total} for kind, (files, total) in dropped.items()}, indent=2))
    else:
        for kind, (files, total) in dropped.items():
            print(f"{kind:<10}{_number(files, 'file')} dropped, {size(total)}")
    return ExitCode.OK


def _values(there: dict[str, Kept]) -> dict[str, Any]:
    return {
        kind: {
            "directory": str(kept.directory),
            "problem": kept.problem or None,
            "size": kept.size,
            "files": [asdict(file) | {"path": str(file.path)} for file in kept.files],
        }
        for kind, kept in there.items()
    }


def _lines(there: dict[str, Kept]) -> list[str]:
    rows = []
    for kind, kept in there.items():
        rows.append((kind, str(kept.directory)))
        if kept.problem:
            rows.append(("", f"not used: {kept.problem}"))
        for label, current in (("of this version", True), ("of others", False)):
            files = [file for file in kept.files if file.current == current]
            if files:
                times = " to ".join(dict.fromkeys(_ago(files[end].used) for end in (0, -1)))
                total = size(sum(file.size for file in files))
                rows.append(("", f"{label}: {_what(kind, files)}, {total}, used {times} ago"))
        if not kept.files:
            rows.append(("", "nothing"))
    return [f"{label:<10}{harmless(text)}" for label, text in rows]


def _what(kind: str, files: list[KeptFile]) -> str:
    if kind != "regions":
        return _number(len(files), "file")
    return f"{_number(sum(file.regions for file in files), 'region')} of {_number(len(files), 'program')}"


def _number(n: int, what: str) -> str:
    return f"{count(n)} {what}{'' if n == 1 else 's'}"


def _ago(when: float) -> str:
    """Return how long ago a time is: 5 s, 90 min, 3 h, 40 days."""
    seconds = max(0, int(time.time() - when))
    for unit, scale in (("days", 24 * 3600), ("h", 3600), ("min", 60)):
        if seconds >= 2 * scale:
            return f"{seconds // scale} {unit}"
    return f"{seconds} s"
