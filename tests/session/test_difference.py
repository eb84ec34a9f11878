"""What differs between two positions, held against all states."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.cpu.memory import PAGE_BYTES

import rrdbg
from rrdbg.session import difference as module
from rrdbg.session.api import Session
from rrdbg.session.errors import UsageError
from tests.gdb.recordings import record

from .programs import guest
from .traces import make_trace

NAMES = ("pc", "sp", "s0", "s2", "a0", "t0", "t1", "mepc", "mcause", "mtvec")


def state(session: Session, position: int) -> tuple[dict[str, int], bytes]:
    session.goto(position)
    info = session.info()
    registers = {row.name: row.value for row in session.registers(["all"])}
    whole = b"".join(
        session.read_memory(info.ram_base + at, 1 << 20).data for at in range(0, min(info.ram_bytes, 2 << 20), 1 << 20)
    )
    return registers, whole


def patched(memory: bytes, base: int, changes: list[tuple[int, bytes, bytes]]) -> bytes:
    data = bytearray(memory)
    for address, old, new in changes:
        at = address - base
        assert bytes(data[at : at + len(old)]) == old
        data[at : at + len(new)] = new
    return bytes(data)


def test_it_tells_exactly_what_differs(session: Session) -> None:
    chance = random.Random(1)
    base, end = session.info().ram_base, session.info().end
    for _ in range(12):
        lo, hi = chance.randrange(end + 1), chance.randrange(end + 1)
        before, old = state(session, lo)
        after, new = state(session, hi)
        here = session.icount
        found = session.difference(lo, hi)
        assert session.icount == here
        assert (found.lo, found.hi) == (lo, hi)
        assert found.bytes == int(np.count_nonzero(np.frombuffer(old, "u1") != np.frombuffer(new, "u1")))
        told = {name: (was, now) for name, was, now in found.registers}
        for name in NAMES:
            expected = (before[name], after[name]) if before[name] != after[name] else None
            assert told.get(name) == expected, name
        rows = [(change.address, change.old, change.new) for change in found.memory]
        assert patched(old, base, rows) == new
        assert [address for address, _, _ in rows] == sorted({address for address, _, _ in rows})
        assert all(change.location.address == change.address for change in found.memory)


def test_over_many_pages(tmp_path: Path) -> None:
    with rrdbg.open(record("hello", tmp_path)) as session:
        end = session.info().end
        pages = 0
        for lo, hi in ((0, end), (end, end // 3), (end // 5, end // 4), (end // 2, end // 2 + 500)):
            _, old = state(session, lo)
            _, new = state(session, hi)
            found = session.difference(lo, hi, 100_000)
            rows = [(change.address, change.old, change.new) for change in found.memory]
            assert patched(old, session.info().ram_base, rows) == new
            pages = max(pages, len({address // PAGE_BYTES for address, _, _ in rows}))
    assert pages > 1


def test_bounds(session: Session) -> None:
    end = session.info().end
    assert session.difference(5, 5).bytes == 0
    assert len(session.difference(0, end, 1).memory) == 1
    assert session.difference(0, end, 0).memory == ()
    with pytest.raises(UsageError):
        session.difference(0, end + 1)
    with pytest.raises(UsageError):
        session.difference(0, end, -1)


def test_many_pages_take_little_memory(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    end = session.info().end
    expected = session.difference(1, end)
    monkeypatch.setattr(module, "BATCH", 2)
    held: list[int] = []
    pages = module.Differences._pages

    def watched(self: module.Differences, numbers: module.Pages) -> module.Bytes:
        held.append(len(numbers))
        return pages(self, numbers)

    monkeypatch.setattr(module.Differences, "_pages", watched)
    assert session.difference(1, end) == expected
    assert held
    assert max(held) * PAGE_BYTES <= module._CHUNK * PAGE_BYTES
    # the limit is one for all of them
    for limit in range(len(expected.memory) + 2):
        assert session.difference(1, end, limit).memory == expected.memory[:limit]


def test_counters_are_no_difference(session: Session) -> None:
    names = {name for name, _, _ in session.difference(0, session.info().end).registers}
    assert "pc" in names
    assert names.isdisjoint(("mcycle", "minstret", "cycle", "instret", "time"))


def test_what_the_index_does_not_cover_is_compared_as_well(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    end = session.info().end
    expected = session.difference(1, end)
    assert expected.memory
    whole = session._epochs(1, end)  # type: ignore[attr-defined]
    # over a list of states there is no index; what it says of the rest does not help
    parts = [
        [replace(epoch, written=epoch.written[:0], **hole)]
        for epoch in whole[:1]
        for hole in ({"start": end // 2}, {"stop": end // 2})
    ]
    for epochs in ([], *parts):
        monkeypatch.setattr(session, "_epochs", lambda lo, hi, epochs=epochs: epochs)
        assert session.difference(1, end) == expected


def test_changes_across_page_ends(tmp_path: Path) -> None:
    """Long changes that begin anywhere and go on in the next page, which may be the last one that changed, or not."""
    chance = random.Random(2)
    text = "_start:\n    la s0, _start\n    li t2, 0x1234567\n"
    for index in range(6):
        start = 2 * PAGE_BYTES * (index + 1) + PAGE_BYTES - 8 * chance.randrange(40)
        text += f"    li t0, {start:#x}\n    add t0, t0, s0\n    li t1, {chance.randrange(20, 80)}\n"
        text += f"fill{index}:\n    sd t2, 0(t0)\n"
        text += f"    addi t0, t0, 8\n    ori t2, t2, 1\n    addi t1, t1, -1\n    bnez t1, fill{index}\n"
    text += "    li t0, 0x100000\n    li t1, 0x5555\n    sw t1, 0(t0)\nstay:\n    j stay\n"
    make_trace(guest(text, functions=("_start",)).elf, tmp_path / "run.rrt", until=100_000)
    with rrdbg.open(tmp_path / "run.rrt") as session:
        end = session.info().end
        _, old = state(session, 0)
        _, new = state(session, end)
        for lo, hi, before, after in ((0, end, old, new), (end, 0, new, old)):
            found = session.difference(lo, hi, 100_000)
            rows = [(change.address, change.old, change.new) for change in found.memory]
            assert patched(before, session.info().ram_base, rows) == after
            assert all(address % PAGE_BYTES + len(data) <= PAGE_BYTES for address, data, _ in rows)
            assert max(len(data) for _, data, _ in rows) == module.MAX_RUN
    assert end < 100_000
