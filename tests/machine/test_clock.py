"""The virtual clock: deadlines at exact icounts, idle machines, and what comes first where several things are due."""

from __future__ import annotations

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import Divergence, Idle, Now, ReplaySource

from tests.machine.boot import boot

TIMER = (1 << 63) | 7
SLEEP = """
    li t0, 0x02004000
    li t1, {compare}
    sd t1, 0(t0)
    li t1, {mie:#x}
    csrw mie, t1
    la t1, handler
    csrw mtvec, t1
    {enable}
    wfi
after: j after
handler:
    j handler
"""
"""Sets the timer and waits. Sixteen steps at most until wfi has retired."""


def _sleeper(compare: int, *, mie: int = 0x80, enable: bool = True, **config: object) -> Machine:
    text = SLEEP.format(compare=compare, mie=mie, enable="csrrsi zero, mstatus, 8" if enable else "nop")
    return boot(text, **config)


def _spinner(compare: int, **config: object) -> Machine:
    return boot(
        SLEEP.format(compare=compare, mie=0x80, enable="csrrsi zero, mstatus, 8").replace("wfi", "nop"), **config
    )


def _first_interrupt(machine: Machine) -> tuple[int, int]:
    rows = [(int(icount), int(cause)) for icount, cause in machine.core.take_traps() if int(cause) >> 63]
    return rows[0]


@pytest.mark.parametrize("shift", [0, 1, 3, 7, 10])
@pytest.mark.parametrize("compare", [500, 777, 12_345])
def test_the_timer_interrupt_is_the_first_step_at_which_the_clock_has_come(shift: int, compare: int) -> None:
    machine = _spinner(compare, shift=shift)
    machine.run(2_000_000)
    icount, cause = _first_interrupt(machine)
    assert cause == TIMER
    assert (icount - 1) << shift < 100 * compare <= icount << shift


def test_the_interrupt_comes_there_however_the_run_is_cut() -> None:
    whole = _spinner(50)
    whole.run(6000)
    for cut in (4998, 4999, 5000, 5001, 5002):
        machine = _spinner(50)
        for icount in (cut, cut, 6000):
            machine.run(icount)
        assert machine.digest() == whole.digest()
        assert _first_interrupt(machine) == (5000, TIMER)


def test_a_compare_that_has_passed_interrupts_at_the_next_step() -> None:
    machine = boot(
        """
        la t1, handler
        csrw mtvec, t1
        li t0, 0x02004000
        li t1, 0x7fffffffffffffff
        sd t1, 0(t0)
        li t1, 0x80
        csrw mie, t1
        csrrsi zero, mstatus, 8
        li t1, 5000
        spin: addi t1, t1, -1
        bnez t1, spin
        store: sd zero, 0(t0)
        nop
        end: j end
        handler: j handler
        """
    )
    machine.run(50_000)
    icount, cause = _first_interrupt(machine)
    assert cause == TIMER
    # a second machine stops right behind the store: the next step is the interrupt
    other = boot(bytes(machine.memory.read(0x8000_0000, 256)))
    other.run(icount)
    assert other.core.hart[L.MIP] == 0x80
    assert int(other.core.hart[L.PC]) == int(machine.core.hart[L.MEPC])
    before = boot(bytes(machine.memory.read(0x8000_0000, 256)))
    before.run(icount - 1)
    assert before.core.hart[L.MIP] == 0


def test_a_masked_interrupt_pends_at_its_deadline_and_waits() -> None:
    text = SLEEP.format(compare=30, mie=0x80, enable="nop").replace("wfi", "nop")
    machine = boot(text)
    machine.run(2999)
    assert machine.core.hart[L.MIP] == 0
    machine.run(3000)
    assert machine.core.hart[L.MIP] == 0x80
    machine.run(4000)
    assert not len(machine.core.take_traps())


def test_an_idle_machine_jumps_to_its_deadline() -> None:
    machine = _sleeper(1_000_000)
    assert machine.run(10_000) is StopReason.LIMIT
    (icount, cause), warp_ns = _first_interrupt(machine), machine.warp_ns
    assert cause == TIMER
    assert warp_ns == 100_000_000 - icount
    assert machine.virtual_ns() == 100_000_000 - icount + machine.icount


