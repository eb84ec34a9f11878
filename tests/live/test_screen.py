"""The interface on a recording under way, over a real recorder."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace
from textual import events

from rrdbg.cli.live import COMMAND
from rrdbg.session.api import ProgressCallback
from rrdbg.session.live import Broken, Ended, LiveRecorder
from rrdbg.session.session import open_session
from rrdbg.tui.live import LiveApp
from rrdbg.tui.run import open_trace, over
from rrdbg.tui.source import Source
from tests.cli.programs import elf, write
from tests.live.recorders import await_end, options
from tests.live.test_process import COUNT, small_disk
from tests.replay.guests import assemble
from tests.tui.helpers import Run


class Live(Run):
    """An interface under test, and its recorder."""

    app: LiveApp

    @property
    def recorder(self) -> LiveRecorder:
        return self.app.recorder

    @property
    def title(self) -> str:
        """The title row."""
        return self.text.splitlines()[0]

    async def live(self) -> None:
        """Wait until the cursor stands at the present of a guest that waits."""
        await self.until(
            lambda: (
                self.app.state is not None
                and self.app.following
                and self.app.state.idle
                and self.position == self.app.state.icount - 1 == self.app.overview.total  # type: ignore[union-attr]
            )
        )

    async def paused(self) -> None:
        """Wait until the recording stands and the cursor is where it stands."""
        await self.until(lambda: self.app.state is not None and self.app.state.paused)
        await self.until(lambda: not self.app.following or self.position == self.app.state.promised)  # type: ignore[union-attr]

    async def typed(self, text: str) -> None:
        """Type into the guest."""
        await self.key(*("enter" if character == "\n" else character for character in text))


@asynccontextmanager
async def showing(
    *args: str | Path, size: tuple[int, int] = (120, 40), typing: bool = True, process: bool = False
) -> AsyncIterator[Live]:
    """Record and show it; the engine runs here, or in a process of its own."""
    recorder = LiveRecorder(COMMAND, options(*args))
    try:
        path = recorder.started()

        def open_source(progress: ProgressCallback) -> Source:
            return open_trace(path, progress) if process else over(open_session(path, progress))

        app = LiveApp(Path(path).name, open_source, recorder, typing=typing)
        async with app.run_test(size=size) as pilot:
            run = Live(app, pilot)
            await run.until(lambda: app.view is not None and app.overview is not None)
            yield run
    finally:
        recorder.close()


async def test_watching_typing_and_the_end(tmp_path: Path) -> None:
    async with showing("guest:shell", "-o", tmp_path / "a.rrt") as run:
        await run.sees("$ ▏")
        await run.live()
        assert "● LIVE" in run.title
        await run.press("T")
        await run.sees("keys go to the guest")
        await run.typed("echo q:?\n")  # keys that mean something in the debugger
        await run.sees("$ echo q:?")
        await run.live()
        assert run.app.is_running
        run.app.post_message(events.Paste("echo pasted\nexit 3\n"))
        await run.sees("recording ended: the guest ended with exit code 3")
        await run.until(lambda: run.app.overview is not None and run.app.overview.ended)
        assert "■ ended" in run.title
        assert "keys go to the guest" not in run.text
        assert b"pasted\n" in run.app.deck.console.data
        await run.stands(run.app.overview.total)  # type: ignore[union-attr]
        await run.press("home")  # and now it is a trace like any other
        await run.stands(0)
        await run.press("T")
        await run.sees("the recording has ended")
        assert isinstance(run.recorder.outcome, Ended)
        assert run.recorder.outcome.exit_code == 3
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert verify(trace).ok


async def test_looking_back_while_the_guest_goes_on(tmp_path: Path) -> None:
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    async with showing(image, "-o", tmp_path / "a.rrt", "--no-input") as run:
        await run.until(lambda: run.position > 100_000)
        assert run.app.following
        await run.press("I")  # an instruction back
        await run.until(lambda: not run.app.following)
        here = run.position
        await run.until(lambda: run.app.overview is not None and run.app.overview.total > here + 1_000_000)
        assert run.position == here  # nothing takes the cursor away
        assert "● LIVE −" in run.title
        await run.press("I")
        await run.stands(here - 1)
        await run.press("end")
        await run.until(lambda: run.app.following and run.position > here + 1_000_000)
        await run.press("P")
        await run.paused()
        assert "⏸ PAUSED" in run.title
        stands = run.position
        assert run.app.state is not None
        assert stands == run.app.state.icount == run.app.overview.total  # type: ignore[union-attr]
        await run.press("home")
        await run.stands(0)
        await run.press("end")
        await run.stands(stands)
        await run.press("space")
        await run.until(lambda: run.position > stands)
        assert run.recorder.outcome is None


async def test_following_never_undoes_a_motion(tmp_path: Path) -> None:
    """Back and forth, quickly, while the trace grows under it: every step back is seen."""
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    async with showing(image, "-o", tmp_path / "a.rrt", "--no-input") as run:
        for _ in range(3):
            await run.until(lambda: run.app.following and run.position > 1000)
            await run.press("colon")
            await run.key(*"reverse-stepi 7", "enter")
            await run.until(lambda: not run.app.following)
            here = run.position
            await run.press("I")
            await run.stands(here - 1)
            run.app.go_live()
            await run.until(lambda here=here: run.position > here)


async def test_a_paused_guest_takes_what_was_typed_when_it_goes_on(tmp_path: Path) -> None:
    async with showing("guest:shell", "-o", tmp_path / "a.rrt", size=(80, 24)) as run:
        await run.sees("$ ▏")
        await run.press("T")
        await run.key("ctrl+a", "p")
        await run.paused()
        await run.typed("mem\n")
        await run.sees("paused")
        icount = run.app.state.icount  # type: ignore[union-attr]
        await run.press("home")  # goes to the guest as well
        assert run.app.following
        await run.key("ctrl+a", "p")
        await run.sees("RAM from")
        await run.until(lambda: run.app.state is not None and run.app.state.icount > icount)
        await run.key("ctrl+a", "x")
        await run.until(lambda: not run.app.typing)
        await run.press("home")
        await run.stands(0)


async def test_a_reset_and_a_literal_escape(tmp_path: Path) -> None:
    async with showing("guest:shell", "-o", tmp_path / "a.rrt") as run:
        await run.sees("$ ▏")
        await run.press("T")
        await run.key("ctrl+a", "r")
        await run.until(lambda: run.app.deck.console.data.count(b"rrdbg guest shell") == 2)
        await run.key("ctrl+a", "ctrl+a", "ctrl+c")
        await run.until(lambda: b"^C" in run.app.deck.console.data)
        await run.until(lambda: run.app.overview is not None and run.app.overview.events >= 2)
    with Trace.open(tmp_path / "a.rrt") as trace:
        payload = b"".join(event.payload for event in trace.events)
        assert payload == b"\x01\x03"


async def test_the_badge_tells_when_following_lags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    async with showing(image, "-o", tmp_path / "a.rrt", "--no-input") as run:
        app = run.app
        await run.until(lambda: run.position > 100_000)
        await run.press("P")
        await run.paused()
        assert app.state is not None
        assert app.view is not None
        assert app.following
        badges: list[str] = []
        with monkeypatch.context() as patch:

            def tell(name: str, badge: str, kind: str) -> None:
                badges.append(badge)

            patch.setattr(app.timeline, "tell", tell)
            state = replace(app.state, icount=10_000_000, host_seconds=10.0, paused=False, idle=False)
            patch.setattr(app, "state", state)
            for position in (10_000_000, 8_000_000, 1_000_000):
                patch.setattr(app, "view", replace(app.view, position=position))
                app._show_state()
        assert badges == ["● LIVE 1M/s", "● LIVE 1M/s", "● LIVE 1M/s −9M"]


async def test_a_long_name_leaves_room_for_the_badge(tmp_path: Path) -> None:
    async with showing("guest:shell", "-o", tmp_path / f"{'long' * 30}.rrt", size=(60, 24)) as run:
        await run.sees("$ ▏")
        await run.until(lambda: "… " in run.title and "● LIVE" in run.title)
        await run.press("P")
        await run.until(lambda: "⏸ PAUSED" in run.title)


async def test_input_from_a_script_cannot_be_typed(tmp_path: Path) -> None:
    keys = write(tmp_path / "keys.txt", 'on "$ ": help\\n\n')
    async with showing("guest:shell", "-o", tmp_path / "a.rrt", "--input-script", keys, typing=False) as run:
        await run.until(lambda: b"exit" in run.app.deck.console.data)
        await run.press("T")
        assert not run.app.typing


async def test_a_killed_recorder_leaves_a_trace_to_walk_in(tmp_path: Path) -> None:
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    async with showing(image, "-o", tmp_path / "a.rrt", "--no-input") as run:
        await run.until(lambda: run.position > 100_000)
        os.kill(run.recorder.pid, signal.SIGKILL)
        await run.sees("the recording broke off: the recorder's process was killed")
        assert "✘ broken off" in run.title
        assert isinstance(run.recorder.outcome, Broken)
        await run.until(lambda: run.app._settled and not run.app._growing)
        await run.press("home")
        await run.stands(0)
        await run.press("end")
        await run.stands(run.app.overview.total)  # type: ignore[union-attr]


async def test_a_full_disk_is_shown(tmp_path: Path) -> None:
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    with small_disk(20_000):
        async with showing(image, "-o", tmp_path / "a.rrt", "--no-input") as run:
            await run.sees("the recording broke off: cannot write")
            await run.press("8")
            await run.sees("a trace that can be replayed")
            await run.press("home")
            await run.stands(0)


async def test_a_dead_engine_is_replaced_and_the_recording_goes_on(tmp_path: Path) -> None:
    async with showing("guest:shell", "-o", tmp_path / "a.rrt", process=True) as run:
        await run.sees("$ ▏")
        await run.live()
        source = run.app.engine._source
        assert source is not None
        os.kill(source.session._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        await run.press("I")
        await run.sees("press r to reopen")
        await run.press("r")
        await run.until(lambda: not run.app.dead and run.app.engine.idle)
        await run.press("T")
        await run.typed("echo still here\n")
        await run.until(lambda: b"still here\n" in run.app.deck.console.data)
        await run.sees("$ ▏")
        assert run.app.deck.console.data.count(b"rrdbg guest shell") == 1
        await run.live()


async def test_quitting_ends_the_recording(tmp_path: Path) -> None:
    async with showing("guest:shell", "-o", tmp_path / "a.rrt") as run:
        await run.sees("$ ▏")
        await run.key("q")
    assert isinstance(run.recorder.outcome, Ended)
    assert await_end(tmp_path / "a.rrt") == "interrupted"
