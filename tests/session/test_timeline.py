"""The timeline of wide windows, from the trace's index and without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until, record

import rrdbg
from rrdbg.session.api import Session
from rrdbg.session.overview import BIN, EXACT_STEPS, _Counter

from .history import config_for

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
STEPS = 9 * BIN + 1234


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupts of all kinds, for some bins of the index."""
    path = tmp_path_factory.mktemp("storm") / "storm.rrt"
    rng = DeviceRef(kind="virtio-rng", name="virtio-rng", slot=0)
    config, images = config_for((GUESTS / "storm.elf").read_bytes(), ram_bytes=16 << 20, seed=1, devices=(rng,))
    record(config, images, LiveSource(config, warp=True), path, until=Until(icount=STEPS))
    return path


def lanes(session: Session, lo: int, hi: int, buckets: int) -> dict[str, tuple[int, ...]]:
    return {lane.name: lane.counts for lane in session.timeline(lo, hi, buckets).lanes}


def taken(session: Session) -> dict[str, list[int]]:
    """Return where traps were taken, by replaying."""
    rows = session._engine.traps(0, STEPS)  # type: ignore[attr-defined]
    interrupts = rows[:, 1] >> np.uint64(63) == 1
    return {"traps": rows[~interrupts, 0].tolist(), "interrupts": rows[interrupts, 0].tolist()}


def test_wide_windows_say_what_replay_says(storm: Path) -> None:
    with rrdbg.open(storm) as session:
        exact = taken(session)
        assert len(exact["interrupts"]) > 400
        session.goto(77)
        lo, hi = BIN, 9 * BIN
        assert hi - lo > EXACT_STEPS
        timeline = session.timeline(lo, hi, 8)
        assert all(lane.exact for lane in timeline.lanes)
        for lane in timeline.lanes[:2]:
            assert lane.counts == tuple(np.histogram(exact[lane.name], 8, (lo, hi))[0].tolist())
        # narrower buckets than the index knows: spread, but none is lost or made up
        timeline = session.timeline(lo, hi, 1000)
        assert not timeline.lanes[1].exact
        for lane in timeline.lanes[:2]:
            assert sum(lane.counts) == sum(lo <= at < hi for at in exact[lane.name])
        # a window within the exact limit
        lo, hi = 2 * BIN + 100, 4 * BIN + 57
        for name, counts in list(lanes(session, lo, hi, 37).items())[:2]:
            expected = [0] * 37
            for at in exact[name]:
                if lo <= at < hi:
                    expected[(at - lo) * 37 // (hi - lo)] += 1
            assert list(counts) == expected
        assert session.icount == 77


def test_what_the_index_does_not_cover_is_replayed(storm: Path) -> None:
    with rrdbg.open(storm) as session, rrdbg.open(storm) as other:
        other._source.epochs = other._source.epoch_spans = tuple  # type: ignore[attr-defined]  # as if it was killed
        other.goto(5)
        assert len(session._source.epochs()) == 1  # type: ignore[attr-defined]
        expected = session.console(0, STEPS)
        assert b"".join(chunk.data for chunk in other.console(0, STEPS)) == b"".join(chunk.data for chunk in expected)
        for hi, buckets in ((9 * BIN, 9), (STEPS, 50), (8 * BIN, 2)):
            got, wanted = lanes(other, 0, hi, buckets), lanes(session, 0, hi, buckets)
            for name in ("console", "input", "snapshots"):
                assert got[name] == wanted[name], name
            if buckets != 50:
                assert got == wanted
            assert sum(got["interrupts"]) == sum(at < hi for at in taken(session)["interrupts"])
        assert other.icount == 5


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60), st.integers(1, 1000)), max_size=6),
    st.integers(0, 150),
    st.integers(1, 120),
    st.integers(1, 40),
)
def test_spreading(bins: list[tuple[int, int, int]], lo: int, width: int, buckets: int) -> None:
    counter = _Counter(lo, lo + width, buckets)
    inside = [(start, start + size, count) for start, size, count in bins if start < lo + width and lo < start + size]
    counts, exact = counter.spread(inside)
    assert (counts >= 0).all()
    for start, stop, count in inside:
        alone, whole = counter.spread([(start, stop, count)])
        if lo <= start and stop <= lo + width:
            assert alone.sum() == count
        else:
            share = (min(stop, lo + width) - max(start, lo)) / (stop - start)
            assert abs(alone.sum() - count * share) <= 1
        assert not exact or whole
        first = (start - lo) * buckets // width
        last = (stop - 1 - lo) * buckets // width
        assert all(alone[i] == 0 for i in range(buckets) if not first <= i <= last)
    assert counts.sum() == sum(counter.spread([row])[0].sum() for row in inside)
