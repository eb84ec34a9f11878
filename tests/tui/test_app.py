"""The application driven by keys and mouse, over a session that answers from a table."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from rrdbg_core.errors import ExitCode, RrdbgError
from textual import events
from textual.color import Color

from rrdbg.session import api
from rrdbg.session.api import ProgressCallback, When
from rrdbg.session.program import SourceFile
from rrdbg.tui import actions
from rrdbg.tui.actions import PLAY_HZ
from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.keys import KEYS
from rrdbg.tui.source import Source
from rrdbg.tui.timeline import GUTTER
from tests.tui.fake import BASE, TOTAL, FakeSession
from tests.tui.helpers import running

NAMES = {":": "colon", " ": "space", "-": "minus"}
"""Textual's names of characters."""

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_screen_tells_where_we_are(size: tuple[int, int]) -> None:
    async with running(size) as run:
        await run.sees("fake.rrt")
        await run.sees("▶80000000")
        await run.sees("pc 0000000080000000")
        await run.sees("0.0%")
        assert len(run.text.splitlines()) == size[1]


async def test_gdb_letters_and_function_keys() -> None:
    commands = {
        "stepi": ("s", "f11"), "reverse-stepi": ("S", "shift+f11"), "nexti": ("n", "f10"),
        "reverse-nexti": ("N", "shift+f10"), "continue": ("c", "f5"), "reverse-continue": ("C", "shift+f5"),
    }  # fmt: skip
    async with running() as run:
        for line, keys in commands.items():
            for key in keys:
                run.session.icount = 5000
                await run.press(key)
                assert run.session.calls.pop() == line


async def test_stepping_marks_changed_registers() -> None:
    async with running() as run:
        await run.press("s", "s")
        await run.stands(2)
        await run.sees("pc▸0000000080000008")
        await run.sees("t6 ")


