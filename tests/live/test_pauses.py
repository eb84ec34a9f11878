"""Pausing a recording is free: the guest cannot see it, and whoever pauses sees everything up to that very step."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rrdbg_core.machine import running
from rrdbg_core.machine.events import EventKind
from rrdbg_core.machine.source import Now
from rrdbg_core.replay import epoch_writer, hostclock
from rrdbg_core.replay.console_input import BytesInput, ConsoleInput, HostInput
from rrdbg_core.replay.control import Control
from rrdbg_core.replay.hostclock import HostClock
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Progress, Recording, Until, record
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import END, SHELL, Parts, assembled, bundled, recorded, script
from tests.replay.test_live import SLEEP
from tests.replay.test_recorder import content

HOUR_S = 3600.0
DEAF = "li t0, 0x2004000; li t1, 5000; sd t1, 0(t0)\n" + SLEEP
"""A guest that sleeps, deaf for the timer that it has set."""

SLOW = "".join(f"after {ms}ms: echo {ms}\\n\n" for ms in range(1, 9)) + "after 1ms: exit 0\\n"
"""Somebody who types slowly at the guest `shell`, which sleeps meanwhile."""

WAIT = """
li t0, 0xc000028; li t1, 1; sw t1, 0(t0)        # UART: priority, enabled at the PLIC
li t0, 0xc002000; li t1, 0x400; sw t1, 0(t0)
li t0, 0x800; csrw mie, t0
wfi
"""
"""Sleeps until the UART has something."""


class Moody(Control):
    """Pauses at random moments, for a random number of looks, and looks at the file each time."""

    def __init__(self, seed: int, path: Path, share: float, count: int = 100) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.path = path
        self.share, self.left = share, count
        self.pauses: list[Progress] = []
        self.waits = 0
        self.last: Progress | None = None

    @property
    def asks(self) -> bool:
        if self.left and self.random.random() < self.share:
            self.left -= 1
            if self.random.random() < 0.7:
                self.waits = self.random.randrange(1, 4)
                self._paused = True
            else:
                self._sync = True
        return self._paused or self._sync

    def wait(self, timeout: float) -> None:
        self.waits -= 1
        self._sync = self.random.random() < 0.5
        if not self.waits:
            self.resume()

    def on_progress(self, progress: Progress) -> None:
        if progress.paused:
            self.pauses.append(progress)


def paused(
    parts: Parts, path: Path, control: Moody, console: ConsoleInput | None = None, steps: int | None = None
) -> None:
    """Record with pauses."""
    source = LiveSource(parts[0], console)
    record(*parts, source, path, until=Until(icount=steps), control=control, on_progress=control.on_progress)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 60))])
@pytest.mark.parametrize("guest", ["shell", "storm", "race"])
def test_a_hundred_pauses_leave_no_mark(guest: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def console() -> ConsoleInput:
        return script(SHELL) if guest == "shell" else BytesInput(b"x" * 300)

    steps = None if guest == "shell" else 400_000
    recorded(bundled(guest), tmp_path / "straight.rrt", console(), steps=steps)
    # looked at every few dozen steps, and at every access that leaves the kernel
    monkeypatch.setattr(running, "SLICE", 97)
    monkeypatch.setattr(running, "ACCESSES", 3)
    control = Moody(seed, tmp_path / "paused.rrt", 0.2)
    paused(bundled(guest), tmp_path / "paused.rrt", control, console(), steps)
    assert control.left == 0
    assert len({progress.icount for progress in control.pauses}) > 30
    straight, other = content(tmp_path / "straight.rrt"), content(tmp_path / "paused.rrt")
    for part, value in straight.items():
        assert other[part] == value, part


def test_in_a_pause_the_file_holds_everything_up_to_that_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SLICE", 997)
    path = tmp_path / "a.rrt"
    seen: list[Progress] = []

    class Watched(Moody):
        def wait(self, timeout: float) -> None:
            super().wait(timeout)
            progress = self.pauses[-1]
            # the step that put an idle guest to sleep is not over
            assert progress.promised == progress.icount - progress.idle
            with Trace.open(path) as trace:
                assert trace.end_icount == progress.promised
                assert len(trace.events) >= progress.events - 1
                assert trace.damage == ""
                if not len(seen) % 8:
                    replayer = Replayer(trace)
                    replayer.seek(trace.end_icount)
            seen.append(progress)

    control = Watched(5, path, 0.7, 1000)
    paused(bundled("shell"), path, control, script(SLOW))
    assert any(progress.idle for progress in seen)
    assert any(not progress.idle for progress in seen)
    with Trace.open(path) as trace:
        assert verify(trace).ok


def test_a_guest_that_warps_from_timer_to_timer_is_not_shown_further_than_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "JUMPS", 1)
    control = Moody(1, tmp_path / "a.rrt", 1.0)
    paused(assembled(DEAF), tmp_path / "a.rrt", control, script("after 5ms: x"))
    idle = [progress for progress in control.pauses if progress.idle]
    assert idle
    assert all(progress.promised == progress.icount - 1 for progress in idle)
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert [event.kind for event in trace.events] == [EventKind.UART_INPUT]
        assert verify(trace).ok


# ---- host time -------------------------------------------------------------------------------------------------------
class Watch:
    """A clock that advances a little whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jump: Callable[[], float] = lambda: 0.0

    def __call__(self) -> float:
        self.now += 0.00001 + self.jump()
        return self.now


