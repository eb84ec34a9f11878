"""`rrdbg replay`: the debugger's prompt, and command files in batch mode."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rrdbg.cli._parse import add_symbols

if TYPE_CHECKING:
    from rrdbg.commands import Interpreter, Output

DESCRIPTION = """\
Walk along a trace with gdb's commands, forwards and backwards: at a prompt, or from files and options in their order.
`help` at the prompt lists the commands, `rrdbg commands` too."""

EPILOG = """\
exit codes:
  A command of -x, -ex or piped standard input that fails ends rrdbg, is told with file and line, and gives the code:
   1 it failed                    66 replay diverged
   2 wrong usage                  67 unknown symbol, position, point or file
  65 bad trace                    68 the host failed
                                 130 interrupted
  At a terminal's prompt nothing ends rrdbg but `quit` and the end of input.

examples:
  rrdbg replay run.rrt
  rrdbg replay run.rrt -batch -ex "goto end" -ex "watch heap_head" -ex rc
  rrdbg replay run.rrt -x commands.rrd -batch"""


class _InOrder(argparse.Action):
    """Keeps -x and -ex in the order in which they came."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), (self.const, values)])


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "replay", help="walk along a trace with gdb's commands", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file; one that is still being recorded will do")
    add_symbols(parser)
    in_order: dict[str, Any] = {"action": _InOrder, "dest": "commands", "default": []}
    parser.add_argument("-x", "--command", metavar="FILE", const="file", help="run a file of commands", **in_order)
    parser.add_argument("-ex", "--eval-command", metavar="CMD", const="line", help="run a command", **in_order)
    parser.add_argument("-batch", "--batch", action="store_true", help="no prompt: end when the commands are done")
    parser.add_argument("--json", action="store_true", help="one JSON object per command, for programs")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run commands on a trace."""
    import rrdbg
    from rrdbg.cli.interrupts import cancelling
    from rrdbg.cli.progress import SessionProgress
    from rrdbg.commands import Interpreter
    from rrdbg.commands.plain import as_json

    def write(output: Output) -> None:
        progress.clear()
        text = as_json(output) if args.json else output.text
        ending = "\n" if args.json or (text and not output.raw) else ""
        # what was asked for is on its way before the next command starts to work
        print(text, end=ending, flush=True)

    with (
        SessionProgress() as progress,
        rrdbg.open(args.trace, progress, symbols=args.symbols) as session,
        cancelling(session),
    ):
        interpreter = Interpreter(session)
        if not _run_given(interpreter, args.commands, write) or args.batch:
            return 0
        if not sys.stdin.isatty():
            interpreter.run_lines(sys.stdin, write, "<stdin>")
            return 0
        from rrdbg.cli.prompt import prompt

        prompt(interpreter, write, progress.clear)
    return 0


def _run_given(interpreter: Interpreter, commands: Iterable[tuple[str, str]], write: Callable[[Output], None]) -> bool:
    """Run what the command line asks for; return False when it asked to quit."""
    for kind, text in commands:
        if kind == "file":
            went_on = interpreter.run_file(text, write)
        else:
            went_on = interpreter.run_lines([text], write, "-ex")
        if not went_on:
            return False
    return True
