"""What the screens look like at the three sizes. `pytest --snapshot-update` takes new pictures."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.command import CommandInput

from rrdbg.tui.help import HelpScreen
from tests.tui.helpers import Run, running
from tests.tui.picture import picture


class TextExtension(SingleFileSnapshotExtension):
    """One text file per picture."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def screens(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(TextExtension)


async def take(run: Run) -> str:
    """Return the screen once everything has arrived and two pictures of it agree."""
    before = ""
    while before != (now := picture(run.app)):
        before = now
        await run.until(lambda: run.app.engine.idle and not run.app.deck.memory.missing())
        await run.pilot.pause(0.1)
    return now


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
async def test_after_some_steps_in_a_zoomed_window(screens: SnapshotAssertion, size: tuple[int, int]) -> None:
    async with running(size) as run:
        await take(run)
        for key in ("right_curly_bracket", "right_curly_bracket", "plus", "plus", "i", "i", "f9", "i"):
            await run.press(key)
            await run.until(lambda: run.app.engine.idle and not run.app.deck.memory.missing())
        assert await take(run) == screens


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
async def test_the_program_with_a_frame_selected(screens: SnapshotAssertion, size: tuple[int, int]) -> None:
    async with running(size, debug=True) as run:
        await take(run)
        await run.press("down", "down", "f9", "s", "s", "a")
        await run.type("count")
        for key in ("f3", "down", "enter", "left_parenthesis"):
            await run.press(key)
            await take(run)
        assert await take(run) == screens


async def test_a_search_over_both_mixed(screens: SnapshotAssertion) -> None:
    async with running((120, 40), debug=True) as run:
        await take(run)
        await run.press("l", "l", "slash", *"task 1")
        assert await take(run) == screens


async def test_the_palette(screens: SnapshotAssertion) -> None:
    async with running((80, 24), debug=True) as run:
        await take(run)
        await run.key("ctrl+p")
        await run.key(*"change")
        await run.sees("last change")
        run.app.screen.query_one(CommandInput).cursor_blink = False
        assert await take(run) == screens


async def test_the_help(screens: SnapshotAssertion) -> None:
    async with running((80, 24)) as run:
        # the help lies over a whole screen, not over one that is still being put together
        await run.sees("whole run")
        await take(run)
        commands = (("continue", "Run to the next stop"), ("stepi", "Execute steps"))
        run.app.push_screen(HelpScreen(commands=commands))
        await run.sees("Step one instruction back")
        assert await take(run) == screens
