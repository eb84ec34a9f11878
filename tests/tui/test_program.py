"""Source, stack, variables, watch expressions, breakpoints and comparisons, over a program with debug information."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrdbg.session.program import LineVisit
from rrdbg.tui.jumps import Jumps
from rrdbg.tui.panes.source import ranks, shade
from rrdbg.tui.syntax import Highlighter
from tests.tui.fake import BASE, FILE, FakeSession
from tests.tui.helpers import FakeRun, running


async def known(run: FakeRun) -> None:
    """Wait until the program's panes are up to date."""
    app = run.app
    await run.until(lambda: app.engine.idle and app.program is not None and app.program.position == run.position)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_source_and_variables_come_first_where_they_are_known(size: tuple[int, int]) -> None:
    async with running(size, debug=True) as run:
        await known(run)
        await run.sees("▶  5   long total = 0;")
        await run.sees("task = 0x80004000")
        await run.sees("n = 0")
        assert run.app.focused is run.app.deck.source
        await run.press("s")
        await known(run)
        await run.sees("▸  n = 4")
        assert run.session.calls == ["step"]
        await run.sees("total = <optimized out>")


async def test_stepping_is_by_what_one_reads() -> None:
    async with running(debug=True) as run:
        await known(run)
        for key in ("s", "n", "S", "N", "f11", "shift+f10", "i", "O"):
            await run.press(key)
            await known(run)
        assert run.session.calls == [
            "step", "next", "reverse-step", "reverse-next", "step", "reverse-next", "stepi", "reverse-nexti",
        ]  # fmt: skip
        run.session.calls.clear()
        await run.press("9", "s", "n", "S")
        assert run.session.calls == ["stepi", "nexti", "reverse-stepi"]
        await run.press("1", "s")
        assert run.session.calls[-1] == "step"


async def test_frames_take_source_registers_and_variables_along() -> None:
    async with running((200, 60), debug=True) as run:
        await known(run)
        await run.sees("count")
        await run.sees("inlined")
        await run.sees("╌╌ machine timer interrupt, taken at 4_321 ╌╌")
        await run.press("left_parenthesis", "left_parenthesis")
        await known(run)
        await run.sees("▶2  main")
        await run.sees("▷ 19")
        await run.sees("▷80000128")
        await run.sees("n = 2")
        assert run.app.view is not None
        assert run.app.view.frame == 2
        await run.sees("frame 2")
        await run.press("right_parenthesis", "right_parenthesis", "right_parenthesis")
        await run.sees("this is the innermost frame")
        assert run.app.view.frame == 0
        await run.press("f2", "down", "down", "down", "down", "enter")
        await known(run)
        assert run.app.view.frame == 3
        await run.press("up", "enter")
        await run.stands(4321)
        assert run.app.view.frame == 0


async def test_values_open_lazily_and_stay_open() -> None:
    async with running(debug=True) as run:
        await known(run)
        assert not [call for call in run.session.calls if call.startswith("children")]
        await run.press("f3", "down", "enter")
        await known(run)
        await run.sees("▾ task = 0x80004000")
        await run.sees("▹ *task")
        assert run.session.calls == ["children task"]
        await run.press("down", "enter")
        await run.sees("ticks = 0")
        await run.press("g")
        await run.type("12")
        await known(run)
        await run.sees("ticks = 1")
        locals_pane = run.app.deck.locals
        assert [row.variable.name for row in locals_pane._rows if locals_pane.changed(row)] == ["n", "*task", "ticks"]
        await run.press("f3", "up", "enter")
        await known(run)
        await run.until(lambda: "▹ *task" not in run.text and "▾ *task" not in run.text)


