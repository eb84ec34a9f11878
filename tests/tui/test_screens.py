"""What the screens look like: SVG pictures at the three sizes. `pytest --snapshot-update` takes new ones."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.tui.helpers import Run, running


class SvgExtension(SingleFileSnapshotExtension):
    """One SVG file per picture."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(SvgExtension)


async def take(run: Run) -> str:
    """Return the screen as SVG once everything has arrived."""
    await run.until(lambda: run.app.engine.idle)
    await run.pilot.pause(0.2)
    return run.app.export_screenshot(simplify=True)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_after_some_steps_in_a_zoomed_window(picture: SnapshotAssertion, size: tuple[int, int]) -> None:
    async with running(size) as run:
        await run.press("right_curly_bracket", "right_curly_bracket", "plus", "plus", "s", "s", "f9", "s")
        assert await take(run) == picture


async def test_the_help(picture: SnapshotAssertion) -> None:
    async with running((80, 24)) as run:
        await run.press("question_mark")
        await run.sees("Step one instruction back")
        assert await take(run) == picture
