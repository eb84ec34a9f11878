"""Which snapshots are taken: they cost at most a twentieth of the time, and are never none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.devices.backend import Backend
from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.config import DeviceRef, MachineConfig
from rrdbg_core.replay.backends import Backends
from rrdbg_core.replay.thinning import BASE_NS, DEAREST_PAGE_NS, LEARNS_FROM, SHARE, Thinning

PAGES = 4096


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, PAGES)), min_size=1, max_size=200), st.integers(0, 10**5)
)
def test_snapshots_cost_at_most_their_share(epochs: list[tuple[int, int]], page_ns: int) -> None:
    thinning = Thinning(PAGES)
    for _ in range(50):
        thinning.learn(PAGES, BASE_NS + page_ns * PAGES)
    paid = earned = changed = 0
    for ns, written in epochs:
        changed = min(changed + written, PAGES)
        earned += ns
        thinning.earn(ns)
        if thinning.pay(changed):
            paid += BASE_NS + page_ns * changed
            changed = 0
        assert paid * SHARE <= earned + 8 * SHARE * PAGES  # the price of a page is learned to 4 ns


@given(st.integers(1, 10**8), st.integers(0, PAGES), st.integers(1, 10**5))
def test_a_steady_guest_gets_snapshots_at_a_steady_rate(epoch_ns: int, written: int, page_ns: int) -> None:
    thinning = Thinning(PAGES)
    for _ in range(50):
        thinning.learn(PAGES, BASE_NS + page_ns * PAGES)
    gaps, gap, changed = [], 0, 0
    dearest = thinning.cost(PAGES)
    for _ in range(400):
        gap += 1
        changed = min(changed + written, PAGES)
        thinning.earn(epoch_ns)
        if thinning.pay(changed):
            gaps.append(gap)
            gap = changed = 0
    longest = dearest / max(epoch_ns // SHARE, 1) + 1
    assert gap <= longest + 1
    assert max(gaps, default=0) <= longest + 1
    if thinning.cost(written) <= epoch_ns // SHARE:
        assert set(gaps) == {1}


@given(st.integers(LEARNS_FROM, PAGES), st.integers(0, 10**6))
def test_the_price_of_a_page_is_what_it_has_cost(pages: int, page_ns: int) -> None:
    thinning = Thinning(PAGES)
    for _ in range(50):
        thinning.learn(pages, BASE_NS + page_ns * pages)
        thinning.learn(LEARNS_FROM - 1, 10**12)  # too few to learn anything from
    each = (thinning.cost(PAGES) - thinning.cost(0)) / PAGES
    assert abs(each - min(page_ns, DEAREST_PAGE_NS)) <= 4


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, PAGES), st.integers(0, 10**5)), max_size=200))
def test_a_snapshot_that_costs_more_than_expected_is_paid_for_all_the_same(epochs: list[tuple[int, int, int]]) -> None:
    thinning = Thinning(PAGES)
    spent = earned = 0
    for ns, written, page_ns in epochs:
        earned += ns
        thinning.earn(ns)
        paid = thinning.pay(written)
        if paid:
            assert paid == thinning.cost(written)
            assert (spent + paid) * SHARE <= earned
            took = BASE_NS + page_ns * written
            thinning.settle(paid, took)
            thinning.learn(written, took)
            spent += took


def test_who_answers_a_bottom_half() -> None:
    config = MachineConfig(devices=(DeviceRef(kind="virtio-rng", name="rng", slot=0),), seed=1)
    own, named, kinded = (Backend(lambda number, request: b"") for _ in range(3))

    class Custom(Device):
        bottom_halves = ("work", "rest")
        backends: ClassVar[Mapping[str, Backend]] = {"work": own}

    custom = Custom.__new__(Custom)
    custom.name = "custom"
    backends = Backends(config, {})
    found = backends.attach({"custom": custom})
    assert found[("custom", "work")] is own
    assert found[("custom", "rest")].answer(0, b"x") == b""
    entropy = backends.find("rng", "entropy")
    assert not entropy.live
    assert entropy.answer(0, b"\x05\0\0\0") == backends.find("rng", "entropy").answer(0, b"\x05\0\0\0")
    assert len(entropy.answer(1, b"\x05\0\0\0") or b"") == 5
    assert entropy.answer(0, b"\x05\0\0\0") != entropy.answer(1, b"\x05\0\0\0")
    mine = Backends(config, {("rng", "entropy"): named, ("virtio-rng", "entropy"): kinded, ("custom", "work"): named})
    mine.attach({"custom": custom})
    assert mine.find("rng", "entropy") is named
    assert mine.find("custom", "work") is named
    assert Backends(config, {("virtio-rng", "entropy"): kinded}).find("rng", "entropy") is kinded
    assert Backends(MachineConfig(devices=config.devices), {}).find("rng", "entropy").live