@pytest.mark.parametrize("shift", [0, 4])
def test_a_jump_lands_exactly_on_the_deadline(shift: int) -> None:
    machine = _sleeper(12_345, shift=shift)
    machine.run(0)
    while not machine.warp_ns:
        machine.run(machine.icount + 1)
    assert machine.virtual_ns() == 1_234_500


def test_wfi_ends_at_an_interrupt_that_is_enabled_but_not_taken() -> None:
    machine = _sleeper(1000, enable=False)
    assert machine.run(1000) is StopReason.LIMIT
    assert machine.core.hart[L.WFI] == 0
    assert not len(machine.core.take_traps())
    assert machine.warp_ns > 0


def test_wfi_does_not_end_at_an_interrupt_that_is_pending_but_disabled() -> None:
    # at power-on the timer interrupt is pending: mtimecmp is 0
    machine = boot("csrw mie, zero; wfi; end: j end")
    assert machine.run(1000) is StopReason.IDLE
    assert (machine.icount, machine.core.hart[L.MIP], machine.core.hart[L.WFI]) == (2, 0x80, 1)


def test_wfi_with_an_enabled_interrupt_pending_does_not_wait() -> None:
    machine = boot("li t0, 0x80; csrw mie, t0; wfi; end: j end")
    assert machine.run(100) is StopReason.LIMIT
    assert machine.warp_ns == 0


def test_a_machine_that_sleeps_for_ever_is_idle_at_every_further_run() -> None:
    machine = _sleeper(1000, mie=0x800)
    assert machine.run(1000) is StopReason.IDLE
    icount, digest = machine.icount, machine.digest()
    assert machine.run(1 << 40) is StopReason.IDLE
    assert (machine.icount, machine.digest()) == (icount, digest)


def test_the_time_register_and_mtime_are_one_clock() -> None:
    machine = boot("csrr a0, time; li t0, 0x0200bff8; ld a1, 0(t0); csrr a2, time; end: j end", shift=10)
    machine.run(10)
    a0, a1, a2 = (int(machine.core.hart[L.X + 10 + n]) for n in range(3))
    assert [a0, a1, a2] == [0, (3 << 10) // 100, (4 << 10) // 100]


def test_the_rtc_shows_its_base_plus_virtual_time_and_its_alarm_comes_exactly() -> None:
    base = 1_700_000_000_123_456_789
    alarm = base + 40_000
    machine = boot(
        f"""
        li t0, 0x101000
        lwu a0, 0(t0)
        lwu a1, 4(t0)
        li t1, {alarm >> 32}
        sw t1, 12(t0)
        li t1, 1
        sw t1, 16(t0)
        li t1, {alarm & 0xFFFF_FFFF}
        sw t1, 8(t0)
        end: j end
        """,
        rtc_base_ns=base,
    )
    machine.run(39_999)
    a0, a1 = int(machine.core.hart[L.X + 10]), int(machine.core.hart[L.X + 11])
    assert a1 << 32 | a0 == base + 1  # the second step reads it
    rtc = machine.devices["rtc"]
    assert (rtc.irq_level(), machine.plic.state.pending[0]) == (False, 0)
    machine.run(40_000)
    assert (rtc.irq_level(), machine.plic.state.pending[0]) == (True, 1 << 11)


def _input(icount: int, data: bytes = b"x", warp_ns: int = 0) -> Event:
    return Event(icount, EventKind.UART_INPUT, "uart", "", data, warp_ns)


def test_timers_come_before_events_at_the_same_icount() -> None:
    machine = boot(SLEEP.format(compare=5, mie=0, enable="nop").replace("wfi", "nop"), events=[_input(500)])
    seen = []
    machine.on_event = lambda event: seen.append((machine.icount, int(machine.core.hart[L.MIP])))
    machine.run(1000)
    assert seen == [(500, 0x80)]


def test_an_event_may_start_a_timer_that_is_due_at_a_later_icount() -> None:
    machine = boot("li t0, 0x10000000; li t1, 0x81; sb t1, 2(t0); end: j end", events=[_input(100)])
    machine.run(100)
    due_ns = machine.uart.next_deadline_ns()
    assert due_ns is not None
    machine.run(due_ns - 1)
    assert not machine.uart.state.timed_out
    machine.run(due_ns)
    assert machine.uart.state.timed_out


def test_events_of_one_icount_keep_their_order() -> None:
    events = [_input(50, b"a"), _input(50, b"b"), _input(60, b"c")]
    machine = boot("li t0, 0x10000000; li t1, 1; sb t1, 2(t0); end: j end", events=events)
    applied: list[Event] = []
    machine.on_event = applied.append
    machine.run(100)
    assert applied == events
    assert bytes(machine.uart.state.rx[:3]) == b"abc"


def test_an_event_of_an_idle_machine_carries_its_virtual_time() -> None:
    machine = _sleeper(1000, mie=0x880)
    machine.run(0)
    while not machine.core.hart[L.WFI] and not machine.warp_ns:
        machine.run(machine.icount + 1)
    idle_at = machine.icount
    # before the deadline, behind it, and none at all
    for warp_ns in (10_000, 99_000):
        events = [_input(idle_at, warp_ns=warp_ns)]
        other = boot(bytes(machine.memory.read(0x8000_0000, 256)), events=events)
        seen = []
        other.on_event = lambda event, o=other, s=seen: s.append((o.virtual_ns(), int(o.core.hart[L.MIP])))  # type: ignore[misc]
        other.run(idle_at)
        assert seen == [(idle_at + warp_ns, 0)]
        assert other.virtual_ns() == 100_000


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (_input(40, warp_ns=5), "does not fit what the guest does"),
        (Event(40, EventKind.UART_INPUT, "nobody", "", b"", 0), "names a device 'nobody'"),
        (Event(40, EventKind.BH, "uart", "work", b"", 0), "bottom half uart.work that does not exist"),
    ],
)
def test_an_event_that_does_not_fit_is_a_divergence_at_its_icount(event: Event, text: str) -> None:
    machine = boot("end: j end", events=[event])
    with pytest.raises(Divergence, match="at icount 40") as caught:
        machine.run(100)
    assert text in str(caught.value)


