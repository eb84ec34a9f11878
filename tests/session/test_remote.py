"""The engine in a process of its own answers like the one in this process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rrdbg_core.errors import ExitCode, RrdbgError

import rrdbg
from rrdbg.session import api
from rrdbg.session.api import Cancelled, NotFound, PointKind, Session, UsageError
from rrdbg.session.errors import EngineDied
from rrdbg.session.remote import open_remote

from .programs import guest
from .traces import make_trace

CALLS: tuple[tuple[str, Callable[[Session], Any]], ...] = (
    ("info", lambda s: s.info()),
    ("when", lambda s: s.when()),
    ("break", lambda s: s.add_break("bump", condition="$s2 == 2")),
    ("watch", lambda s: s.add_watch("counter", kind=PointKind.AWATCH, ignore=1)),
    ("catch", lambda s: s.add_catch()),
    ("continue", lambda s: s.continue_()),
    ("continue", lambda s: s.continue_(2)),
    ("points", lambda s: s.points()),
    ("pc", lambda s: (s.pc, s.icount)),
    ("registers", lambda s: s.registers(["all"])),
    ("memory", lambda s: s.read_memory(s.evaluate("$sp"), 64)),
    ("no memory", lambda s: s.read_memory(0, 16)),
    ("value", lambda s: s.value("*(u32*)counter")),
    ("disassembly", lambda s: s.disassemble(None, 5, before=3)),
    ("locate", lambda s: s.locate(s.pc)),
    ("lookup", lambda s: s.lookup("bump")),
    ("symbols", lambda s: s.symbols()),
    ("steps", lambda s: s.step_rows(0, 50)),
    ("all steps", lambda s: tuple(s.iter_steps(0, 10**6))),
    ("bookmark", lambda s: s.bookmark("here", "50%", "half")),
    ("note", lambda s: s.note("seen")),
    ("marks", lambda s: (s.bookmarks(), s.notes())),
    ("timeline", lambda s: s.timeline(0, 100, 20)),
    ("events", lambda s: s.events()),
    ("goto", lambda s: s.goto("end")),
    ("console", lambda s: s.console()),
    ("reverse", lambda s: s.reverse_continue()),
    ("finish", lambda s: s.goto("@here") and s.reverse_continue()),
    ("delete", lambda s: s.delete_point()),
    ("nexti", lambda s: (s.nexti(3), s.reverse_nexti(2), s.stepi(), s.reverse_stepi())),
    ("back", lambda s: (s.back(), s.forward())),
    ("verify", lambda s: s.verify(pauses=2, seed=3)),
)


@pytest.fixture
def remote(trace: Path, tmp_path: Path) -> Iterator[Session]:
    copy = tmp_path / "run.rrt"
    copy.write_bytes(trace.read_bytes())
    with open_remote(copy) as session:
        yield session


def test_the_same_answers(trace: Path, remote: Session, tmp_path: Path) -> None:
    copy = tmp_path / "here" / "run.rrt"
    copy.parent.mkdir()
    copy.write_bytes(trace.read_bytes())
    with rrdbg.open(copy) as local:
        for name, call in CALLS:
            expected = call(local)
            if name == "info":
                expected = api.TraceInfo(
                    str(tmp_path / "run.rrt"), *(getattr(expected, field) for field in expected.__match_args__[1:])
                )
            assert call(remote) == expected, name


def test_every_method_goes_through(remote: Session) -> None:
    for name in vars(Session):
        if not name.startswith("_") and name != "on_progress":
            assert hasattr(remote, name), name
    with pytest.raises(AttributeError):
        remote.nosuch  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("call", "kind", "code"),
    [
        (lambda s: s.lookup("nosuch"), NotFound, ExitCode.NOT_FOUND),
        (lambda s: s.goto("nonsense"), UsageError, ExitCode.USAGE),
        (lambda s: s.evaluate("*(u8*)0"), api.Unreadable, ExitCode.FAILED),
        (lambda s: s.back(), NotFound, ExitCode.NOT_FOUND),
    ],
)
def test_the_same_errors(remote: Session, call: Callable[[Session], Any], kind: type[RrdbgError], code: int) -> None:
    with pytest.raises(kind) as caught:
        call(remote)
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
    assert remote.icount == 0


def test_a_trace_that_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "not.rrt"
    path.write_bytes(b"something else entirely" * 10)
    with pytest.raises(RrdbgError) as caught:
        open_remote(path)
    with pytest.raises(RrdbgError) as expected:
        rrdbg.open(path)
    assert (caught.value.message, caught.value.exit_code) == (expected.value.message, expected.value.exit_code)
    assert caught.value.exit_code == ExitCode.BAD_TRACE
    with pytest.raises(RrdbgError):
        open_remote(tmp_path / "nosuch.rrt")


LOOP = """
_start:
    la s0, cell
    li s1, {count}
