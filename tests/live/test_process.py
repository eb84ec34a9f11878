"""A recorder in a process of its own: what it reports, what it does when asked, and how it ends."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace

import rrdbg
from rrdbg.cli import live
from rrdbg.cli.live import COMMAND
from rrdbg.session.live import Broken, Ended, LiveRecorder, Misuse, Printed, pack_output, unpack_output
from tests.cli.programs import elf, spinning, write
from tests.live.recorders import await_end, options, watched
from tests.replay.guests import assemble

COUNT = "li s0, 0; li s1, 0x80080000; loop: addi s0, s0, 1; sd s0, 0(s1); j loop"


@given(st.lists(st.tuples(st.integers(1, 3), st.binary(min_size=1, max_size=3))))
def test_output_survives_the_pipe(pieces: list[tuple[int, bytes]]) -> None:
    at, placed = 0, []
    for gap, data in pieces:
        at += gap - 1  # often the same position again
        placed.append((at, data))
    chunks = unpack_output(*pack_output(placed))
    assert b"".join(chunk.data for chunk in chunks) == b"".join(data for _, data in placed)
    assert [chunk.icount for chunk in chunks] == sorted({at for at, _ in placed})
    for chunk in chunks:
        assert chunk.data == b"".join(data for at, data in placed if at == chunk.icount)


def test_a_conversation(tmp_path: Path) -> None:
    with watched("guest:shell", "-o", tmp_path / "a.rrt") as watch:
        watch.until(lambda: watch.text.endswith(b"$ "))
        watch.recorder.type(b"echo one two\r")
        watch.until(lambda: watch.text.endswith(b"one two\n$ "))
        state = watch.pause()
        assert state.promised == state.icount - state.idle
        watch.recorder.type(b"exit 5\r")
        watch.recorder.resume()
        watch.until(lambda: watch.recorder.outcome)
    outcome = watch.recorder.outcome
    assert isinstance(outcome, Ended)
    assert outcome.exit_code == 5
    assert "exit code 5" in outcome.lines[0]
    with Trace.open(watch.path) as trace:
        assert trace.end_icount == outcome.icount
        pieces = [piece for epoch in trace.epochs for piece in epoch.console]
        assert b"".join(data for _, data in pieces) == watch.text
        assert verify(trace).ok


def test_what_was_reported_is_where_the_trace_has_it(tmp_path: Path) -> None:
    with watched("guest:hello", "-o", tmp_path / "a.rrt", "--no-input") as watch:
        watch.until(lambda: watch.recorder.outcome)
    reported = [chunk for report in watch.reports if isinstance(report, Printed) for chunk in report.chunks]
    with rrdbg.open(watch.path) as session:
        assert session.console(0, session.info().end) == tuple(reported)


def test_a_session_walks_backwards_while_the_recorder_goes_on(tmp_path: Path) -> None:
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    with watched(image, "-o", tmp_path / "a.rrt") as watch, rrdbg.open(tmp_path / "a.rrt") as session:
        seen = []
        for _ in range(4):
            known = session.info().end
            watch.until(lambda known=known: watch.state.promised > known + 100_000)
            end = session.info().end
            assert end > known
            session.goto(end)
            counted = session.evaluate("$s0")
            assert abs(counted - end // 3) < 5
            session.reverse_stepi(30)
            assert session.evaluate("$s0") == counted - 10
            session.add_watch("*(u64*)0x80080000")
            stop = session.reverse_continue()
            assert end - 33 - 3 <= stop.when.icount < end - 30
            session.delete_point()
            seen.append(end)
            assert watch.recorder.outcome is None
        assert seen == sorted(set(seen))
        last = watch.pause()
        assert session.info().end == last.promised == last.icount
        assert session.goto("end").when.icount == last.icount


def test_the_timeline_and_the_console_of_a_growing_trace(tmp_path: Path) -> None:
    """What was found out about its last stretch is completed as it grows, and equals what a fresh look finds."""
    with watched("guest:shell", "-o", tmp_path / "a.rrt") as watch, rrdbg.open(tmp_path / "a.rrt") as session:
        for number in range(4):
            watch.until(lambda: watch.text.endswith(b"$ "))
            end = watch.pause().promised
            assert session.info().end == end
            session.goto(end // 2)
            console, timeline = session.console(0, end), session.timeline(0, end, 50)
            with rrdbg.open(watch.path) as fresh:
                assert fresh.console(0, end) == console
                assert fresh.timeline(0, end, 50) == timeline
            assert session.icount == end // 2
            before = len(watch.text)
            watch.recorder.type(f"echo {number}\r".encode())
            watch.recorder.resume()
            watch.until(lambda before=before: len(watch.text) > before + 6)


def test_misuse_of_a_device_is_told(tmp_path: Path) -> None:
    image = write(tmp_path / "bad.elf", elf(assemble("li t0, 0x100000; li t1, 0x1234; sw t1, 0(t0); stay: j stay")))
    with watched(image, "-o", tmp_path / "a.rrt", "--until", "1M") as watch:
        watch.until(lambda: watch.recorder.outcome)
    assert any(isinstance(report, Misuse) and "finisher" in report.text for report in watch.reports)


# ---- how it ends -----------------------------------------------------------------------------------------------------
def test_ended_by_whoever_watches(tmp_path: Path) -> None:
    with watched(write(tmp_path / "spin.elf", spinning()), "-o", tmp_path / "a.rrt") as watch:
        watch.until(lambda: watch.state.icount > 0)
        outcome = watch.recorder.close()
    assert isinstance(outcome, Ended)
    assert outcome.exit_code == ExitCode.OK
    assert await_end(watch.path) == "interrupted"


def test_a_killed_recorder_is_told_and_its_trace_opens(tmp_path: Path) -> None:
    with watched(write(tmp_path / "spin.elf", spinning()), "-o", tmp_path / "a.rrt") as watch:
        watch.until(lambda: watch.state.promised > 0)
        os.kill(watch.recorder.pid, signal.SIGKILL)
        watch.until(lambda: watch.recorder.outcome)
        assert isinstance(watch.recorder.outcome, Broken)
        assert "killed (signal 9)" in watch.recorder.outcome.error.message
        assert "a.rrt" in (watch.recorder.outcome.error.hint or "")
    with Trace.open(watch.path) as trace:
        assert trace.ending is None
        assert trace.end_icount > 0
        assert verify(trace).ok


def test_asked_to_terminate_it_ends_its_trace(tmp_path: Path) -> None:
    with watched(write(tmp_path / "spin.elf", spinning()), "-o", tmp_path / "a.rrt") as watch:
        watch.until(lambda: watch.state.icount > 0)
        os.kill(watch.recorder.pid, signal.SIGTERM)
        watch.until(lambda: watch.recorder.outcome)
        assert isinstance(watch.recorder.outcome, Ended)
        assert watch.recorder.outcome.exit_code == ExitCode.INTERRUPTED
    assert await_end(watch.path) == "interrupted"


@pytest.mark.parametrize("paused", [False, True])
def test_who_watches_is_killed_and_the_trace_is_whole(tmp_path: Path, paused: bool) -> None:
    watcher = f"""
        import sys, time
        from tests.live.recorders import Watched
        watch = Watched({str(write(tmp_path / "spin.elf", spinning()))!r}, "-o", {str(tmp_path / "a.rrt")!r})
        watch.until(lambda: watch.state.icount > 0)
        if {paused}:
            watch.pause()
        print("ready", flush=True)
        time.sleep(1000)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(watcher)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert await_end(tmp_path / "a.rrt") == "interrupted"
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert trace.damage == ""
        assert verify(trace).ok


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let files of processes that are started now grow to `size` bytes only, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_trace_opens(tmp_path: Path) -> None:
    image = write(tmp_path / "count.elf", elf(assemble(COUNT)))
    with small_disk(20_000), watched(image, "-o", tmp_path / "a.rrt") as watch:
        watch.until(lambda: watch.recorder.outcome)
        assert isinstance(watch.recorder.outcome, Broken)
        error = watch.recorder.outcome.error
        assert error.exit_code == ExitCode.HOST_IO
        assert "cannot write" in error.message
        assert "a trace that can be replayed" in (error.hint or "")
    with Trace.open(watch.path) as trace:
        assert trace.end_icount > 0
        assert verify(trace).ok


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("nothing.elf",), ExitCode.NOT_FOUND, "no such file"),
        (("guest:hello", "-o", "taken.rrt"), ExitCode.USAGE, "exists"),
        (("guest:hello", "--until", "text:\\q"), ExitCode.USAGE, "--until"),
    ],
)
def test_what_cannot_be_recorded_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: ExitCode, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    write(tmp_path / "taken.rrt", "mine")
    recorder = LiveRecorder(COMMAND, options(*args))
    with pytest.raises(RrdbgError, match=words) as caught:
        recorder.started()
    assert caught.value.exit_code == code
    assert (tmp_path / "taken.rrt").read_bytes() == b"mine"


