"""`rrdbg demo`: the whole loop on a bundled guest, each step by the command that a user would type."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from rrdbg.cli import host

DESCRIPTION = """\
Record a bundled guest whose heap is corrupted long before anybody notices, walk backwards from the failure to the
instruction that did it, prove that the trace replays bit by bit, and export a slice of it. Then open the terminal
interface, if there is a terminal. Each step shows the command that it runs."""

GUEST = "heap"
GUEST_CODE = 1
"""What the guest ends with: it finds its heap damaged."""
HUNT = (
    "goto end",
    "tbreak heap_free",  # the allocator found a damaged block: which one was it given?
    "reverse-continue",
    "watch *(u64 *)($a0 - 16)",  # the size in the block's header, which is wrong
    "reverse-continue",  # backwards to whoever wrote it
    "bookmark culprit",
    "disassemble",
    "delete",
    "stepi 6",
    "bookmark behind",
)


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo", help="show what rrdbg does, on a bundled guest", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("folder", nargs="?", default="demo", metavar="DIR", help="where its files go (./demo)")
    parser.add_argument("--pauses", type=int, default=100, metavar="N", help="pauses of the verification (100)")
    parser.add_argument("--no-tui", action="store_true", help="end before the terminal interface")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the steps, and return the exit code of the first that fails."""
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    trace = os.path.join(folder, f"{GUEST}.rrt")
    slice_ = os.path.join(folder, "culprit.jsonl")
    hunt = [word for command in HUNT for word in ("-ex", command)]
    steps = (
        (
            "Record a bundled guest. It fails: its heap is damaged.",
            ["record", f"guest:{GUEST}", "-fo", trace],
            GUEST_CODE,
        ),
        ("Walk backwards, from the failure to the write that damaged it.", ["replay", trace, "-batch", *hunt], 0),
        (
            "Prove that the trace replays bit by bit, and that looking changes nothing.",
            ["verify", trace, "--pauses", str(args.pauses)],
            0,
        ),
        (
            "Export the steps around the culprit, for other tools.",
            ["export", trace, "--to", "jsonl", "--from", "@culprit", "--until", "@behind", "-o", slice_],
            0,
        ),
        ("What the trace holds.", ["info", trace], 0),
    )
    for number, (title, command, expected) in enumerate(steps, 1):
        _show(f"{number}. {title}", command)
        code = _rrdbg(command)
        if code != expected:
            host.say(f"rrdbg: that step should have ended with exit code {expected}, not {code}")
            return code or 1
    if not args.no_tui and host.is_terminal(0) and host.is_terminal(1):
        _show(f"{len(steps) + 1}. Look at it: ? shows the keys, q leaves.", ["tui", trace])
        try:
            input("Press Enter to open the terminal interface. ")
        except EOFError:
            return 0
        return _rrdbg(["tui", trace])
    print(f"\nDone. {trace} and {slice_} are yours to look at:")
    for command in (["tui", trace], ["replay", trace], ["commands"], ["record", "guest:shell"]):
        print(f"  rrdbg {shlex.join(command)}")
    return 0


def _show(title: str, command: list[str]) -> None:
    """Print what comes next, and the command as one can type it."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if host.is_terminal(1) and not os.environ.get("NO_COLOR") else ("", "")
    print(f"\n{bold}{title}{plain}\n$ rrdbg {shlex.join(command)}", flush=True)


def _rrdbg(command: list[str]) -> int:
    """Run a command line in a process of its own, as a user would."""
    import subprocess

    return subprocess.run([sys.executable, "-m", "rrdbg", *command], check=False).returncode
