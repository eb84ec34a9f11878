"""The symbols that a Linux kernel carries with itself for its own messages: its kallsyms, found in memory.

scripts/kallsyms.c of the kernel writes them: tables, each beginning at a multiple of 8. In the order of Linux 6.4 and
later:

    num_syms        u32
    names           for each symbol by address: a length (one byte; from 0x80 on two, as LEB128), and as many bytes,
                    each of which stands for a token. What they spell is the type, as nm has it, and the name
    markers         u32 for each 256th symbol: where its name begins in `names`
    token_table     256 strings that end with 0; characters that names have in them stand for themselves
    token_index     u16 for each token: where it begins in `token_table`
    offsets         u32 for each symbol: its address less relative_base
    relative_base   u64
    seqs_of_names   3 bytes for each symbol: its number in the order of names (6.2 and later)

Linux 4.6 to 6.3 has `offsets` and `relative_base` in front of `num_syms`, and `seqs_of_names` behind `markers`. Nothing
of it is trusted: tables have to agree with each other to the last byte, or they are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.rows import NamedRows, rows_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
"""Ten tokens that stand for themselves in every kernel."""
MIN_SYMBOLS, MAX_SYMBOLS = 256, 1 << 20
"""A small kernel has some 10,000, Debian's 170,000."""
MAX_BYTES = 64 << 20
"""Of all tables together, at most."""
CHUNK = 16 << 20
"""Bytes of memory that are searched at once."""
_TOKENS = 256
_PER_MARKER = 256
_MAX_TOKENS = 1 << 13

Read = Callable[[int, int], bytes]
"""Reads physical memory, given address and bytes; fewer where there is no RAM."""


class Kallsyms(Frozen):
    """The tables of one kernel."""

    place: int
    """Physical address of `token_table`."""
    base_place: int
    """Physical address of `relative_base`: a kernel that can be moved writes there when it starts."""
    offsets: NDArray[np.uint32]
    """By symbol, ascending: its address less relative_base."""
    kinds: bytes
    """By symbol: its type as nm has it."""
    names: tuple[bytes, ...]
    """By symbol."""

    def rows(self, base: int) -> NamedRows:
        """Return the symbols of the kernel whose relative_base is `base`."""
        return rows_of([base + offset for offset in self.offsets.tolist()], self.kinds, self.names)

    @cached_property
    def start(self) -> int | None:
        """How far behind relative_base the kernel's image begins; None: its symbols do not say."""
        return next((self._offset(name) for name in (b"_start", b"_text") if name in self._numbers), None)

    @cached_property
    def end(self) -> int | None:
        """How far behind relative_base the kernel's image ends; None: its symbols do not say."""
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
    found = _tokens(read, digits)
    if found is None:
        return None
    table, tokens, behind = found
    floor = max(start + 7 & ~7, table - MAX_BYTES)
    for number in _counts(read(floor, table - floor), table - floor):
        at, count, gap = number
        names = _Names(read, floor + at, count, table - gap, tokens)
        placed = names.whole and _offsets(read, floor + at, behind, count, later=not gap)
        if placed:
            offsets, base_place = placed
            return Kallsyms(table, base_place, offsets, bytes(names.kinds), tuple(names.found))
    return None


def _tokens(read: Read, digits: int) -> tuple[int, list[bytes], int] | None:
    """Return where the table of tokens begins, the tokens, and the address behind token_index."""
    import numpy as np

    # from the digit 0 on, the rest of the table
    rest = read(digits, _MAX_TOKENS).split(b"\0", _TOKENS - ord("0"))
    if len(rest) <= _TOKENS - ord("0"):
        return None
    length = sum(len(token) + 1 for token in rest[:-1])
    index_at = _aligned(digits + length)
    data = read(index_at, 2 * _TOKENS)
    if len(data) < 2 * _TOKENS:
        return None
    index = np.frombuffer(data, "<u2")
    table = digits - int(index[ord("0")])
    tokens = read(table, digits + length - table).split(b"\0")[:-1]
    if table % 8 or len(tokens) != _TOKENS:
        return None
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens[:-1])])
    return (table, tokens, index_at + 2 * _TOKENS) if np.array_equal(starts, index) else None


def _counts(data: bytes, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield where num_syms may lie, what it then is, and how many bytes lie between `markers` and the tokens.

    Args:
        data: What lies in front of the tokens.
        end: Bytes of it.
    """
    import numpy as np

    words = np.frombuffer(data[: end & ~7], "<u8")  # num_syms, and 4 bytes of padding
    likely = np.flatnonzero((words >= MIN_SYMBOLS) & (words <= MAX_SYMBOLS))
    halves = np.frombuffer(data[: end & ~7], "<u4")
    at, count = likely * 8, words[likely].astype(np.int64)
    for seqs in (False, True):
        gap = (3 * count + 7 & ~7) if seqs else np.zeros_like(count)
        markers = end - gap - (4 * _markers(count) + 7 & ~7)
        room = markers - at - 8
        fits = (room >= 2 * count) & (markers > 0)
        first = halves[np.where(fits, markers // 4, 0)]
        second = halves[np.where(fits & (count > _PER_MARKER), markers // 4 + 1, 0)]
        is_next = (second >= 2 * _PER_MARKER) & (second <= room)
        plausible = fits & (first == 0) & ((count <= _PER_MARKER) | is_next)
        for number in np.flatnonzero(plausible).tolist():
            yield int(at[number]), int(count[number]), int(gap[number])


def _markers(count: NDArray[np.int64] | int) -> NDArray[np.int64] | int:
    return (count + _PER_MARKER - 1) // _PER_MARKER


class _Names:
    """The names behind a number of symbols, as far as they are what they should be."""

    def __init__(self, read: Read, at: int, count: int, end: int, tokens: list[bytes]) -> None:
        import numpy as np

        markers_at = end - (4 * int(_markers(count)) + 7 & ~7)
        data = read(at + 8, markers_at - at - 8)
        markers = np.frombuffer(read(markers_at, 4 * int(_markers(count))), "<u4").tolist()
        self.kinds = bytearray()
        self.found: list[bytes] = []
        self.whole = len(data) == markers_at - at - 8 and self._read(data, count, markers, tokens)
        """Whether they fill the space between the number and the markers, and the markers point to them."""

    def _read(self, data: bytes, count: int, markers: list[int], tokens: list[bytes]) -> bool:
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
        whole = len(data) - at < 8 and not any(data[at:])
        return whole and self.kinds.isalpha() and _printable(b"".join(self.found))


def _printable(text: bytes) -> bool:
    return not text.translate(None, bytes(range(0x21, 0x7F)))


def _offsets(
    read: Read, number_at: int, behind: int, count: int, *, later: bool
) -> tuple[NDArray[np.uint32], int] | None:
    """Return the offsets of the symbols and where relative_base is: behind the tokens, or in front of the number.

    Args:
        read: Reads memory.
        number_at: Where num_syms is.
        behind: The address behind token_index.
        count: How many symbols there are.
        later: Whether they may lie behind the tokens.
    """
    import numpy as np

    size = _aligned(4 * count)
    places = [(behind, behind + size)] if later else []
    for at, base_place in (*places, (number_at - 8 - size, number_at - 8)):
        data = read(at, 4 * count) if at > 0 else b""
        offsets = np.frombuffer(data, "<u4", count) if len(data) == 4 * count else np.zeros(0, "<u4")
        if len(offsets) and bool((offsets[1:] >= offsets[:-1]).all()) and offsets[-1] > offsets[0]:
            return offsets, base_place
    return None


def _aligned(address: int) -> int:
    return address + 7 & ~7
