"""Applications under test: over the fake session, or over a real trace."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from rrdbg.session.api import ProgressCallback, Session
from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.run import over
from rrdbg.tui.source import Source
from tests.tui.fake import TOTAL, FakeSession
from tests.tui.picture import strips

PATIENCE = float(os.environ.get("TUI_PATIENCE", "120"))
"""Seconds to wait for what must happen."""


def fake_app(session: FakeSession | None = None) -> DebuggerApp:
    """Return an application over a fake session, with the real command table."""
    fake = session or FakeSession()

    def open_source(progress: ProgressCallback) -> Source:
        fake.on_progress = progress
        fake.dead = False
        return over(cast(Session, fake))

    return DebuggerApp("fake.rrt", open_source)


class Run:
    """An application under test."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    async def settle(self) -> None:
        """Let all messages that are under way be handled.

        Pilot's own waiting sleeps until the process is idle, which takes long on a busy machine and promises nothing:
        the engine works in a thread of its own. Textual lays a screen out by a timer, while its queues may be
        empty: here that is done at once.
        """
        quiet = 0
        deadline = time.monotonic() + PATIENCE
        while quiet < 5:
            if self.app._exception is not None or time.monotonic() > deadline:
                raise AssertionError("the application is stuck") from self.app._exception
            nodes = [self.app, *self.app.screen.walk_children(with_self=True)]
            quiet = quiet + 1 if not any(node.message_queue_size for node in nodes) else 0
            if quiet and self.app.screen._layout_required:
                self.app.screen._on_timer_update()
                quiet = 0
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; the engine works in its own thread."""
        deadline = time.monotonic() + PATIENCE
        while True:
            await self.settle()
            if condition():
                await self.settle()
                return
            if time.monotonic() > deadline:
                raise AssertionError("it did not happen")
            await asyncio.sleep(0.003)

    async def complete(self) -> None:
        """Wait until the first screen is complete."""
        app = self.app
        await self.until(lambda: app.view is not None and app.overview is not None and app.engine.idle)
        await self.until(lambda: app.deck.code.size.height > 0 or app.deck.source.size.height > 0)

    async def key(self, *keys: str) -> None:
        """Press keys without waiting for the engine."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(events.Key(name, key if len(key) == 1 else None))
            await self.settle()

    async def press(self, *keys: str) -> None:
        """Press keys and let the engine answer."""
        await self.key(*keys)
        await self.until(lambda: not self.app.engine.busy)

    async def type(self, text: str) -> None:
        """Type a line and Enter."""
        await self.press(*text, "enter")

    async def sees(self, text: str) -> None:
        """Wait until the screen shows a text."""
        try:
            await self.until(lambda: text in self.text)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in\n{self.text}") from None

    async def stands(self, position: int) -> None:
        """Wait until the panes show a position."""
        try:
            await self.until(lambda: self.position == position)
        except AssertionError:
            raise AssertionError(f"at {self.position}, not at {position}") from None

    @property
    def position(self) -> int:
        """Position that the panes show."""
        return self.app.view.position if self.app.view else -1

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(strip.text for strip in strips(self.app))


class FakeRun(Run):
    """An application over a fake session."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[int], session: FakeSession) -> None:
        super().__init__(app, pilot)
        self.session = session


@asynccontextmanager
async def running(
    size: tuple[int, int] = (120, 40),
    *,
    total: int = TOTAL,
    debug: bool = False,
    session: FakeSession | None = None,
    keys: Mapping[str, str] | None = None,
) -> AsyncIterator[FakeRun]:
    """Run an application over a fake session until its first screen is complete.

    Args:
        size: Of the screen.
        total: Last position of the run.
        debug: Whether the guest has debug information.
        session: The session; instead of the two above.
        keys: Keys other than the usual ones.
    """
    session = FakeSession(total=total, debug=debug) if session is None else session
    app = fake_app(session)
    app.use_keys(keys or {})
    async with app.run_test(size=size) as pilot:
        run = FakeRun(app, pilot, session)
        await run.complete()
        yield run
