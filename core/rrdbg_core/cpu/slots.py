"""Decoded code of a core, slot by slot: regions have places in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.base import STRIDE, CoreBase
from rrdbg_core.cpu.memory import HALVES_PER_PAGE, PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.ops import FETCH_OP, UNDECODED_OP


class Slots(CoreBase):
    """The decoded code of a core."""

    @property
    def handlers(self) -> int:
        """Address of the table of handlers."""
        return self._kernel.handlers

    def has_slots(self, page: int) -> bool:
        """Return whether a page of RAM has its place among the decoded ones, or could be given one."""
        if not self._dmap[page]:
            number = int(self.mach[L.POOL_USED])
            if number == self.mach[L.POOL_PAGES]:
                return False
            # as `fetch` in native/decode.py does it
            self.mach[L.POOL_USED] = number + 1
            self._dmap[page], self._drev[number] = number, page
            slots = self._dec[number * STRIDE : (number + 1) * STRIDE]
            slots[:HALVES_PER_PAGE], slots[HALVES_PER_PAGE:] = UNDECODED_OP, FETCH_OP
        return True

    def put_slot(self, pc: int, slot: int) -> None:
        """Put something into the slot of an address; its page has slots."""
        base = int(self._dmap[(pc - RAM_BASE) // PAGE_BYTES]) * STRIDE
        self._forget_block(base + pc % PAGE_BYTES // 2)
        self._dec[base + pc % PAGE_BYTES // 2] = slot

    @property
    def blocks(self) -> bool:
        """Whether blocks are made and entered, see native/blocks.py; it never is where there can be none."""
        return bool(self.mach[L.BLOCK_BYTES])

    @blocks.setter
    def blocks(self, blocks: bool) -> None:
        self.mach[L.BLOCK_BYTES] = len(self._block_code) if blocks else 0
        block_of = self._block_of[: int(self.mach[L.POOL_USED]) * STRIDE]
        self._dec[: len(block_of)][block_of == 1] = UNDECODED_OP
        block_of[:] = 0
        self.mach[L.BLOCK_USED] = 0

    def _forget_block(self, at: int) -> None:
        """Let the block that a slot belongs to, if there is one, not be entered any more."""
        self._kernel.forget(self._table, at)

    def _forget_code(self, numbers: npt.NDArray[np.int64]) -> None:
        """Drop the decoded code of some pages; their place in the pool stays theirs."""
        changed = numbers[self.lines[numbers] != 0].tolist()
        for page in changed:
            base = int(self._dmap[page]) * STRIDE
            self._dec[base : base + 2048] = 0
            self._block_of[base : base + 2048] = 0
            self.lines[page] = 0
        self.regions.code_changed(changed)

    def _undecode(self, addresses: Iterable[int]) -> None:
        """Decode anew what stands at these virtual addresses, in whatever page they may lie."""
        pages = self._dec.reshape(-1, STRIDE)[2 : int(self.mach[L.POOL_USED])]
        blocks = self._block_of.reshape(-1, STRIDE)[: len(pages) + 2]
        for address in addresses:
            half = address % PAGE_BYTES // 2
            pages[:, half] = 0
            for page in blocks[:, half].nonzero()[0].tolist():
                self._forget_block(page * STRIDE + half)
