"""`rrdbg gdb`: the trace as a target of stock gdb."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli._parse import add_symbols

DESCRIPTION = """\
Serve a trace to gdb, which walks along it in both directions: break, watch, reverse-continue, reverse-step and all the
rest. `monitor` in gdb takes the commands of `rrdbg replay`. The command line for gdb is printed at the start."""

EPILOG = """\
examples:
  rrdbg gdb run.rrt --launch                 gdb itself, with the trace as its target
  rrdbg gdb run.rrt                          then: gdb-multiarch -ex "target extended-remote :1234"
  rrdbg gdb run.rrt --port 0 --once          a free port, for one client
  (gdb) target remote | rrdbg gdb --stdio run.rrt

Only this host reaches the server, unless --listen says otherwise; there is no authentication.
One client at a time. Ctrl-C ends the server."""

DEFAULT_PORT = 1234
"""QEMU's."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "gdb", help="serve a trace to stock gdb", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file; one that is still being recorded will do")
    parser.add_argument(
        "--port", type=_port, metavar="N", help=f"TCP port; 0: a free one (default: {DEFAULT_PORT}, or a free one)"
    )
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDR", help="address to listen on (loopback)")
    parser.add_argument("--once", action="store_true", help="end when the first client goes")
    parser.add_argument("--stdio", action="store_true", help="serve standard input and output instead of a port")
    add_symbols(parser)
    parser.add_argument(
        "--launch", nargs=argparse.REMAINDER, metavar="ARG", help="start gdb on the trace; what follows is gdb's"
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; 0 to 65535")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve until the user or the client ends it."""
    from rrdbg.cli import host
    from rrdbg.cli.progress import SessionProgress
    from rrdbg.gdb.run import launch, run_server

    if args.launch is not None:
        launch(args.trace, args.launch, [word for file in args.symbols for word in ("--symbols", file)])
    with SessionProgress() as progress:

        def say(text: str) -> None:
            progress.clear()
            host.say(f"rrdbg: {text}")

        return run_server(
            args.trace,
            host=args.listen,
            port=args.port,
            default_port=DEFAULT_PORT,
            say=say,
            progress=progress,
            once=args.once,
            stdio=args.stdio,
            symbols=args.symbols,
        )
