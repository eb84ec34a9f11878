"""Only lines that come out differently are painted again: what is left on the screen is what would be drawn anew."""

from __future__ import annotations

import random

import pytest

from rrdbg.tui.lined import Lined, _stretches
from tests.tui.helpers import FakeRun, running
from tests.tui.picture import picture

KEYS = (
    *"sSnNiIoOfFcCbpludeD().,+-0[]{}zyz123456789`~tnN",
    *("f2", "f3", "f4", "f6", "f7", "tab", "up", "down", "pageup", "pagedown", "ctrl+home", "ctrl+end", "enter"),
    *("left", "right", "shift+left", "ctrl+right", "home", "end", "ctrl+o", "escape"),
)
"""Keys that change what panes show, where they are scrolled to, which one has the focus, and the colours."""


def anew(run: FakeRun) -> str:
    """Return the picture of the screen with everything drawn from the beginning."""
    for widget in run.app.screen.walk_children():
        widget._styles_cache.clear()  # type: ignore[attr-defined]
        if isinstance(widget, Lined):
            widget._drawn, widget._drawn_styles, widget._drawn_ground = {}, {}, None
    return picture(run.app)


@pytest.mark.parametrize(("seed", "size"), [(1, (120, 40)), (2, (80, 24)), (3, (200, 60))])
async def test_what_is_not_painted_again_has_not_changed(seed: int, size: tuple[int, int]) -> None:
    choose = random.Random(seed)
    async with running(size, debug=True) as run:
        await run.press("a")
        await run.type("$a0")
        for _ in range(20):
            key = choose.choice(KEYS)
            await run.key("escape")
            await run.press(key)
            await run.until(lambda: run.app.engine.idle)
            shown = picture(run.app)
            assert shown == anew(run), f"after {key}"


async def test_a_change_paints_the_lines_that_it_changes() -> None:
    async with running((120, 40)) as run:
        pane = run.app.deck.registers
        painted: list[int] = []
        draw = pane.draw_line
        await run.until(lambda: bool(draw(3).text.strip()))
        await run.until(lambda: not run.app.engine.busy)
        await run.settle()

        def watch(*regions: object, **kwargs: object) -> object:
            painted.extend(region.y for region in regions)  # type: ignore[attr-defined]
            return pane

        pane.refresh = watch  # type: ignore[method-assign, assignment]
        pane._redraw()
        assert painted == []
        pane.draw_line = lambda y: draw(y).crop(0, 5) if y == 3 else draw(y)  # type: ignore[method-assign]
        pane._redraw()  # at once: nothing is painted in between
        assert painted == [3]


def test_stretches() -> None:
    assert list(_stretches([])) == []
    assert list(_stretches([0])) == [(0, 1)]
    assert list(_stretches([0, 1, 2, 5, 7, 8])) == [(0, 3), (5, 6), (7, 9)]
