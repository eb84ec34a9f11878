"""When samples are taken, and when they go out: with a core and a client that only take notes."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.regions import supply
from rrdbg_core.cpu.regions.link import Stats
from rrdbg_core.cpu.regions.supply import SHOWN_PAGES, START_STEPS, Supply

from tests.cpu.guest import asm, start

SLICE = 1 << 21


class Notes:
    """A client."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        """Words of each message with samples."""
        self.pages: list[tuple[int, int]] = []
        """Pages sent, and behind how many messages with samples."""
        self.stats = Stats()
        self.ready = False
        self.missed: list[int] = []
        """Places told."""

    def send_samples(self, samples: bytes) -> None:
        self.sent.append(len(samples) // 8)

    def send_pages(self, pages: dict[int, bytes]) -> None:
        self.pages += [(address, len(self.sent)) for address in pages]

    def send_misses(self, pcs: Sequence[int]) -> None:
        self.missed += pcs

    def take(self) -> list[Any]:
        return []

    def wanted(self) -> list[int]:
        return []


class Run:
    """A core that makes steps, a share of them in regions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RRDBG_TIER2", raising=False)
        self.clients: list[Notes] = []
        monkeypatch.setattr(supply, "Client", self._client)
        self.mach = np.zeros(L.MACH_WORDS, np.uint64)
        self.hart = np.zeros(L.HART_WORDS, np.uint64)
        regions = SimpleNamespace(
            take_gone=list, take_changed=set, look_again=lambda: None, suspend=lambda suspended: None
        )
        memory = SimpleNamespace(contains=lambda address, _: address >= RAM_BASE, read=lambda _, size: bytes(size))
        self.core: Any = SimpleNamespace(
            mach=self.mach, hart=self.hart, samples=np.zeros(L.SAMPLE_BUFFER, np.uint64), regions=regions, memory=memory
        )
        self.supply = Supply(self.core, b"")
        self.steps = 0
        self.ready = False
        """Whether a compiler waits."""

    def _client(self, _: bytes, *, bell: object) -> Notes:
        self.clients.append(Notes())
        self.clients[-1].ready = self.ready
        return self.clients[-1]

    def go(self, steps: int, *, inside: float) -> None:
        """Make steps, and fill the buffer with what the kernel would sample."""
        end = self.steps + steps
        while self.steps < end:
            self.supply.tend(self.steps)
            period = int(self.mach[L.WINDOW_PERIOD])
            if period:
                found = int(self.mach[L.SAMPLES]) + SLICE * (L.WINDOW_STEPS + 1) // period
                self.mach[L.SAMPLES] = min(found, L.SAMPLE_BUFFER)
            self.steps += SLICE
            self.hart[L.REGION_STEPS] += np.uint64(SLICE * inside)
        self.supply.tend(self.steps)

    @property
    def period(self) -> int:
        return int(self.mach[L.WINDOW_PERIOD])

    @property
    def sent(self) -> list[int]:
        return self.clients[0].sent if self.clients else []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


def test_a_short_guest_needs_no_compiler(run: Run) -> None:
    run.go(START_STEPS - SLICE, inside=0)
    assert not run.sent
    run.go(2 * SLICE, inside=0)
    assert run.sent


def test_one_that_waits_is_asked_early(run: Run) -> None:
    run.ready = True
    run.go(supply.READY_STEPS - SLICE, inside=0)
    assert not run.sent
    run.go(2 * SLICE, inside=0)
    assert run.sent


