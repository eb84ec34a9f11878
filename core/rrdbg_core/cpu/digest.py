"""The root hash of a machine's state, and what makes it quickly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import xxhash

from rrdbg_core.cpu.memory import PAGE_BYTES, Memory

if TYPE_CHECKING:
    import numpy.typing as npt

    from rrdbg_core.cpu.build import Entry

    Words = npt.NDArray[np.uint64]
    Part = tuple[str, Words, Words | None]
    """Name, words, and which of them belong to it: None, all."""

HASH_BYTES = 16
PAGES_PER_BLOCK = 64
"""Pages whose hashes are one block of XXH3's input."""
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
"""XXH3's own secret."""
_PAGES, _SIZE, _PART_COUNT, _FRESH, _HIGH, _LOW, _END = range(8, 15)


class Digester(Protocol):
    """Returns the 128-bit hash of RAM and of some parts of a state, in canonical form."""

    def __call__(self, since: int) -> bytes:
        """Return it, given the generation in which the call before was made, or 1."""
        ...


def hash_of_zeros() -> bytes:
    """Return the hash of a page that is all zero."""
    return xxhash.xxh3_128_digest(bytes(PAGE_BYTES))


class PlainDigester:
    """The definition: XXH3_128 of the hashes of all pages, and, for each part, name and words."""

    def __init__(self, memory: Memory, parts: Sequence[Part]) -> None:
        self._memory, self._parts = memory, parts
        self._hashes = np.tile(np.frombuffer(hash_of_zeros(), np.uint8), (memory.pages, 1))

    def __call__(self, since: int) -> bytes:
        """See `Digester`."""
        memory = self._memory
        for page in (memory.written[: memory.pages] >= since).nonzero()[0].tolist():
            self._hashes[page] = np.frombuffer(xxhash.xxh3_128_digest(memory.page(page)), np.uint8)
        root = xxhash.xxh3_128(self._hashes.data)
        for name, words, places in self._parts:
            root.update(name.encode())
            root.update((words if places is None else words[places]).data)
        return root.digest()


class CompiledDigester:
    """The same, in one call of compiled code, see cpu/native/digest.py.

    Args:
        entry: The compiled function.
        memory: RAM.
        parts: Parts of the state. Their words stay where they are.
    """

    def __init__(self, entry: Entry, memory: Memory, parts: Sequence[Part]) -> None:
        hashes = np.tile(np.frombuffer(hash_of_zeros(), np.uint8), memory.pages)
        tail, rows = b"", []
        for name, words, places in parts:
            tail += name.encode()
            at, count = len(hashes) + len(tail), len(words if places is None else places)
            rows.append((at, words.ctypes.data, 0 if places is None else places.ctypes.data, count))
            tail += bytes(8 * count)
        self._entry = entry
        self._words = np.zeros(_END, np.uint64)
        self._words[[_PAGES, _PART_COUNT, _FRESH]] = memory.pages, len(parts), 1
        input_ = np.concatenate((hashes, np.frombuffer(tail, np.uint8)))
        self._words[_SIZE] = len(input_)
        sums = np.zeros(8 * (memory.pages // PAGES_PER_BLOCK + 1), np.uint64)
        secret = np.frombuffer(SECRET, np.uint8)
        # all of it has to stay where it is
        self._kept = (self._words, input_, sums, secret, memory.written, memory.ram, np.array(rows, np.uint64))
        self._pointers = np.array([array.ctypes.data for array in self._kept], np.uint64)
        self._parts = parts
        self._table = self._pointers.ctypes.data
        self._result: memoryview[int] = memoryview(self._words[_HIGH : _LOW + 1])  # type: ignore[arg-type]

    def __call__(self, since: int) -> bytes:
        """See `Digester`."""
        self._entry(self._table, since)
        high, low = self._result
        return high.to_bytes(8, "big") + low.to_bytes(8, "big")
