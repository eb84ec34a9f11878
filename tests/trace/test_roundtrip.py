"""What goes into a trace comes out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace import (
    CHECK_PERIOD,
    EPOCH,
    Ending,
    Manifest,
    ParentRef,
    Snapshot,
    Trace,
    TraceWriter,
    contents,
    cursor,
    journal,
    varint,
)
from rrdbg_core.trace.contents import image_digest
from rrdbg_core.trace.frame import MAX_CHUNK_BYTES
from rrdbg_core.trace.model import BINS, MIN_WINDOW, window
from rrdbg_core.trace.printed import Printed

from tests.trace import synthetic


def test_everything_comes_back(tmp_path: Path) -> None:
    written = synthetic.build(tmp_path / "t.rrt")
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert synthetic.view(trace) == written.expected()
        assert (trace.damage, trace.recording) == ("", False)
        assert trace.size == (tmp_path / "t.rrt").stat().st_size == written.writer.size
        assert len(trace.events) == 5
        assert list(trace.digests) == [synthetic.MIDDLE + 70_000]


def test_an_epoch_that_prints_more_than_a_chunk_holds_has_no_index(tmp_path: Path) -> None:
    path = tmp_path / "t.rrt"
    written = synthetic.build(path)
    large = replace(synthetic.an_epoch(0, EPOCH, 1), console=((7, bytes(MAX_CHUNK_BYTES)),))
    with TraceWriter(
        path, synthetic.manifest(), {image_digest(synthetic.IMAGE): synthetic.IMAGE}, force=True
    ) as writer:
        writer.snapshot(Snapshot(0, 0, {}), (), None, np.zeros((0, 4096), np.uint8))
        writer.index(large)
        writer.progress(EPOCH)
        writer.index(synthetic.an_epoch(EPOCH, EPOCH + 9, 2))
        writer.end(replace(written.ending, icount=EPOCH + 9))
    assert path.stat().st_size < 1 << 16
    with Trace.open(path) as trace:
        assert [(epoch.start, epoch.stop) for epoch in trace.epochs] == [(EPOCH, EPOCH + 9)]
        assert (trace.damage, trace.end_icount) == ("", EPOCH + 9)


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1)), max_size=200), st.binary(max_size=3))
def test_varints(values: list[int], prefix: bytes) -> None:
    data = prefix + varint.encode(np.array(values, np.uint64))
    decoded, end = varint.decode(np.frombuffer(data + b"\x7f\xff", np.uint8), len(prefix), len(values))
    assert decoded.tolist() == values
    assert end == len(data)
    assert b"".join(map(varint.encode_one, values)) == data[len(prefix) :]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=50))
def test_zigzag(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert varint.unzigzag(varint.zigzag(array)).tolist() == values


def test_varint_is_leb128() -> None:
    assert varint.encode([0, 127, 128, 300]) == bytes([0, 0x7F, 0x80, 1, 0xAC, 2])
    assert varint.encode([(1 << 64) - 1]) == b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize("data", [b"\x80", b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x00", b""])
def test_bad_varint(data: bytes) -> None:
    with pytest.raises(varint.Malformed):
        varint.decode(np.frombuffer(data, np.uint8), 0, 1)


@given(st.sets(st.integers(0, (1 << 32) - 1), max_size=50))
def test_ascending_numbers(numbers: set[int]) -> None:
    array = np.array(sorted(numbers), np.uint32)
    assert cursor.Cursor(cursor.ascending(array)).ascending(len(array), 1 << 32, "page").tolist() == sorted(numbers)


@given(st.integers(0, 1 << 61), st.integers(0, 1 << 40))
def test_a_window_is_the_smallest_that_holds_all_the_steps(start: int, steps: int) -> None:
    def holds(size: int) -> bool:
        return start // size == max(start + steps - 1, start) // size

    base, part = window(start, start + steps)
    size = part * BINS
    assert size & (size - 1) == 0
    assert base == start // size * size
    assert holds(size)
    assert size == MIN_WINDOW or (size > MIN_WINDOW and not holds(size // 2))


_names = st.text(max_size=20).filter(lambda name: len(name.encode("utf-8", "ignore")) < 60)
_safe_names = _names.filter(lambda name: not any(0xD800 <= ord(c) < 0xE000 for c in name))
_events = st.lists(
    st.builds(
        Event,
        st.integers(0, (1 << 62) - 1),
        st.sampled_from(EventKind),
        _safe_names,
        st.sampled_from(["", "entropy"]),
        st.binary(max_size=40),
        st.integers(0, (1 << 63) - 1),
    ),
    min_size=1,
    max_size=60,
).map(lambda events: sorted(events, key=lambda event: event.icount))


@given(_events)
def test_journal_blocks(events: list[Event]) -> None:
    payload = journal.encode(events)
    assert journal.count(payload) == len(events)
    assert journal.decode(payload, events[0].icount, events[-1].icount) == events


def test_a_small_event_takes_ten_bytes() -> None:
    """Key strokes, entropy requests and warps, some ten thousand steps apart, while the guest sleeps now and then."""
    events = [
        Event(50_000 * k, EventKind.UART_INPUT, "uart", "", bytes([97 + k % 26]), 1_000_000 * (k // 2))
        for k in range(1000)
    ]
    assert len(journal.encode(events)) <= 10 * len(events)


def test_many_events_in_many_blocks(tmp_path: Path) -> None:
    events = [Event(3 * k // 2, EventKind.UART_INPUT, "uart", "", b"%d" % k, k) for k in range(20_000)]
    manifest = Manifest(config=MachineConfig(ram_bytes=1 << 16))
    with TraceWriter(tmp_path / "t.rrt", manifest, {}) as writer:
        for start in range(0, len(events), 700):
            writer.events(events[start : start + 700])
        writer.end(Ending(events[-1].icount, "until"))
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert list(trace.events) == events
        assert trace.events[-1] == events[-1]
        assert trace.events[4090:4100] == events[4090:4100]
        assert [trace.events[k] for k in (19_999, 0, 12_345)] == [events[k] for k in (19_999, 0, 12_345)]
        with pytest.raises(IndexError):
            trace.events[20_000]


def test_check_words_of_a_late_start(tmp_path: Path) -> None:
    """A trace that starts at a snapshot beyond power-on begins with the next check word."""
    start = 5 * CHECK_PERIOD + 3
    parent = ParentRef(file_id="00" * 16, icount=start)
    manifest = Manifest(config=MachineConfig(ram_bytes=1 << 16), start_icount=start, parent=parent)
    with TraceWriter(tmp_path / "t.rrt", manifest, {}) as writer:
        writer.snapshot(
            Snapshot(start, 0, {"a": np.ones(1, np.uint64)}),
            np.zeros(0, np.uint32),
            None,
            np.zeros((0, 4096), np.uint8),
        )
        writer.checks(np.array([60, 70, 80], np.uint64))
        writer.progress(7 * CHECK_PERIOD)
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert (trace.start_icount, trace.end_icount) == (start, 7 * CHECK_PERIOD)
        assert trace.checks.tolist() == [60, 70]
        assert trace.manifest == manifest
        assert trace.ending is None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pages_at_every_snapshot(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever changes between snapshots, each one's RAM is as it was; pages load in any order and any number."""
    path = tmp_path_factory.mktemp("pages") / "t.rrt"
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    ram = np.zeros((16, 4096), np.uint8)
    states = []
    manifest = Manifest(config=MachineConfig(ram_bytes=1 << 16))
    with TraceWriter(path, manifest, {}) as writer:
        for number in range(data.draw(st.integers(1, 25))):
            pages = np.flatnonzero(rng.random(16) < rng.choice([0.1, 0.5, 1])).astype(np.uint32)
            masks = rng.integers(0, 1 << 64, len(pages), dtype=np.uint64)
            for k, style in enumerate(rng.integers(0, 6, len(pages))):
                masks[k] = (0, 1 << int(rng.integers(64)), 0xFF00, (1 << 64) - 1, masks[k], (1 << 64) - 1)[style]
                for line in range(64):
                    if int(masks[k]) >> line & 1:
                        new = rng.integers(0, 256, 64) * rng.integers(0, 2) * (style != 5)
                        ram[pages[k], 64 * line : 64 * line + 64] = new
            first = number == 0
            if first:
                pages = np.flatnonzero(ram.any(axis=1)).astype(np.uint32)
            snapshot = Snapshot(number * EPOCH, 0, {"x": np.array([number], np.uint64)})
            writer.snapshot(snapshot, pages, None if first or number % 7 == 0 else masks, ram[pages])
            states.append(ram.copy())
        writer.progress(number * EPOCH)
    with Trace.open(path) as trace:
        assert [snapshot.state["x"].tolist() for snapshot in trace.snapshots] == [[k] for k in range(len(states))]
        assert list(trace.snapshot_icounts) == [k * EPOCH for k in range(len(states))]
        for number in rng.permutation(len(states)).tolist():
            versions = trace.versions(number)
            every = rng.permutation(16)[: int(rng.integers(1, 17))]
            assert (trace.load_pages(every, versions[every]) == states[number][every]).all()
        # pages of several snapshots at once, some of them twice
        which = rng.integers(0, len(states), 40)
        pages = rng.integers(0, 16, 40)
        versions = np.array([trace.versions(int(k))[page] for k, page in zip(which, pages, strict=True)])
        loaded = trace.load_pages(pages, versions)
        for row, (k, page) in enumerate(zip(which, pages, strict=True)):
            assert (loaded[row] == states[k][page]).all()


