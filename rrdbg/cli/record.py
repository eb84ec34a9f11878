"""`rrdbg record`: run a guest and write everything that is needed to run it again."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli import _parse

DESCRIPTION = """\
Run a guest on the machine `virt` and record the run into a trace.
The guest's console is this terminal unless an option says otherwise: Ctrl-A x ends the recording, Ctrl-A h helps, and
Ctrl-C belongs to the guest. What the guest prints goes to stdout, what rrdbg says to stderr."""

EPILOG = """\
examples:
  rrdbg record guest:shell
  rrdbg record guest:shell --tui
  rrdbg record firmware.elf -o run.rrt --until text:panic --timeout 30s
  rrdbg record app.bin --load-address 0x80000000 --input-script keys.txt
  make test | rrdbg record shell.elf --quiet > output.txt

input scripts, one action a line:
  at 1_000_000: text          after so many steps
  after 2.5ms: text           so much virtual time after the action before
  on "pattern": text\\n        when the guest has printed the pattern

exit codes:
  the guest's own if it ended the run (docs/record.md has those above 255);
   0 --until or Ctrl-A x       69 --timeout or --max-size
  64 bad guest image           70 the guest sleeps for ever, no input is left
  68 disk full, permission    130 SIGINT, SIGTERM: the trace is whole"""

BOOT_OPTIONS = ("kernel", "bios", "initrd", "append", "dtb")
"""Options of which each boots something instead of an IMAGE."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "record", help="run a guest and record it into a trace", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument(
        "image", metavar="IMAGE", nargs="?", help="ELF, raw binary, Intel hex, or guest:NAME (rrdbg guests)"
    )
    parser.add_argument("-o", "--output", metavar="TRACE", help="the trace to write (IMAGE's name with .rrt)")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite an existing trace")
    parser.add_argument(
        "--tui", action="store_true", help="watch the run in the debugger, pause it and walk back in it"
    )
    parser.add_argument("--theme", metavar="NAME", help="colours of the --tui")
    parser.add_argument(
        "--embed-sources",
        action="store_true",
        help="put the source files that the image names into the trace (always done for guest:NAME)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no summary on stderr")
    parser.add_argument("--stats", action="store_true", help="say at the end what the recording did and cost")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on stdout, the console on stderr")

    machine = parser.add_argument_group("machine")
    machine.add_argument("-m", "--memory", type=_parse.size_bytes, default="128M", metavar="SIZE", help="RAM (128M)")
    machine.add_argument(
        "--load-address", type=_parse.address, metavar="ADDR", help="where a raw binary or hex file goes"
    )
    machine.add_argument("--entry", type=_parse.address, metavar="ADDR", help="first instruction (the image says)")
    machine.add_argument("--shift", type=int, default=0, metavar="N", help="2^N ns of virtual time per step (0)")
    machine.add_argument("--seed", type=_parse.seed, metavar="S", help="the guest's entropy is a function of S")
    machine.add_argument(
        "--rtc-base", type=_parse.date_ns, default="now", metavar="TIME", help="date to wake up to, ISO 8601 (now)"
    )
    machine.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="SPEC",
        help="virtio-rng, virtio-console, file.py:Class@ADDR[,irq=N]",
    )
    machine.add_argument(
        "--drive",
        action="append",
        default=[],
        metavar="SPEC",
        help="a disk, never written: file=IMAGE[,readonly=on][,id=ID] (a virtio-blk device, unless a --device uses ID)",
    )
    machine.add_argument(
        "--no-semihosting",
        action="store_true",
        help="semihosting calls are plain breakpoints (always so without an IMAGE)",
    )

    boot = parser.add_argument_group("boot, instead of an IMAGE; as QEMU's options of these names")
    boot.add_argument("--kernel", metavar="FILE", help="Image, Image.gz or ELF, started in S mode")
    boot.add_argument("--initrd", metavar="FILE", help="initial RAM disk")
    boot.add_argument("--append", metavar="TEXT", help="the kernel's command line")
    boot.add_argument("--dtb", metavar="FILE", help="device tree blob (one that describes the board)")
    boot.add_argument(
        "--bios", metavar="FILE", help="firmware in M mode, OpenSBI's fw_dynamic for one; none; default (built in)"
    )

    console = parser.add_argument_group("console input").add_mutually_exclusive_group()
    console.add_argument("--input", metavar="FILE", help="console input from a file, - for standard input")
    console.add_argument("--input-script", metavar="FILE", help="scripted console input, see below")
    console.add_argument("--no-input", action="store_true", help="nobody types")

    limits = parser.add_argument_group("when to end")
    limits.add_argument(
        "--until", type=_parse.until, metavar="WHAT", help="icount (5M), virtual time (2.5s), text:LOGIN"
    )
    limits.add_argument("--timeout", type=_parse.duration_ns, metavar="TIME", help="host time, with its unit (30s)")
    limits.add_argument("--max-size", type=_parse.size_bytes, metavar="SIZE", help="size of the trace (1G)")
    limits.add_argument("--warp", action="store_true", help="never wait in host time while the guest sleeps")

    def check(args: argparse.Namespace) -> None:
        if args.image is None and all(getattr(args, name) is None for name in BOOT_OPTIONS):
            parser.error("an IMAGE or a --kernel is required")

    parser.set_defaults(check=check)
    return parser


def run(args: argparse.Namespace) -> int:
    """Record, and return the guest's exit code."""
    from rrdbg_core.cpu.regions.client import prepare

    if not args.tui:  # who records then is another process
        prepare()  # so that it gets ready while all else is being imported
    from rrdbg.cli.recording import run_recording

    return run_recording(args)
