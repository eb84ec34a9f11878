"""The command line: parse, dispatch, and turn every error into one clear message and its exit code.

`rrdbg --help` has to answer within a quarter of a second, so this module and the modules of the subcommands import
nothing heavy; each subcommand imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from rrdbg_core import __version__
from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.cli import host

SUBCOMMANDS = (
    "record",
    "replay",
    "open",
    "verify",
    "tui",
    "serve",
    "gdb",
    "run",
    "export",
    "info",
    "stats",
    "events",
    "dump",
    "check_device",
    "guests",
    "commands",
    "cache",
    "completion",
    "demo",
)
"""Modules of this package, one per subcommand, in the order of the help text. Each has `add_parser` and `run`."""

REPLAYING = ("replay", "open", "verify", "tui", "serve", "gdb", "run", "export", "stats")
"""Those that run the guest of a trace, and with it devices that users wrote."""

EPILOG = """\
examples:
  rrdbg record guest:hello -o hello.rrt    record a bundled guest
  rrdbg record firmware.elf                your own, on this terminal's console
  rrdbg tui hello.rrt                      walk along the run, both ways
  rrdbg verify hello.rrt --pauses 100      prove that it replays bit by bit

exit codes:
  record exits with the guest's own code. Otherwise:
   0 done                       67 unknown symbol, position, device or file
   1 the answer is no           68 the host failed: disk full, no terminal
   2 wrong command line         69 --timeout or --max-size ended the run
  64 bad guest image            70 the guest sleeps for ever, no input is left
  65 bad trace                  71 a device breaks the device contract
  66 replay diverged           130 interrupted

environment:
  RRDBG_CACHE  where compiled code is kept         NO_COLOR  no colours
  RRDBG_TIER2  0: no compiled regions of guest programs
"""


class Help(argparse.HelpFormatter):
    """Wraps descriptions, but keeps indented lines, and line ends before them, as they are written."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = re.findall(r"(?:^[^ \n].*\n?)+|^.*\n?", text, re.MULTILINE)
        lines = []
        for block in filter(None, blocks):
            margin = re.match(" *", block)[0]  # type: ignore[index]
            kept = margin and len(block.rstrip()) <= width
            filled = textwrap.fill(block.strip(), width, initial_indent=margin, subsequent_indent=margin)
            lines.append(block.rstrip() if kept else filled)
        return "\n".join(lines)


def build_parser(subcommands: Iterable[str] = SUBCOMMANDS) -> argparse.ArgumentParser:
    """Return the parser of the command line: of all of it, or of what some subcommands need."""
    parser = argparse.ArgumentParser(
        prog="rrdbg",
        description="Record one run of a RISC-V computer into a file, and walk it in both directions.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"rrdbg {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name in subcommands:
        module = import_module(f"rrdbg.cli.{name}")
        subparser = module.add_parser(subparsers, formatter_class=Help)
        subparser.set_defaults(run=module.run)
        if name in REPLAYING:
            subparser.add_argument(
                "--trust-devices", action="store_true", help="run devices whose program the trace brings along"
            )
    return parser


def _dispatch(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    # what the others need would only cost time
    named = [name for name in SUBCOMMANDS if argv and argv[0] == name.replace("_", "-")]
    try:
        args = build_parser(named or SUBCOMMANDS).parse_args(argv)
        if "check" in args:
            args.check(args)
    except SystemExit as leave:  # --help, --version, or a wrong command line, which argparse has told
        return leave.code if isinstance(leave.code, int) else ExitCode.USAGE
    if getattr(args, "trust_devices", False):
        from rrdbg_core.devices.user import trust

        trust()
    code = int(args.run(args))
    sys.stdout.flush()
    return code


def main(argv: Sequence[str] | None = None, *, ready: Callable[[], None] = lambda: None) -> int:
    """Run one command line and return its exit code; `ready` is called once a KeyboardInterrupt is told in a line."""
    host.open_standard_streams()
    try:
        ready()
        code = _dispatch(argv)
    except RrdbgError as error:
        host.say(f"rrdbg: {error}")
        code = error.exit_code
    except KeyboardInterrupt:
        host.say("rrdbg: interrupted")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has seen enough (`rrdbg events x.rrt | head`): not an error of ours.
        code = host.BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        host.say(f"rrdbg: {where}{error.strerror or error}")
        code = ExitCode.NOT_FOUND if isinstance(error, FileNotFoundError) else ExitCode.HOST_IO
    except MemoryError:
        host.say("rrdbg: the host has not enough memory for this guest\n  try less RAM: record --memory 128M")
        code = ExitCode.HOST_IO
    if not host.finish_stdout() and code == ExitCode.OK:
        code = host.BROKEN_PIPE
    return code


if __name__ == "__main__":
    sys.exit(main())
