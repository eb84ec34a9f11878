"""Live sources: when input and completions reach the guest, what idle machines do, and that the journal knows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.devices.backend import Backend
from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import Now, ReplaySource
from rrdbg_core.replay.console_input import BytesInput, ConsoleInput, HostInput
from rrdbg_core.replay.live import LiveSource

from tests.replay.guests import END, Parts, assembled, bundled, script

SLEEP = "stay: wfi; j stay"
"""A guest that waits for ever."""
TIMER = f"""
la t0, done; csrw mtvec, t0
li t0, 0x2004000; li t1, 5000; sd t1, 0(t0)     # 500 us
li t0, 0x80; csrw mie, t0; csrs mstatus, 8(zero)
sleep: wfi; j sleep
done: {END}
""".replace("csrs mstatus, 8(zero)", "li t0, 8; csrs mstatus, t0")
"""A guest that sleeps until its timer goes off."""
ECHO = (
    """
li s0, 0x10000000; li s1, 10
wait: lbu t0, 5(s0); andi t0, t0, 1; beqz t0, wait
lbu t1, 0(s0); sb t1, 0(s0)
bne t1, s1, wait
"""
    + END
)
"""A guest that prints what it reads, a byte at a time and without a FIFO, up to a newline."""


class Live:
    """A machine over a live source, and what it did."""

    def __init__(self, parts: Parts, console: ConsoleInput | None = None, **options: object) -> None:
        self.parts = parts
        self.source = LiveSource(parts[0], console, **options)  # type: ignore[arg-type]
        self.machine = Machine(*parts, self.source)
        self.source.attach(self.machine.devices)
        self.events: list[Event] = []
        self.text = b""
        self.machine.on_event = self.events.append
        self.machine.on_console = self._print

    def _print(self, step: int, data: bytes) -> None:
        self.text += data

    def run(self, until: int = 100_000_000) -> StopReason:
        return self.machine.run(until)

    def check_replay(self) -> None:
        """Replay the journal: the end must be the same, to the bit."""
        end = self.machine.icount
        again = Machine(*self.parts, ReplaySource(self.events, end))
        again.run(end)
        assert (again.icount, again.warp_ns) == (end, self.machine.warp_ns)
        assert again.digest() == self.machine.digest()


def never_waits(now: Now, goal_ns: int | None) -> Now | None:
    """Stand for the wait in host time where there must be none."""
    raise AssertionError(f"waited until {goal_ns}")


def test_a_guest_that_sleeps_for_ever_ends_the_run() -> None:
    live = Live(assembled(SLEEP))
    assert live.run() is StopReason.IDLE
    assert live.events == []
    live.check_replay()


def test_without_live_back_ends_a_timer_comes_at_once() -> None:
    live = Live(assembled(TIMER))
    live.source._wait = never_waits  # type: ignore[method-assign]
    assert live.run() is StopReason.EXIT
    assert live.machine.warp_ns > 400_000
    assert live.events == []  # the warp is derived
    live.check_replay()


def test_bytes_reach_a_guest_that_has_no_fifo_one_by_one() -> None:
    live = Live(assembled(ECHO), BytesInput(b"abc\n"))
    assert live.run() is StopReason.EXIT
    assert live.text == b"abc\n"
    assert [event.payload for event in live.events] == [b"a", b"b", b"c", b"\n"]
    live.check_replay()


def test_bytes_wait_until_the_guest_has_set_up_its_console() -> None:
    # turning the FIFO on clears it: what came before would be lost
    live = Live(assembled("li s0, 0x10000000; li t0, 7; nop; nop; sb t0, 2(s0)\n" + ECHO), BytesInput(b"abcdefghij\n"))
    assert live.run() is StopReason.EXIT
    assert live.text == b"abcdefghij\n"
    assert len(live.events) == 1
    live.check_replay()


def test_a_fifo_takes_input_in_few_events() -> None:
    text = bytes(range(32, 127)) * 4
    live = Live(assembled("li s0, 0x10000000; li t0, 7; sb t0, 2(s0)\n" + ECHO), BytesInput(text + b"\n"))
    assert live.run() is StopReason.EXIT
    assert live.text == text + b"\n"
    assert len(live.events) <= len(text) // 8 + 1
    live.check_replay()


def test_a_script_acts_at_an_icount_a_time_and_a_pattern() -> None:
    live = Live(assembled(ECHO), script('at 3000: x\nafter 20us: y\non "y": \\n'))
    assert live.run() is StopReason.EXIT
    assert [event.payload for event in live.events] == [b"x", b"y", b"\n"]
    assert [event.icount for event in live.events[:2]] == [3000, 23_000]
    assert live.text == b"xy\n"
    live.check_replay()


def test_a_delay_runs_out_while_the_guest_sleeps() -> None:
    live = Live(assembled(SLEEP), script("after 5ms: x"))
    assert live.run() is StopReason.IDLE
    (event,) = live.events
    assert event.payload == b"x"
    assert live.machine.virtual_ns() == 5_000_000
    live.check_replay()


def test_the_seed_decides_entropy_and_its_time() -> None:
    def journal(seed: int) -> list[Event]:
        live = Live(bundled("storm", seed=seed))
        live.run(400_000)
        live.check_replay()
        return live.events

    first, again, other = journal(1), journal(1), journal(2)
    assert len(first) >= 3
    assert first == again
    assert {event.kind for event in first} == {EventKind.BH}
    assert all(event.payload != different.payload for event, different in zip(first, other, strict=False))


def test_host_entropy_comes_when_it_comes_and_is_journaled() -> None:
    live = Live(bundled("storm", seed=None))
    live.run(2_000_000)
    assert live.events
    assert len({event.payload for event in live.events}) == len(live.events)
    live.check_replay()


def test_a_user_who_types_wakes_the_guest_and_the_event_carries_the_warp() -> None:
    console = HostInput()
    live = Live(assembled(SLEEP), console)
    idle = threading.Event()
    live.source.stop = lambda: idle.set() is not None  # asked while the guest sleeps

    def user() -> None:
        idle.wait()
        time.sleep(0.1)
        console.feed(b"x")
        time.sleep(0.05)
        console.close()

    threading.Thread(target=user).start()
    assert live.run() is StopReason.IDLE
    typed, gone = live.events
    assert (typed.kind, typed.payload, gone.kind, gone.device) == (EventKind.UART_INPUT, b"x", EventKind.DETACH, "uart")
    assert 50_000_000 < typed.warp_ns < gone.warp_ns
    live.check_replay()


WORK_AND_SLEEP = "li t0, 2000000; work: addi t0, t0, -1; bnez t0, work\n" + SLEEP
"""A guest that sleeps behind some milliseconds of virtual time."""


@pytest.mark.parametrize("ask", range(4))
@pytest.mark.parametrize("together", [False, True])
def test_a_user_who_acts_whenever_the_source_asks_is_in_the_journal(ask: int, together: bool) -> None:
    """Who answers a prompt at once does so while the guest is falling asleep."""
    console = HostInput()
    live = Live(assembled(WORK_AND_SLEEP), console)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        if asked == ask:
            console.feed(b"x")
        if asked == ask + (not together):
            console.close()
        asked += 1
        return False

    live.source.stop = stop
    assert live.run() is StopReason.IDLE
    assert [event.kind for event in live.events] == [EventKind.UART_INPUT, EventKind.DETACH]
    live.check_replay()


@pytest.mark.parametrize("name", ["_live", "_pressing", "_later_ns"])
def test_a_user_who_acts_between_two_looks_is_in_the_journal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = HostInput()
    live = Live(assembled(WORK_AND_SLEEP), console)
    looks = 0

    def act() -> None:
        nonlocal looks
        looks += live.machine.core.hart[L.WFI] != 0
        if looks == 1:
            console.feed(b"x")
        if looks == 2:
            console.close()

    look = getattr(LiveSource, name)
    if isinstance(look, property):
        assert look.fget is not None
        monkeypatch.setattr(LiveSource, name, property(lambda self: (look.fget(self), act())[0]))
    else:
        monkeypatch.setattr(LiveSource, name, lambda self, now: (act(), look(self, now))[1])
    assert live.run() is StopReason.IDLE
    assert [event.kind for event in live.events] == [EventKind.UART_INPUT, EventKind.DETACH]
    live.check_replay()


def test_with_a_live_console_a_timer_is_waited_for_in_host_time() -> None:
    live = Live(assembled(TIMER.replace("5000", "3000000")), HostInput())
    began = time.monotonic()
    assert live.run() is StopReason.EXIT
    assert time.monotonic() - began >= 0.25  # 300 ms of virtual time
    live.check_replay()


def test_warp_does_not_wait_even_with_a_live_console() -> None:
    live = Live(assembled(TIMER.replace("5000", "600000000")), HostInput(), warp=True)  # a minute of virtual time
    live.source._wait = never_waits  # type: ignore[method-assign]
    assert live.run() is StopReason.EXIT
    live.check_replay()


def test_a_request_to_stop_ends_an_idle_run_and_the_journal_knows_the_time() -> None:
    live = Live(assembled(TIMER.replace("li t0, 0x80", "li t0, 0")), HostInput())
    # the timer goes off but wakes nobody: the clock has warped without an event
    live.source.stop = lambda: live.machine.warp_ns > 0
    assert live.run() is StopReason.INTERRUPTED
    (event,) = live.events
    assert event.kind is EventKind.WARP
    assert event.warp_ns == live.machine.warp_ns > 0
    live.check_replay()


def test_a_user_resets_the_guest() -> None:
    live = Live(assembled(ECHO), script("at 9000: x\nat 12_000: \\n"))
    live.machine.run(5000)
    live.source.request_reset()
    assert live.run() is StopReason.EXIT
    assert live.events[0].kind is EventKind.RESET
    assert live.text == b"x\n"
    live.check_replay()


def test_a_reset_forgets_what_was_asked_of_the_host() -> None:
    answers: list[int] = []
    gate = threading.Event()

    def slow(number: int, request: bytes) -> bytes:
        gate.wait(10)
        answers.append(number)
        return bytes(4)

    live = Live(bundled("storm"), backends={("rng", "entropy"): Backend(slow, live=True)})
    while not live.machine.halves.any():
        live.machine.run(live.machine.icount + 1000)
    live.source.request_reset()
    live.machine.run(live.machine.icount + 100)
    gate.set()
    live.machine.run(live.machine.icount + 300_000)
    assert live.events[0].kind is EventKind.RESET
    live.check_replay()


@pytest.mark.parametrize("live", [False, True])
def test_a_back_end_that_fails_is_named(live: bool) -> None:
    def broken(number: int, request: bytes) -> bytes:
        return bytes(2 << 20)

    machine = Live(bundled("storm"), backends={("virtio-rng", "entropy"): Backend(broken, live=live)})
    with pytest.raises(RrdbgError, match=r"the host back end of rng\.entropy handed over 2097152 bytes"):
        machine.run(3_000_000)


def test_a_position_that_was_left_gets_no_more_events() -> None:
    console = HostInput()
    live = Live(assembled("li t0, 0x10000000; sb zero, 0(t0)\n" + ECHO), console)
    live.machine.run(1000)
    digest = live.machine.digest()
    console.feed(b"x")
    live.machine.run(1000)
    assert live.machine.digest() == digest
    live.machine.run(1001)
    assert [event.icount for event in live.events] in ([], [1001])
    live.machine.run(100_000)
    assert len(live.events) == 1
    assert live.events[0].icount > 1000


class Metronome:
    """A back end that answers at its own times: EXTERNAL timers, every 70 us of virtual time."""

    def start(self, outside: object) -> None:
        self.outside = outside
        self.beats = 0
        outside.external_timer(70_000, self.beat)  # type: ignore[attr-defined]

    def beat(self) -> None:
        self.beats += 1
        self.outside.complete(b"%04d" % self.beats)  # type: ignore[attr-defined]
        self.outside.external_timer(70_000 * (self.beats + 1), self.beat)  # type: ignore[attr-defined]

    def backends(self) -> Mapping[tuple[str, str], Backend]:
        return {("rng", "entropy"): Backend(lambda number, request: None, start=self.start)}


def test_external_timers_follow_the_guest_and_are_not_journaled() -> None:
    def journal(run: Callable[[Live], object]) -> list[Event]:
        live = Live(bundled("storm"), backends=Metronome().backends())
        run(live)
        live.check_replay()
        return live.events

    events = journal(lambda live: live.run(600_000))
    assert len(events) >= 4
    assert {event.kind for event in events} == {EventKind.BH}
    assert all(event.icount % 70_000 == 0 for event in events)
    pieces = journal(lambda live: [live.run(icount) for icount in range(0, 600_001, 7919)] and live.run(600_000))
    assert pieces == events