class Late(HostInput):
    """Somebody who types one byte, but only when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.told = False

    def offer(self, now: Now, room: int) -> int:
        return super().offer(now, room) if self.told else 0


def waiting(path: Path, watch: Watch, control: Control, console: HostInput) -> Recording:
    """Record a guest that waits for one byte, which `console` gives it sooner or later, and then ends."""
    parts = assembled("li s0, 0x10000000; li t0, 7; sb t0, 2(s0); li t0, 1; sb t0, 1(s0)\n" + WAIT + END)
    source = LiveSource(parts[0], console, clock=HostClock(watch))
    console.feed(b"x")
    return record(*parts, source, path, control=control, timeout_s=60)


def test_a_pause_is_not_billed_to_a_guest_that_sleeps(tmp_path: Path) -> None:
    watch, console = Watch(), Late()

    class Long(Moody):
        def wait(self, timeout: float) -> None:
            watch.now += HOUR_S
            console.told = True
            super().wait(timeout)

    recording = waiting(tmp_path / "a.rrt", watch, Long(2, tmp_path / "a.rrt", 1.0, 3), console)
    assert recording.ending.reason == "exit"
    assert watch.now > HOUR_S
    assert recording.virtual_ns < 1_000_000_000
    assert recording.host_seconds < 60


def test_a_stopped_process_is_not_billed_to_its_guest(tmp_path: Path) -> None:
    """After Ctrl-Z and fg, or a night in a closed notebook, neither the guest nor --timeout is an hour older."""
    watch, console = Watch(), Late()

    def naps() -> Iterator[float]:
        yield from [0.0] * 40
        yield HOUR_S
        console.told = True
        while True:
            yield 0.0

    watch.jump = naps().__next__
    recording = waiting(tmp_path / "a.rrt", watch, Control(), console)
    assert recording.ending.reason == "exit"
    assert watch.now > HOUR_S
    assert recording.virtual_ns < 2_000_000_000


def test_the_clock_counts_work_and_not_gaps() -> None:
    watch = Watch()
    clock = HostClock(watch)
    for step, counted in ((0.25, 0.25), (0.9 * hostclock.GAP_S, 0.9 * hostclock.GAP_S), (50.0, hostclock.TICK_S)):
        before = clock.seconds()
        watch.now += step - 0.00001
        assert clock.seconds() - before == pytest.approx(counted)
    clock.pause()
    before = clock.seconds()
    watch.now += 0.5
    clock.resume()
    assert clock.seconds() - before == pytest.approx(0.00001)


# ---- a user ----------------------------------------------------------------------------------------------------------
class Visit:
    """A recording in a thread of its own, with a user at the console."""

    def __init__(self, parts: Parts, path: Path) -> None:
        self.console, self.control = HostInput(), Control()
        self.text = b""
        self.progress: list[Progress] = []
        self.left = False
        self._done = threading.Thread(target=self._run, args=(parts, path), daemon=True)
        self._done.start()

    def _run(self, parts: Parts, path: Path) -> None:
        source = LiveSource(parts[0], self.console)
        self.recording = record(
            *parts,
            source,
            path,
            control=self.control,
            interrupt=lambda: self.left,
            on_console=self._print,
            on_progress=self.progress.append,
        )

    def _print(self, step: int, data: bytes) -> None:
        self.text += data

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, self._give_up()
            time.sleep(0.002)

    def _give_up(self) -> bytes:
        self.left = True
        return self.text

    def pause(self) -> Progress:
        self.control.pause()
        self.until(lambda: self.progress[-1].paused)
        return self.progress[-1]

    def resume(self) -> None:
        self.control.resume()
        self.until(lambda: not self.progress[-1].paused)

    def end(self) -> None:
        self.left = True
        self._done.join(120)
        assert not self._done.is_alive()


def test_a_user_who_pauses_and_types_makes_a_recording_that_verifies(tmp_path: Path) -> None:
    visit = Visit(bundled("shell"), tmp_path / "a.rrt")
    visit.until(lambda: visit.text.endswith(b"$ "))
    for number in range(5):
        first = visit.pause()
        visit.console.feed(f"echo line {number}\r".encode())
        visit.control.sync()
        assert visit.progress[-1].icount == first.icount  # it stands
        visit.resume()
        visit.until(lambda number=number: f"line {number}\n$ ".encode() in visit.text)
    visit.console.feed(b"run fib 20\r")
    visit.pause()
    visit.resume()
    visit.end()
    assert visit.recording.ending.reason == "interrupted"
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert len(trace.events) >= 5
        assert verify(trace, pauses=20).ok


def test_who_ends_a_paused_recording_gets_not_a_step_more(tmp_path: Path) -> None:
    parts = assembled("li s0, 0; loop: addi s0, s0, 1; j loop" + "\n" + END)
    visit = Visit(parts, tmp_path / "a.rrt")
    visit.until(lambda: visit.progress and visit.progress[-1].icount > 1000)
    progress = visit.pause()
    assert not progress.idle
    visit.end()
    assert visit.recording.ending.icount == progress.icount == progress.promised


def test_sync_shows_the_present_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_writer, "FLUSH_S", HOUR_S)
    visit = Visit(bundled("shell"), tmp_path / "a.rrt")
    visit.until(lambda: visit.text.endswith(b"$ ") and visit.progress and visit.progress[-1].idle)
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert trace.end_icount == 0
        visit.control.sync()
        visit.until(lambda: visit.progress[-1].promised > 0)
        trace.refresh()
        assert trace.end_icount == visit.progress[-1].icount - 1
    visit.end()
