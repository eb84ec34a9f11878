"""Applications under test over recorded traces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from rrdbg.cli.main import main
from rrdbg.session.api import ProgressCallback
from rrdbg.session.remote import RemoteSession
from rrdbg.session.session import open_session
from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.run import open_trace, over
from rrdbg.tui.source import Source
from tests.tui.helpers import Run

SCRIPT = """\
on "$ ": help\\n
on "$ ": echo a [bold]guest[/bold]\\n
after 20ms: mem\\n
on "$ ": exit 3\\n
"""


def record_shell(folder: Path) -> Path:
    """Record the bundled shell, typed at by a script: 25 thousand steps, input, interrupts and console output."""
    script, trace = folder / "keys.txt", folder / "shell.rrt"
    script.write_text(SCRIPT)
    assert main(["record", "guest:shell", "-q", "-o", str(trace), "--input-script", str(script)]) == 3
    return trace


def record_until(folder: Path, guest: str, steps: int) -> Path:
    """Record the first steps of a bundled guest."""
    trace = folder / f"{guest}-{steps}.rrt"
    assert main(["record", f"guest:{guest}", "-q", "-o", str(trace), "--no-input", "--until", str(steps)]) == 0
    return trace


class Real(Run):
    """An application over a trace, its engine in a process of its own."""

    def engine_process(self) -> int:
        """Return the number of the engine's process."""
        source = self.app.engine._source
        assert source is not None
        return cast(RemoteSession, source.session)._process.pid

    async def command(self, line: str) -> None:
        """Type a command line."""
        await self.press("colon")
        await self.type(line)

    async def goto(self, position: int) -> None:
        """Go to a position as a user does."""
        await self.press("g")
        await self.type(str(position))
        await self.stands(position)


@asynccontextmanager
async def over_trace(path: Path, size: tuple[int, int] = (120, 40), *, process: bool = False) -> AsyncIterator[Real]:
    """Run an application over a trace until its first screen is complete.

    Args:
        path: The trace.
        size: Of the screen.
        process: The engine runs in a process of its own, as for users; else here, which starts quicker.
    """

    def open_source(progress: ProgressCallback) -> Source:
        return open_trace(str(path), progress) if process else over(open_session(path, progress))

    app = DebuggerApp(path.name, open_source)
    async with app.run_test(size=size) as pilot:
        run = Real(app, pilot)
        await run.complete()
        yield run
