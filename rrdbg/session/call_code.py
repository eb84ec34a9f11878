"""What code says of calls and traps: where they arrive, and how deep each step leads."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rrdbg.session.decoding import TRAP_RETURNS, instruction
from rrdbg.session.engine import Words

Deltas = npt.NDArray[np.int64]

_TRAP_RETURNS = tuple(word.to_bytes(4, "little") for word in (0x3020_0073, 0x1020_0073))
"""mret and sret."""
_SYSTEM, _SATP = np.uint64(0x73), np.uint64(0x180)
"""The opcode of CSR instructions, and the CSR that chooses an address space (privileged spec 1.13, chapter 12.1.11)."""


def returns_from_traps(code: bytes) -> bool:
    """Return whether a function's code returns from traps."""
    return any(at >= 0 and at % 2 == 0 for at in map(code.find, _TRAP_RETURNS))


@lru_cache(maxsize=256)
def arrivals(base: int, vectors: bytes) -> frozenset[int]:
    """Return where traps arrive: at their vectors, and where jumps lead that stand there."""
    found = {base}
    for at in range(0, len(vectors) - 3, 4):
        insn = instruction(int.from_bytes(vectors[at : at + 4], "little"), base + at)
        if insn.name == "jal" and not insn.rd and insn.target is not None:
            found.add(insn.target)
    return frozenset(found)


def changes(rows: Words) -> Deltas:
    """Return for each row of a log how it changes the depth of calls and traps: 1, 0 or -1."""
    words, inverse = np.unique(rows[:, 2], return_inverse=True)
    by_word = np.array([_change_of(int(word)) for word in words], np.int64)
    found = by_word[inverse]
    found[rows[:, 4] != 0] = 1
    return found


def chooses_space(rows: Words) -> npt.NDArray[np.bool_]:
    """Return for each row of a log whether its instruction may write satp, and so choose an address space."""
    insn = rows[:, 2]
    found: npt.NDArray[np.bool_] = (insn & np.uint64(0x7F) == _SYSTEM) & (insn >> np.uint64(20) == _SATP)
    return found


@lru_cache(maxsize=1 << 16)
def _change_of(word: int) -> int:
    insn = instruction(word, 0)
    return 1 if insn.is_call else -1 if insn.is_return or insn.name in TRAP_RETURNS else 0
