"""Guest code as the region former sees it: which instructions a region can hold, and where each leads."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.isa.expr import Branch, Helper, Jump
from rrdbg_core.isa.plain import M64
from rrdbg_core.isa.table import Decoded, decode

PAGE_MASK = PAGE_BYTES - 1
TRANSLATED_HELPERS = frozenset({"nop", "lr", "sc", "amo", "float_op"})
"""Helpers that a region can hold. The others are left to the interpreter."""
MAX_PAGES = 1 << 12
"""Pages remembered; beyond that the oldest go."""
MAX_DECODED = 1 << 16
"""Instructions remembered, all together."""


class Kind(IntEnum):
    """What comes after an instruction."""

    PLAIN = 0
    """The next one."""
    BRANCH = 1
    """The next one or the target."""
    JUMP = 2
    """The target."""
    INDIRECT = 3
    """Anything."""
    BARRIER = 4
    """Not for regions: the interpreter has to execute it."""


class Step(NamedTuple):
    """An instruction, as far as its place in a region goes."""

    kind: Kind
    length: int
    """Bytes."""
    target: int
    """Where a BRANCH or JUMP goes."""


class CodePages:
    """Pages of guest code, decoded on demand."""

    def __init__(self) -> None:
        self._pages: dict[int, bytes] = {}
        self._steps: dict[int, Step] = {}

    def __contains__(self, page: int) -> bool:
        return page in self._pages

    def put(self, page: int, content: bytes) -> list[int]:
        """Set a page's content; return pages whose former content is not known any more."""
        old = self._pages.get(page)
        if old == content:
            return []
        self._pages[page] = content
        if old is not None:
            self._forget(page)
            return [page]
        if len(self._pages) <= MAX_PAGES:
            return []
        oldest = next(iter(self._pages))
        del self._pages[oldest]
        self._forget(oldest)
        return [oldest]

    def _forget(self, page: int) -> None:
        for pc in range(page, page + PAGE_BYTES, 2):
            self._steps.pop(pc, None)

    def bytes_at(self, pc: int, size: int) -> bytes:
        """Return code that lies in one page."""
        offset = pc & PAGE_MASK
        return self._pages[pc - offset][offset : offset + size]

    def step(self, pc: int) -> Step | None:
        """Return the instruction at pc, or None if its page is not known."""
        found = self._steps.get(pc)
        if found is None:
            page = self._pages.get(pc & ~PAGE_MASK)
            if page is None:
                return None
            if len(self._steps) >= MAX_DECODED:
                self._steps.clear()
            found = self._steps[pc] = read_step(page, pc & PAGE_MASK, pc)
        return found


def is_translatable(decoded: Decoded) -> bool:
    """Return whether a region can hold an instruction."""
    effect = decoded.insn.effect
    return not isinstance(effect, Helper) or effect.name in TRANSLATED_HELPERS


def decode_word(word: int) -> Decoded | None:
    """Return the instruction that a word starts with, as `decode` does, and faster the second time."""
    return _decode(word if word & 3 == 3 else word & 0xFFFF)


_decode = lru_cache(maxsize=1 << 14)(decode)


def read_step(code: bytes, offset: int, pc: int) -> Step:
    """Return the instruction at an offset into code, which stands at pc; a BARRIER if it is cut off."""
    word = int.from_bytes(code[offset : offset + 4], "little")
    length = 4 if word & 3 == 3 else 2
    whole = not pc & 1 and offset + length <= len(code)
    decoded = decode_word(word) if whole else None
    if decoded is None:
        return Step(Kind.BARRIER, length, 0)
    effect = decoded.insn.effect
    if isinstance(effect, Branch):
        return Step(Kind.BRANCH, length, pc + decoded.imm & M64)
    if isinstance(effect, Jump):
        if decoded.insn.name == "jal":
            return Step(Kind.JUMP, length, pc + decoded.imm & M64)
        return Step(Kind.INDIRECT, length, 0)
    if not is_translatable(decoded):
        return Step(Kind.BARRIER, length, 0)
    return Step(Kind.PLAIN, length, 0)