async def test_home_end_and_scrubbing() -> None:
    async with running() as run:
        await run.press("end")
        await run.stands(TOTAL)
        await run.press("home")
        await run.stands(0)
        await run.press("right", "right")
        await run.stands(2 * (TOTAL // run.app.timeline.columns))
        await run.press("left", "left", "left")
        await run.stands(0)


async def test_goto_prompt_and_its_errors() -> None:
    async with running() as run:
        await run.press("g")
        await run.type("1_000")
        await run.stands(1000)
        await run.press("g")
        await run.type("nowhere")
        await run.stands(1000)
        await run.sees("no position 'nowhere'")
        assert "Traceback" not in run.text


async def test_history_and_completion() -> None:
    async with running() as run:
        await run.press("colon")
        await run.type("stepi 3")
        await run.stands(3)
        await run.press("colon", "up")
        assert run.app.prompt_line.value == "stepi 3"
        await run.press("down", "r", "e", "v", "tab")
        await run.until(lambda: run.app.prompt_line.value == "reverse-")
        await run.sees("reverse-continue")
        await run.press("s", "tab")
        await run.until(lambda: run.app.prompt_line.value.startswith("reverse-step"))
        await run.press("escape")
        assert run.app.prompt_line.display is False
        assert run.app.focused is run.app.deck.code


async def test_answers_of_commands_appear_in_the_log() -> None:
    async with running() as run:
        await run.press("colon")
        await run.type("help")
        await run.sees(": help")
        await run.press("8", "z")
        await run.sees("stepi")
        await run.press("escape")
        await run.press("colon")
        await run.type("quack")
        await run.sees("quack")


async def test_clicking_and_dragging_on_the_timeline() -> None:
    async with running() as run:
        columns = run.app.timeline.columns
        await run.pilot.click("#timeline", offset=(GUTTER + columns // 2, 4))
        await run.until(lambda: abs(run.position - TOTAL // 2) < TOTAL // columns + 1)
        await run.pilot.mouse_down("#timeline", offset=(GUTTER, 4))
        await run.pilot.hover("#timeline", offset=(GUTTER + 10, 4))
        await run.pilot.mouse_up("#timeline", offset=(GUTTER + 10, 4))
        window = run.app.timeline.window
        await run.until(lambda: run.position == window.position(10))


async def test_zooming_with_keys_down_to_single_steps() -> None:
    async with running() as run:
        await run.press(*["plus"] * 30)
        assert run.app.timeline.window.span == 8
        await run.press("right")
        await run.stands(1)
        await run.press("0")
        assert run.app.timeline.window.whole


async def test_hovering_reads_out() -> None:
    async with running() as run:
        window = run.app.timeline.window
        column = window.column(TOTAL // 100)
        await run.pilot.hover("#timeline", offset=(GUTTER + column, 5))
        await run.settle()
        await run.sees("◆ boot")


async def test_events_and_bookmarks_are_stops_for_the_cursor() -> None:
    async with running() as run:
        first = TOTAL // 41
        await run.press("right_square_bracket")
        await run.stands(first)
        await run.press("right_square_bracket", "left_square_bracket")
        await run.stands(first)
        await run.press("left_square_bracket")
        await run.sees("no event before this position")
        await run.press("left_curly_bracket")
        await run.stands(TOTAL // 100)
        await run.press("m")
        await run.type("here")
        assert "here" in [mark.name for mark in run.app.view.marks]
        await run.press("5", "down", "enter")
        assert run.position > first


async def test_breakpoints_by_key_and_click() -> None:
    async with running() as run:
        await run.press("f9")
        assert [p.address for p in run.session.breaks] == [BASE]
        await run.sees("● ▶80000000")
        await run.press("b")
        assert not run.session.breaks
        await run.pilot.click("#code", offset=(2, 3))
        await run.until(lambda: [p.address for p in run.session.breaks] == [BASE + 4])


async def test_playing_moves_and_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrdbg.tui.player.CROSSING", 200_000)  # the end is far, however long it takes to press keys
    async with running() as run:
        await run.press("space")
        await run.until(lambda: run.position > 0)
        await run.sees("steps/s")
        await run.press("full_stop")
        await run.press("space")
        assert run.app.player.direction == 0
        stopped = run.position
        await asyncio.sleep(0.3)
        await run.settle()
        await run.stands(stopped)


async def test_playing_moves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as run:
        monkeypatch.setattr(actions, "time", SimpleNamespace(monotonic=lambda: 0.0))  # no clock ticks
        run.app.action_play(1)
        await run.stands(int(run.app.player.steps_per_second / PLAY_HZ))


async def test_long_work_shows_progress_stays_alive_and_cancels() -> None:
    async with running() as run:
        run.session.slow.set()
        await run.key("c")
        await run.until(lambda: "250M/s" in run.text)
        await run.sees("Esc cancels")
        await run.key("question_mark")
        await run.until(lambda: "Step one instruction back" in run.text)
        await run.key("escape")
        await run.settle()
        await run.key("escape")
        await run.until(lambda: not run.app.engine.busy)
        await run.until(lambda: "cancelled" in run.text)
        await run.stands(0)


async def test_verify_reports_in_the_status_line() -> None:
    async with running() as run:
        await run.press("v")
        await run.sees("12 digests and 188 check words agree")
        await run.sees("✔ verified")


async def test_the_console_shows_what_was_printed_and_obeys_colours_alone() -> None:
    async with running() as run:
        console = run.app.deck.console
        await run.press("g")
        await run.type(str(console.positions[4]))
        assert run.app.deck.console.printed == console.ends[4]
        await run.sees("red [bold]markup[/bold] \\xff")
        await run.press("4", "home")
        await run.press("down", "down", "enter")
        await run.stands(console.positions[2] - 1)


async def test_memory_follows_an_expression() -> None:
    async with running() as run:
        await run.press("x")
        await run.type("uart_putc")
        await run.press("3")
        await run.sees("uart_putc")
        await run.sees("80000200  00 81")
        await run.press("s")
        await run.sees("80000200  01 81")
        await run.press("x")
        await run.type("nothing")
        await run.sees("no symbol 'nothing'")


@pytest.mark.parametrize("size", SIZES)
async def test_maximise_and_back(size: tuple[int, int]) -> None:
    async with running(size) as run:
        for key in "5z":
            run.app.post_message(events.Key(key, key))
        await run.settle()
        deck = run.app.deck
        assert [pane.id for pane in deck.panes if pane.display] == ["events"]
        await run.until(lambda: deck.events.size.width >= size[0] - 3)
        await run.press("escape")
        assert deck.code.display
        assert deck.events.display


async def test_every_key_answers_without_an_error() -> None:
    async with running() as run:
        await run.press("ctrl+o")
        await run.sees("there is nothing to go back to")
        for key in (key for row in KEYS for key in row.keys.split(",")):
            if "quit" in key or key in ("q", "ctrl+q", "ctrl+p"):
                continue
            await run.key(key)
            if run.app.prompt_line.has_focus or run.app.screen.is_modal or run.app.player.direction:
                await run.key("escape")
            assert "internal error" not in str(run.app.status.message), key
        await run.press("8", "z")
        assert "internal error" not in run.text


@pytest.mark.parametrize("key", ["f6", "8", "5"])
async def test_a_search_has_the_prompt_also_from_panes_that_the_console_covers(key: str) -> None:
    async with running((80, 24)) as run:
        await run.press(key, "slash", *"tick")
        assert run.app.focused is run.app.prompt_line
        assert run.app.deck.console.pattern == "tick"


async def test_the_help_is_a_pager_and_cuts_nothing() -> None:
    async with running((80, 24)) as run:
        await run.key("question_mark")
        await run.sees("Step one source line; one instruction in the disassembly")
        await run.key("end")
        await run.sees("leave")  # what quit does
        await run.key("home", "space")
        await run.sees("│                     maximised pane")  # the rest of a long text
        assert run.app.screen.is_modal
        assert run.position == 0


async def test_what_was_said_of_another_position_goes() -> None:
    async with running() as run:
        run.app.action_goto("100")
        run.app.say("answer to a command before")
        await run.stands(100)
        assert run.app.status.message is None
        run.app.action_goto("100")
        run.app.say("of here")
        await run.until(lambda: run.app.engine.idle)
        assert run.app.status.message == ("reason", "of here")


async def test_palette_offers_keys_and_commands() -> None:
    async with running() as run:
        await run.key("ctrl+p")
        await run.until(lambda: "Step one" in run.text)  # nothing of Textual's own comes before
        await run.key("escape")
        await run.key("ctrl+p")
        await run.key(*"verify")
        await run.until(lambda: "Verify the whole trace" in run.text)
        await run.key("escape")


@pytest.mark.parametrize("theme", ["textual-light", "nord", "ansi-dark"])
async def test_themes(theme: str) -> None:
    async with running() as run:
        if theme not in run.app.available_themes:
            theme = next(iter(run.app.available_themes))
        run.app.theme = theme
        await run.press("s")
        await run.sees("▶80000004")


async def test_the_next_theme_is_worn_by_all() -> None:
    """First by the line that tells its name; of several that are asked for at once the last one stays."""
    async with running() as run:
        app = run.app
        names = sorted(app.available_themes)
        for count in (1, 3, len(names)):
            names = [*names[names.index(app.theme) :], *names[: names.index(app.theme)]]
            for _ in range(count):
                app.action_next_theme()
            assert app.theme == names[count % len(names)]
            assert app.status.message == ("reason", f"theme {app.theme}")
            colours = app.get_css_variables()
            assert app.status.styles.background == Color.parse(colours["panel"])
            await run.until(lambda: app.screen.styles.background == Color.parse(app.get_css_variables()["background"]))
            await run.until(lambda: app.has_class(f"-theme-{app.theme}"))
            assert app.deck.source.styles.background == app.screen.styles.background
        await run.press("s")
        await run.sees("▶80000004")


async def test_a_trace_that_does_not_open_ends_the_application() -> None:
    def fails(progress: ProgressCallback) -> Source:
        raise RrdbgError("x.rrt: not a trace", exit_code=ExitCode.BAD_TRACE)

    app = DebuggerApp("x.rrt", fails)
    async with app.run_test() as pilot:
        for _ in range(3000):
            await pilot.pause()
            if app.failure is not None:
                break
            await asyncio.sleep(0.01)
    assert isinstance(app.failure, RrdbgError)
    assert app.return_code == ExitCode.BAD_TRACE


async def test_resizing_keeps_everything_usable() -> None:
    async with running((200, 60)) as run:
        for size in ((80, 24), (40, 10), (20, 5), (120, 40), (200, 60), (80, 24)):
            await run.pilot.resize_terminal(*size)
            await run.press("s")
        await run.sees("▶")


async def test_a_run_without_a_step() -> None:
    async with running(total=0) as run:
        await run.press("end", "plus", "right", "space", "minus", "home")
        await run.stands(0)


async def test_an_engine_that_dies_is_told_and_replaced() -> None:
    async with running() as run:
        await run.press("s", "s", "s")
        run.session.dead = True
        await run.press("s")
        await run.sees("press r to reopen")
        assert "Traceback" not in run.text
        await run.press("r")
        await run.until(lambda: run.app.engine.idle and not run.app.dead)
        await run.press("S")
        assert run.position >= 2
        assert len(run.app.deck.events.events) == 40


async def test_run_to_the_selected_line() -> None:
    async with running() as run:
        await run.press("down", "down", "down", "u")
        await run.stands(3)
        await run.press("U")
        await run.stands(0)


async def test_a_command_that_comes_all_at_once_goes_into_the_prompt() -> None:
    async with running() as run:
        for char in ":stepi 5":
            run.app.post_message(events.Key(NAMES.get(char, char), char))
        run.app.post_message(events.Key("enter", "\r"))
        await run.stands(5)
        assert run.session.calls == ["stepi"]
        for char in ":reverse-c":
            run.app.post_message(events.Key(NAMES.get(char, char), char))
        run.app.post_message(events.Key("tab", "\t"))
        await run.until(lambda: run.app.prompt_line.value == "reverse-continue ")


@pytest.mark.parametrize("width", [40, 80, 120])
async def test_the_status_line_makes_room_for_what_is_said(width: int) -> None:
    async with running((width, 24)) as run:
        run.app.status.put(verified="✔ verified")
        text = "nine words that must be read whole, every one"
        run.app.say(text if width > 60 else "few words")
        await run.sees(text if width > 60 else "few words")
        row = run.text.splitlines()[-1]
        assert "✔ verified" in row
        assert row.startswith(" 0 ")
        assert ("_start" in row) == (width == 120)
        run.app.say(text * 5)
        await run.sees("…")
        assert "✔ verified" in run.text.splitlines()[-1]


async def test_small_panes_show_arguments_before_saved_registers() -> None:
    async with running((80, 24)) as run:
        for name in ("pc", "ra", "sp", "a0", "a5"):
            await run.sees(f" {name} ")
        await run.press("2", "pagedown", "pagedown")
        await run.sees("s11")
        await run.pilot.resize_terminal(120, 40)
        await run.until(lambda: " a0 " in run.text and " s11 " in run.text and " t6 " in run.text)


async def test_long_answers_are_wrapped() -> None:
    async with running((80, 24)) as run:
        words = [f"word{i}" for i in range(40)]
        run.app.deck.log_pane.write(" ".join(words))
        await run.press("8", "z")
        await run.until(lambda: all(word in run.text for word in words))
        await run.pilot.resize_terminal(40, 24)
        await run.until(lambda: all(word in run.text for word in words))


async def test_interrupting_twice_quits_when_nothing_runs() -> None:
    async with running() as run:
        run.session.slow.set()
        await run.key("c")
        await run.until(lambda: run.app.status.work is not None)
        await run.key("ctrl+c")
        await run.until(lambda: not run.app.engine.busy)
        await run.stands(0)
        await run.key("ctrl+c")
        await run.sees("press Ctrl-C again")
        assert run.app.is_running
        for _ in range(2):
            run.app.post_message(events.Key("ctrl+c", None))
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if run.app.return_code is not None:
                break
        assert run.app.return_code == 0


async def test_a_start_reads_first_what_is_read_first() -> None:
    """Where the guest stands, then its source; the timeline, for which the index of a long run is decoded, is last."""
    order: list[str] = []

    class Noted(FakeSession):
        def when(self) -> When:
            order.append("when")
            return super().when()

        def source(self, file: str) -> SourceFile:
            order.append("source")
            return super().source(file)

        def timeline(self, lo: int, hi: int, buckets: int) -> api.Timeline:
            order.append("timeline")
            return super().timeline(lo, hi, buckets)

    async with running(session=Noted(debug=True)):
        assert list(dict.fromkeys(order)) == ["when", "source", "timeline"]
