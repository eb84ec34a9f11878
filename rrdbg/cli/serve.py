"""`rrdbg serve`: the terminal interface in a browser."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from rrdbg_core.errors import ExitCode, RrdbgError

DESCRIPTION = """\
Show a trace in the browser: the interface of `rrdbg tui`, through a small web server.
The address, with a random token in it, is printed on stdout; whoever knows it can use the debugger. Only this machine
reaches the server unless --host says otherwise. Each tab has an interface and an engine of its own, which end with it;
bookmarks and notes are shared. Ctrl-C ends the server."""

EPILOG = """\
examples:
  rrdbg serve run.rrt --open
  rrdbg serve run.rrt --port 0           a free port
  ssh -L 8731:localhost:8731 board       then, there: rrdbg serve run.rrt

The page needs nothing from the network. Traffic is not encrypted: across a network, use a tunnel as above."""

PORT = 8731


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve", help="the same in a browser", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file; one that is still being recorded will do")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDR", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=PORT, metavar="N", help=f"port, 0 for a free one ({PORT})")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--theme", metavar="NAME", help="colours; an unknown name lists them")
    return parser


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from rrdbg_core.trace import Trace

    from rrdbg.cli import host

    Trace.open(args.trace).close()  # what is wrong with it is told here, not in the browser
    try:
        from rrdbg.tui import serve
    except ImportError as error:
        raise RrdbgError(
            f"serving needs a package that is not installed: {error.name}",
            hint="pip install textual-serve",
            exit_code=ExitCode.HOST_IO,
        ) from error
    if args.theme is not None:
        from rrdbg.tui.themes import check_theme

        check_theme(args.theme)
    server = serve.Server(args.trace, host=args.host, port=args.port, theme=args.theme)

    def ready(url: str) -> None:
        print(url, flush=True)
        host.say("rrdbg: whoever knows this address can use the debugger; Ctrl-C ends the server")
        if not serve.is_loopback(args.host):
            host.say("rrdbg: warning: other machines can reach it, and the traffic is not encrypted")
        if args.open:
            import webbrowser

            if not webbrowser.open(url):
                host.say("rrdbg: no browser could be started: open the address yourself")

    with contextlib.suppress(KeyboardInterrupt):
        serve.run(server, ready)
    host.say("rrdbg: the server has ended")
    return ExitCode.OK


def _port(text: str) -> int:
    """Parse a port."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; try 0 to 65535")
    return int(text)