async def test_watch_expressions_follow_and_lead_to_their_changes() -> None:
    async with running(debug=True) as run:
        await run.press("g")
        await run.type("5_000")
        await run.press("a")
        await run.type("count")
        await known(run)
        await run.press("colon")
        await run.type("display/x flags")
        await known(run)
        await run.sees("count = 500")
        await run.sees("/x flags = 0x1f4")
        await run.press("f4", "up", "b")
        run.session.calls.clear()
        await run.press("W")
        await run.stands(4_000)
        await run.sees("▸  count = 400")
        assert run.session.calls == [
            f"watch {BASE + 0x4008:#x} 4", "disable 1", "reverse-continue", "enable 1",
        ]  # fmt: skip
        assert [point.enabled for point in run.session.breaks] == [True]
        await run.press("w")
        await run.stands(5_000)
        await run.press("home", "W")
        await run.sees("count does not change before 0")
        await run.stands(0)
        await run.press("e")
        assert run.app.prompt_line.value == "display count"
        await run.type(" + 1")
        await known(run)
        await run.sees("count + 1 = 0")
        await run.press("D")
        await known(run)
        assert [watch.expression for watch in run.app.watches] == ["flags"]
        await run.press("a")
        await run.type("fast")
        await known(run)
        await run.press("W")
        await run.sees("fast has no address here")
        await run.press("a")
        await run.type("nothing")
        await run.sees('nothing   No symbol "nothing" in')
        await run.press("colon")
        await run.type("undisplay")
        await known(run)
        assert not run.app.watches


async def test_a_breakpoint_in_several_places() -> None:
    """All of them are marked, and the list tells how many there are."""
    async with running((120, 40), debug=True) as run:
        await known(run)
        session, deck = run.session, run.app.deck
        first = session.add_break(f"{FILE}:6")
        others = [session.locate(first.address + distance) for distance in (16, 32)]
        session.breaks = [replace(first, more=tuple(others))]
        run.app.show_points(session.points())
        deck.reveal("breaks", focus=False)
        await run.sees("3 places: ")
        assert run.app.view is not None
        assert run.app.view.breakpoints == dict.fromkeys((first.address, *(place.address for place in others)), True)
        assert deck.source._points == dict.fromkeys((6, *(place.line for place in others)), True)


async def test_breakpoints_are_listed_edited_and_shown() -> None:
    async with running(debug=True) as run:
        await known(run)
        await run.press("down", "down", "f9")
        await run.sees("● ▐ 7")
        assert [point.what for point in run.session.breaks] == [f"{FILE}:7"]
        await run.pilot.click("#source", offset=(2, 5))
        await run.until(lambda: len(run.session.breaks) == 2)
        await run.press("f6")
        await run.sees("● 1  break  src/task.c:7")
        await run.press("d")
        await run.sees("○ 1  break")
        await run.sees("○ ▐ 7")
        await run.press("e")
        assert run.app.prompt_line.value == "condition 1 "
        await run.type("n > 3")
        await run.sees("if n > 3")
        await run.press("d", "down", "D")
        assert [point.number for point in run.session.breaks] == [1]
        await run.press("end")
        await known(run)
        await run.press("f6", "enter")
        await run.sees("p returns")
        assert run.app.deck.source.selected == 6
        assert run.position == run.app.timeline.total
        await run.press("p")
        await known(run)
        assert run.app.deck.source.selected != 6


async def test_running_to_the_selected_source_line() -> None:
    async with running(debug=True) as run:
        await known(run)
        await run.press("down", "u")
        await run.stands(3)
        assert run.session.calls == [f"until {FILE}:6"]
        await known(run)
        await run.press("U")
        assert run.session.calls[-1].startswith(f"reverse-until {FILE}:")


async def test_source_disassembly_and_both() -> None:
    async with running(debug=True) as run:
        await known(run)
        deck = run.app.deck
        await run.press("l")
        assert (deck.source.display, deck.code.display, deck.code.mixed) == (False, True, False)
        await run.press("l")
        await known(run)
        await run.sees("   5 long total = 0;")
        await run.press("l")
        assert deck.source.display
        await run.press("l", "s")
        await known(run)
        assert deck.code.display
        assert run.session.calls == ["stepi"]