again:
    addi s1, s1, -1
    sd s1, 0(s0)
    bnez s1, again
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
cell:
    .dword 0
"""


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 million steps that change a cell ten million times."""
    path = tmp_path_factory.mktemp("long") / "long.rrt"
    make_trace(guest(LOOP.format(count=10_000_000), functions=("_start",), objects={"cell": 8}).elf, path)
    return path


NEVER = "(double)$s1 == -5"
"""A condition that is judged ten million times, and not by the engine: it takes minutes on any machine."""


@contextmanager
def once(ready: Callable[[], object], act: Callable[[], object]) -> Iterator[None]:
    """Meanwhile, wait in another thread until something is ready, and then act until that has an effect."""

    def work() -> None:
        while not (ready() and act()):
            time.sleep(0.001)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join()


def test_cancellation(long_trace: Path) -> None:
    seen: list[api.Progress] = []
    with open_remote(long_trace, seen.append) as session:
        session.goto("end")
        seen.clear()
        before = session.when()
        session.add_watch("cell", condition=NEVER)
        with once(lambda: seen, session.cancel), pytest.raises(Cancelled):
            session.reverse_continue()
        assert session.when() == before
        assert session.points()[0].hits == 0
        titles = {progress.title for progress in seen}
        assert "reverse-continue" in titles
        assert all(0 <= progress.done <= progress.total for progress in seen)
        assert session.reverse_stepi().when.icount == before.icount - 1
        assert not session.cancel()
        session.goto(5)
        seen.clear()
        with once(lambda: seen, session.cancel), pytest.raises(Cancelled, match="verifying was cancelled"):
            session.verify(pauses=10_000)
        assert session.icount == 5


def test_a_cancellation_is_never_lost(long_trace: Path) -> None:
    """Wherever it comes: before the engine has begun, or while it works."""
    with open_remote(long_trace) as session:
        session.goto("end")
        session.add_watch("cell", condition=NEVER)
        for delay in (0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02):
            started = threading.Event()

            def cancel(started: threading.Event = started, delay: float = delay) -> None:
                started.wait()
                time.sleep(delay)
                while not session.cancel():
                    time.sleep(0)

            thread = threading.Thread(target=cancel)
            thread.start()
            started.set()
            with pytest.raises(Cancelled):
                session.reverse_continue()
            thread.join()
            assert session.icount == session.info().end


def test_only_what_takes_long_is_cancelled(long_trace: Path) -> None:
    """A cancellation that was meant for a motion may meet the look-ups around it: they end as if there were none."""
    with open_remote(long_trace) as session:
        remote: Any = session

        def cancel_the_next_call() -> None:
            remote._channel.send({"cancel": remote._number + 1})

        cancel_the_next_call()
        point = session.add_break(session.registers(["pc"])[0].value)
        cancel_the_next_call()
        session.delete_point(point.number)
        cancel_the_next_call()
        with pytest.raises(Cancelled):
            session.goto("end")
        assert session.icount == 0
        session.goto("end")
        assert session.icount == session.info().end


def test_an_engine_that_dies(long_trace: Path) -> None:
    seen: list[api.Progress] = []
    session = open_remote(long_trace, seen.append)
    process = session._process  # type: ignore[attr-defined]
    session.goto("end")
    session.add_watch("cell", condition=NEVER)
    seen.clear()
    with (
        once(lambda: seen, lambda: os.kill(process.pid, signal.SIGKILL) is None),
        pytest.raises(EngineDied, match="ended"),
    ):
        session.reverse_continue()
    with pytest.raises(RrdbgError, match="closed"):
        session.when()
    session.close()


def test_the_engine_ends_with_its_face(trace: Path) -> None:
    session = open_remote(trace)
    process = session._process  # type: ignore[attr-defined]
    session.close()
    assert process.wait(60) is not None
    session.close()
