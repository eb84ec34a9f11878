"""The symbols that a Linux kernel carries with itself for its own messages: its kallsyms, found in memory.

scripts/kallsyms.c of the kernel writes them, as tables that each begin at a multiple of some bytes:

    num_syms        u32
    names           for each symbol by address: a length (one byte; from 0x80 on two, as LEB128), and as many bytes,
                    each of which stands for a token. What they spell is the type, as nm has it, and the name
    markers         u32 for each 256th symbol: where its name begins in `names`
    token_table     256 strings that end with 0; characters that names have in them stand for themselves
    token_index     u16 for each token: where it begins in `token_table`
    offsets         u32 for each symbol: its address less relative_base. Linux 7.2: i32, less the address of this number
    relative_base   u64; Linux 7.2 has none
    seqs_of_names   3 bytes for each symbol: its number in the order of names (6.2 and later)

This is the order of Linux 6.4 and later. What is elsewhere in others is said by their `Layout`. Nothing of it is
trusted: tables have to agree with each other to the last byte, or they are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.rows import NamedRows, rows_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
"""Ten tokens that stand for themselves in every kernel."""
MIN_SYMBOLS, MAX_SYMBOLS = 256, 1 << 20
"""A small kernel has some 10,000, Debian's 170,000."""
CHUNK = 16 << 20
"""Bytes of memory that are searched at once."""
_TOKENS = 256
_PER_MARKER = 256
_MAX_TOKENS = 1 << 13
_LONGEST_NAME = 2 + 512
"""Bytes of a name in `names`, at most: KSYM_NAME_LEN of include/linux/kallsyms.h, and its length."""

Read = Callable[[int, int], bytes]
"""Reads physical memory, given address and bytes; fewer where there is no RAM."""


class Layout(NamedTuple):
    """How the tables lie in the kernels of some versions."""

    align: int
    """Each table begins at a multiple of so many bytes."""
    offsets_first: bool = False
    """Whether `offsets` and `relative_base` lie in front of `num_syms`, not behind `token_index`."""
    seqs_between: bool = False
    """Whether `seqs_of_names` lies between `markers` and `token_table`."""
    place_relative: bool = False
    """Whether offsets are from where they lie themselves, and there is no `relative_base`."""

    def aligned(self, address: int) -> int:
        """Return where a table begins that may not begin before an address."""
        return address + self.align - 1 & -self.align


LAYOUTS = {
    "7.2": Layout(4, place_relative=True),
    "6.4": Layout(8),
    "6.2": Layout(8, offsets_first=True, seqs_between=True),
    "4.6": Layout(8, offsets_first=True),
}
"""By the version of Linux from which on they are known."""


class Kallsyms(Frozen):
    """The tables of one kernel. What their addresses count from, the *base*, is `relative_base` or the first symbol."""

    place: int
    """Physical address of `token_table`."""
    base_place: int
    """Physical address of `relative_base`: a kernel that can be moved writes there when it starts."""
    is_placed: bool
    """Whether there is none, and `base_place` is where the base itself lies: the first symbol."""
    offsets: NDArray[np.uint32]
    """By symbol, ascending: its address less the base."""
    kinds: bytes
    """By symbol: its type as nm has it."""
    names: tuple[bytes, ...]
    """By symbol."""

    def rows(self, base: int) -> NamedRows:
        """Return the symbols of the kernel whose base is `base`."""
        return rows_of([base + offset for offset in self.offsets.tolist()], self.kinds, self.names)

    @cached_property
    def start(self) -> int | None:
        """How far behind the base the kernel's image begins; None: its symbols do not say."""
        return next((self._offset(name) for name in (b"_start", b"_text") if name in self._numbers), None)

    @cached_property
    def end(self) -> int | None:
        """How far behind the base the kernel's image ends; None: its symbols do not say."""
        return self._offset(b"_end") if b"_end" in self._numbers else None

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        return {name: number for number, name in enumerate(self.names) if name in (b"_start", b"_text", b"_end")}

    def _offset(self, name: bytes) -> int:
        return int(self.offsets[self._numbers[name]])


def find_kallsyms(read: Read, start: int, size: int, poll: Callable[[], None] = lambda: None) -> Iterator[Kallsyms]:
    """Yield the tables that lie in a stretch of memory; usually there is one kernel, and copies of it are possible.

    Args:
        read: Reads memory.
        start: First physical address.
        size: Bytes.
        poll: Called now and then; may raise to end the search.
    """
    for at in range(start, start + size, CHUNK):
        poll()
        data = read(at, min(CHUNK + len(DIGITS) - 1, start + size - at))
        found = data.find(DIGITS)
        while found >= 0:
            poll()
            tables = tables_around(read, start, at + found)
            if tables is not None:
                yield tables
            found = data.find(DIGITS, found + 1)


def tables_around(read: Read, start: int, digits: int) -> Kallsyms | None:
    """Return the tables whose tokens for digits lie at an address, in memory that begins at `start`."""
    for layout in LAYOUTS.values():
        tokens = _tokens(read, layout, digits)
        if tokens is None:
            continue
        for at, count, markers in _counts(read, layout, start, tokens.place):
            placed = _offsets(read, layout, start, at, tokens.behind, count)
            names = placed and _Names(read, layout, at, count, markers, tokens.spelled)
            if placed and names and names.whole:
                return Kallsyms(tokens.place, *placed, bytes(names.kinds), tuple(names.found))
    return None


class _Tokens(NamedTuple):
    """What the bytes of names stand for."""

    place: int
    """Address of `token_table`."""
    spelled: list[bytes]
    """By byte."""
    behind: int
    """The address behind `token_index`."""