async def test_a_source_file_that_is_missing_is_told_and_the_disassembly_shown() -> None:
    session = FakeSession(debug=True)
    session.sources = {}
    async with running((80, 24), session=session) as run:
        await known(run)
        await run.sees("▶80000000")
        assert run.app.deck.code.display
        await run.press("1")
        await run.sees("no source file src/task.c: looked in")
        await run.sees("set substitute-path OLD NEW")
        await run.sees("l shows the disassembly")
        session.sources = FakeSession().sources
        await run.press("colon")
        await run.type("set substitute-path /a /b")
        await known(run)
        await run.sees("long total = 0;")


async def test_without_debug_information_the_disassembly_comes_first() -> None:
    async with running((80, 24)) as run:
        await known(run)
        assert run.app.deck.code.display
        assert run.app.focused is run.app.deck.code
        await run.press("1")
        await run.sees("no source lines are known for this")


async def test_what_differs_from_a_bookmark() -> None:
    async with running(debug=True) as run:
        await run.press("g")
        await run.type("500_000")
        await run.press("y")
        await run.type("@boot")
        await run.sees("@boot at 123_456 → here, 500_000")
        await run.sees("a0 000000000001e240 → 000000000007a120")
        await run.sees("80004008 40 → 20  ticks")
        registers = run.app.deck.registers
        assert registers.changed("a0", 0)
        assert not registers.changed("a1", 0)
        assert run.app.deck.memory._changed(BASE + 0x4008, 0)
        await run.press("i")
        await known(run)
        await run.sees("→ here, 500_001")
        await run.press("f7", "down", "down", "down", "enter")
        await run.sees("80004008")
        await run.press("y")
        await run.type("")
        await run.press("i")
        await known(run)
        assert registers.changed("ra", -1)
        await run.press("f7")
        await run.sees("the last stop at 500_001 → here, 500_002")


async def test_back_and_forward_over_every_jump() -> None:
    async with running(debug=True) as run:
        timeline = run.app.timeline
        await run.press("g")
        await run.type("1_000")
        await run.press("s", "s")
        await run.pilot.mouse_down("#timeline", offset=(30, 4))
        for column in (31, 33, 36):
            await run.pilot.hover("#timeline", offset=(column, 4))
        await run.pilot.mouse_up("#timeline", offset=(36, 4))
        dragged = timeline.window.position(36 - 9)
        await run.stands(dragged)
        await run.press("right", "right", "right_square_bracket")
        event = run.position
        for expected in (timeline.window.position(36 - 9), 1_008, 0):
            if expected == dragged:
                await run.press("ctrl+o")  # over the event
            await run.press("ctrl+o")
            await run.stands(expected)
        await run.press("ctrl+o")
        await run.sees("there is nothing to go back to")
        await run.press("alt+right")
        await run.stands(1_008)
        await run.press("alt+right", "alt+right", "alt+right")
        await run.stands(event)


async def test_the_zoom_window_is_dragged_and_resized() -> None:
    async with running(debug=True) as run:
        timeline = run.app.timeline
        await run.press("g")
        await run.type("6_000_000")
        await run.press("plus", "plus")
        window = timeline.window
        first, last = timeline._band(timeline._window_under("run"))
        middle = 9 + (first + last) // 2

        async def drag(start: int, stop: int, row: int = 1, button: int = 1) -> None:
            await run.pilot.mouse_down("#timeline", offset=(start, row), button=button)
            await run.pilot.hover("#timeline", offset=(stop, row))
            await run.pilot.mouse_up("#timeline", offset=(stop, row))
            await run.settle()

        await drag(middle, middle + 10)
        assert timeline.window.span == window.span
        assert timeline.window.start > window.start
        assert run.position == 6_000_000
        first, last = timeline._band(timeline._window_under("run"))
        stop = timeline.window.stop
        await drag(9 + first, 9 + first + 5)
        assert timeline.window.stop == stop
        assert timeline.window.span < window.span
        start = timeline.window.start
        first, last = timeline._band(timeline._window_under("run"))
        await drag(9 + last, 9 + last - 4)
        assert timeline.window.start == start
        assert timeline.window.stop < stop
        before = timeline.window
        one, other = before.position(20), before.position(40)
        await drag(9 + 20, 9 + 40, row=4, button=3)
        assert (timeline.window.start, timeline.window.stop) == (one, other + 1)
        await run.press("0")
        await run.pilot.click("#timeline", offset=(9 + 20, 1))
        await run.stands(timeline.window.position(20))


