"""Writing beside the guest: the trace is the one that is written in between, and what goes wrong comes out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from rrdbg_core.replay import epoch_writer
from rrdbg_core.replay.crew import PROCESSES
from rrdbg_core.replay.scribe import Scribe
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.output import Output, TraceFull
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import SHELL, Parts, bundled, recorded, script


@pytest.mark.parametrize("beside", [False, True])
def test_work_is_done_in_order_and_settled(beside: bool) -> None:
    scribe, done = Scribe(beside=beside), []
    for number in range(20):
        scribe.give(lambda number=number: done.append((number, threading.current_thread())))  # type: ignore[misc]
    scribe.settle()
    assert [number for number, _ in done] == list(range(20))
    assert all((thread is threading.current_thread()) != beside for _, thread in done)


def test_it_is_done_while_its_giver_goes_on() -> None:
    scribe, gate = Scribe(beside=True), threading.Event()
    scribe.give(gate.wait)
    gate.set()  # or nobody would
    scribe.settle()


@pytest.mark.parametrize("beside", [False, True])
def test_what_goes_wrong_comes_out_once(beside: bool) -> None:
    scribe, done = Scribe(beside=beside), []

    def fail() -> None:
        raise TraceFull("no more")

    def give_both() -> None:
        scribe.give(fail)
        scribe.give(lambda: done.append("too early"))

    with pytest.raises(TraceFull):
        give_both()
    scribe.settle()
    scribe.give(lambda: done.append("later"))
    scribe.settle()
    assert done == ["later"]


def test_without_threads_it_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    scribe, done = Scribe(beside=True), []
    scribe.give(lambda: done.append(1))
    assert done == [1]


def content(path: Path) -> list[object]:
    """Return all of a trace but its snapshots."""
    with Trace.open(path) as trace:
        assert verify(trace).ok
        epochs = [tuple(map(bytes, (epoch.written, epoch.executed, epoch.read))) for epoch in trace.epochs]
        return [list(trace.events), trace.checks.tolist(), trace.digests, epochs, trace.end_icount, trace.ending]


@pytest.mark.parametrize(
    ("parts", "text"), [(bundled("heap"), ""), (bundled("shell"), SHELL), (bundled("storm"), "")], ids=str
)
def test_a_trace_does_not_show_who_wrote_it(
    parts: Parts, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_writer, "BATCH_S", 0.0)  # each epoch by itself
    found = []
    for processes in ("1", "2"):
        monkeypatch.setenv(PROCESSES, processes)
        path = tmp_path / f"{processes}.rrt"
        recording = recorded(parts, path, script(text) if text else None, steps=40_000_000)
        with Trace.open(path) as trace:
            assert recording.snapshots == len(trace.snapshots)
        found.append(content(path))
    assert found[0] == found[1]


def test_a_disk_that_is_full_for_the_scribe_ends_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROCESSES, "2")
    monkeypatch.setattr(epoch_writer, "BATCH_S", 0.0)
    here, flush, flushes = threading.current_thread(), Output.flush, []

    def full(self: Output) -> None:
        if threading.current_thread() is not here:
            flushes.append(self.size)
            if len(flushes) == 2:
                self.cut(self._written)
                raise TraceFull("the disk is full")
        flush(self)

    monkeypatch.setattr(Output, "flush", full)
    with pytest.raises(TraceFull):
        recorded(bundled("heap"), tmp_path / "a.rrt")
    assert len(flushes) > 2  # the end is written where the epoch was too much
    assert not any(thread.name == "rrdbg-scribe" for thread in threading.enumerate())
    monkeypatch.setattr(Output, "flush", flush)
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert trace.ending is not None
        assert trace.ending.reason == "disk-full"
        assert verify(trace).ok
