"""Verification: honest traces pass, every injected fault is found, and found in its place."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.devices.goldfish_rtc import GoldfishRtc
from rrdbg_core.devices.uart import Uart
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine
from rrdbg_core.replay import pauses
from rrdbg_core.replay.pauses import Walker
from rrdbg_core.replay.plan import plan
from rrdbg_core.replay.verify import VerifyReport, verify
from rrdbg_core.trace.model import CHECK_PERIOD, EPOCH, Snapshot
from rrdbg_core.trace.reader import Trace

from tests.replay.rewrite import rewrite


def verified(path: Path, **options: object) -> VerifyReport:
    with Trace.open(path) as trace:
        return verify(trace, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("trace", ["shell_trace", "storm_trace", "heap_trace"])
def test_a_good_trace_is_verified(trace: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(trace)
    report = verified(path)
    assert report.ok
    assert report.kind == "ok"
    with Trace.open(path) as opened:
        assert report.steps == opened.end_icount
        assert report.checks == len(opened.checks)
        assert report.digests == len(opened.digests)
        assert report.snapshots == len(opened.snapshots)
    assert "all agree" in report.text


@pytest.mark.parametrize(("trace", "number"), [("shell_trace", 120), ("storm_trace", 150)])
def test_pauses_change_nothing(trace: str, number: int, request: pytest.FixtureRequest) -> None:
    report = verified(request.getfixturevalue(trace), pauses=number, seed=3, fresh_processes=2)
    assert report.ok, report.text
    assert (report.pauses, report.moves, report.processes) == (number, number // 2, 2)


@pytest.mark.slow
@pytest.mark.parametrize("trace", ["shell_trace", "storm_trace"])
def test_ten_thousand_pauses_change_nothing(trace: str, request: pytest.FixtureRequest) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    report = verified(request.getfixturevalue(trace), pauses=10_000, seed=seed)
    assert report.ok, report.text
    assert (report.pauses, report.moves, report.processes) == (10_000, 5000, 100)


def test_the_plan_is_a_function_of_its_seed() -> None:
    places = plan(0, 100_000, 500, 1, 5)
    assert places == plan(0, 100_000, 500, 1, 5)
    assert places != plan(0, 100_000, 500, 2, 5)
    assert {pause.operation for pause in places} == {None, pauses.move, *pauses.HARMLESS}
    assert len(plan(7, 10, 500, 1, 5)) == 3


def test_progress_sees_it_all_and_may_cancel(heap_trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrdbg_core.replay.replayer.POLL_S", 0.0)  # the whole takes some 50 ms
    seen: list[int] = []
    assert verified(heap_trace, progress=seen.append).ok
    assert seen == sorted(seen)
    assert len(seen) > 5

    def cancel(icount: int) -> None:
        if icount > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verified(heap_trace, progress=cancel)


# ---- faults in the recording ---------------------------------------------------------------------------------------
def inputs(events: list[Event]) -> list[int]:
    return [number for number, event in enumerate(events) if event.kind is EventKind.UART_INPUT]


def entropy(events: list[Event]) -> list[int]:
    return [number for number, event in enumerate(events) if event.kind is EventKind.BH]


def flip_a_bit(number: int) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        payload = bytearray(events[number].payload)
        payload[-1] ^= 1
        events[number] = replace(events[number], payload=bytes(payload))
        return events

    return change


def move_by(number: int, steps: int) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        events[number] = replace(events[number], icount=events[number].icount + steps)
        return events

    return change


def lose(number: int) -> Callable[[list[Event]], list[Event]]:
    return lambda events: [event for at, event in enumerate(events) if at != number]


FAULTS = {
    "bit": flip_a_bit,
    "lost": lose,
    "late": lambda number: move_by(number, 1),
    "early": lambda number: move_by(number, -1),
}


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("which", [0, 10, -1])
def test_a_changed_journal_is_found_in_its_stretch(fault: str, which: int, storm_trace: Path, tmp_path: Path) -> None:
    with Trace.open(storm_trace) as trace:
        number = entropy(list(trace.events))[which]
        event = trace.events[number]
        end = trace.end_icount
    rewrite(storm_trace, tmp_path / "a.rrt", events=FAULTS[fault](number))
    report = verified(tmp_path / "a.rrt")
    assert not report.ok
    assert report.kind == "recording"
    assert report.stretch is not None
    lo, hi = report.stretch
    assert lo <= event.icount - 1
    # behind the last check word, only the digest at the end tells
    assert event.icount <= hi <= (end if which == -1 else lo + CHECK_PERIOD)
    assert "re-executions agree" in report.text
    assert "rng" in report.text


@pytest.mark.parametrize("fault", list(FAULTS))
def test_changed_input_is_found_though_the_guest_hardly_notices(fault: str, shell_trace: Path, tmp_path: Path) -> None:
    with Trace.open(shell_trace) as trace:
        number = inputs(list(trace.events))[2]
    rewrite(shell_trace, tmp_path / "a.rrt", events=FAULTS[fault](number))
    report = verified(tmp_path / "a.rrt")
    assert not report.ok
    assert report.kind == "recording"
    with Trace.open(shell_trace) as trace:
        assert report.stretch is not None
        lo, hi = report.stretch
        assert lo < trace.events[number].icount <= hi


def test_changed_check_words_and_digests_are_found(heap_trace: Path, tmp_path: Path) -> None:
    def change(words: np.ndarray) -> np.ndarray:
        words[300] ^= np.uint64(1 << 17)
        return words

    report = verified(rewrite(heap_trace, tmp_path / "a.rrt", checks=change))
    assert (report.kind, report.stretch) == ("recording", (300 * CHECK_PERIOD, 301 * CHECK_PERIOD))
    report = verified(rewrite(heap_trace, tmp_path / "b.rrt", digest=lambda icount, digest: digest[::-1]))
    assert (report.kind, report.stretch) == ("recording", (0, EPOCH))


def test_a_wrong_snapshot_is_found(heap_trace: Path, tmp_path: Path) -> None:
    def bit_of_ram(number: int, pages: np.ndarray, content: np.ndarray) -> None:
        if number == 1:
            content[0, 17] ^= 4

    report = verified(rewrite(heap_trace, tmp_path / "a.rrt", pages=bit_of_ram))
    assert (report.kind, report.icount) == ("snapshot", EPOCH)
    assert "RAM page at 0x8000" in report.text

    def bit_of_state(number: int, snapshot: Snapshot) -> Snapshot:
        if number == 1:
            words = snapshot.state["hart0"].copy()
            words[4] ^= np.uint64(1)
            return replace(snapshot, state=snapshot.state | {"hart0": words})
        return snapshot

    report = verified(rewrite(heap_trace, tmp_path / "b.rrt", snapshot=bit_of_state))
    assert (report.kind, report.icount) == ("snapshot", EPOCH)
    assert "hart0.x[5]" in report.text


def test_a_machine_that_starts_otherwise_is_found(shell_trace: Path, tmp_path: Path) -> None:
    def change(number: int, pages: np.ndarray, content: np.ndarray) -> None:
        content[2, 5] ^= 1

    report = verified(rewrite(shell_trace, tmp_path / "a.rrt", pages=change))
    assert (report.kind, report.icount) == ("power-on", 0)
    assert "RAM 0x8000" in report.text


# ---- faults of replay ----------------------------------------------------------------------------------------------
def test_a_bit_of_ram_flipped_in_a_pause_is_blamed_on_the_pause(
    storm_trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flip(walker: Walker, limit: int, rng: random.Random) -> None:
        """Flip a bit of RAM."""
        if walker.machine.icount > 600_000:
            walker.machine.core.write(0x8070_0123, b"\x10")

    monkeypatch.setattr(pauses, "HARMLESS", [flip])
    report = verified(storm_trace, pauses=60, seed=1, fresh_processes=0)
    assert not report.ok
    assert report.kind == "re-execution"
    first = min(p.icount for p in plan(0, 1_500_000, 60, 1, 0) if p.operation is flip and p.icount > 600_000)
    assert report.icount == first
    assert f"the pause at icount {first} changes the guest (Flip a bit of RAM)" in report.text
    assert "RAM 0x80700120: 0x0000000000000000, 0x0000000010000000" in report.text


def test_a_hidden_cache_that_changes_the_future_is_bisected_to_the_step(
    storm_trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stale state beside the schema: equal at the pause, different when a step comes to use it."""
    fault_at = 0

    def poison(walker: Walker, limit: int, rng: random.Random) -> None:
        """Leave something behind."""
        machine = walker.machine
        if not machine.icount <= fault_at <= limit:
            return
        machine.run(fault_at)
        machine.core.hart[L.X + 27] ^= np.uint64(1 << 40)

    monkeypatch.setattr(pauses, "HARMLESS", [poison])
    planned = plan(0, 1_500_000, 40, 2, 0)
    before, behind = next((a, b) for a, b in pairwise(planned) if a.operation is poison and b.icount - a.icount > 9000)
    fault_at = (before.icount + behind.icount) // 2
    report = verified(storm_trace, pauses=40, seed=2, fresh_processes=0)
    assert not report.ok
    assert report.kind == "re-execution"
    # the walk that is stopped right there is poisoned at its end already
    assert report.stretch == (fault_at - 1, fault_at)
    assert f"two re-executions differ in step {fault_at - 1}" in report.text
    assert f"(pause at icount {before.icount}: Leave something behind)" in report.text
    assert "hart0.x[27]" in report.text
    assert "pc 0x8000" in report.text


