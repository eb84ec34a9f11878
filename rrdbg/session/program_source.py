"""The program's source: its files, and which of their lines were executed around here."""

from __future__ import annotations

import os
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rrdbg.session.api import LineVisit, SourceFile
from rrdbg.session.backtrace import Backtrace
from rrdbg.session.engine import Words
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.symbols.sources import Sources

MAX_VISITED = 1 << 20
"""Steps that `line_visits` looks at, on each side."""
_SHOWN_PLACES = 6

Numbers = npt.NDArray[np.int64]


class ProgramSource(Backtrace):
    """The part of a session that knows source files."""

    @cached_property
    def _sources(self) -> Sources:
        folder = os.path.dirname(os.path.abspath(self._source.path))
        return Sources(self._symbols.source_files, self._source.carried, (folder, os.getcwd()))

    def source(self, file: str) -> SourceFile:
        """Return the text of a source file."""
        self._check_open()
        found = self._sources.text(file)
        if found is None:
            raise self._not_found(file)
        return SourceFile(found.file, found.origin, found.lines, tuple(self._symbols.lines_of(found.file)))

    def _not_found(self, file: str) -> NotFound:
        name = self._sources.named(file)
        if name is None:
            return NotFound(
                f"no source file {file!r} in the trace's images",
                hint="; ".join(self._symbols.problems()) or "`info sources` lists them",
            )
        places = self._sources.places(name)
        more = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
        return NotFound(
            f"source file {name} is not there; looked at {', '.join(places[:_SHOWN_PLACES])}{more}",
            hint="`set substitute-path FROM TO` and `directory DIR` say where sources are, and `record "
            "--embed-sources` puts them into the trace",
        )

    def source_files(self) -> tuple[str, ...]:
        """Return the names of the program's source files, by name."""
        self._check_open()
        return tuple(sorted(self._symbols.source_files()))

    def substitute_path(self, old: str, new: str) -> None:
        """Look for sources whose names start with `old` under `new`; an empty `new` removes the rule."""
        self._check_open()
        if not old:
            raise UsageError("a rule needs the start of a path", hint="set substitute-path FROM TO")
        self._sources.substitute(old, new)

    def substitutions(self) -> tuple[tuple[str, str], ...]:
        """Return the rules of `substitute_path`: start of a name, and what takes its place."""
        self._check_open()
        return tuple(self._sources.rules.items())

    def source_directory(self, path: str) -> tuple[str, ...]:
        """Look for sources in a host directory first, and return all such; an empty path forgets them."""
        self._check_open()
        self._sources.directory(path)
        return tuple(self._sources.directories)

    # visits

    def line_visits(self, before: int, after: int, lines: int = 0) -> tuple[LineVisit, ...]:
        """Return the source lines executed in the steps around here, ascending.

        `lines`: of so many different lines on either side, only the visits nearest to here; 0: all visits.
        """
        self._check_open()
        if not (0 <= before <= MAX_VISITED and 0 <= after <= MAX_VISITED):
            raise UsageError(f"cannot look at {max(before, after):_} steps", hint=f"at most {MAX_VISITED:_}")
        here = self._engine.icount
        lo, hi = max(here - before, 0), min(here + after, self.end)
        if lo >= hi:
            return ()
        with self._excursion("looking at lines", lo, hi):
            rows = self._rows(lo, hi)
        return self._visits(rows, here, lines)

    def _visits(self, rows: Words, here: int, most: int) -> tuple[LineVisit, ...]:
        """Return the stretches of a log that stay on a line. A step that takes an interrupt belongs to none.

        `most`: of so many different lines on either side of a position only the nearest stretches; 0: all.
        """
        pcs, inverse = np.unique(rows[:, 1], return_inverse=True)
        names: dict[tuple[str, int], int] = {("", 0): 0}
        numbers = []
        for pc in pcs.tolist():
            line = self._symbols.line(pc)
            numbers.append(names.setdefault((line.file, line.line) if line else ("", 0), len(names)))
        lines = np.array(numbers, np.int64)[inverse]
        lines[rows[:, 4] >> np.uint64(63) != 0] = 0
        starts = np.concatenate([[0], np.flatnonzero(np.diff(lines)) + 1])
        lengths = np.diff(np.append(starts, len(lines)))
        if most:
            chosen = _nearest(rows[starts, 0].astype(np.int64), lengths, lines[starts], here, most)
            starts, lengths = starts[chosen], lengths[chosen]
        known = list(names)
        return tuple(
            LineVisit(icount, known[number][0], known[number][1], steps)
            for icount, number, steps in zip(
                rows[starts, 0].tolist(), lines[starts].tolist(), lengths.tolist(), strict=True
            )
            if number
        )


def _nearest(icounts: Numbers, lengths: Numbers, lines: Numbers, here: int, most: int) -> Numbers:
    """Return the numbers of the visits, ascending, that are the nearest of their line before a position, or behind it.

    The visit that the position lies in is one of them. Line 0 is none. On either side there are at most so many.
    """
    before = int(np.searchsorted(icounts + lengths, here, side="right"))
    behind = int(np.searchsorted(icounts, here, side="right"))
    chosen = [np.arange(before, behind)]
    for way in (np.arange(before - 1, -1, -1), np.arange(behind, len(lines))):
        known = way[lines[way] != 0]
        first = np.sort(np.unique(lines[known], return_index=True)[1])[:most]
        chosen.append(known[first])
    return np.sort(np.concatenate(chosen))
