"""The index rules an epoch out exactly when no word of a watched stretch was written, no break executed in it."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.replay.search import Sought, windows
from rrdbg_core.replay.targets import MemoryWatch, Targets
from rrdbg_core.trace.contents import decode_index, encode_index
from rrdbg_core.trace.model import BINS, EPOCH, EpochIndex

PAGES = 12


def may_hit(epoch: EpochIndex, **targets: object) -> bool:
    """Ask the index."""
    return Sought(Targets(**targets)).may_hit(epoch, 0, EPOCH)  # type: ignore[arg-type]


def epoch_of(words: set[int], halves: set[int] = frozenset()) -> EpochIndex:  # type: ignore[assignment]
    """Return the index of an epoch in which these words of RAM were written and these halfwords executed, no more."""
    nothing, none = np.zeros(BINS, np.uint32), np.zeros(0, np.uint32)
    pages = sorted({word >> 9 for word in words})
    lines, masks = [], []
    for page in pages:
        written = sorted({word >> 3 & 63 for word in words if word >> 9 == page})
        lines.append(sum(1 << line for line in written))
        for line in written:
            masks.append(sum(1 << (word & 7) for word in words if word >> 3 == page << 6 | line))
    code = sorted({half >> 11 for half in halves})
    code_lines = [sum(1 << line for line in range(64) if halves & _line(page, line)) for page in code]
    code_masks = [
        sum(1 << (half & 31) for half in halves & _line(page, line))
        for page in code
        for line in range(64)
        if halves & _line(page, line)
    ]
    return EpochIndex(
        0,
        EPOCH,
        nothing,
        nothing,
        np.array(pages, np.uint32),
        np.array(lines, np.uint64),
        np.array(masks, np.uint8),
        none,
        np.array(code, np.uint32),
        np.array(code_lines, np.uint64),
        np.array(code_masks, np.uint32),
    )


def _line(page: int, line: int) -> set[int]:
    return set(range(page * 2048 + line * 32, page * 2048 + line * 32 + 32))


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
            assert may_hit(epoch, watches=(watch,)) == expected
            seen.add((expected, length))
    assert len(seen) > 10


def test_a_watch_beside_ram_is_written_by_nobody() -> None:
    epoch = epoch_of({0, 1})
    for address in (RAM_BASE - 64, RAM_BASE + PAGES * 4096):
        watch = MemoryWatch(address, 8, reads=False, writes=True, changes=False)
        assert not may_hit(epoch, watches=(watch,))
    across = MemoryWatch(RAM_BASE - 4, 8, reads=False, writes=True, changes=False)
    assert may_hit(epoch, watches=(across,))


def test_a_read_watch_against_every_page_that_was_read() -> None:
    rng = random.Random(8)
    seen = set()
    for _ in range(60):
        pages = sorted(rng.sample(range(PAGES), rng.randrange(4)))
        epoch = replace(epoch_of(set()), read=np.array(pages, np.uint32))
        for _ in range(30):
            address = rng.choice((rng.randrange(PAGES * 4096), rng.randrange(PAGES) * 4096 - rng.randrange(-9, 9)))
            length = max(min(rng.choice((1, 2, 4, 8, 5000, 20_000)), PAGES * 4096 - address), 1)
            watch = MemoryWatch(RAM_BASE + address, length, reads=True, writes=False, changes=False)
            first, last = max(address, 0) >> 12, (address + length - 1) >> 12
            expected = any(first <= page <= last for page in pages) and address + length > 0
            assert may_hit(epoch, watches=(watch,)) == expected
            seen.add((expected, length))
    assert len(seen) > 8


def test_traps_against_the_bin_of_every_step() -> None:
    rng = random.Random(9)
    size = EPOCH // BINS
    for name in ("exceptions", "interrupts"):
        for _ in range(300):
            bins = {rng.randrange(BINS) for _ in range(rng.randrange(3))}
            counts = np.zeros(BINS, np.uint32)
            counts[list(bins)] = 1
            number = rng.randrange(3)
            epoch = replace(epoch_of(set()), start=number * EPOCH, stop=(number + 1) * EPOCH, **{name: counts})
            near = rng.choice([*bins, rng.randrange(BINS)]) * size
            lo, hi = sorted(min(max(near + rng.randrange(-2 * size, 3 * size), 0), EPOCH) for _ in range(2))
            expected = any(lo < (number + 1) * size and number * size < hi for number in bins) and lo < hi
            sought = Sought(Targets(exceptions=name == "exceptions", interrupts=name == "interrupts"))
            assert sought.may_hit(epoch, epoch.start + lo, epoch.start + hi) == expected


def test_windows_leave_out_what_the_index_rules_out_and_nothing_else() -> None:
    """Also where it has holes, and where the steps begin or end in the middle of an epoch."""
    rng = random.Random(10)
    kinds = set()
    for _ in range(400):
        epochs = []
        for number in range(6):
            if rng.random() < 0.7:
                words = {1} if rng.random() < 0.4 else set()
                stop = (number + 1) * EPOCH - (rng.randrange(1, EPOCH) if rng.random() < 0.2 else 0)
                epochs.append(replace(epoch_of(words), start=number * EPOCH, stop=stop))
        lo, hi = sorted(rng.sample(range(6 * EPOCH), 2))
        places = sorted(rng.sample(range(lo + 1, hi), min(rng.randrange(5), hi - lo - 1)))
        watch = MemoryWatch(RAM_BASE + 8, 8, reads=False, writes=True, changes=False)
        found = list(windows(lo, hi, places, Targets(watches=(watch,)), epochs))
        assert all(lo <= a < b <= hi for a, b in found)
        assert all(newer[0] >= older[1] for newer, older in pairwise(found))
        for position in {lo, hi - 1, *(rng.randrange(lo, hi) for _ in range(40))}:
            epoch = next((epoch for epoch in epochs if epoch.start <= position < epoch.stop), None)
            kind = "unknown" if epoch is None else "written" if len(epoch.written) else "ruled out"
            inside = any(a <= position < b for a, b in found)
            assert inside or kind == "ruled out", (position, kind)
            kinds.add((kind, inside))
    assert len(kinds) == 4


def test_breaks_against_every_instruction_that_was_started() -> None:
    rng = random.Random(6)
    seen = set()
    for _ in range(60):
        near = rng.randrange(PAGES * 2048)
        halves = {rng.randrange(PAGES * 2048) for _ in range(rng.randrange(30))}
        halves |= {(near + rng.randrange(-40, 40)) % (PAGES * 2048) for _ in range(rng.randrange(12))}
        epoch = epoch_of(set(), halves)
        for _ in range(100):
            count = rng.choice((1, 1, 2, 5, 300))
            places = {(near + rng.randrange(-60 * count, 60 * count)) % (PAGES * 2048) for _ in range(count)}
            breaks = [RAM_BASE + 2 * place for place in places] + rng.sample([0, 2, RAM_BASE - 2, (1 << 64) - 2], 2)
            expected = not places.isdisjoint(halves)
            assert may_hit(epoch, breaks=tuple(breaks)) == expected
            seen.add((expected, count))
    assert len(seen) > 6


def test_where_only_pages_are_known_all_of_them_may_have_been_executed() -> None:
    """Traces of before have no more than that."""
    epoch = epoch_of({1, 2}, {5000, 9000})
    payload = encode_index(epoch)
    tail = epoch.executed_lines.nbytes + epoch.executed_halves.nbytes
    old = decode_index(payload[:-tail], 0, EPOCH, PAGES)
    new = decode_index(payload, 0, EPOCH, PAGES)
    for address in range(RAM_BASE, RAM_BASE + PAGES * 4096, 2):
        half = address - RAM_BASE >> 1
        assert may_hit(new, breaks=(address,)) == (half in (5000, 9000))
        assert may_hit(old, breaks=(address,)) == (half >> 11 in (5000 >> 11, 9000 >> 11))


def test_breaks_at_virtual_addresses_against_every_instruction_of_any_page() -> None:
    """Behind page tables a page may be mapped anywhere: only the place in the page counts."""
    rng = random.Random(12)
    seen = set()
    for _ in range(80):
        near = rng.randrange(2048)
        halves = {rng.randrange(PAGES * 2048) for _ in range(rng.randrange(20))}
        halves |= {2048 * rng.randrange(PAGES) + (near + rng.randrange(-9, 9)) % 2048 for _ in range(rng.randrange(9))}
        epoch = epoch_of(set(), halves)
        for _ in range(40):
            breaks = tuple(
                rng.getrandbits(50) * 4096 + (near + rng.randrange(-40, 40)) % 2048 * 2
                for _ in range(rng.randrange(1, 4))
            )
            expected = any(half % 2048 == at % 4096 // 2 for half in halves for at in breaks)
            assert Sought(Targets(breaks=breaks), paged=True).may_hit(epoch, 0, EPOCH) == expected
            seen.add((expected, len(breaks)))
    assert len(seen) == 6
