"""What a machine says of itself: against counts that were made independently."""

from __future__ import annotations

from collections import Counter

import pytest
from rrdbg_core.cpu.core import Exit
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.stats import NOTHING, SEMIHOSTING, TIMED_ONE_IN, DeviceStats, Meter, Stats

from tests.machine.boot import boot

BASE = 0x8000_0000
POLL = """
    li t0, 0x10000000
    li t2, 0x0c000000
    li t3, {rounds}
loop:
    lbu t1, 5(t0)
    lw t1, 4(t2)
    sb t3, 7(t0)
    addi t3, t3, -1
    bnez t3, loop
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
"""
"""Polls the UART twice and the PLIC once in each round, and ends the run."""
FAULT = """
    la t0, handler
    csrw mtvec, t0
    li t0, 0x40000000
    lw t1, 0(t0)
handler:
    wfi
"""
EXIT_CALL = """
    li a0, 0x20
    la a1, block
    slli zero, zero, 0x1f
    ebreak
    srai zero, zero, 7
stay: j stay
block:
"""


def devices(stats: Stats) -> dict[str, DeviceStats]:
    return {device.name: device for device in stats.devices}


def test_nothing_was_done_by_a_new_machine() -> None:
    stats = boot("stay: j stay").stats()
    assert (stats.steps, stats.region_steps, stats.block_steps, stats.events, stats.warps) == (0, 0, 0, 0, 0)
    assert set(stats.exits) == {cause.name.lower() for cause in Exit}
    assert not any(stats.exits.values())
    assert (stats.mips, stats.region_share, stats.block_share) == (0, 0, 0)
    assert not any(device.accesses.count for device in stats.devices)


@pytest.mark.parametrize("rounds", [1, 60, 61, 500])
def test_accesses_are_those_that_happen(rounds: int) -> None:
    machine = boot(POLL.format(rounds=rounds))
    seen: Counter[str] = Counter()
    machine.on_access = lambda access: seen.update([access.device])
    machine.run(100_000)
    stats = machine.stats()
    assert seen["uart"] == 2 * rounds
    assert {name: device.accesses.count for name, device in devices(stats).items() if device.accesses.count} == seen
    assert stats.exits["mmio_read"] == 2 * rounds
    assert stats.exits["mmio_write"] == rounds + 1
    assert stats.steps == machine.icount
    assert all(device.accesses.ns > 0 for device in stats.devices if device.accesses.count)
    assert stats.cpu_ns > 0
    assert sum(device.ns for device in stats.devices) > 0


@pytest.mark.parametrize("rounds", [1, 500])
def test_what_the_kernel_serves_counts_but_leaves_nothing(rounds: int) -> None:
    machine = boot(POLL.format(rounds=rounds))
    machine.run(100_000)
    stats = machine.stats()
    uart = devices(stats)["uart"]
    assert (uart.accesses.count, uart.served) == (2 * rounds, rounds)
    assert stats.exits["mmio_read"] + stats.exits["mmio_write"] == 2 * rounds + 1
    assert uart.accesses.ns > 0


def test_steps_made_again_count_again() -> None:
    machine = boot("loop: addi t0, t0, 1\n j loop")
    machine.run(1000)
    state = machine.save()
    machine.run(5000)
    machine.restore(state)
    machine.run(3000)
    assert machine.icount == 3000
    assert machine.stats().steps == 1000 + 4000 + 2000


def test_exits_by_cause() -> None:
    machine = boot("loop: addi t0, t0, 1\n j loop")
    machine.core.set_breakpoints([0x8000_0004])
    machine.run(100)
    machine.core.set_breakpoints([])
    for until in range(10, 20):
        machine.run(until)
    exits = machine.stats().exits
    assert {name: n for name, n in exits.items() if n} == {"break": 1, "limit": 10}


def test_accesses_to_nothing() -> None:
    machine = boot(FAULT)
    seen: list[str] = []
    machine.on_access = lambda access: seen.append(access.device)
    machine.run(1000)
    stats = machine.stats()
    assert seen == ["nothing"]
    assert devices(stats)[NOTHING].accesses.count == 1
    assert stats.exits["wfi"] == 1


def test_semihosting_calls_stand_beside_the_devices() -> None:
    machine = boot(EXIT_CALL + "    .dword 0x20026\n    .dword 0\n")
    answers: list[int] = []
    machine.on_answer = lambda register, value: answers.append(value)
    machine.run(100)
    stats = machine.stats()
    assert stats.exits["semihost"] == len(answers) == 1
    assert devices(stats)[SEMIHOSTING].accesses.count == 1


def test_events_and_deadlines() -> None:
    clock = """
        li t0, 0x02004000
        li t1, 50
        sd t1, 0(t0)
        li t1, 0x80
        csrw mie, t1
        wfi
    stay: j stay
    """
    alone = boot(clock)
    alone.run(10_000)
    events = [Event(icount, EventKind.UART_INPUT, "uart", "", b"x", alone.warp_ns) for icount in (7000, 8000)]
    machine = boot(clock, events=events)
    applied: list[Event] = []
    machine.on_event = applied.append
    machine.run(10_000)
    stats = machine.stats()
    assert stats.events == len(applied) == 2
    assert devices(stats)["uart"].events.count == len(applied)
    assert stats.warps == 1
    assert devices(stats)["clint"].deadlines.count == 1


def test_no_regions_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRDBG_TIER2", "0")
    machine = boot("loop: addi t0, t0, 1\n j loop")
    machine.run(40_000_000)
    stats = machine.stats()
    assert stats.steps == 40_000_000
    assert (stats.region_steps, stats.region_share, stats.regions.linked, stats.regions.starts) == (0, 0, 0, 0)
    assert stats.blocks == 1
    assert 39_900_000 < stats.block_steps < 40_000_000
    assert stats.block_share == stats.block_steps / 40_000_000
    machine.core.blocks = False
    machine.run(50_000_000)
    assert machine.stats().block_steps == stats.block_steps


def test_regions_come_and_go() -> None:
    text = "loop: addi t0, t0, 1\n    xor t1, t1, t0\n    j loop"
    machine = boot(text)
    regions = machine.core.regions
    plan = Plan((Block(BASE, assemble(text), ()),), (BASE,))
    regions.add([plan], compile_plans([plan]))
    machine.run(1)
    regions.look_again()
    machine.run(1_000_000)
    stats = machine.stats()
    assert (stats.regions.linked, stats.regions.installed, stats.regions.evicted) == (1, 1, 0)
    assert 990_000 < stats.region_steps <= stats.steps == 1_000_000
    assert stats.region_share == stats.region_steps / 1_000_000
    assert stats.regions.visits >= 1
    regions.clear()
    machine.run(1_100_000)
    after = machine.stats()
    assert (after.regions.linked, after.regions.installed, after.regions.evicted) == (1, 0, 1)
    assert (after.steps, after.region_steps) == (1_100_000, stats.region_steps)


def test_what_is_not_timed_takes_as_long_as_the_rest() -> None:
    meter = Meter()
    for number in range(1, 10 * TIMED_ONE_IN + 1):
        meter.count += 1
        if number % TIMED_ONE_IN == 1:
            meter.time(100)
    assert (meter.cost.count, meter.cost.ns) == (10 * TIMED_ONE_IN, 1000 * TIMED_ONE_IN)
    meter = Meter()
    with pytest.raises(ValueError, match="fails"), meter.timing():
        raise ValueError("fails")
    assert meter.cost.count == 0
