"""Bookmarks and notes: a JSON file beside the trace, `NAME.rrt.notes.json`. The trace itself is never touched."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.session.api import Bookmark, Note, NotFound, UsageError

VERSION = 1
"""Of the sidecar's format."""


class UserData:
    """Bookmarks and notes of one trace. Every change is on disk, whole, before the call returns."""

    def __init__(self, trace_path: str) -> None:
        self.path = Path(f"{trace_path}.notes.json")
        self._stamp: tuple[int, int] | None = None
        self._bookmarks: dict[str, Bookmark] = {}
        self._notes: dict[int, Note] = {}

    def bookmarks(self) -> Sequence[Bookmark]:
        """Return the bookmarks by position."""
        self._load()
        return sorted(self._bookmarks.values(), key=lambda mark: (mark.icount, mark.name))

    def notes(self) -> Sequence[Note]:
        """Return the notes by position."""
        self._load()
        return sorted(self._notes.values(), key=lambda note: (note.icount, note.number))

    def find(self, name: str) -> Bookmark | None:
        """Return a bookmark by name."""
        self._load()
        return self._bookmarks.get(name)

    def set_bookmark(self, bookmark: Bookmark) -> None:
        """Set or move a bookmark."""
        if not bookmark.name or any(c.isspace() or not c.isprintable() for c in bookmark.name):
            raise UsageError(f"{bookmark.name!r} cannot name a bookmark", hint="a word without spaces")
        self._load()
        self._save(self._bookmarks | {bookmark.name: bookmark}, self._notes)

    def delete_bookmark(self, name: str) -> None:
        """Delete a bookmark."""
        self._load()
        if name not in self._bookmarks:
            raise NotFound(f"there is no bookmark {name!r}", hint="`info bookmarks` lists them")
        self._save({key: mark for key, mark in self._bookmarks.items() if key != name}, self._notes)

    def add_note(self, icount: int, text: str) -> Note:
        """Add a note."""
        if not text.strip():
            raise UsageError("a note needs some text")
        self._load()
        note = Note(max(self._notes, default=0) + 1, icount, text.strip())
        self._save(self._bookmarks, self._notes | {note.number: note})
        return note

    def delete_note(self, number: int) -> None:
        """Delete a note."""
        self._load()
        if number not in self._notes:
            raise NotFound(f"there is no note {number}", hint="`info notes` lists them")
        self._save(self._bookmarks, {key: note for key, note in self._notes.items() if key != number})

    def _load(self) -> None:
        """Take in the file when it changed: a second window on the same trace sees the first one's bookmarks."""
        try:
            status = self.path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if stamp == self._stamp:
                return
            content = json.loads(self.path.read_text(encoding="utf-8"))
            marks = {row["name"]: _bookmark(row) for row in content["bookmarks"]}
            notes = {int(row["number"]): _note(row) for row in content["notes"]}
        except FileNotFoundError:
            self._stamp, self._bookmarks, self._notes = None, {}, {}
            return
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RrdbgError(
                f"{self.path} is not a file of bookmarks and notes: {error}",
                hint="move it away or repair it; the trace itself is not affected",
                exit_code=ExitCode.BAD_TRACE,
            ) from error
        self._stamp, self._bookmarks, self._notes = stamp, marks, notes

    def _save(self, bookmarks: dict[str, Bookmark], notes: dict[int, Note]) -> None:
        content = {
            "version": VERSION,
            "bookmarks": [{"name": mark.name, "icount": mark.icount, "text": mark.text} for mark in bookmarks.values()],
            "notes": [{"number": note.number, "icount": note.icount, "text": note.text} for note in notes.values()],
        }
        _write_whole(self.path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        self._stamp = None
        self._load()


def _bookmark(row: dict[str, Any]) -> Bookmark:
    return Bookmark(str(row["name"]), int(row["icount"]), str(row.get("text", "")))


def _note(row: dict[str, Any]) -> Note:
    return Note(int(row["number"]), int(row["icount"]), str(row["text"]))


def _write_whole(path: Path, text: str) -> None:
    """Replace a file so that a crash or a full disk leaves the old one or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
