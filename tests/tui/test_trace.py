"""The interface over recorded traces and the real engine: what it shows is what a session of its own says."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rrdbg_core.errors import RrdbgError

import rrdbg
from rrdbg.session.api import Session
from rrdbg.session.overview import Overview
from rrdbg.tui.panes.source import ranks, shade
from rrdbg.tui.scale import whole_run
from rrdbg.tui.timeline import GUTTER
from tests.tui.real import Real, over_trace, record_shell, record_until

LONG = 50_000_000
"""Steps of a run with several snapshots."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_shell(tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rrdbg_core.replay.epoch_writer.FLUSH_S", 0.02)
        return record_until(tmp_path_factory.mktemp("long"), "interp", LONG)


@pytest.fixture
def judge(shell: Path) -> Iterator[Session]:
    """A second session over the same trace, walked by the test."""
    with rrdbg.open(shell) as session:
        yield session


async def agrees(run: Real, judge: Session) -> None:
    """Check every pane against the judge at the position that is shown."""
    deck, view = run.app.deck, run.app.view
    assert view is not None
    judge.goto(view.position)
    assert view.pc == judge.pc
    assert view.registers == tuple((register.name, register.value) for register in judge.registers())
    assert view.virtual_ns == judge.when().virtual_ns
    printed = b"".join(chunk.data for chunk in judge.console(0, view.position))
    assert deck.console.data[: deck.console.printed] == printed
    address = judge.evaluate("$sp")
    block = address & -256
    await run.until(lambda: deck.memory.address == address and block in deck.memory._now.blocks)
    assert deck.memory._now.blocks[block] == (judge.read_memory(block, 256).data or None)
    if deck.is_shown("registers"):
        await run.sees(f"{view.pc:016x}")
    await run.sees(f" {view.position:_} ")
    await run.until(lambda: run.app.program is not None and run.app.program.position == view.position)
    program = run.app.program
    assert program is not None
    assert program.frames == tuple(judge.backtrace())
    assert program.variables == (*judge.variables("arg"), *judge.variables("local"))
    location = judge.when().location
    assert (program.location.file, program.location.line) == (location.file, location.line)
    assert deck.code.address(deck.code.selected) == view.pc