def test_a_page_has_only_its_own_versions(tmp_path: Path) -> None:
    synthetic.build(tmp_path / "t.rrt")
    with Trace.open(tmp_path / "t.rrt") as trace:
        version = int(trace.versions(0)[3])
        for page, wanted in ((4, version), (3, 1000)):
            with pytest.raises(ValueError, match="version"):
                trace.load_pages(np.array([page]), np.array([wanted]))


def test_equal_content_has_equal_version(tmp_path: Path) -> None:
    """What did not change between two snapshots has the same id, so that going between them loads only differences."""
    written = synthetic.build(tmp_path / "t.rrt")
    with Trace.open(tmp_path / "t.rrt") as trace:
        for a in range(3):
            for b in range(3):
                same = trace.versions(a) == trace.versions(b)
                ram_a, ram_b = (np.frombuffer(written.snapshots[k][3], np.uint8).reshape(-1, 4096) for k in (a, b))
                assert (ram_a[same] == ram_b[same]).all()
                assert same[15]
        assert not trace.versions(2)[4]


PIECES = st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=5)), max_size=12).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)


@given(PIECES, PIECES, st.integers(-1, 41), st.integers(-1, 41))
def test_printed_pieces_are_a_sequence(
    first: list[tuple[int, bytes]], second: list[tuple[int, bytes]], lo: int, hi: int
) -> None:
    printed = Printed.of(first)
    assert (list(printed), len(printed)) == (first, len(first))
    assert printed == first
    assert (printed == second) == (first == second)
    assert printed[1:-1] == first[1:-1]
    assert list(printed + Printed.of(second)) == first + second
    assert list(printed.cut(lo, max(lo, hi))) == [row for row in first if lo < row[0] <= hi]
    assert printed.sizes.tolist() == [len(data) for _, data in first]


def test_a_flood_of_output() -> None:
    """A guest may print at every third step of an epoch."""
    count = EPOCH // 3
    printed = Printed(np.arange(1, count + 1) * 3, np.arange(1, count + 1), bytes(count))
    epoch = replace(synthetic.an_epoch(0, EPOCH, 1), console=printed)
    decoded = contents.decode_index(contents.encode_index(epoch), 0, EPOCH, 1 << 20).console
    assert isinstance(decoded, Printed)
    assert (decoded.at == printed.at).all()
    assert (decoded.ends == printed.ends).all()
    assert decoded.data == printed.data
