"""The sign that the engine works: it comes by itself, however long the engine is silent. No clock is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from textual import events
from textual.timer import Timer

from rrdbg.tui import face
from rrdbg.tui.engine import SOON
from rrdbg.tui.keys import KEYS
from rrdbg.tui.status import SPINNER
from tests.tui.fake import FakeSession
from tests.tui.helpers import FakeRun, running

START = 5000
LATE = 0.2
"""Seconds for which a key may have waited until the interface came to look at it."""

ELSEWHERE = {"quit", "suspend", "reopen", "interrupt", "cancel"}
"""They end the interface or what runs in it."""

ASKING = {
    "step", "reverse-step", "next", "reverse-next", "stepi", "reverse-stepi", "nexti", "reverse-nexti", "finish",
    "reverse-finish", "until", "reverse-until", "continue", "reverse-continue", "verify", "land", "start", "end",
    "scrub-left", "scrub-right", "breakpoint", "play", "play-back", "outer",
}  # fmt: skip
"""Some of those that need the engine."""


class Silent(FakeSession):
    """Nothing is answered while `speaks` is not set."""

    def __init__(self) -> None:
        self.speaks = threading.Event()
        self.speaks.set()
        super().__init__(debug=True)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ("cancel", "cancelled", "close", "speaks", "on_progress"):
            object.__getattribute__(self, "speaks").wait(60)
        return object.__getattribute__(self, name)


def working(run: FakeRun) -> bool:
    """Return whether the status line shows the sign."""
    return any(sign in run.text.splitlines()[-1] for sign in SPINNER)


async def test_every_key_that_needs_the_engine_tells_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "SOON", 0.0)
    session = Silent()
    told: set[str] = set()
    untold: set[str] = set()
    async with running(session=session) as run:
        for key in KEYS:
            if key.id in ELSEWHERE:
                continue
            session.icount = START
            session.speaks.clear()
            await run.key(key.keys.split(",")[0])
            if run.app.engine.busy:
                (told if working(run) else untold).add(key.id)
            session.speaks.set()
            run.app.stop_playing()
            await run.until(lambda: not run.app.engine.busy and not working(run))
            while len(run.app.screen_stack) > 1:
                await run.app.pop_screen()
            await run.key("escape")  # leaves the prompt
    assert not untold
    assert told >= ASKING


@pytest.mark.parametrize("line", ["reverse-continue", "print $sp", "break main", "memory $sp", "list main", "note a"])
async def test_every_command_tells_so(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "SOON", 0.0)
    session = Silent()
    async with running(session=session) as run:
        session.speaks.clear()
        await run.key(":", *line, "enter")
        await run.until(lambda: working(run))
        session.speaks.set()
        await run.until(lambda: not run.app.engine.busy and run.app.status.work is None)


async def test_completion_tells_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "SOON", 0.0)
    session = Silent()
    async with running(session=session) as run:
        await run.key(":", *"goto @")
        session.speaks.clear()
        await run.key("tab")
        await run.until(lambda: working(run))
        session.speaks.set()
        await run.until(lambda: not run.app.engine.busy)


def caught(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Callable[[], None]]]:
    """Let timers for the sign go off when the test wants it; return where they are kept."""
    app, kept = run.app, []
    set_timer = app.set_timer

    def catch(delay: float, callback: Any = None, **rest: Any) -> Timer:
        if callback != app._tell:
            return set_timer(delay, callback, **rest)
        kept.append((delay, callback))
        return set_timer(1e6)

    monkeypatch.setattr(app, "set_timer", catch)
    return kept


async def test_the_sign_comes_in_time_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Silent()
    async with running(session=session) as run:
        kept = caught(run, monkeypatch)
        session.speaks.clear()
        monkeypatch.setattr(face, "time", SimpleNamespace(monotonic=lambda: 1_000.0))
        event = events.Key("i", "i")
        event.time = 1_000.0 - SOON / 3
        run.app.post_message(event)
        await run.settle()
        assert run.app.engine.busy
        assert not working(run)
        [(delay, tell)] = kept
        assert delay == pytest.approx(SOON * 2 / 3)  # it counts from the key, not from when it was looked at
        monkeypatch.setattr(face, "time", SimpleNamespace(monotonic=lambda: 1_000.0 + SOON))
        tell()
        await run.settle()
        assert working(run)
        monkeypatch.undo()
        session.speaks.set()
        await run.until(lambda: not run.app.engine.busy)


async def test_a_key_that_waited_for_the_screen_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Silent()
    async with running(session=session) as run:
        kept = caught(run, monkeypatch)
        session.speaks.clear()
        event = events.Key("i", "i")
        event.time -= LATE
        run.app.post_message(event)
        await run.until(lambda: run.app.engine.busy)
        await run.until(lambda: working(run))
        assert not kept
        session.speaks.set()
        await run.until(lambda: not run.app.engine.busy)


async def test_the_sign_is_about_what_is_waited_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "SOON", 0.0)
    session = Silent()
    async with running(session=session) as run:
        session.speaks.clear()
        await run.key("v")
        await run.sees("verify")
        before = run.app.engine.awaited
        await run.key("I")
        assert run.app.engine.awaited is before
        assert run.app.status.work is not None
        assert run.app.status.work.title == "verify"
        session.speaks.set()
        await run.until(lambda: not run.app.engine.busy)
