"""The search for garbage: never while somebody types, and of everything in between."""

from __future__ import annotations

import gc
import time
import weakref

from rrdbg.tui.garbage import YOUNG, Collector, loading
from tests.tui.fake import FakeSession
from tests.tui.helpers import PATIENCE, Run, fake_app, running


class Counting(Collector):
    """Says what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.much = True

    @property
    def due(self) -> bool:
        return self.much

    def keep(self) -> None:
        self.said.append("keep")

    def tidy(self) -> None:
        self.said.append("tidy")


class Knot:
    """Refers to itself: only a search finds that nobody else does."""

    def __init__(self) -> None:
        self.me = self


async def test_it_is_searched_while_nobody_types() -> None:
    async with running(session=FakeSession()) as run:
        app = run.app
        app.collector = collector = Counting()
        app._pressed = "i", time.monotonic() + PATIENCE
        app._while_unused()
        assert collector.said == []
        app._pressed = "i", 0.0
        collector.much = False
        app._while_unused()
        assert collector.said == []
        collector.much = True
        app._while_unused()
        assert collector.said == ["tidy"]


async def test_what_was_opened_is_kept() -> None:
    app = fake_app()
    app.collector = collector = Counting()
    async with app.run_test() as pilot:
        await Run(app, pilot).until(lambda: "keep" in collector.said)


def test_all_objects_are_searched_only_when_it_is_said() -> None:
    frozen = gc.get_freeze_count()
    try:
        with Collector() as collector:
            assert gc.get_threshold() == YOUNG
            knot = Knot()
            known = weakref.ref(knot)
            del knot
            collector.tidy()
            assert known() is None
            assert gc.get_freeze_count() > frozen
            # what lives through a search is found by a later one
            knot = Knot()
            known = weakref.ref(knot)
            collector.tidy()
            del knot
            assert known() is not None
            collector.tidy()
            assert known() is None
    finally:
        gc.unfreeze()


def test_it_is_due_when_much_has_come() -> None:
    try:
        with Collector() as collector:
            collector.tidy()
            assert not collector.due
            many = [Knot() for _ in range(YOUNG[0] * (YOUNG[1] + 10))]
            assert collector.due
            del many
            collector.tidy()
            assert not collector.due
    finally:
        gc.unfreeze()


def test_the_collector_is_as_before_afterwards() -> None:
    before = gc.get_threshold()
    try:
        with Collector():
            pass
        assert gc.get_threshold() == before
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled()
    finally:
        gc.unfreeze()
