"""Start the interface on a trace: `rrdbg tui`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.session.process import EngineProcess
from rrdbg.tui.garbage import Collector, loading

if TYPE_CHECKING:
    from textual.app import App

    from rrdbg.session.api import Progress, ProgressCallback, Session
    from rrdbg.tui.app import DebuggerApp
    from rrdbg.tui.config import Config
    from rrdbg.tui.source import Source

LAST_RESORT = 5.0
"""Seconds that the interface may take to end after a signal."""


def open_trace(
    path: str, progress: ProgressCallback, symbols: Sequence[str] = (), process: EngineProcess | None = None
) -> Source:
    """Open a trace with the engine in a process of its own, in `process` or a new one. Slow: loads the engine."""
    import rrdbg.commands  # noqa: F401 - before the engine has answered: it is still loading
    from rrdbg.session.remote import open_remote

    return over(open_remote(path, progress=progress, symbols=symbols, process=process))


def over(session: Session) -> Source:
    """Return a session with its command table."""
    from rrdbg.commands import COMMANDS, Interpreter
    from rrdbg.tui.source import Source

    return Source(session, Interpreter(session), [(command.name, command.help) for command in COMMANDS])


class Opening:
    """Opens a trace in a thread of its own; the engine has started when the interface has still to be imported."""

    def __init__(self, path: str, symbols: Sequence[str] = ()) -> None:
        self._path = path
        self._symbols = symbols
        self._process = EngineProcess(fork=True)
        self._progress: ProgressCallback | None = None
        self._result: Source | BaseException | None = None
        self._thread = threading.Thread(target=self._open, name="rrdbg-open", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._result = open_trace(self._path, self._report, self._symbols, self._process)
        except BaseException as error:
            self._result = error
            self._process.end()

    def _report(self, progress: Progress) -> None:
        if self._progress is not None:
            self._progress(progress)

    def __call__(self, progress: ProgressCallback) -> Source:
        """Return the opened trace, or raise what went wrong. A second call opens it again."""
        self._progress = progress
        self._thread.join()
        result, self._result = self._result, None
        if result is None:
            return open_trace(self._path, progress, self._symbols)
        if isinstance(result, BaseException):
            raise result
        return result


def check_terminal(
    hint: str = "without one, use: rrdbg replay TRACE, or in scripts: rrdbg replay TRACE -x COMMANDS -batch",
) -> None:
    """Raise RrdbgError unless there is a terminal that can show the interface."""
    missing = ""
    # Textual reads the keys from standard input, draws on standard error and asks standard output for its size.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        missing = "a terminal on standard input, output and error"
    elif os.environ.get("TERM") == "dumb":
        missing = "a terminal that can move its cursor, but TERM says dumb"
    if missing:
        raise RrdbgError(
            f"the terminal interface needs {missing}",
            hint=hint,
            exit_code=ExitCode.HOST_IO,
        )


@contextlib.contextmanager
def _signals_end(app: App[int]) -> Iterator[None]:
    """Let signals that end a program end the interface first, or the terminal would stay as it is: mouse, raw mode.

    Where the terminal is gone, Textual may wait for ever for it to take what it has to draw; then there is nothing to
    put back, and the process just ends.
    """
    import asyncio

    last_resort: list[threading.Timer] = []

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise KeyboardInterrupt from None
        if not last_resort:
            last_resort.append(threading.Timer(LAST_RESORT, os._exit, (int(ExitCode.INTERRUPTED),)))
            last_resort[0].daemon = True
            last_resort[0].start()
        loop.call_soon_threadsafe(lambda: app.exit(return_code=int(ExitCode.INTERRUPTED)))

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    before = {number: signal.signal(number, handle) for name in names if (number := getattr(signal, name, None))}
    try:
        yield
    finally:
        # a thread of Textual's that still reads a terminal that is gone would keep the process for ever
        if not any(thread.name == "textual-input" for thread in threading.enumerate()):
            for timer in last_resort:
                timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def run_tui(path: str, *, theme: str | None = None, symbols: Sequence[str] = (), config: str | None = None) -> int:
    """Show a trace until the user quits, and return the exit code.

    Args:
        path: The trace.
        theme: Name of a theme; None: that of the settings, or the default one.
        symbols: Files with symbols, as for `rrdbg.open`.

    Raises:
        RrdbgError: There is no terminal, no such theme, the settings make no sense, the trace does not open, or the
            engine died.
        OSError: The file cannot be read.
    """
    check_terminal()
    with open(path, "rb"):  # told at once, not after the screen was taken
        pass
    opening = Opening(path, symbols)  # before anything that takes time
    with loading():
        from rrdbg.tui.config import load

        settings = load(config)
        from rrdbg.tui.app import DebuggerApp
    return show(DebuggerApp(os.path.basename(path), opening), theme=theme, settings=settings)


def show(app: DebuggerApp, *, theme: str | None = None, settings: Config | None = None) -> int:
    """Run the interface until the user quits, and return the exit code.

    Raises:
        RrdbgError: There is no such theme, the trace does not open, or the engine died.
    """
    from rrdbg.tui.config import load
    from rrdbg.tui.escape import quick
    from rrdbg.tui.stopped import continuing

    app.driver_class = continuing(quick(app.driver_class))
    app.configure(load() if settings is None else settings, theme)
    with _signals_end(app), Collector() as app.collector:
        app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
