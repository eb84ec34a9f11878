"""Applications under test: over the fake session, or over a real trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from textual.pilot import Pilot

from rrdbg.session.api import ProgressCallback, Session
from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.run import over
from rrdbg.tui.source import Source
from tests.tui.fake import FakeSession


def fake_app(session: FakeSession | None = None) -> DebuggerApp:
    """Return an application over a fake session, with the real command table."""
    fake = session or FakeSession()

    def open_source(progress: ProgressCallback) -> Source:
        fake.on_progress = progress
        fake.dead = False
        return over(cast(Session, fake))

    return DebuggerApp("fake.rrt", open_source)


class Run:
    """An application under test and what stands behind it."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[int], session: FakeSession) -> None:
        self.app, self.pilot, self.session = app, pilot, session

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; the engine works in its own thread."""
        for _ in range(400):
            await self.pilot.pause()
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen")

    async def press(self, *keys: str) -> None:
        """Press keys and let the engine answer."""
        await self.pilot.press(*keys)
        await self.until(lambda: not self.app.engine.busy)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a line and Enter."""
        names = {" ": "space", "-": "minus", "_": "underscore", "$": "dollar_sign"}
        await self.press(*(names.get(char, char) for char in text), "enter")

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
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())


@asynccontextmanager
async def running(size: tuple[int, int] = (120, 40), *, total: int | None = None) -> AsyncIterator[Run]:
    """Run an application over a fake session until its first screen is complete."""
    session = FakeSession() if total is None else FakeSession(total=total)
    app = fake_app(session)
    async with app.run_test(size=size) as pilot:
        run = Run(app, pilot, session)
        await run.until(lambda: app.view is not None and app.engine.idle)
        await pilot.pause()
        yield run