class _Pieces(ReplaySource):
    """An idle machine that is told to stop a few times before it may jump."""

    def __init__(self) -> None:
        super().__init__([], 1 << 62)
        self.refusals = 3

    def idle(self, now: Now) -> str:
        if self.refusals:
            self.refusals -= 1
            return Idle.STOP
        return super().idle(now)

    def idle_until(self) -> int:
        return 0


def test_a_source_may_stop_an_idle_machine_and_it_goes_on_where_it_was() -> None:
    straight, stopped = _sleeper(5000), _sleeper(5000)
    stopped.source = _Pieces()
    assert [stopped.run(1000) for _ in range(3)] == [StopReason.INTERRUPTED] * 3
    assert stopped.run(1000) is straight.run(1000) is StopReason.LIMIT
    assert stopped.digest() == straight.digest()


def test_interruption_is_asked_for_while_the_guest_spins_on_a_device_and_while_it_jumps_about() -> None:
    polling = boot("li t0, 0x10000000; spin: lbu t1, 5(t0); j spin")
    asked = iter([False, True])
    assert polling.run(1 << 40, interrupt=lambda: next(asked)) is StopReason.INTERRUPTED
    assert polling.icount < 1_000_000
    spinning = boot("end: j end")
    assert spinning.run(1 << 60, interrupt=lambda: True) is StopReason.INTERRUPTED
    assert spinning.icount < 1 << 24


def test_power_off_in_the_step_before_a_limit_is_the_exit_and_not_the_limit() -> None:
    text = "li t0, 0x100000; li t1, 0x73333; sw t1, 0(t0); end: j end"
    probe = boot(text)
    assert probe.run(1 << 30) is StopReason.EXIT
    last = probe.icount
    machine = boot(text)
    assert machine.run(last - 1) is StopReason.LIMIT
    assert not machine.ended
    assert machine.run(last) is StopReason.EXIT
    assert (machine.icount, machine.exit_code) == (last, 7)
    assert machine.run(1 << 30) is StopReason.EXIT
    assert machine.digest() == probe.digest()
