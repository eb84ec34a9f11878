"""Source files: where the text of a file lies that the debug information names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.escape import harmless

MAX_SOURCE = 16 << 20
"""Bytes of the largest source file that is shown or carried."""


class Text(Frozen):
    """The text of a source file."""

    file: str
    """Its name, as the compiler was given it."""
    origin: str
    """A host path, or "trace"."""
    lines: tuple[str, ...]
    """Line by line, harmless on a terminal."""


class Sources:
    """The source files of a program.

    A file is looked for, in this order: in the trace; at its own path and below the directory it was compiled in, with
    the rules of `substitute`; in the directories of `directory`; and beside the trace, by its path and by its name.
    Files that were found are remembered until a rule changes.

    Args:
        files: The names in the debug information, each with the directory it was compiled in.
        carried: Content of the files that the trace carries, by name.
        beside: Host directories to look in at last: that of the trace.
    """

    def __init__(
        self,
        files: Callable[[], Mapping[str, str]],
        carried: Mapping[str, Callable[[], bytes]] | None = None,
        beside: Sequence[str] = (),
    ) -> None:
        self._files = files
        self._carried = dict(carried or {})
        self._beside = tuple(beside)
        self._rules: dict[str, str] = {}
        self._directories: list[str] = []
        self._known: dict[str, Text] = {}

    # rules

    @property
    def rules(self) -> Mapping[str, str]:
        """The substitution rules: what names start with, and what takes its place."""
        return self._rules

    @property
    def directories(self) -> Sequence[str]:
        """The directories that were added, the first one first."""
        return self._directories

    def substitute(self, old: str, new: str) -> None:
        """Look for files whose names start with `old` under `new`; an empty `new` removes the rule."""
        old = old.rstrip("/") or old
        self._rules.pop(old, None)
        if new:
            self._rules[old] = new.rstrip("/") or new
        self._known.clear()

    def directory(self, path: str) -> None:
        """Look in a directory first; an empty path forgets all that were added."""
        if path:
            self._directories = [path, *(old for old in self._directories if old != path)]
        else:
            self._directories.clear()
        self._known.clear()

    # files

    def named(self, name: str) -> str | None:
        """Return the whole name of a source file that is given by it, by its end, or by its base name."""
        files = self._files()
        if name in files:
            return name
        found = sorted(file for file in files if file.endswith("/" + name))
        return found[0] if found else None

    def text(self, name: str) -> Text | None:
        """Return the text of a file; None when it is not found."""
        file = self.named(name) or name
        if file not in self._known:
            found = self._find(file)
            if found is None:
                return None
            self._known[file] = found
        return self._known[file]

    def _find(self, file: str) -> Text | None:
        found = self.content(file)
        return Text(file, found[0], lines_of(found[1])) if found else None

    def content(self, file: str) -> tuple[str, bytes] | None:
        """Return where the content of a file comes from, a host path or "trace", and the content."""
        if file in self._carried:
            with contextlib.suppress(LookupError):  # a recording that was cut off may not hold it
                return "trace", self._carried[file]()
        for path in self.places(file):
            data = _content(path)
            if data is not None:
                return path, data
        return None

    def places(self, file: str) -> list[str]:
        """Return the host paths at which a file is looked for, in their order."""
        return list(dict.fromkeys(self._places(file)))

    def _places(self, file: str) -> Iterator[str]:
        compiled_in = self._files().get(file, "")
        whole = os.path.normpath(os.path.join(compiled_in, file))
        for name in (whole, file):
            yield from (self._substituted(name, rule) for rule in self._rules if _starts(name, rule))
        if os.path.isabs(whole):
            yield whole
        relative = file.lstrip("/")
        for folder in (*self._directories, *self._beside):
            yield os.path.join(folder, relative)
            if not os.path.isabs(whole):
                yield os.path.join(folder, whole)
            yield os.path.join(folder, os.path.basename(file))

    def _substituted(self, name: str, rule: str) -> str:
        return self._rules[rule] + name[len(rule) :]


def _starts(name: str, rule: str) -> bool:
    """Return whether a rule fits: it ends where a part of the path ends."""
    return name == rule or name.startswith(rule if rule.endswith("/") else rule + "/")


def _content(path: str) -> bytes | None:
    """Return the content of a host file, None if it is none, or too big to be a source."""
    try:
        if os.path.getsize(path) > MAX_SOURCE or not os.path.isfile(path):
            return None
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return None


def lines_of(data: bytes) -> tuple[str, ...]:
    """Return a text's lines, harmless on a terminal; tabs stay."""
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    lines = text.removesuffix("\n").split("\n")
    return tuple("\t".join(map(harmless, line.split("\t"))) for line in lines)
