"""Start the interface on a trace: `rrdbg tui`."""

from __future__ import annotations

import os
import sys
import threading

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.session.api import Progress, ProgressCallback, Session
from rrdbg.tui.source import Source


def open_trace(path: str, progress: ProgressCallback) -> Source:
    """Open a trace with the engine in a process of its own. Slow: loads the engine."""
    from rrdbg.session.remote import open_remote

    return over(open_remote(path, progress=progress))


def over(session: Session) -> Source:
    """Return a session with its command table."""
    from rrdbg.commands import COMMANDS, Interpreter

    return Source(session, Interpreter(session), [(command.name, command.help) for command in COMMANDS])


class Opening:
    """Opens a trace in a thread of its own, so that the engine starts while the interface is still being imported."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._progress: ProgressCallback | None = None
        self._result: Source | BaseException | None = None
        self._thread = threading.Thread(target=self._open, name="rrdbg-open", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._result = open_trace(self._path, self._report)
        except BaseException as error:
            self._result = error

    def _report(self, progress: Progress) -> None:
        if self._progress is not None:
            self._progress(progress)

    def __call__(self, progress: ProgressCallback) -> Source:
        """Return the opened trace, or raise what went wrong. A second call opens it again."""
        self._progress = progress
        self._thread.join()
        result, self._result = self._result, None
        if result is None:
            return open_trace(self._path, progress)
        if isinstance(result, BaseException):
            raise result
        return result


def run_tui(path: str, *, theme: str | None = None) -> int:
    """Show a trace until the user quits, and return the exit code.

    Args:
        path: The trace.
        theme: Name of a theme; None: the default one.

    Raises:
        RrdbgError: There is no terminal, no such theme, the trace does not open, or the engine died.
        OSError: The file cannot be read.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise RrdbgError(
            "the terminal interface needs a terminal on standard input and output",
            hint="in scripts, use: rrdbg replay TRACE -x COMMANDS -batch",
            exit_code=ExitCode.HOST_IO,
        )
    with open(path, "rb"):  # told at once, not after the screen was taken
        pass
    opening = Opening(path)
    from rrdbg.tui.app import DebuggerApp

    app = DebuggerApp(os.path.basename(path), opening)
    if theme is not None:
        if theme not in app.available_themes:
            names = ", ".join(sorted(app.available_themes))
            raise RrdbgError(f"no theme '{theme}'", hint=f"themes: {names}", exit_code=ExitCode.USAGE)
        app.theme = theme
    app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