async def test_what_the_panes_show_is_what_a_session_says(shell: Path, judge: Session) -> None:
    async with over_trace(shell) as run:
        timeline = run.app.timeline
        total = judge.info().end
        assert run.app.overview is not None
        assert run.app.overview.total == total
        await agrees(run, judge)
        for position in (total // 3, total // 2 + 1, 7, total):
            await run.goto(position)
            await agrees(run, judge)
        column = timeline.columns // 4
        await run.pilot.click("#timeline", offset=(GUTTER + column, 4))
        await run.stands(timeline.window.position(column))
        await agrees(run, judge)
        assert [event.icount for event in run.app.deck.events.events] == [event.icount for event in judge.events()]
        window = whole_run(total, timeline.columns)
        counts = {lane.name: lane.counts for lane in judge.timeline(window.start, window.stop, window.columns).lanes}
        await run.until(lambda: run.app.engine.idle)
        assert tuple(timeline.lanes.counts["irqs"]) == counts["interrupts"]
        assert tuple(timeline.lanes.counts["console"]) == counts["console"]
        assert sum(timeline.lanes.counts["console"]) == len(run.app.deck.console.data)


async def test_steps_forth_and_back_meet_the_same_states(shell: Path, judge: Session) -> None:
    async with over_trace(shell, (80, 24)) as run:
        await run.goto(judge.events()[2].icount - 4)
        path = [run.app.view]
        for _ in range(10):
            await run.press("i")
            path.append(run.app.view)
        assert [view.position - path[0].position for view in path] == list(range(11))
        await agrees(run, judge)
        for view in reversed(path[:-1]):
            await run.press("I")
            assert run.app.view.registers == view.registers
            assert run.app.view.position == view.position
        await run.press("o", "O")
        assert run.position == path[0].position


async def test_breakpoints_and_watchpoints_stop_in_both_directions(shell: Path, judge: Session) -> None:
    async with over_trace(shell) as run:
        await run.command("break uart_getc")
        await run.press("c")
        first = run.position
        assert run.app.view.pc == judge.evaluate("uart_getc")
        await run.sees("breakpoint 1")
        await run.press("c")
        assert run.position > first
        await run.press("C")
        await run.stands(first)
        await run.press("9", "b")
        assert not run.app.deck.code.breakpoints
        await run.command("watch ring_head")
        await run.press("end", "C")
        await run.sees("watchpoint 2: write of ring_head")
        head = judge.evaluate("&ring_head")
        judge.goto(run.position)
        before = judge.read_memory(head, 4).data
        judge.stepi()
        assert judge.read_memory(head, 4).data != before


async def test_a_click_on_the_console_goes_to_the_store_that_printed_it(shell: Path, judge: Session) -> None:
    async with over_trace(shell, (80, 24)) as run:
        console = run.app.deck.console
        await run.until(lambda: console.complete)
        await run.press("end", "4", "z")
        await run.sees("[bold]guest[/bold]")
        row = next(i for i in range(console.count()) if "[bold]guest" in "".join(c.text for c in console._cells(i)))
        cell = console._cells(row)[7]
        await run.pilot.click("#console", offset=(7, row - console.scroll_offset.y + console.gutter.top))
        byte = console.data[cell.offset]
        await run.until(lambda: run.position < run.app.timeline.total)
        await run.settle()
        assert console.printed == cell.offset
        (step,) = judge.step_rows(run.position, 1)
        assert [access.value & 0xFF for access in step.accesses if access.kind == "write"] == [byte]


async def test_lines_frames_and_changes_of_a_real_program(shell: Path, judge: Session) -> None:
    async with over_trace(shell) as run:
        await run.command("break uart_putc")
        await run.press("c", "c")
        stopped = run.position
        await agrees(run, judge)
        await run.press("(")
        await run.until(lambda: run.app.program is not None and run.app.program.frame == 1)
        judge.select_frame(1)
        assert run.app.view.registers == tuple((r.name, r.value) for r in judge.registers())
        assert run.app.program.variables == (*judge.variables("arg"), *judge.variables("local"))
        await run.press(")", "n")
        judge.select_frame(0)
        assert judge.next_().when.icount == run.position
        await run.press("N")
        assert judge.reverse_next().when.icount == run.position
        visits = judge.line_visits(4000, 4000)
        await run.until(lambda: run.app.deck.source._trail.position == run.position)
        shaded = ranks(run.app.deck.source._trail.visits, run.position)
        for some, every in zip(shaded, ranks(visits, run.position), strict=True):
            lines = {*some, *every}
            assert [shade(some.get(line)) for line in lines] == [shade(every.get(line)) for line in lines]
        await run.command("display ring_head")
        await run.press("end", "f4", "W")
        head = judge.evaluate("&ring_head")
        judge.goto(run.position)
        before = judge.read_memory(head, 4).data
        judge.stepi()
        assert judge.read_memory(head, 4).data != before
        await run.press("ctrl+o", "ctrl+o")
        await run.stands(stopped)


async def test_an_index_that_cannot_be_read_is_told(shell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(self: object, lo: int, hi: int, gaps: object) -> None:
        raise RrdbgError("chunk 4 (index) does not say what it should", hint="rrdbg verify tells more")

    monkeypatch.setattr(Overview, "_console", damaged)
    async with over_trace(shell) as run:
        await run.sees("⚠ not known: chunk 4 (index)")
        await run.sees("the output is not known: chunk 4 (index)")
        assert "printed nothing" not in run.text
        assert run.app.status.message is not None
        assert run.app.status.message[0] == "error"
        await run.press("8")
        await run.sees("console: chunk 4 (index) does not say what it should")
        await run.sees("rrdbg verify tells more")


async def test_verification_says_so_and_leaves_everything_where_it_is(shell: Path) -> None:
    async with over_trace(shell, (80, 24)) as run:
        await run.goto(5000)
        await run.press("v")
        await run.sees("✔ verified")
        assert run.position == 5000


async def test_bookmarks_are_kept_beside_the_trace(shell: Path) -> None:
    async with over_trace(shell) as run:
        await run.goto(1234)
        await run.press("m")
        await run.type("here")
    async with over_trace(shell) as run:
        await run.press("right_curly_bracket")
        await run.stands(1234)
        await run.press("6")
        await run.sees("◆ here")
        await run.command("delete bookmark here")


async def test_long_work_shows_how_far_it_is_and_ends_at_escape(long: Path) -> None:
    async with over_trace(long, process=True) as run:
        await run.goto(1000)
        # neither ends by itself on any machine: ten thousand pauses, a condition that the engine cannot judge
        await run.command("watch $a0 if (double)$a0 == 0.5")
        for keys in ([*":verify --pauses 10000", "enter"], ["c"]):
            await run.key(*keys)
            await run.until(lambda: run.app.status.work is not None and run.app.status.work.share)
            await run.key("escape")
            await run.until(lambda: not run.app.engine.busy)
            await run.sees("cancelled")
            await run.stands(1000)
            await run.press("i", "I")
            await run.stands(1000)


async def test_a_killed_engine_is_told_and_replaced(long: Path) -> None:
    async with over_trace(long, process=True) as run:
        await run.goto(1000)
        await run.command("watch $a0 if (double)$a0 == 0.5")
        await run.key("c")
        await run.until(lambda: run.app.status.work is not None and run.app.status.work.share)
        os.kill(run.engine_process(), signal.SIGKILL)
        await run.sees("press r to reopen")
        await run.key("i")
        await run.sees("press r to reopen")
        assert run.position == 1000
        await run.key("r")
        await run.until(lambda: run.app.engine.idle and not run.app.dead)
        await run.press("i")
        await run.stands(1001)


async def test_a_recording_that_goes_on_grows_on_the_screen(
    long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrdbg.tui.source.RECENT", 600.0)  # a busy machine opens slowly
    growing = tmp_path / "growing.rrt"
    data = long.read_bytes()
    cut = len(data) * 19 // 20  # behind the images
    growing.write_bytes(data[:cut])
    async with over_trace(growing, process=True) as run:
        await run.sees("● not ended")
        seen = run.app.timeline.total
        assert 0 < seen < LONG
        with open(growing, "ab") as file:
            file.write(data[cut:])
        await run.until(lambda: run.app.timeline.total == LONG)
        await run.until(lambda: "not ended" not in run.text)
        await run.press("end")
        await run.stands(LONG)


async def test_damage_is_told_and_the_rest_opens(shell: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.rrt"
    data = bytearray(shell.read_bytes())
    data[-40] ^= 1
    damaged.write_bytes(data)
    os.utime(damaged, (0, 0))  # nobody writes to it any more
    async with over_trace(damaged, (80, 24)) as run:
        await run.sees("⚠ damaged")
        await run.sees("is damaged")
        assert run.app.deck.is_shown("log")
        await run.press("end", "I")
        assert run.position == run.app.timeline.total - 1


@pytest.mark.parametrize("steps", [0, 10])
async def test_the_shortest_runs(steps: int, tmp_path: Path) -> None:
    async with over_trace(record_until(tmp_path, "hello", steps), (80, 24)) as run:
        for key in ("end", "plus", "right", "space", "C", "c"):
            await run.press(key)
        await run.stands(steps)
        await run.press("I", "home", "v")
        await run.sees("✔ verified")
        await run.stands(0)
