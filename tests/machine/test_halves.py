"""Bottom halves: plain ones run once however often they are scheduled, oneshot ones once for each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from rrdbg_core.devices.user import read_source
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import Divergence, Now, ReplaySource

from tests.machine.boot import boot

FILE = Path(__file__).with_name("postman.py")
BASE = 0x4000_0000
POSTMAN = DeviceRef(
    kind="postman.py:Postman", name="postman", address=BASE, irq=30, source=read_source(f"{FILE}:Postman")
)
THREE = "li t0, {base}; li t1, 7; sw t1, {at}(t0); sw t1, {at}(t0); sw t1, {at}(t0); end: j end"


def _machine(at: int, events: list[Event] | None = None) -> Machine:
    return boot(THREE.format(base=BASE, at=at), devices=(POSTMAN,), events=events or [])


class _Listening(ReplaySource):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__([], 1 << 60)
        self.told: list[tuple[str, str, bytes, bool]] = []

    def scheduled(self, device: str, name: str, request: bytes, oneshot: bool) -> None:
        self.told.append((device, name, request, oneshot))


def _bh(icount: int, kind: EventKind = EventKind.BH, payload: bytes = b"\5") -> Event:
    return Event(icount, kind, "postman", "letter", payload, 0)


def test_a_plain_one_is_pending_once() -> None:
    machine = _machine(0)
    machine.source = source = _Listening()
    machine.run(20)
    assert machine.halves.tolist() == [1, 0]
    assert source.told == [("postman", "letter", b"\7\0\0\0", False)]


def test_oneshot_ones_are_counted() -> None:
    machine = _machine(4)
    machine.source = source = _Listening()
    machine.run(20)
    assert machine.halves.tolist() == [0, 3]
    assert source.told == [("postman", "letter", b"\7\0\0\0", True)] * 3


def test_a_completion_runs_at_its_icount_and_is_told_once() -> None:
    machine = _machine(0, [_bh(15)])
    applied: list[Event] = []
    machine.on_event = applied.append
    machine.run(14)
    assert machine.devices["postman"].state.answers == 0  # type: ignore[attr-defined]
    machine.run(15)
    assert machine.devices["postman"].state.dump().model_dump() == {"answers": 1, "last": 5}
    assert machine.halves.tolist() == [0, 0]
    assert applied == [_bh(15)]


def test_a_plain_one_can_be_scheduled_again_after_it_ran() -> None:
    machine = _machine(0, [_bh(3)])  # between the first store and the second
    machine.run(20)
    assert machine.devices["postman"].state.answers == 1  # type: ignore[attr-defined]
    assert machine.halves.tolist() == [1, 0]


def test_three_oneshot_ones_take_three_completions_and_no_fourth() -> None:
    events = [_bh(15, EventKind.BH_ONESHOT, bytes([n])) for n in (1, 2, 3)]
    machine = _machine(4, events)
    machine.run(20)
    assert machine.devices["postman"].state.dump().model_dump() == {"answers": 3, "last": 3}
    machine = _machine(4, [*events, _bh(16, EventKind.BH_ONESHOT)])
    with pytest.raises(
        Divergence, match=r"at icount 16: .*BH_ONESHOT.* completes postman.letter, which is not pending"
    ):
        machine.run(20)


def test_plain_and_oneshot_are_two_things() -> None:
    machine = _machine(4, [_bh(15)])
    with pytest.raises(Divergence, match="not pending"):
        machine.run(20)


def test_timers_of_the_machine_are_no_events() -> None:
    machine = boot("li t0, 0x02004000; li t1, 2; sd t1, 0(t0); end: j end")
    applied: list[Event] = []
    machine.on_event = applied.append
    machine.run(1000)
    assert machine.clint.state.mtip[0] == 1  # type: ignore[attr-defined]
    assert applied == []


def test_the_source_is_asked_right_behind_the_step_that_scheduled() -> None:
    machine = _machine(0)
    asked: list[int] = []

    class Asked(_Listening):
        def take(self, now: Now) -> Event | None:
            asked.append(now.icount)
            return super().take(now)

    machine.source = Asked()
    machine.run(20)
    assert 3 in asked  # lui, addi, and the first store is the third step


def test_pending_ones_are_saved() -> None:
    machine = _machine(4)
    machine.run(20)
    other = _machine(4)
    other.restore(machine.save())
    assert other.halves.tolist() == [0, 3]
    other.source = ReplaySource([_bh(20, EventKind.BH_ONESHOT)], 1 << 60)
    other.run(20)
    assert other.halves.tolist() == [0, 2]
