"""Start the server on a trace: `rrdbg gdb`."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.gdb.files import Files
from rrdbg.gdb.images import images_of
from rrdbg.gdb.server import PipeStream, Server, is_loopback, listen, serve_stream
from rrdbg.gdb.stub import Stub
from rrdbg.session.api import ProgressCallback
from rrdbg.session.remote import open_remote
from rrdbg.session.symbol_files import read_symbol_files

_GDBS = ("gdb-multiarch", "riscv64-unknown-elf-gdb", "riscv64-elf-gdb", "riscv-none-elf-gdb", "riscv64-linux-gnu-gdb")

_PATIENT = "set remotetimeout 30"
"""gdb gives up a target after 2 s: too soon for the start of Python on a busy machine."""


class _Ended(Exception):
    """A signal ends the server."""


def run_server(
    path: str,
    *,
    host: str,
    port: int | None,
    default_port: int,
    say: Callable[[str], None],
    progress: ProgressCallback | None = None,
    once: bool = False,
    stdio: bool = False,
    symbols: Sequence[str] = (),
) -> int:
    """Serve a trace until the user ends it, or the only client does; return the exit code.

    Args:
        path: The trace.
        host: Address to listen on.
        port: Port; 0: a free one; None: the default one or, when that is taken, a free one.
        default_port: The default one.
        say: Told what the user should know, a line each.
        progress: Called while the trace is opened.
        once: End with the first client.
        stdio: Serve standard input and output instead.
        symbols: Files with symbols, as for `rrdbg.open`; the client can read them too, and takes the first
            one for the program.

    Raises:
        RrdbgError: The trace does not open, the port is taken, or the engine died.
    """
    load = _loader(path, symbols)

    @contextlib.contextmanager
    def opened() -> Iterator[Stub]:
        with open_remote(path, progress, symbols=symbols) as session:
            session.on_progress = None
            yield Stub(session, Files(load), trusted=stdio)

    with _signals_end(stdio):
        if stdio:
            serve_stream(opened, PipeStream(sys.stdin.fileno(), _take_stdout()), say)
            return ExitCode.OK
        with opened() as stub, _listener(host, port, default_port) as listener:
            address = listener.getsockname()
            where = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
            if not is_loopback(host):
                say(f"warning: anybody who reaches {where} can read this trace: there is no authentication")
            say(f"{os.path.basename(path)}, {stub.end:_} steps, is served at {where}; Ctrl-C ends the server")
            say(f"run: {_gdb()} -ex 'target extended-remote {where}'")
            Server(stub, listener, say, once=once).run()
    return ExitCode.OK


def launch(path: str, arguments: Sequence[str], options: Sequence[str]) -> NoReturn:
    """Become gdb with the trace as its target.

    Args:
        path: The trace.
        arguments: More arguments for gdb.
        options: Options for the server.

    Raises:
        RrdbgError: There is no gdb for RISC-V.
    """
    gdb = next((found for name in _GDBS if (found := shutil.which(name))), None)
    if gdb is None:
        raise RrdbgError(
            "no gdb for RISC-V is installed", hint=f"looked for {', '.join(_GDBS)}", exit_code=ExitCode.NOT_FOUND
        )
    with open(path, "rb"):  # told at once, and by us
        pass
    server = shlex.join([sys.executable, "-m", "rrdbg", "gdb", "--stdio", *options, "--", path])
    commands = Path(__file__).with_name("commands.gdb")
    sys.stdout.flush()
    first = (_PATIENT, f"source {commands}", f"target extended-remote | {server}")
    os.execv(gdb, [gdb, "-q", *(word for command in first for word in ("-ex", command)), *arguments])


def _loader(path: str, symbols: Sequence[str]) -> Callable[[], Mapping[str, bytes]]:
    """Return what returns the files that the client may read: those with symbols, then the trace's images."""
    files = sorted(read_symbol_files(symbols), key=lambda file: file.address is not None)
    given = {file.name: file.data for file in files if file.is_elf}  # gdb reads no lists of names
    return lambda: given | {name: data for name, data in images_of(path).items() if name not in given}


def _listener(host: str, port: int | None, default_port: int) -> socket.socket:
    if port is not None:
        return listen(host, port)
    try:
        return listen(host, default_port)
    except RrdbgError:
        return listen(host, 0)


def _gdb() -> str:
    return next((name for name in _GDBS if shutil.which(name)), _GDBS[0])


def _take_stdout() -> int:
    """Return a descriptor of standard output; what is printed by mistake goes to stderr from now on."""
    mine = os.dup(1)
    os.dup2(2, 1)
    return mine


@contextlib.contextmanager
def _signals_end(stdio: bool) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server; in a pipe from gdb, Ctrl-C is gdb's."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise _Ended

    handlers = {signal.SIGTERM: handle, signal.SIGINT: signal.SIG_IGN if stdio else handle}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except _Ended:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
