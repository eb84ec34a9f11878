"""A session whose engine runs in a process of its own: a face never shares a GIL with the guest."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import ProgressCallback, Session, StepRow
from rrdbg.session.codec import unpack_error
from rrdbg.session.errors import EngineDied
from rrdbg.session.pipe import Channel
from rrdbg.session.process import EngineProcess

_BATCH = 4096
_LOCAL = {"iter_steps", "close", "cancel", "on_progress"}
_CALLS = {name for name in vars(Session) if not name.startswith("_")} - _LOCAL
_PROPERTIES = {name for name in _CALLS if isinstance(vars(Session)[name], property)}


def open_remote(
    path: str | PathLike[str],
    progress: ProgressCallback | None = None,
    *,
    symbols: Sequence[str | PathLike[str]] = (),
    process: EngineProcess | None = None,
) -> Session:
    """Open a trace in an engine of its own: in `process`, which nobody else uses, or in a new one.

    The result has the interface and the errors of `rrdbg.open`'s. Its methods block the calling thread; progress is
    reported in that thread; `cancel` works from any other.

    Raises:
        RrdbgError: The trace cannot be read, or the engine does not start.
    """
    return cast(Session, RemoteSession(path, progress, symbols, process))


class RemoteSession:
    """The methods of `Session`, each a message to the engine and its answer."""

    def __init__(
        self,
        path: str | PathLike[str],
        progress: ProgressCallback | None = None,
        symbols: Sequence[str | PathLike[str]] = (),
        process: EngineProcess | None = None,
    ) -> None:
        self.on_progress = progress
        self._process = EngineProcess() if process is None else process
        self._channel = Channel(cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin))
        self._lock = threading.RLock()
        self._number = 0
        self._running: int | None = None
        self._closed = False
        try:
            self._call("open", os.fspath(path), symbols=tuple(map(os.fspath, symbols)))
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name not in _CALLS:
            raise AttributeError(name)
        if name in _PROPERTIES:
            return self._call(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, *args, **kwargs)

        return call

    def iter_steps(self, lo: int, hi: int) -> Iterator[StepRow]:
        """Yield what the steps lo <= n < hi did."""
        while lo < hi:
            rows = self._call("step_rows", lo, min(_BATCH, hi - lo))
            if not rows:
                return
            yield from rows
            lo += len(rows)

    def cancel(self) -> bool:
        """Make the running call raise `Cancelled` soon, and return whether there is one."""
        running = self._running
        if running is not None:
            with contextlib.suppress(OSError, ValueError):
                self._channel.send({"cancel": running})
        return running is not None

    def close(self) -> None:
        """End the engine."""
        if not self._closed:
            self.cancel()
            with contextlib.suppress(RrdbgError):
                self._call("close")
            self._end()

    def _end(self) -> None:
        self._closed = True
        self._process.end()

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            if self._closed:
                raise RrdbgError("the session is closed")
            self._number += 1
            number = self._running = self._number
            try:
                self._channel.send({"id": number, "call": name, "args": args, "kwargs": kwargs})
                while True:
                    try:
                        answer = self._channel.receive()
                    except KeyboardInterrupt:
                        self.cancel()
                        self._drain(number)
                        raise
                    if "progress" in answer:
                        if self.on_progress is not None:
                            self.on_progress(answer["progress"])
                    elif answer["id"] == number:
                        break
            except (EOFError, OSError, ValueError) as error:
                raise self._died() from error
            finally:
                self._running = None
        if "error" in answer:
            raise unpack_error(answer["error"])
        return answer["result"]

    def _drain(self, number: int) -> None:
        while self._channel.receive().get("id") != number:
            pass

    def _died(self) -> RrdbgError:
        code, said = self._process.died()
        self._end()
        how = "does not answer any more" if code is None else f"ended (exit status {code})"
        return EngineDied(
            f"the engine's process {how}{': ' + ' / '.join(said) if said else ''}",
            hint="nothing is lost: open the trace again",
        )
