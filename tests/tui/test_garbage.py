"""The search for garbage: never while somebody types, and never twice in what stays."""

from __future__ import annotations

import gc
import time
import weakref

from rrdbg.tui.garbage import YOUNG, Collector, loading
from tests.tui.fake import FakeSession
from tests.tui.helpers import PATIENCE, fake_app, running


class Counting(Collector):
    """Says what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

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
        app._while_unused()
        assert collector.said == ["tidy"]


async def test_what_was_opened_is_kept() -> None:
    app = fake_app()
    app.collector = collector = Counting()
    async with app.run_test() as pilot:
        while not app.engine.idle:
            await pilot.pause()
        assert "keep" in collector.said


def test_all_objects_are_searched_only_when_it_is_said() -> None:
    before = gc.get_threshold()
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
        assert gc.get_threshold() == before
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled()
    finally:
        gc.unfreeze()
