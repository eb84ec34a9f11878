"""Points of a front end stop like any other, and users neither see nor touch them."""

from __future__ import annotations

import pytest

from rrdbg.session.api import NotFound, Session, StopReason


def test_they_stop_both_ways(session: Session) -> None:
    point = session.add_break("bump", internal=True)
    watch = session.add_watch("counter", internal=True)
    assert (point.number, watch.number) == (-1, -2)
    stops = [session.continue_() for _ in range(4)]
    assert [stop.points for stop in stops] == [(-1,), (-2,), (-1,), (-2,)]
    assert [stop.reason for stop in stops[:2]] == [StopReason.BREAKPOINT, StopReason.WATCHPOINT]
    back = session.reverse_continue()
    assert back.points == (-2,)
    assert "Breakpoint" not in stops[0].text
    assert "watchpoint" not in back.text


def test_they_are_nobody_elses(session: Session) -> None:
    hidden = session.add_break("bump", internal=True)
    mine = session.add_break("handler")
    assert mine.number == 1
    assert session.points() == (mine,)
    session.enable_point(on=False)
    assert session.continue_().points == (hidden.number,)
    session.delete_point()
    assert session.continue_().points == (hidden.number,)
    session.delete_point(hidden.number)
    with pytest.raises(NotFound):
        session.delete_point(hidden.number)
    assert session.continue_().reason is StopReason.END
