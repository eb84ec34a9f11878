"""What the kernel does of devices by itself: nothing differs from asking the machine, however a run is cut."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.devices.clint import ClintState
from rrdbg_core.devices.contract import DeviceState
from rrdbg_core.devices.uart import UartState
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import StopReason
from rrdbg_core.machine.source import FOREVER, Idle, Now, ReplaySource

from tests.cpu.guest import asm
from tests.machine.boot import boot

END = 40_000
CLINT, COMPARE, TIME, UART, PLIC, CLAIM = 5, 6, 7, 8, 9, 10
BASES = {
    CLINT: 0x200_0000,
    COMPARE: 0x200_4000,
    TIME: 0x200_C000,
    UART: 0x1000_0000,
    PLIC: 0xC00_2000,
    CLAIM: 0xC20_0000,
}
"""Registers that hold the addresses of devices."""
MIE, MTVEC, MEPC, MCAUSE, MIP, MSTATUS, TIME_CSR = 0x304, 0x305, 0x341, 0x342, 0x344, 0x300, 0xC01
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 40))]
PERIODS = (0, 1, 2, 3, 17, 60, 200, 1500)
"""Ticks of 100 ns until the next interrupt."""


def handler(rng: random.Random) -> list[int]:
    """Return a trap handler: the next tick, what the UART has, and on behind an instruction that faults."""
    return [
        asm("csrrs", rd=31, imm=MCAUSE),
        asm("blt", rs1=31, imm=20),  # an interrupt
        asm("csrrs", rd=30, imm=MEPC),
        asm("addi", rd=30, rs1=30, imm=4),
        asm("csrrw", rs1=30, imm=MEPC),
        asm("mret"),
        asm("add", rd=20, rs1=20, rs2=31),
        asm("ld", rd=30, rs1=TIME, imm=-8),
        asm("addi", rd=30, rs1=30, imm=rng.choice(PERIODS[3:])),
        asm("sd", rs1=COMPARE, rs2=30),
        asm("sw", rs1=CLINT),
        asm("lw", rd=29, rs1=CLAIM, imm=4),
        asm("lbu", rd=28, rs1=UART, imm=rng.choice((0, 2))),
        asm("add", rd=21, rs1=21, rs2=28),
        asm("sw", rs1=CLAIM, rs2=29, imm=4),
        asm("mret"),
    ]


def piece(rng: random.Random) -> list[int]:
    """Return what a guest does with its devices, some of it wrong."""
    reg = rng.randrange(11, 20)
    kind = rng.randrange(20)
    if kind < 4:  # the next deadline
        if rng.random() < 0.2:
            return [asm(rng.choice(("sd", "sw")), rs1=COMPARE, rs2=reg, imm=rng.choice((0, 0, 4)))]
        words = [asm("ld", rd=reg, rs1=TIME, imm=-8), asm("addi", rd=reg, rs1=reg, imm=rng.choice(PERIODS))]
        return [*words, asm(rng.choice(("sd", "sd", "sw")), rs1=COMPARE, rs2=reg)]
    if kind < 6:
        return [asm(rng.choice(("sw", "sw", "sd", "sb")), rs1=CLINT, rs2=reg, imm=rng.choice((0, 0, 0, 4)))]
    if kind < 9:
        at = rng.choice(((CLINT, 0), (CLINT, 4), (COMPARE, 0), (COMPARE, 4), (COMPARE, 8), (TIME, -8), (TIME, -4)))
        return [asm(rng.choice(("ld", "lw", "lwu", "lh", "lb")), rd=reg, rs1=at[0], imm=at[1])]
    if kind < 12:  # poll and print
        words = [asm("lbu", rd=reg, rs1=UART, imm=5), asm("addi", rd=reg, imm=rng.randrange(32, 127))]
        return [*words, asm(rng.choice(("sb", "sb", "sw")), rs1=UART, rs2=reg)]
    if kind < 14:  # set the UART up
        at, value = rng.choice(
            ((1, 0), (1, 1), (1, 2), (1, 5), (1, 7), (2, 1), (2, 7), (3, 3), (3, 0x83), (4, 0), (4, 0x10))
        )
        return [asm("addi", rd=reg, imm=value), asm("sb", rs1=UART, rs2=reg, imm=at)]
    if kind == 14:
        return [asm(rng.choice(("lbu", "lw")), rd=reg, rs1=UART, imm=rng.choice((0, 2, 4, 5, 6)))]
    if kind == 15:
        return [asm("addi", rd=reg, imm=rng.choice((0x80, 0x80, 0x88, 0x8))), asm("csrrw", rs1=reg, imm=MIE)]
    if kind == 16:
        return [asm("addi", rd=reg, imm=0x88), asm("csrrs", rs1=reg, imm=MIE), asm("wfi")]
    if kind == 17:
        return [asm(rng.choice(("csrrsi", "csrrci")), rs1=8, imm=MSTATUS)]
    return [asm("csrrs", rd=reg, imm=rng.choice((TIME_CSR, MIP))), asm("xor", rd=22, rs1=22, rs2=reg)]


def program(seed: int) -> bytes:
    """Return a guest that does such things for ever; interrupts of all kinds come in between."""
    rng = random.Random(seed)
    words = []
    for register, base in BASES.items():
        words += [asm("lui", rd=register, imm=base)]
    traps = handler(rng)
    words += [asm("auipc", rd=31), asm("addi", rd=31, rs1=31, imm=16), asm("csrrw", rs1=31, imm=MTVEC)]
    words += [asm("jal", imm=4 * (len(traps) + 1)), *traps]
    # source 10 of the PLIC, 0x28 in its first page
    words += [asm("lui", rd=30, imm=0xC00_0000), asm("addi", rd=31, imm=1), asm("sw", rs1=30, rs2=31, imm=0x28)]
    words += [asm("addi", rd=31, imm=0x400), asm("sw", rs1=PLIC, rs2=31)]
    words += [asm("lui", rd=31, imm=0x1000), asm("addi", rd=31, rs1=31, imm=-0x778), asm("csrrw", rs1=31, imm=MIE)]
    words += [asm("csrrsi", rs1=8, imm=MSTATUS)]
    top = len(words)
    for _ in range(60):
        words += piece(rng)
    words.append(asm("jal", imm=4 * (top - len(words))))
    return struct.pack(f"<{len(words)}I", *words)


class Typist(ReplaySource):
    """Types now and then, at icounts that the seed says; else a machine that idles jumps."""

    def __init__(self, seed: int) -> None:
        super().__init__([], FOREVER)
        rng = random.Random(seed)
        self.keys = sorted((rng.randrange(END), rng.randbytes(rng.randint(1, 3))) for _ in range(rng.choice((0, 12))))

    def next_icount(self) -> int:
        return self.keys[0][0] if self.keys else FOREVER

    def idle_until(self) -> int:
        return self.next_icount()

    def take(self, now: Now) -> Event | None:
        if not self.keys or self.keys[0][0] > now.icount:
            return None
        _, data = self.keys.pop(0)
        return Event(now.icount, EventKind.UART_INPUT, "uart", "", data, now.warp_ns)

    def idle(self, now: Now) -> str:
        return Idle.END if now.deadline_ns is None else Idle.JUMP


class Run:
    """One run of a guest, and all that can be seen of it."""

    def __init__(self, seed: int, source: ReplaySource, *, asked: bool = False, listens: bool = False) -> None:
        self.machine = boot(program(seed), source=source, shift=random.Random(seed).choice((0, 0, 3)))
        self.events: list[Event] = []
        self.printed: list[tuple[int, bytes]] = []
        self.positions: dict[int, Any] = {}
        self.machine.on_event = self.events.append
        self.machine.on_console = lambda step, data: self.printed.append((step, data))
        self.machine.listens = listens
        self.ask(asked)

    def ask(self, asked: bool) -> None:
        """Have the machine see every access, or not."""
        self.machine.on_access = (lambda access: None) if asked else None

    def to(self, *positions: int) -> Run:
        """Go to positions and note the state at each, the first time."""
        for position in positions:
            reason = self.machine.run(position)
            words = {part: words.tobytes() for part, words in self.machine.save().items()}
            self.positions[self.machine.icount] = words, self.machine.digest()
            if reason is not StopReason.LIMIT:
                assert reason is StopReason.IDLE
                break
        return self

    def trail(self) -> tuple[Any, ...]:
        """Return what every run must have in common."""
        core = self.machine.core
        traps = core.take_traps().tolist()
        return self.machine.icount, self.machine.digest(), core.take_checks().tolist(), traps, self.printed, self.events


def straight(seed: int, **options: bool) -> Run:
    return Run(seed, Typist(seed), **options).to(END)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_does_what_the_machine_does(seed: int) -> None:
    slow = straight(seed, asked=True)
    fast = straight(seed)
    expected = slow.trail()
    assert fast.trail() == expected
    assert straight(seed, listens=True).trail() == expected
    # the guest may sleep at the end: it was not cut there
    assert Run(seed, ReplaySource(slow.events, slow.machine.icount, cut=False)).to(END).trail() == expected
    stats = {device.name: device for device in fast.machine.stats().devices}
    assert stats["clint"].served + stats["uart"].served > 20
    assert sum(device.served for device in slow.machine.stats().devices) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_may_be_cut_anywhere(seed: int) -> None:
    rng = random.Random(seed)
    cuts = sorted({*rng.sample(range(END), 100), *range(3_000, 3_100), END})
    slow, mixed = Run(seed, Typist(seed), asked=True).to(*cuts), Run(seed, Typist(seed))
    for cut in cuts:
        mixed.ask(rng.random() < 0.3)
        mixed.to(cut)
    assert mixed.positions == slow.positions
    expected = straight(seed).trail()
    assert mixed.trail() == slow.trail() == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_machine_goes_on_in_another_one(seed: int) -> None:
    rng = random.Random(seed)
    here = straight(seed)
    machine = Run(seed, ReplaySource(here.events, here.machine.icount, cut=False)).machine
    for cut in sorted(rng.sample(range(END), 10)):
        machine.run(cut)
        other = Run(seed, ReplaySource(here.events, here.machine.icount, cut=False)).machine
        assert isinstance(machine.source, ReplaySource)
        assert isinstance(other.source, ReplaySource)
        other.source.seek(machine.source.position)
        pages = machine.core.dirty_pages(1)
        other.core.load_pages(pages, machine.memory.rows()[pages])
        other.restore(machine.save(), order=other.shuffled(seed))
        machine = other
    machine.run(END)
    assert (machine.icount, machine.digest()) == (here.machine.icount, here.machine.digest())


@pytest.mark.parametrize("seed", range(3))
def test_every_step_looks_the_same(seed: int) -> None:
    def log(asked: bool) -> list[Any]:
        run = Run(seed, Typist(seed), asked=asked)
        rows: list[Any] = []
        run.machine.core.log_steps(512, lambda block: rows.extend(block.tolist()))
        run.to(END // 4)
        return [rows, run.trail()]

    assert log(asked=False) == log(asked=True)


@pytest.mark.parametrize("seed", range(3))
def test_breakpoints_stand_where_they_stood(seed: int) -> None:
    def stops(asked: bool) -> list[Any]:
        machine = Run(seed, Typist(seed), asked=asked).machine
        first = 0x8000_0000 + 4 * (len(BASES) + 4)  # the handler
        machine.core.set_breakpoints([first, first + 24])
        found = []
        for _ in range(40):
            machine.core.skip_break_once()
            reason = machine.run(END)
            found.append((reason, machine.icount, machine.save()["hart0"].tolist()))
        return found

    assert stops(asked=False) == stops(asked=True)


def test_the_kernel_knows_the_schemas() -> None:
    def check(state: type[DeviceState], prefix: str) -> int:
        places = {name.lower(): at for name, at in vars(L).items() if name.startswith(prefix) and name not in _OTHERS}
        for name, at in places.items():
            assert state.fields[name.removeprefix(prefix.lower())].offset == at
        return len(places)

    assert check(ClintState, "CLINT_") == 4
    assert check(UartState, "UART_") == 7


_OTHERS = ("CLINT_AT", "CLINT_SERVED", "CLINT_DEADLINES", "UART_AT", "UART_PRINTS", "UART_SERVED")


TICKS = """
    li t0, 0x02004000
    li t2, 0x0200bff8
    la t1, handler
    csrw mtvec, t1
    li t1, 0x80
    csrw mie, t1
    sd zero, 0(t0)
    csrrsi zero, mstatus, 8
loop: {wait}
    j loop
handler:
    ld t1, 0(t2)
    addi t1, t1, 100
    sd t1, 0(t0)
    mret
"""


@pytest.mark.parametrize("wait", ["wfi", "nop"])
def test_a_tick_does_not_leave_the_kernel(wait: str) -> None:
    machine = boot(TICKS.format(wait=wait))
    machine.run(1_000_000)
    stats = machine.stats()
    clint = next(device for device in stats.devices if device.name == "clint")
    assert clint.deadlines.count == (stats.warps if wait == "wfi" else 100)
    assert clint.deadlines.count >= 99
    assert clint.accesses.count == clint.served
    assert sum(stats.exits.values()) - stats.exits["drain"] <= 2 + stats.exits["served"]