def test_places_where_regions_are_left_often_are_told_once(run: Run) -> None:
    run.go(4 * SLICE, inside=1)
    few, many = SLICE // supply.STEPS_A_MISS - 1, SLICE // supply.STEPS_A_MISS + 1
    for place, count in ((0x10, few), (0x20, many), (0x20, many), (0x30, many), (0x10, few)):
        # two places twice, and another one
        run.hart[L.MISSED_AT : L.MISSED_AT + 5] = [RAM_BASE + place + 2 * (n % 2) for n in range(4)] + [RAM_BASE + 0x40]
        run.hart[L.REGION_MISSES] += np.uint64(count)
        run.go(SLICE, inside=1)
    assert run.clients[0].missed == [RAM_BASE + 0x20, RAM_BASE + 0x22, RAM_BASE + 0x30, RAM_BASE + 0x32]
    run.clients[0].missed.clear()
    run.hart[L.MISSED_AT : L.MISSED_AT + 5] = RAM_BASE + 0x20
    for changed in ({3}, set[int]()):  # from here on it is other code
        run.core.regions.take_changed = lambda changed=changed: changed
        run.hart[L.REGION_MISSES] += np.uint64(many)
        run.go(SLICE, inside=1)
    assert run.clients[0].missed == [RAM_BASE + 0x20]


def test_a_guest_whose_regions_are_there_needs_no_compiler(run: Run) -> None:
    run.go(START_STEPS // 2, inside=0)
    run.go(100 * START_STEPS, inside=0.999)
    assert not run.sent
    assert run.mach[L.SAMPLES] < L.SAMPLE_BUFFER  # the newest ones, when they are wanted


def test_a_guest_that_turns_to_something_else_does(run: Run) -> None:
    run.go(100 * START_STEPS, inside=1)
    assert not run.sent
    run.go(START_STEPS + SLICE, inside=0)
    assert run.sent


def test_samples_are_taken_where_time_is_lost(run: Run) -> None:
    run.go(4 * SLICE, inside=0)
    early = run.period
    run.go(4 * SLICE, inside=0.75)
    assert run.period == 4 * early
    run.go(4 * SLICE, inside=1)
    assert run.period > 16 * early
    run.go(4 * SLICE, inside=0)
    assert run.period == early
    run.go(2 * supply.EARLY_STEPS, inside=0)
    assert early < run.period < 16 * early
    run.supply.suspended = True
    assert run.period == 0
    run.go(4 * SLICE, inside=0)
    assert run.period == 0


def test_the_first_samples_bring_their_pages(run: Run) -> None:
    run.core.samples[:4] = RAM_BASE + 0x1004, RAM_BASE + 0x1008, 0, 0x100
    run.go(START_STEPS + SLICE, inside=0)
    behind = len(run.sent)
    run.core.samples[:4] = RAM_BASE + 0x1FFE, RAM_BASE + 0x5000, 0, RAM_BASE + 0x2000
    run.go(8 * SLICE, inside=0)
    # each once, and before the samples of it; none that is not RAM
    assert run.clients[0].pages == [(RAM_BASE + 0x1000, 0), (RAM_BASE + 0x2000, behind), (RAM_BASE + 0x5000, behind)]


def test_not_all_pages_are_sent_unasked(run: Run) -> None:
    run.core.samples[:] = RAM_BASE + 0x1000 * np.arange(L.SAMPLE_BUFFER, dtype=np.uint64)
    run.go(START_STEPS + 8 * SLICE, inside=0)
    assert len(run.clients[0].pages) == SHOWN_PAGES


def test_what_comes_in_the_middle_of_a_run_is_taken_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the next run begins: that may be long."""
    monkeypatch.delenv("RRDBG_TIER2", raising=False)
    core = Core(1 << 16)
    start(core, [asm("addi", 5, 5, imm=1), asm("jal", imm=-4)])
    client, taken = Notes(), list[int]()
    monkeypatch.setattr(client, "take", lambda: taken.append(core.icount) or [])
    core.supply._client, core.supply._next = client, 1 << 40  # type: ignore[assignment]
    core.run(1000)
    assert taken == []
    core.mach[L.NEWS] = 1
    core.run(100_000)
    assert taken == [1000]
    assert core.mach[L.NEWS] == 0
    assert core.hart[L.X + 5] == 50_000
