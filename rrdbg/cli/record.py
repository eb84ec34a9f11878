"""`rrdbg record`: run a guest and write everything that is needed to run it again."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli import _parse

DESCRIPTION = """\
Run a guest on the machine `virt` and record the run into a trace.

IMAGE is an ELF, a raw binary or an Intel hex file, or guest:NAME for a bundled guest (`rrdbg guests`).
The guest's console is this terminal unless --input, --input-script or --no-input says otherwise;
in a terminal Ctrl-A x ends the recording, and Ctrl-C belongs to the guest."""

SCRIPT_HELP = (
    """scripted console input, one action a line: `at 1_000_000: text`, `after 2.5ms: text`, `on "pattern": text`"""
)


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "record", help="run a guest and record it into a trace", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("image", metavar="IMAGE", help="ELF, raw binary, Intel hex, or guest:NAME")
    parser.add_argument("-o", "--output", metavar="TRACE", help="the trace to write (default: IMAGE's name with .rrt)")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite an existing trace")

    machine = parser.add_argument_group("machine")
    machine.add_argument("-m", "--memory", type=_parse.size_bytes, default="128M", metavar="SIZE", help="RAM (128M)")
    machine.add_argument(
        "--load-address", type=_parse.address, metavar="ADDR", help="where a raw binary goes (0x80000000)"
    )
    machine.add_argument("--entry", type=_parse.address, metavar="ADDR", help="first instruction (the image says)")
    machine.add_argument("--shift", type=int, default=0, metavar="N", help="2^N ns of virtual time per step (0)")
    machine.add_argument("--seed", type=_parse.seed, metavar="S", help="the guest's entropy is a function of S")
    machine.add_argument("--rtc-base", metavar="TIME", help="date the guest wakes up to, ISO 8601 (now)")
    machine.add_argument(
        "--device", action="append", default=[], metavar="SPEC", help="add a device: virtio-rng, file.py:Class@ADDR"
    )
    machine.add_argument("--no-semihosting", action="store_true", help="semihosting calls are plain breakpoints")

    console = parser.add_argument_group("console input").add_mutually_exclusive_group()
    console.add_argument("--input", metavar="FILE", help="console input from a file, - for standard input")
    console.add_argument("--input-script", metavar="FILE", help=SCRIPT_HELP)
    console.add_argument("--no-input", action="store_true", help="nobody types")

    limits = parser.add_argument_group("when to end")
    limits.add_argument(
        "--until", metavar="WHAT", help="icount (5M), virtual time (2.5s) or console pattern (text:login)"
    )
    limits.add_argument("--timeout", type=_parse.duration_ns, metavar="TIME", help="host time, with its unit (30s)")
    limits.add_argument("--max-size", type=_parse.size_bytes, metavar="SIZE", help="size of the trace (1G)")
    limits.add_argument("--warp", action="store_true", help="never wait in host time while the guest sleeps")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary on stderr")
    return parser
