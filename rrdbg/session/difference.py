"""What differs between two positions: registers, CSRs and RAM.

RAM is compared page by page. The trace's index says which pages were written in between, where it covers the way; else
all pages are candidates, and of many of them sums are compared first. So the memory that it takes has a bound.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.isa.csr import FLOAT_NUMBERS
from rrdbg_core.isa.registers import ABI, FLOAT_ABI

from rrdbg.session.api import Difference, Position
from rrdbg.session.csrs import CSR_NAMES, SUPERVISOR_NAMES
from rrdbg.session.errors import UsageError
from rrdbg.session.program import Change
from rrdbg.session.variables import Variables

MAX_CHANGES = 100_000
"""Changes that are told at most."""
MAX_RUN = 64
"""Bytes of the longest change; what is longer is several."""
BATCH = 1 << 12
"""Pages that are held at once: 16 MiB."""
_CHUNK = 1 << 10
_WORDS = PAGE_BYTES // 8
_COUNTERS = ("mcycle", "minstret", "time")

Pages = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Sums = npt.NDArray[np.uint64]


@functools.cache
def _weights() -> Sums:
    """Return odd numbers: a page's sum tells it from all that differ in one word, and nearly surely from all others."""
    return np.random.default_rng(0x5EED).integers(0, 1 << 63, _WORDS, np.uint64) * np.uint64(2) + np.uint64(1)


class Differences(Variables):
    """The part of a session that compares positions."""

    def difference(self, lo: Position, hi: Position, limit: int = 1000) -> Difference:
        """Return how registers, CSRs and RAM differ between two positions."""
        first, second = self.position(lo), self.position(hi)
        if not 0 <= limit <= MAX_CHANGES:
            raise UsageError(f"cannot tell {limit:_} changes", hint=f"at most {MAX_CHANGES:_}")
        with self._excursion("comparing", min(first, second), max(first, second)):
            pages = self._maybe_changed(min(first, second), max(first, second))
            changes: list[Change] = []
            total = 0
            registers: tuple[tuple[str, int, int], ...] = ()
            if len(pages) > BATCH:
                pages = self._by_sums(first, second, pages)
            for batch in _batches(pages):
                self._engine.seek(first)
                old = self._pages(batch)
                self._engine.seek(second)
                differ = old != (new := self._pages(batch))
                total += int(np.count_nonzero(differ))
                for start, stop in _runs(batch, differ, limit - len(changes)):
                    row, at = divmod(start, PAGE_BYTES)
                    end = at + stop - start
                    address = self._ram_base + int(batch[row]) * PAGE_BYTES + at
                    changes.append(
                        Change(address, old[row, at:end].tobytes(), new[row, at:end].tobytes(), self.locate(address))
                    )
            self._engine.seek(first)
            before = self._all_registers()
            self._engine.seek(second)
            after = self._all_registers()
            registers = tuple((name, before[name], value) for name, value in after.items() if before[name] != value)
        return Difference(first, second, registers, tuple(changes), total)

    @property
    def _ram_base(self) -> int:
        return self._source.info().ram_base

    def _all_registers(self) -> dict[str, int]:
        hart = self._engine.hart
        found = {"pc": int(hart[L.PC])}
        found |= {ABI[number]: int(hart[L.X + number]) for number in range(1, 32)}
        if self._engine.mach[L.FLOAT]:
            found |= {name: int(hart[L.F + number]) for number, name in enumerate(FLOAT_ABI)}
        for name in ("priv", *FLOAT_NUMBERS, *CSR_NAMES, *SUPERVISOR_NAMES):
            value = self._machine_register(name)
            if value is not None and name not in _COUNTERS:
                found[name] = value
        return found

    def _maybe_changed(self, lo: int, hi: int) -> Pages:
        """Return the numbers of the RAM pages that may have been written in the steps lo <= n < hi."""
        if lo == hi:
            return np.zeros(0, np.int64)
        at, found = lo, [np.zeros(0, np.int64)]
        for epoch in self._epochs(lo, hi):
            if epoch.start > at:
                break
            found.append(epoch.written.astype(np.int64))
            at = max(at, epoch.stop)
        if at >= hi:
            return np.unique(np.concatenate(found))
        return np.arange(self._source.info().ram_bytes // PAGE_BYTES, dtype=np.int64)

    def _pages(self, pages: Pages) -> Bytes:
        """Return the content of RAM pages here: u8[n, PAGE_BYTES]."""
        content = np.zeros((len(pages), PAGE_BYTES), np.uint8)
        at = 0
        for first, count in _stretches(pages):
            data = self._engine.read(self._ram_base + first * PAGE_BYTES, count * PAGE_BYTES, True)
            rows = np.frombuffer(data, np.uint8).reshape(-1, PAGE_BYTES)
            content[at : at + len(rows)] = rows
            at += count
        return content

    def _by_sums(self, first: int, second: int, pages: Pages) -> Pages:
        """Return those of some pages that differ, as far as sums tell."""
        sums: list[Sums] = []
        for position in (first, second):
            self._engine.seek(position)
            parts = []
            for start in range(0, len(pages), _CHUNK):
                self._poll(position)
                words = self._pages(pages[start : start + _CHUNK]).view(np.uint64)
                parts.append((words * _weights()).sum(axis=1, dtype=np.uint64))
            sums.append(np.concatenate(parts))
        changed: Pages = pages[sums[0] != sums[1]]
        return changed


def _batches(pages: Pages) -> Iterator[Pages]:
    for start in range(0, len(pages), BATCH):
        yield pages[start : start + BATCH]


def _stretches(pages: Pages) -> Iterator[tuple[int, int]]:
    """Yield pages that follow one another: the first, and how many; at most `_CHUNK` at once."""
    if not len(pages):
        return
    cuts = np.flatnonzero(np.diff(pages) != 1) + 1
    for group in np.split(pages, cuts):
        for start in range(0, len(group), _CHUNK):
            part = group[start : start + _CHUNK]
            yield int(part[0]), len(part)


def _runs(pages: Pages, differ: npt.NDArray[np.bool_], limit: int) -> Iterator[tuple[int, int]]:
    """Yield runs of bytes that differ, as offsets into the pages laid end to end; none crosses a page's end.

    Bytes of one 8-byte word belong together: a counter's change is one change, whichever of its bytes differ.
    """
    if limit <= 0 or not len(pages):
        return
    words = differ.reshape(-1, 8).any(axis=1)
    flat = differ.reshape(-1)
    edges = np.flatnonzero(np.diff(words.astype(np.int8), prepend=0, append=0))
    told = 0
    for start, stop in edges.reshape(-1, 2).tolist():
        at, end = start * 8, stop * 8
        while at < end:
            page_end = (at // PAGE_BYTES + 1) * PAGE_BYTES
            upto = min(end, at + MAX_RUN, page_end)
            inside = np.flatnonzero(flat[at:upto])
            if len(inside):
                lo, hi = at + int(inside[0]), at + int(inside[-1]) + 1
                yield _aligned(lo, hi)
                told += 1
                if told >= limit:
                    return
            at = upto


def _aligned(lo: int, hi: int) -> tuple[int, int]:
    """Return a run widened to the number of 1, 2, 4 or 8 bytes that it is probably a part of."""
    for size in (1, 2, 4, 8):
        start = lo - lo % size
        if hi <= start + size:
            return start, start + size
    return lo - lo % 8, hi + -hi % 8