def test_a_field_that_restore_forgets_is_named(storm_trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Machine.restore

    def forgetful(machine: Machine, state: dict[str, np.ndarray], **options: object) -> None:
        state = {name: words.copy() for name, words in state.items()}
        state["device.plic"][:4] = 0
        restore(machine, state, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Machine, "restore", forgetful)
    report = verified(storm_trace, pauses=60, seed=5, fresh_processes=0)
    assert not report.ok
    assert "device.plic." in report.text


def test_a_device_that_reads_the_host_is_no_fault_of_the_recording(
    shell_trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    read = GoldfishRtc.read
    monkeypatch.setattr(GoldfishRtc, "read", lambda self, *args: read(self, *args) ^ next(ticks) << 4)
    report = verified(shell_trace)
    assert not report.ok
    assert report.kind == "re-execution"
    assert "two plain re-executions differ in step" in report.text


def test_state_that_hides_beside_the_schema_is_found(storm_trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that remembers something in a Python attribute is another one in a new machine."""
    write = Uart.write
    seen: dict[int, int] = {}

    def hiding(self: Uart, offset: int, size: int, value: int) -> None:
        seen[id(self)] = seen.get(id(self), 0) + 1
        write(self, offset, size, value)
        if seen[id(self)] % 50 == 0:
            self.state.scr = seen[id(self)] & 0xFF

    monkeypatch.setattr(Uart, "write", hiding)
    report = verified(storm_trace, pauses=30, seed=5, fresh_processes=0)
    assert not report.ok