def _tokens(read: Read, layout: Layout, digits: int) -> _Tokens | None:
    """Return the tokens, those for digits lying at an address; None: there are none."""
    import numpy as np

    # from the digit 0 on, the rest of the table
    rest = read(digits, _MAX_TOKENS).split(b"\0", _TOKENS - ord("0"))
    if len(rest) <= _TOKENS - ord("0"):
        return None
    length = sum(len(token) + 1 for token in rest[:-1])
    index_at = layout.aligned(digits + length)
    data = read(index_at, 2 * _TOKENS)
    if len(data) < 2 * _TOKENS:
        return None
    index = np.frombuffer(data, "<u2")
    table = digits - int(index[ord("0")])
    tokens = read(table, digits + length - table).split(b"\0")[:-1]
    if table % layout.align or len(tokens) != _TOKENS:
        return None
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens[:-1])])
    return _Tokens(table, tokens, index_at + 2 * _TOKENS) if np.array_equal(starts, index) else None


def _counts(read: Read, layout: Layout, start: int, table: int) -> Iterator[tuple[int, int, int]]:
    """Yield where num_syms may lie, what it then is, and where `markers` then lies.

    Args:
        read: Reads memory.
        layout: How the tables lie.
        start: Where memory begins.
        table: Address of `token_table`.
    """
    import numpy as np

    counts = np.arange(MIN_SYMBOLS, min((table - start) // 2, MAX_SYMBOLS) + 1)  # a name has 2 bytes at least
    numbers = (counts + _PER_MARKER - 1) // _PER_MARKER
    behind = 4 * numbers + -4 * numbers % layout.align
    if layout.seqs_between:
        behind += 3 * counts + -3 * counts % layout.align
    fit = int(np.searchsorted(behind, table - layout.aligned(start), side="right"))
    if not fit:
        return
    floor = table - int(behind[fit - 1])
    counts, numbers = counts[:fit], numbers[:fit]
    words = np.frombuffer(read(floor, table - floor), "<u4").astype(np.int64)
    at = (table - floor - behind[:fit]) // 4
    second = words[at + (numbers > 1)]
    plausible = (words[at] == 0) & ((numbers == 1) | (second >= 2 * _PER_MARKER))
    for first, number in sorted(set(zip(at[plausible].tolist(), numbers[plausible].tolist(), strict=True))):
        markers = words[first : first + number]
        if not (markers[1:] > markers[:-1]).all():
            continue
        place, most = floor + 4 * first, int(markers[-1]) + _PER_MARKER * _LONGEST_NAME
        low = max(layout.aligned(start), place - layout.aligned(most) - layout.align)
        likely = np.frombuffer(read(low, max(place - int(markers[-1]) - low, 0) & -layout.align), "<u4")
        likely = likely.reshape(-1, layout.align // 4)
        wanted = counts[plausible & (at == first) & (numbers == number)]
        found = np.isin(likely[:, 0], wanted) & ~likely[:, 1:].any(axis=1)
        for row in np.flatnonzero(found).tolist():
            yield low + layout.align * row, int(likely[row, 0]), place


class _Names:
    """The names behind a number of symbols, as far as they are what they should be."""

    def __init__(
        self, read: Read, layout: Layout, number_at: int, count: int, markers_at: int, tokens: list[bytes]
    ) -> None:
        import numpy as np

        at, size = number_at + layout.align, 4 * ((count + _PER_MARKER - 1) // _PER_MARKER)
        data = read(at, markers_at - at)
        markers = np.frombuffer(read(markers_at, size), "<u4").tolist()
        self.kinds = bytearray()
        self.found: list[bytes] = []
        self.whole = self._read(data, count, markers, tokens, layout.align)
        """Whether they fill the space between the number and the markers, and the markers point to them."""

    def _read(self, data: bytes, count: int, markers: list[int], tokens: list[bytes], align: int) -> bool:
        at, spelled = 0, tokens.__getitem__
        for number in range(count):
            if not number % _PER_MARKER and markers[number // _PER_MARKER] != at:
                return False
            if at + 2 > len(data):
                return False
            length = data[at]
            at += 1
            if length & 0x80:
                length = length & 0x7F | data[at] << 7
                at += 1
            name = b"".join(map(spelled, data[at : at + length]))
            at += length
            if len(name) < 2 or at > len(data):
                return False
            self.kinds.append(name[0])
            self.found.append(name[1:])
        whole = len(data) - at < align and not any(data[at:])
        return whole and self.kinds.isalpha() and _printable(b"".join(self.found))


def _printable(text: bytes) -> bool:
    return not text.translate(None, bytes(range(0x21, 0x7F)))


def _offsets(
    read: Read, layout: Layout, start: int, number_at: int, behind: int, count: int
) -> tuple[int, bool, NDArray[np.uint32]] | None:
    """Return `base_place`, `is_placed` and `offsets` of `Kallsyms`; None: they are no symbols by address.

    Args:
        read: Reads memory.
        layout: How the tables lie.
        start: Where memory begins.
        number_at: Where num_syms is.
        behind: The address behind token_index.
        count: How many symbols there are.
    """
    import numpy as np

    size = layout.aligned(4 * count)
    at = number_at - 8 - size if layout.offsets_first else behind
    data = read(at, 4 * count) if at >= start else b""
    if len(data) < 4 * count:
        return None
    base_place = at + size
    offsets = np.frombuffer(data, "<u4").astype(np.int64)
    if layout.place_relative:
        places = np.frombuffer(data, "<i4") + np.arange(at, at + 4 * count, 4)
        base_place = int(places[0])
        offsets = places - base_place
    is_ascending = bool((offsets[1:] >= offsets[:-1]).all()) and 0 < offsets[-1] - offsets[0] < 1 << 32
    return (
        (base_place, layout.place_relative, offsets.astype(np.uint32)) if is_ascending and base_place >= start else None
    )
