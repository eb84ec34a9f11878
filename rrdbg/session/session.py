"""The session over a trace, in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from types import TracebackType
from typing import Self, cast

from rrdbg.session.api import Bookmark, Note, Position, ProgressCallback, Session, VerifyResult
from rrdbg.session.engine import Engine
from rrdbg.session.landing import Landing
from rrdbg.session.source import TraceSource
from rrdbg.session.userdata import UserData
from rrdbg.symbols.table import SymbolTable


class TraceSession(Landing):
    """Every method of `Session`, over an engine that replays and what is known of the trace."""

    def __init__(self, engine: Engine, source: TraceSource, symbols: SymbolTable, user: UserData) -> None:
        super().__init__(engine, source, symbols, user)
        self._setup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the trace. Further calls raise RrdbgError."""
        if not self._closed:
            self._closed = True
            self._source.close()

    # the user's own

    def bookmarks(self) -> tuple[Bookmark, ...]:
        """Return the bookmarks by position."""
        self._check_open()
        return tuple(self._user.bookmarks())

    def bookmark(self, name: str, position: Position | None = None, text: str = "") -> Bookmark:
        """Set or move a bookmark (default: here)."""
        mark = Bookmark(name, self.icount if position is None else self.position(position), text)
        self._user.set_bookmark(mark)
        return mark

    def delete_bookmark(self, name: str) -> None:
        """Delete a bookmark."""
        self._check_open()
        self._user.delete_bookmark(name)

    def notes(self) -> tuple[Note, ...]:
        """Return the notes by position."""
        self._check_open()
        return tuple(self._user.notes())

    def note(self, text: str, position: Position | None = None) -> Note:
        """Add a note (default: here)."""
        return self._user.add_note(self.icount if position is None else self.position(position), text)

    def delete_note(self, number: int) -> None:
        """Delete a note."""
        self._check_open()
        self._user.delete_note(number)

    # the whole trace

    def verify(self, *, pauses: int = 0, seed: int = 0) -> VerifyResult:
        """Replay the whole trace against its check words and digests."""
        with self._work("verifying", 0, self.end):
            return self._source.verify(pauses, seed, self._poll)


def open_session(
    path: str | PathLike[str],
    progress: ProgressCallback | None = None,
    *,
    symbols: Sequence[str | PathLike[str]] = (),
) -> Session:
    """Open a trace and stand at its start.

    Args:
        path: A `.rrt` file.
        progress: Called by long calls; also while the guest CPU is compiled, the first time.
        symbols: Files with symbols and debug information, as for `rrdbg.open`.

    Raises:
        RrdbgError: The trace or a file with symbols cannot be read.
    """
    from rrdbg.session.replay import open_parts

    session = TraceSession(*open_parts(os.fspath(path), progress, symbols))
    session.on_progress = progress
    return cast(Session, session)
