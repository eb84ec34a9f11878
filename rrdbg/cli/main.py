"""The command line: parse, dispatch, and turn every error into one clear message and its exit code.

`rrdbg --help` has to answer within a quarter of a second, so this module and the modules of the subcommands import
nothing heavy; each subcommand imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from rrdbg_core import __version__
from rrdbg_core.errors import ExitCode, RrdbgError

SUBCOMMANDS = (
    "record",
    "replay",
    "verify",
    "tui",
    "run",
    "export",
    "info",
    "events",
    "dump",
    "check_device",
    "guests",
    "commands",
    "completion",
    "demo",
)
"""Modules of this package, one per subcommand, in the order of the help text. Each has `add_parser` and `run`."""

EPILOG = """\
exit codes:
  record exits with the guest's own code. Otherwise:
   0 done                         67 unknown symbol, position, device or file
   1 the answer is no             68 the host failed: disk full, permission, no terminal
   2 wrong command line           69 a limit given on the command line ended the run
  64 bad guest image              70 the guest sleeps for ever and no input is left
  65 bad trace                    71 a device breaks the device contract
  66 replay diverged             130 interrupted

environment:
  RRDBG_CACHE  where compiled kernels are kept      NO_COLOR  no colours
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="rrdbg",
        description="Record one run of a RISC-V computer into a file, and walk it in both directions.",
        epilog=EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"rrdbg {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name in SUBCOMMANDS:
        module = import_module(f"rrdbg.cli.{name}")
        subparser = module.add_parser(subparsers, formatter_class=_Help)
        subparser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    args = build_parser().parse_args(argv)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except RrdbgError as error:
        print(f"rrdbg: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rrdbg: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has seen enough (`rrdbg events x.rrt | head`): not an error of ours.
        # Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + getattr(signal, "SIGPIPE", 13)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"rrdbg: {where}{error.strerror or error}", file=sys.stderr)
        return ExitCode.HOST_IO
    return code


if __name__ == "__main__":
    sys.exit(main())
