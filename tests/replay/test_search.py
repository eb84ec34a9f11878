"""The index rules an epoch out exactly when no word of a watched stretch was written in it."""

from __future__ import annotations

import random

import numpy as np
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.replay.search import may_hit
from rrdbg_core.replay.targets import MemoryWatch, Targets
from rrdbg_core.trace.model import BINS, EPOCH, EpochIndex

PAGES = 12


def epoch_of(words: set[int]) -> EpochIndex:
    """Return the index of an epoch in which these words of RAM were written, and nothing else happened."""
    nothing, none = np.zeros(BINS, np.uint32), np.zeros(0, np.uint32)
    pages = sorted({word >> 9 for word in words})
    lines, masks = [], []
    for page in pages:
        written = sorted({word >> 3 & 63 for word in words if word >> 9 == page})
        lines.append(sum(1 << line for line in written))
        for line in written:
            masks.append(sum(1 << (word & 7) for word in words if word >> 3 == page << 6 | line))
    return EpochIndex(
        0,
        EPOCH,
        nothing,
        nothing,
        np.array(pages, np.uint32),
        np.array(lines, np.uint64),
        np.array(masks, np.uint8),
        none,
        none,
    )


def test_a_write_watch_against_every_byte_that_may_have_been_written() -> None:
    rng = random.Random(5)
    seen = set()
    for _ in range(60):
        near = rng.randrange(PAGES * 512)
        words = {rng.randrange(PAGES * 512) for _ in range(rng.randrange(30))}
        words |= {(near + rng.randrange(-20, 20)) % (PAGES * 512) for _ in range(rng.randrange(12))}
        epoch = epoch_of(words)
        for _ in range(100):
            address = (near * 8 + rng.randrange(-300, 300)) % (PAGES * 4096)
            length = min(rng.choice((1, 2, 4, 8, 60, 200, 5000)), PAGES * 4096 - address)
            watch = MemoryWatch(RAM_BASE + address, length, reads=False, writes=False, changes=True)
            expected = any(byte >> 3 in words for byte in range(address, address + length))
            assert may_hit(epoch, 0, EPOCH, Targets(watches=(watch,))) == expected
            seen.add((expected, length))
    assert len(seen) > 10


def test_a_watch_beside_ram_is_written_by_nobody() -> None:
    epoch = epoch_of({0, 1})
    for address in (RAM_BASE - 64, RAM_BASE + PAGES * 4096):
        watch = MemoryWatch(address, 8, reads=False, writes=True, changes=False)
        assert not may_hit(epoch, 0, EPOCH, Targets(watches=(watch,)))
    across = MemoryWatch(RAM_BASE - 4, 8, reads=False, writes=True, changes=False)
    assert may_hit(epoch, 0, EPOCH, Targets(watches=(across,)))
