"""The rules of the determinism contract that machine and devices keep: each holds, and a breach of each is noticed.

Rule 1 (a pure function) and rules 8 and 9 (stopping is free, no cache is state) are tests of the recorder and the
verifier; the order of a restore (rule 7) is in test_digest.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.devices.backend import Backend
from rrdbg_core.devices.user import read_source
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import ReplaySource
from rrdbg_core.replay.live import LiveSource

from tests.machine.boot import boot
from tests.machine.violators import LATENCY_NS, Reaching, honest, honest_external

FILE = Path(__file__).with_name("violators.py")
END = 60_000
GUEST = """
    li s0, 0x40000000
    li s1, 0
again:
    sd s1, 0(s0)
    li t0, 400
spin: addi t0, t0, -1
    bnez t0, spin
    ld t1, 8(s0)
    add s2, s2, t1
    ld t1, 16(s0)
    add s2, s2, t1
    ld t1, 24(s0)
    add s2, s2, t1
    addi s1, s1, 1
    j again
"""
"""Asks the sensor now and then, and adds up all that it says."""


@dataclass
class Run:
    """What a run came to."""

    machine: Machine
    events: list[Event]
    digest: bytes


def _machine(kind: str = "Sensor", events: list[Event] | None = None) -> Machine:
    source = read_source(f"{FILE}:{kind}")
    ref = DeviceRef(kind=f"violators.py:{kind}", name="sensor", address=0x4000_0000, irq=33, source=source)
    return boot(GUEST, devices=(ref,), events=events or [], seed=1)


def _record(
    kind: str = "Sensor",
    backend: Callable[[Machine], Backend] = lambda machine: honest(),
    interrupt: Callable[[Machine], bool] = lambda machine: False,
    pieces: int = 1,
) -> Run:
    machine = _machine(kind)
    events: list[Event] = []
    machine.on_event = events.append
    source = LiveSource(machine.config, backends={("sensor", "ask"): backend(machine)}, warp=True)
    machine.source = source
    source.attach(machine.devices)
    for number in range(1, pieces + 1):
        machine.run(END * number // pieces, interrupt=lambda: interrupt(machine))
        interrupt(machine)
    return Run(machine, events, machine.digest())


def _replay(run: Run, kind: str = "Sensor") -> Run:
    machine = _machine(kind)
    machine.source = ReplaySource(run.events, END)
    machine.run(END)
    return Run(machine, run.events, machine.digest())


def _replays(run: Run, kind: str = "Sensor") -> bool:
    return _replay(run, kind).digest == run.digest


def test_the_guest_sees_its_sensor() -> None:
    run = _record()
    state = run.machine.devices["sensor"].state.dump().model_dump()
    assert state["count"] == len(run.events) > 20
    assert state["beats"] == END // 3000 - 1
    assert _replays(run)


# ---- rule 2: only the virtual clock moves the guest ------------------------------------------------------------------
def _slow(machine: Machine) -> bool:
    time.sleep(0.001)
    return False


def test_2_the_speed_of_the_host_does_not_show() -> None:
    fast, slow = _record(pieces=30), _record(interrupt=_slow, pieces=30)
    assert (fast.digest, fast.events) == (slow.digest, slow.events)


def test_2_a_timer_on_the_hosts_clock_would_be_noticed() -> None:
    assert len({_record("HostTimer").digest for _ in range(4)}) > 1
    assert not _replays(_record("HostTimer"), "HostTimer")


# ---- rule 3: the realtime clock is for what the guest cannot see -----------------------------------------------------
def _autosave(machine: Machine) -> bool:
    machine.save()
    machine.digest()
    return False


def _meddle(machine: Machine) -> bool:
    machine.uart.receive(b"tick")
    return False


def test_3_what_happens_in_real_time_changes_nothing() -> None:
    assert _record(interrupt=_autosave, pieces=50).digest == _record().digest


def test_3_a_refresh_that_reaches_the_guest_would_be_noticed() -> None:
    run = _record(interrupt=_meddle, pieces=5)
    assert run.digest != _record().digest
    assert not _replays(run)


# ---- rule 4: EXTERNAL timers -----------------------------------------------------------------------------------------
def test_4_external_timers_are_not_in_the_journal_and_not_in_snapshots() -> None:
    plain = _record(backend=lambda machine: Backend(lambda number, request: b"\7", latency_ns=LATENCY_NS))
    external = _record(backend=lambda machine: honest_external())
    assert external.events == plain.events
    assert external.digest == plain.digest
    assert plain.machine.differences(plain.machine.save(), external.machine.save()) == []
    assert _replays(external)


def test_4_an_external_timer_that_changes_the_guest_would_be_noticed() -> None:
    run = _record(backend=lambda machine: Reaching(machine.devices["sensor"]).external())
    assert not _replays(run)


# ---- rule 5: bottom halves -------------------------------------------------------------------------------------------
def test_5_completions_are_journaled_and_the_devices_own_timers_are_not() -> None:
    run = _record()
    assert {(event.kind, event.device, event.name) for event in run.events} == {(EventKind.BH, "sensor", "ask")}
    assert [int.from_bytes(event.payload, "little") for event in run.events[:3]] == [1000, 1001, 1002]


def test_5_an_answer_around_the_journal_would_be_noticed() -> None:
    run = _record(backend=lambda machine: Reaching(machine.devices["sensor"]).plain())
    assert not _replays(run)


@pytest.mark.parametrize("by", [-1, 1])
def test_5_a_completion_at_another_icount_would_be_noticed(by: int) -> None:
    run = _record()
    event = run.events[7]
    moved = Event(event.icount + by, event.kind, event.device, event.name, event.payload, event.warp_ns)
    assert not _replays(Run(run.machine, [*run.events[:7], moved, *run.events[8:]], run.digest))


def test_5_a_lost_completion_would_be_noticed() -> None:
    run = _record()
    assert not _replays(Run(run.machine, run.events[:-1], run.digest))


# ---- rule 6: save everything, restore exactly ------------------------------------------------------------------------
def _moved(kind: str, at: int) -> bytes:
    """Return the digest of a run that another machine finishes."""
    run = _record(kind)
    first = _machine(kind)
    first.source = source = ReplaySource(run.events, END)
    first.run(at)
    second = _machine(kind)
    second.core.load_pages(np.arange(second.memory.pages), first.memory.rows())
    second.restore(first.save(), order=second.shuffled(at))
    second.source = rest = ReplaySource(run.events, END)
    rest.seek(source.position)
    second.run(END)
    return second.digest()


def test_6_every_field_comes_back() -> None:
    whole, rng = _record().digest, random.Random(6)
    assert {_moved("Sensor", rng.randrange(END)) for _ in range(12)} == {whole}


def test_6_a_field_that_no_snapshot_has_would_be_noticed() -> None:
    assert _replays(_record("Forgetful"), "Forgetful")
    assert _moved("Forgetful", END // 2) != _record("Forgetful").digest
