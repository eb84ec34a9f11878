"""Which snapshots are taken: a function of the guest, at most one step in twenty, and never none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.devices.backend import Backend
from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.config import DeviceRef, MachineConfig
from rrdbg_core.replay.backends import Backends
from rrdbg_core.replay.thinning import ACCESS_COST, BASE_COST, PAGE_COST, SHARE, Thinning
from rrdbg_core.trace.model import EPOCH

PAGES = 4096


@given(st.lists(st.integers(0, PAGES), min_size=1, max_size=200))
def test_snapshots_cost_at_most_their_share(epochs: list[int]) -> None:
    thinning = Thinning(PAGES)
    paid = changed = 0
    for number, written in enumerate(epochs, 1):
        changed = min(changed + written, PAGES)
        thinning.earn(EPOCH)
        if thinning.pay(changed):
            paid += BASE_COST + PAGE_COST * changed
            changed = 0
        assert paid <= number * EPOCH // SHARE


def test_accesses_to_devices_earn_what_takes_as_long() -> None:
    changed = 2 * EPOCH // SHARE // PAGE_COST
    thinning = Thinning(PAGES)
    thinning.earn(EPOCH)
    assert not thinning.pay(changed)
    thinning.earn(0, (BASE_COST + EPOCH // SHARE * SHARE + SHARE * PAGE_COST * changed) // ACCESS_COST + 1)
    assert thinning.pay(changed)


@given(st.integers(0, PAGES))
def test_a_steady_guest_gets_snapshots_at_a_steady_rate(written: int) -> None:
    thinning = Thinning(PAGES)
    gaps, gap, changed = [], 0, 0
    for _ in range(400):
        gap += 1
        changed = min(changed + written, PAGES)
        thinning.earn(EPOCH)
        if thinning.pay(changed):
            gaps.append(gap)
            gap = changed = 0
    dearest = (BASE_COST + PAGE_COST * PAGES) / (EPOCH / SHARE)
    assert gaps
    assert max(gaps) <= dearest + 1
    if BASE_COST + PAGE_COST * written <= EPOCH // SHARE:
        assert set(gaps) == {1}


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
