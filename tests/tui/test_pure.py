"""Text, scale, glyphs, layout and key table: everything that needs no running application."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual.geometry import Region, Size

from rrdbg.commands import COMMANDS
from rrdbg.tui import drawing
from rrdbg.tui.keys import KEYS, groups, markdown
from rrdbg.tui.lanes import Lanes
from rrdbg.tui.layout import PANES, DeckLayout, plan
from rrdbg.tui.player import Player
from rrdbg.tui.scale import MIN_STEPS, TimeMap, Window, bin_points, tick_step, ticks, whole_run
from rrdbg.tui.text import ascii_column, clip, exact_count, short_ns, trimmed, visible, wrapped
from tests.bench import keys


@given(st.text())
def test_visible_text_cannot_move_hide_or_reorder(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


def test_visible_shows_what_it_replaces() -> None:
    assert visible("\x1b[2J\r\x7f\u202e\u200b\x9b") == "␛[2J␍␡���"


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0ns"), (999, "999ns"), (12_500, "12.50us"), (3_041_000, "3.041ms"), (1_250_000_000, "1.250s")]
)
def test_virtual_time_is_short(ns: int, text: str) -> None:
    assert short_ns(ns) == text


def test_small_text_helpers() -> None:
    assert trimmed("1.500ms") == "1.5ms"
    assert trimmed("200.000us") == "200us"
    assert trimmed("200us") == "200us"
    assert clip("abcdef", 4) == "abc…"
    assert ascii_column(b"a\x00\x1b~\xff") == "a··~·"


@given(st.text(), st.integers(1, 40))
def test_wrapping_loses_nothing_but_the_spaces_at_the_breaks(text: str, width: int) -> None:
    pieces = wrapped(text, width)
    assert all(len(piece) <= width for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")
    assert wrapped("one two three", 8) == ["one two", "three"]


@given(st.integers(8, 2**40), st.lists(st.floats(0.01, 0.4), min_size=1), st.sampled_from([1, -1]))
def test_playing_goes_as_far_as_time_does(span: int, ticks: list[float], direction: int) -> None:
    player = Player()
    player.start(direction, span, 100.0)
    now = 100.0
    steps = 0
    for tick in ticks:
        now += tick
        steps += player.due(now)
    assert abs(steps - direction * (now - 100.0) * player.steps_per_second) <= 1 + abs(steps) / 1e6
    assert player.steps_per_second <= max(span / 20, 1)


def test_play_makes_up_for_little_keeps_the_chosen_speed_and_fits_it_to_the_zoom() -> None:
    player = Player()
    player.start(1, 2_000_000, 0.0)
    assert player.steps_per_second == 100_000
    assert player.due(60.0) == 50_000
    player.change(1, 2_000_000)
    player.stop()
    player.start(-1, 2_000_000, 70.0)
    assert player.text == "◀ 300k steps/s"
    assert abs(player.due(70.1) + 30_000) <= 1
    player.start(1, 200, 80.0)
    assert player.steps_per_second == 10


runs = st.integers(0, 2**40)


@given(runs, st.integers(1, 300), st.data())
def test_columns_and_positions_agree(total: int, columns: int, data: st.DataObject) -> None:
    window = whole_run(total, columns)
    for _ in range(data.draw(st.integers(0, 12))):
        around = data.draw(st.integers(0, total))
        window = window.zoom(data.draw(st.sampled_from([0.5, 2.0, 1.5, 1 / 1.5])), around)
        window = window.pan(data.draw(st.sampled_from([-0.5, 0.0, 0.25])))
    assert 0 <= window.start < window.stop <= total + 1
    position = data.draw(st.integers(window.start, window.stop - 1))
    column = window.column(position)
    assert 0 <= column < columns
    assert window.first(column) <= position < max(window.first(column + 1), window.first(column) + 1)


@given(runs, st.integers(10, 300), st.data())
def test_zoom_reaches_single_steps_and_back(total: int, columns: int, data: st.DataObject) -> None:
    around = data.draw(st.integers(0, total))
    window = whole_run(total, columns)
    for _ in range(60):
        window = window.zoom(0.5, around)
        assert window.contains(around)
    assert window.span == min(MIN_STEPS, total + 1)
    for _ in range(60):
        window = window.zoom(2, around)
    assert window.whole


@given(runs, st.integers(10, 300), st.data())
def test_the_window_follows_the_cursor(total: int, columns: int, data: st.DataObject) -> None:
    window = whole_run(total, columns)
    for _ in range(data.draw(st.integers(0, 30))):
        window = window.zoom(0.5, total // 2)
    position = data.draw(st.integers(0, total))
    moved = window.follow(position)
    assert moved.contains(position)
    assert moved.span == window.span
    assert moved.follow(position) == moved


@given(st.integers(1, 2**40), st.integers(20, 300))
def test_axis_labels_never_touch_and_always_differ(total: int, columns: int) -> None:
    window = whole_run(total, columns)
    step = tick_step(window.span, columns)
    positions = list(ticks(window, step))
    labels = [exact_count(position, step) for position in positions]
    assert len(set(labels)) == len(labels)
    placed = [window.column(position) for position in positions]
    for (a, label), b in zip(zip(placed, labels, strict=True), placed[1:], strict=False):
        assert b - a > len(label) or step == 1


def test_virtual_time_jumps_at_events_and_grows_towards_known_points() -> None:
    time = TimeMap(1)
    time.learn(10, 520, jump=True)
    time.learn(20, 940, jump=True)
    assert [time.ns(n) for n in (0, 9, 10, 19, 20, 30)] == [0, 18, 520, 538, 940, 960]
    time.learn(30, 1960)
    assert [time.ns(n) for n in (20, 25, 30, 31)] == [940, 1450, 1960, 1962]


@given(st.lists(st.integers(0, 999)).map(sorted), st.integers(1, 80))
def test_points_are_counted_once(points: list[int], columns: int) -> None:
    assert sum(bin_points(whole_run(999, columns), points)) == len(points)
    window = Window(100, 300, columns, 999)
    assert sum(bin_points(window, points)) == sum(100 <= point < 300 for point in points)


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_every_count_is_seen(counts: list[int]) -> None:
    heights = drawing.levels(counts)
    for count, height in zip(counts, heights, strict=True):
        assert (height > 0) == (count > 0)
        assert 0 <= height <= 8


def test_counts_of_another_window_are_shown_until_the_exact_ones_come() -> None:
    lanes = Lanes(Window(0, 100, 10, 999), {"traps": [0, 0, 5, 0, 0, 0, 0, 0, 0, 9]})
    assert lanes.rescaled(Window(20, 30, 10, 999), "traps") == [5] * 10
    assert lanes.rescaled(Window(200, 300, 10, 999), "traps") == [0] * 10
    assert lanes.rescaled(Window(0, 1000, 10, 999), "traps") == [9] + [0] * 9


def test_rows_of_cells() -> None:
    row = drawing.Row(6, Style())
    drawing.halves(row, 0, [1, 1, 0, 0], [0, 1, 1, 0], (Style(color="red"), Style(color="green")))
    row.write(4, "long text", Style(bold=True))
    assert row.strip().text == "▀▀▄ lo"


@given(st.integers(20, 300), st.integers(3, 100))
def test_the_layout_fills_the_area_and_holds_every_pane(width: int, height: int) -> None:
    slots = plan(width, height)
    assert sorted(pane for slot in slots for pane in slot.panes) == sorted(PANES)
    area = Region(0, 0, width, height)
    assert sum(slot.region.area for slot in slots) == area.area
    for i, slot in enumerate(slots):
        assert area.contains_region(slot.region)
        assert not any(slot.region.overlaps(other.region) for other in slots[i + 1 :])


def test_a_chosen_pane_stays_chosen_when_the_screen_changes() -> None:
    layout = DeckLayout()
    layout.measure(Size(80, 16))
    layout.choose("events")
    assert "events" in layout.shown().values()
    layout.measure(Size(120, 28))
    assert "events" in layout.shown().values()
    layout.measure(Size(200, 48))
    layout.measure(Size(80, 16))
    assert set(layout.shown().values()) <= set(PANES)


def test_no_key_is_bound_twice() -> None:
    for scope in ("", "pane", "console"):
        keys = [key for row in KEYS if row.scope == scope for key in row.keys.split(",")]
        assert len(keys) == len(set(keys))
    assert len(KEYS) == len({row.id for row in KEYS})


def test_every_action_is_in_the_help_or_beside_one_that_is() -> None:
    assert [text for _, keys in groups() for _, text in keys] == [key.title for key in KEYS]


def test_the_documentation_lists_the_keys_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "tui.md").read_text()
    assert text.split("<!-- keys -->")[1].split("<!-- /keys -->")[0].strip() == markdown().strip()


def test_the_benchmark_of_the_keys_knows_them_all() -> None:
    for key in KEYS:
        if key.id not in keys.UNMEASURED:
            assert keys.code_of(key), key.id
            assert len(keys.code_of(key)) == 1 or keys.code_of(key) in keys.CODES.values(), key.id
    lines = {name for command in COMMANDS for name in (command.name,) if name != "quit"}
    tried = [f"{line} " for line in keys.COMMANDS]
    assert not {name for name in lines if not any(line.startswith((f"{name} ", f"{name}/")) for line in tried)}