async def test_hovering_says_what_happened_without_going_there() -> None:
    async with running((200, 60), debug=True) as run:
        column = run.app.timeline.window.column(run.session.total // 2)
        await run.pilot.hover("#timeline", offset=(9 + column, 5))
        position = run.app.timeline.window.position(column)
        await run.sees(f"{position:_} · ")
        await run.sees("task.c:")
        await run.sees("sd a0,8(sp)")
        assert run.session.calls == [f"look at {position}"]
        assert run.position == 0
        await run.pilot.hover("#timeline", offset=(9 + column, 1))
        await run.sees(f"{position:_} · ")
        await run.pilot.hover("#console", offset=(5, 5))
        await run.sees("whole run")


async def test_a_failing_unwinder_leaves_the_rest_alone() -> None:
    session = FakeSession(debug=True)
    session.failing = {"backtrace": "no call frame information", "variables": "no variables"}
    async with running((200, 60), session=session) as run:
        await known(run)
        await run.sees("no call frame information")
        await run.sees("▶  5   long total = 0;")
        await run.press("i", "i")
        await run.stands(2)


async def test_keys_of_lists_say_when_there_is_nothing() -> None:
    async with running(debug=True) as run:
        await known(run)
        await run.press("D")
        await run.sees("nothing to delete here")
        await run.press("d")
        await run.sees("there is no breakpoint")
        await run.press("e")
        await run.sees("nothing to edit here")
        await run.press("6", "D")
        await run.until(lambda: not run.session.marks)
        await run.press("4", "grave_accent")
        assert run.app.focused is run.app.deck.log_pane
        await run.press("G")
        assert run.session.calls[-1] == "land"


def test_shades_tell_the_nearest_lines_apart() -> None:
    visits = [LineVisit(at, "f", line, 2) for at, line in ((0, 1), (2, 2), (4, 1), (6, 3), (8, 4), (10, 3), (12, 5))]
    past, future = ranks(visits, 7)
    assert past == {("f", 1): 0, ("f", 2): 1}
    assert future == {("f", 4): 0, ("f", 3): 1, ("f", 5): 2}
    assert [shade(rank) for rank in (None, 0, 2, 6, 16, 99)] == [0, 3, 2, 1, 0, 0]


def test_source_is_coloured() -> None:
    lines = ["int x = 0x1f; // one", 'char *s = "/* no"; /* a', "   b */ return 'x';", "#include <a.h>"]
    colours = Highlighter("a.c", lines)
    found = [[(text, kind) for text, kind in colours.line(i) if kind] for i in range(len(lines))]
    assert found[0] == [("int", "keyword"), ("0x1f", "number"), ("// one", "comment")]
    assert found[1][-1] == ("/* a", "comment")
    assert found[2] == [("   b */", "comment"), ("return", "keyword"), ("'x'", "string")]
    assert found[3] == [("#include", "directive")]
    for file in ("a.c", "a.S", "a.rs", "a"):
        for i, line in enumerate(lines):
            assert "".join(text for text, _ in Highlighter(file, lines).line(i)) == line


def test_a_glide_is_one_jump_and_a_cancelled_jump_is_none() -> None:
    jumps = Jumps()
    for position in (0, 10, 20):
        jumps.leave(position, "drag 1")
    jumps.leave(30)
    jumps.leave(30)  # this one led nowhere
    assert jumps.back(30) == 0
    assert jumps.back(0) is None
    assert jumps.forward(0) == 30
