"""Stops in gdb's words, history, cancellation: what motions are beside where they end."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import Cancelled, NotFound, PointKind, Session, StopReason, UsageError

from .history import History
from .model import session_over
from .programs import Guest
from .test_motions import recorded


def test_a_breakpoint(session: Session, counter: Guest) -> None:
    point = session.add_break("bump")
    assert (point.number, point.address) == (1, counter.symbols["bump"])
    stop = session.continue_()
    assert stop.reason is StopReason.BREAKPOINT
    assert stop.points == (1,)
    assert stop.text == f"Breakpoint 1, {counter.symbols['bump']:#018x} in bump ()"
    first = stop.when.icount
    second = session.continue_().when.icount
    assert session.reverse_continue().when.icount == first < second
    stop = session.reverse_continue()
    assert stop.reason is StopReason.START
    assert stop.text.startswith("No more reverse-execution history")
    assert session.continue_(3).points == (1,)
    assert session.evaluate("*(u64*)counter") == 10
    stop = session.continue_()
    assert stop.reason is StopReason.END
    assert stop.exit_code == 7
    assert stop.text.splitlines()[0] == "End of the recording: the guest exited with code 7."
    assert session.points()[0].hits == 6


def test_a_watchpoint(session: Session, history: History) -> None:
    session.add_watch("counter")
    stop = session.continue_()
    assert stop.reason is StopReason.WATCHPOINT
    assert (stop.old, stop.new, stop.access, stop.address) == (0, 5, "write", session.evaluate("counter"))
    assert stop.text.splitlines()[:4] == ["Hardware watchpoint 1: counter", "", "Old value = 0", "New value = 5"]
    assert session.evaluate("*(u64*)counter") == 5
    at = stop.when.icount
    stop = session.reverse_continue()
    assert stop.when.icount == at - 1
    assert session.evaluate("*(u64*)counter") == 0
    # to the user, going backwards, the value before is the new one
    assert stop.text.splitlines()[:4] == ["Hardware watchpoint 1: counter", "", "Old value = 5", "New value = 0"]
    assert history.steps[at - 1].accesses[0].is_write


def test_watchpoints_on_reads_and_accesses(session: Session) -> None:
    session.add_watch("counter", kind=PointKind.RWATCH)
    stop = session.continue_()
    assert stop.access == "read"
    assert stop.text.splitlines()[:3] == ["Hardware read watchpoint 1: counter", "", "Value = 0"]
    session.delete_point()
    session.add_watch("counter", kind=PointKind.AWATCH)
    stop = session.continue_()
    assert stop.text.splitlines()[0] == "Hardware access (read/write) watchpoint 2: counter"
    assert stop.access == "write"


def test_a_register_watchpoint(session: Session) -> None:
    session.goto("end")
    session.add_watch("$s2")
    stop = session.reverse_continue()
    assert (stop.old, stop.new, stop.address) == (1, 0, None)
    assert session.registers(["s2"])[0].value == 1
    assert session.points()[0].register == "s2"


def test_a_catchpoint(session: Session) -> None:
    session.add_catch("ecall-m")
    stop = session.continue_()
    assert stop.reason is StopReason.CATCHPOINT
    assert stop.text.startswith("Catchpoint 1 (exception ecall-m), ")
    assert stop.when.location.text == "handler"
    stop = session.reverse_continue()
    assert session.disassemble(None, 1)[0].text == "ecall"
    assert stop.access == "trap"


def test_two_points_at_one_stop(session: Session) -> None:
    session.add_watch("counter")
    session.add_break("bump+12")
    stop = session.continue_()
    assert stop.points == (1, 2)
    assert stop.text.splitlines()[0] == "Hardware watchpoint 1: counter"
    assert stop.text.splitlines()[-1].startswith("Breakpoint 2, ")


def test_a_temporary_breakpoint_goes(session: Session) -> None:
    session.add_break("bump", temporary=True)
    stop = session.continue_()
    assert stop.deleted
    assert stop.text.startswith("Temporary breakpoint 1, ")
    assert session.points() == ()


def test_ignore_and_condition(session: Session) -> None:
    session.add_break("bump", ignore=1)
    session.add_break("bump", condition="*(u64*)counter == 10")
    session.continue_()
    assert session.evaluate("*(u64*)counter") == 5
    stop = session.continue_()
    assert stop.points == (1, 2)
    session.goto(0)
    session.ignore_point(1, 100)
    stop = session.continue_()
    assert stop.points == (2,)
    session.condition_point(2, "")
    assert session.reverse_continue().points == (2,)
    assert session.evaluate("*(u64*)counter") == 5


def test_a_condition_that_cannot_be_evaluated_stops(session: Session) -> None:
    session.add_break("bump", condition="*(u32*)0x10 == 1")
    stop = session.continue_()
    assert stop.points == (1,)
    assert stop.text.startswith(
        "Error in testing condition for breakpoint 1:\ncannot access memory at address 0x10\n\n"
    )


def test_mistakes_about_points(session: Session) -> None:
    for call in (
        lambda: session.add_break("nosuch"),
        lambda: session.add_break("bump", condition="nosuch == 1"),
        lambda: session.add_break("main.c:12"),
        lambda: session.delete_point(5),
        lambda: session.enable_point(5),
    ):
        with pytest.raises(NotFound):
            call()
    for call in (
        lambda: session.add_break(0x8000_0001),
        lambda: session.add_break("1 +"),
        lambda: session.add_watch("$mstatus"),
        lambda: session.add_watch("$a0", kind=PointKind.RWATCH),
        lambda: session.add_watch("counter", length=1 << 30),
        lambda: session.add_watch("counter", kind=PointKind.BREAK),
        lambda: session.add_catch("nosuch"),
        lambda: session.stepi(-1),
    ):
        with pytest.raises(UsageError):
            call()
    assert session.points() == ()


def test_an_unmapped_watchpoint_never_hits(session: Session) -> None:
    session.add_watch(0x100, length=8, kind=PointKind.AWATCH)
    assert session.continue_().reason is StopReason.END
    assert session.reverse_continue().reason is StopReason.START


def test_finish_shows_the_caller(session: Session) -> None:
    session.until("bump")
    caller = session.goto("-1").when.pc
    session.goto("+2")
    stop = session.finish()
    assert stop.when.pc == caller + 4
    session.until("bump")
    session.stepi(2)
    assert session.reverse_finish().when.pc == caller
    session.goto(2)
    with pytest.raises(NotFound, match=r"outermost|does not show"):
        session.finish()


def test_until(session: Session, counter: Guest) -> None:
    assert session.until("bump").when.location.text == "bump"
    here = session.icount
    assert session.until("+7").when.icount == here + 7
    assert session.reverse_until("-7").when.icount == here
    session.goto("start")
    branch = counter.symbols["again"] + 8
    session.until(branch)
    assert session.until().when.pc == branch + 4  # the loop is over
    assert session.registers(["s2"])[0].value == 0
    assert session.until("end").reason in (StopReason.END, StopReason.STEP)
    stop = session.reverse_until("bump")
    assert stop.when.location.text == "bump"
    assert session.evaluate("*(u64*)counter") == 10
    with pytest.raises(UsageError, match="reverse-until"):
        session.until("#0" if session.events()[0].icount < session.icount else "start")
    with pytest.raises(UsageError, match="until goes forward"):
        session.reverse_until("end")


def test_tick(session: Session) -> None:
    assert session.tick().when.icount == 1
    assert session.tick(10).when.icount == 11
    assert session.tick(-4).when.icount == 7
    assert session.tick(-100).reason is StopReason.START
    assert session.tick(10**9).reason is StopReason.END


@pytest.mark.parametrize(
    "text", ["7", "20%", "+3", "-2", "end", "start", "@mark", "#0", "10ns", "+5ns", "0.012us", "1_0"]
)
def test_goto(session: Session, history: History, text: str) -> None:
    session.bookmark("mark", 17)
    session.goto(11)
    expected = {
        "7": 7, "20%": history.end * 20 // 100, "+3": 14, "-2": 9, "end": history.end, "start": 0, "@mark": 17,
        "#0": history.events[0].icount, "10ns": 10, "+5ns": 16, "0.012us": 12, "1_0": 10,
    }  # fmt: skip
    stop = session.goto(text)
    assert stop.when.icount == session.icount == expected[text]
    assert stop.reason is StopReason.SEEK


@pytest.mark.parametrize("seed", range(8))
def test_back_and_forward(session: Session, history: History, seed: int) -> None:
    rng = random.Random(seed)
    past: list[int] = []
    future: list[int] = []
    for _ in range(60):
        here = session.icount
        match rng.randrange(4):
            case 0 | 1:
                goal = rng.randrange(history.end + 1)
                session.goto(goal)
                if goal != here:
                    past, future = [*past, here], []
            case 2 if past:
                assert session.back().when.icount == past[-1]
                future.append(here)
                past.pop()
            case 3 if future:
                assert session.forward().when.icount == future[-1]
                past.append(here)
                future.pop()
            case 2:
                with pytest.raises(NotFound):
                    session.back()
            case _:
                with pytest.raises(NotFound):
                    session.forward()


LONG: dict[str, Callable[[Session], object]] = {
    "continue": lambda s: s.continue_(),
    "reverse-continue": lambda s: s.reverse_continue(),
    "finish": lambda s: s.finish(),
    "reverse-finish": lambda s: s.reverse_finish(),
    "until": lambda s: s.until("end"),
    "nexti": lambda s: s.nexti(500),
    "reverse-nexti": lambda s: s.reverse_nexti(500),
    "stepi": lambda s: s.stepi(500),
    "reverse-stepi": lambda s: s.reverse_stepi(500),
    "goto": lambda s: s.goto("end"),
    "tick": lambda s: s.tick(500),
    "steps": lambda s: s.step_rows(0, 1000),
}


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt, RrdbgError])
@pytest.mark.parametrize("name", LONG)
def test_what_ends_early_leaves_you_where_you_were(name: str, error: type[BaseException], tmp_path: Path) -> None:
    guest, history = recorded(3)
    session = session_over(history, tmp_path)
    inside = next(p for p in range(history.end // 2, history.end) if session.locate(history.pc(p)).symbol[:1] == "f")
    session.add_watch(guest.symbols["data"], length=64, ignore=10_000)
    session.add_break("recurse", condition="$a0 == 100")
    polled = session._poll
    for after in range(6):
        session.goto(inside)
        session.ignore_point(1, 10_000)
        before = session.points(), session.when(), list(session._past)
        seen = 0

        def poll(icount: int, after: int = after) -> None:
            nonlocal seen
            seen += 1
            if seen == after + 1:
                if error is not Cancelled:
                    raise error("from the engine")
                assert session.cancel()
            polled(icount)

        session._engine.poll = poll
        try:
            LONG[name](session)
        except error:
            assert (session.points(), session.when(), list(session._past)) == before
        else:
            assert seen <= after + 1
        session._engine.poll = polled
        assert not session.cancel()
    assert session.goto(3).when.icount == 3
