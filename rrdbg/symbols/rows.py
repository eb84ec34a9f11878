"""Names for addresses as sorted arrays, wherever they come from.

A kernel has 200,000 symbols: names stay in the string table until one is asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.demangle import answers_to, demangle, is_mangled, last_identifier
from rrdbg.symbols.escape import harmless

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STT_NOTYPE, STT_OBJECT, STT_FUNC = 0, 1, 2
_KINDS = {STT_NOTYPE: "label", STT_OBJECT: "object", STT_FUNC: "function"}
_LOCAL, _GLOBAL = 0, 1 << 4
ROW = [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("shndx", "<u2"), ("value", "<u8"), ("size", "<u8")]
"""A symbol as ELF writes it (Elf64_Sym)."""


class Symbol(Frozen):
    """A named address of an image."""

    name: str
    """Its name, demangled, with control characters escaped."""
    address: int
    """Its virtual address."""
    size: int
    """Bytes; 0 when the image does not say."""
    kind: str
    """"function", "object" or "label"."""
    linkage_name: str = ""
    """Its mangled name; empty when it has none."""


class NamedRows:
    """Symbols as rows of an array of `ROW` and a string table.

    Args:
        table: The rows that count, in any order.
        strings: Holds their names, each ending with a 0.
    """

    problem = ""
    """Why there are no symbols, or fewer than there were, in half a sentence; empty when all is well."""

    def __init__(self, table: Any, strings: bytes) -> None:
        import numpy as np

        self._strings = strings
        # at one address: functions and objects before labels, the largest first, global before local
        rank = np.where((table["info"] & 15) == STT_NOTYPE, 1, 0)
        local = (table["info"] >> 4) == 0
        order = np.lexsort((table["name"], local, -table["size"].astype(np.int64), rank, table["value"]))
        self._table = table[order]
        self._addresses: NDArray[np.uint64] = np.ascontiguousarray(self._table["value"])

    def __len__(self) -> int:
        return len(self._table)

    def _raw_name(self, index: int) -> str:
        start = int(self._table["name"][index])
        end = self._strings.find(b"\0", start)
        return harmless(self._strings[start : end if end >= 0 else None].decode("utf-8", "backslashreplace"))

    def _symbol(self, index: int) -> Symbol:
        row = self._table[index]
        raw = self._raw_name(index)
        name = demangle(raw)
        kind = _KINDS[int(row["info"]) & 15]
        return Symbol(name, int(row["value"]), int(row["size"]), kind, raw if name != raw else "")

    def around(self, address: int) -> Symbol | None:
        """Return the symbol that contains an address, or the nearest one before it in the same part of the image.

        A symbol with a size ends there; one without goes on to the next symbol. So within a function its labels have no
        say, as in gdb.
        """
        import numpy as np

        if not 0 <= address < 1 << 64:
            return None
        index = int(np.searchsorted(self._addresses, np.uint64(address), side="right")) - 1
        fallback: Symbol | None = None
        for step in range(8):  # nested and zero-sized symbols: look a few back for one that really contains it
            at = self._first_at(index) if index >= 0 else -1
            if at < 0:
                break
            symbol = self._symbol(at)
            if symbol.address <= address < symbol.address + symbol.size:
                return symbol
            if step == 0 and symbol.size == 0:
                fallback = symbol
            index = at - 1
        if fallback is not None and (fallback.address == address or self._same_section(fallback.address, address)):
            return fallback
        return None

    def _first_at(self, index: int) -> int:
        import numpy as np

        return int(np.searchsorted(self._addresses, self._addresses[index], side="left"))

    def _same_section(self, first: int, second: int) -> bool:
        """Return whether a symbol without a size goes on to an address."""
        return False

    def _indices(self, name: str) -> list[int]:
        """Return the symbols of a name: as the image has it, or else demangled, with or without parameters."""
        import numpy as np

        needle = name.encode("utf-8", "surrogateescape")
        if not needle or b"\0" in needle:
            return []
        # linkers let names share their tails, so a name may stand at the end of another one
        offsets, at = [], self._strings.find(needle + b"\0")
        while at >= 0:
            offsets.append(at)
            at = self._strings.find(needle + b"\0", at + 1)
        found = [int(index) for index in np.flatnonzero(np.isin(self._table["name"], offsets))] if offsets else []
        if found or not len(self._mangled):
            return found
        part = last_identifier(name)
        return [
            int(index)
            for index in self._mangled
            if part in (raw := self._raw_name(int(index))) and answers_to(demangle(raw), name)
        ]

    @cached_property
    def _mangled(self) -> NDArray[np.int64]:
        """Which symbols have mangled names."""
        import numpy as np

        if not len(self._table):
            return np.zeros(0, np.int64)
        first = np.frombuffer(self._strings, "u1")[self._table["name"]]
        likely = np.flatnonzero(first == ord("_"))
        return np.array([index for index in likely if is_mangled(self._raw_name(int(index)))], np.int64)

    @cached_property
    def _by_name(self) -> tuple[list[str], list[int]]:
        pairs = sorted((demangle(self._raw_name(i)), i) for i in range(len(self._table)))
        return [name for name, _ in pairs], [index for _, index in pairs]

    def named(self, name: str) -> Symbol | None:
        """Return the symbol of a name; a global or typed one before others.

        The name may be mangled, or demangled with or without parameters.
        """
        best: tuple[int, int] | None = None
        for index in self._indices(name):
            info = int(self._table["info"][index])
            score = (info >> 4 != 0) * 2 + (info & 15 != STT_NOTYPE)
            if best is None or score > best[0]:
                best = score, index
        return self._symbol(best[1]) if best else None

    def addresses(self, name: str) -> list[int]:
        """Return the addresses of all symbols of a name, ascending; named as for `named`."""
        return sorted({int(self._table["value"][index]) for index in self._indices(name)})

    def starting_with(self, prefix: str, limit: int) -> list[Symbol]:
        """Return up to `limit` symbols whose names start with `prefix`, by name."""
        names, indices = self._by_name
        at = bisect_left(names, prefix)
        found: list[Symbol] = []
        while at < len(names) and names[at].startswith(prefix) and len(found) < limit:
            found.append(self._symbol(indices[at]))
            at += 1
        return found


# ---- lists as nm prints them

_TYPES = dict.fromkeys(b"TtWw", STT_FUNC) | dict.fromkeys(b"DdBbRrGgSsVv", STT_OBJECT)
"""What the letters of nm mean; others are no places."""


def rows_of(addresses: Sequence[int], kinds: bytes, names: Sequence[bytes]) -> NamedRows:
    """Return symbols of a list that says no sizes: each one goes on to the next address that has one.

    Args:
        addresses: By symbol, ascending.
        kinds: By symbol, as nm has them: T is a function that others see, d data that they do not. Some are left out.
        names: By symbol.
    """
    import numpy as np

    table = np.zeros(len(names), ROW)
    strings = b"\0" + b"\0".join(names) + b"\0"
    value = np.array(addresses, np.uint64)
    codes = np.frombuffer(kinds, "u1")
    bounds = np.append(np.unique(value), value[-1:] + np.uint64(1))
    table["name"] = list(accumulate((len(name) + 1 for name in names[:-1]), initial=1))[: len(names)]
    table["value"] = value
    table["size"] = bounds[np.searchsorted(bounds, value, side="right")] - value
    types = np.zeros(256, "u1")
    types[list(_TYPES)] = list(_TYPES.values())
    is_upper = codes & 0x20 == 0
    table["info"] = types[codes] | np.where(is_upper, _GLOBAL, _LOCAL).astype("u1")
    keep = [not name.startswith((b".L", b"$")) for name in names]
    return NamedRows(table[(types[codes] != 0) & np.array(keep, bool)], strings)