class Pipe:
    """A channel whose reader looks when it is told to, or goes away."""

    def __init__(self) -> None:
        self.reads = threading.Event()
        self.gone = False
        self.messages: list[dict[str, object]] = []

    def send(self, message: dict[str, object]) -> None:
        self.reads.wait()
        if self.gone:
            raise BrokenPipeError
        self.messages.append(message)


@pytest.mark.parametrize("gone", [False, True])
def test_a_guest_that_prints_more_than_is_read_waits(monkeypatch: pytest.MonkeyPatch, gone: bool) -> None:
    monkeypatch.setattr(live, "MAX_WAITING", 100)
    pipe = Pipe()
    reporter = live.Reporter(pipe)  # type: ignore[arg-type]
    printed = []

    def guest() -> None:
        for step in range(1000):
            reporter.printed(step, b"x")
            printed.append(step)

    thread = threading.Thread(target=guest, daemon=True)
    thread.start()
    while len(printed) < 101:
        assert thread.is_alive()
        time.sleep(0.001)
    thread.join(0.05)
    assert thread.is_alive()
    assert len(printed) < 300  # what waits, and what is on its way
    pipe.gone = gone
    pipe.reads.set()
    thread.join(120)
    assert not thread.is_alive()
    reporter.finish()
    assert reporter.gone is gone
    if not gone:
        assert b"".join(data for message in pipe.messages for _, _, data in [message["console"]]) == b"x" * 1000
