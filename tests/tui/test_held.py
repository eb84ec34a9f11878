"""A key that is held down, or pressed faster than the engine answers."""

from __future__ import annotations

import threading

import pytest
from textual import events

from rrdbg.session.values import Stop, StopReason
from rrdbg.tui import face
from rrdbg.tui.face import REPEATS
from tests.tui.fake import FakeSession
from tests.tui.helpers import PATIENCE, running

START = 5000
PACE = 0.04
"""Seconds that a step of the slow session takes."""


class Slow(FakeSession):
    """Steps take a while; the first one waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()
        self.counts: list[int] = []

    def reverse_stepi(self, count: int = 1) -> Stop:
        self.begun.set()
        self.go.wait(30)
        threading.Event().wait(PACE * count)
        self.counts.append(count)
        return self.move(self.icount - count, StopReason.STEP)

    def reverse_finish(self) -> Stop:
        self.go.wait(30)
        self.calls.append("reverse-finish")
        return self.move(self.icount - 100, StopReason.STEP)


@pytest.mark.parametrize("between", [0.0, 0.2])
async def test_no_press_of_a_key_is_lost_and_none_is_made_after_it_is_let_go(between: float) -> None:
    session = Slow()
    async with running(session=session) as run:
        session.icount = START
        for number in range(20):
            event = events.Key("I", "I")
            event.time += number * between  # 0: as a keyboard repeats it
            run.app.post_message(event)
            if number == 0:
                await run.until(session.begun.is_set)
        await run.settle()
        session.go.set()
        await run.until(lambda: not run.app.engine.busy)
        if between:
            assert sum(session.counts) == 20
            assert len(session.counts) == 2  # what waits while the first one is made is made in one go
        else:
            # the first presses, which may have been typed, and what the engine can make in a moment
            assert sum(session.counts) <= REPEATS + 10
        await run.stands(START - sum(session.counts))


async def test_a_jump_is_not_piled_up() -> None:
    session = Slow()
    async with running(session=session) as run:
        session.icount = START
        for _ in range(20):
            run.app.post_message(events.Key("F", "F"))
        await run.until(lambda: run.app.engine.busy)
        await run.settle()
        session.go.set()
        await run.until(lambda: not run.app.engine.busy)
        assert session.calls == ["reverse-finish"]


async def test_what_takes_long_is_told_and_what_does_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Slow()
    monkeypatch.setattr(face, "SOON", PATIENCE)
    async with running(session=session) as run:
        titles: set[str] = set()
        put = run.app.status.put

        def watch(**values: object) -> None:
            titles.add(str(getattr(values.get("work"), "title", "")))
            put(**values)

        run.app.status.put = watch  # type: ignore[method-assign]
        await run.press("i")
        await run.stands(1)
        assert titles == {""}
        monkeypatch.setattr(face, "SOON", 0.0)
        run.app._tell()
        assert titles == {""}
        await run.key("I")
        await run.sees("reverse-stepi")
        await run.sees("Esc cancels")
        session.go.set()
        await run.until(lambda: not run.app.engine.busy)
        await run.until(lambda: run.app.status.work is None)
