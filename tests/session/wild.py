"""Random programs that keep to no convention: traps of every kind, traps in the handler, endless ones, DMA, sleep.

What stops a search is to be found in all of it: steps that only take a trap, memory that a device writes between two
steps, interrupts in front of breakpoints, the first and the last step.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rrdbg_core.devices.backend import Backend
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.replay.backends import seeded_entropy
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until
from rrdbg_core.replay.recorder import record as record_trace
from rrdbg_core.trace import Trace

from .history import History, config_for, record
from .programs import Guest, guest

DATA_BYTES = 96
LIMIT = 800
"""Steps after which a program that does not end is cut."""
TRAPS = 40
"""Steps after which an endless loop of traps is cut."""
RNG = DeviceRef(kind="virtio-rng", name="rng", slot=0)

_START = """
_start:
    la sp, stack_top
    la t0, handler
    csrw mtvec, t0
    la s0, data
    la s1, table
    la s3, recover
{setup}
{body}
recover:
{more}
{end}
stay:
    j stay
handler:
    csrrw t5, mscratch, zero
    beqz t5, plain
    csrr s5, mepc
    csrr s6, mcause
    {inside}
    csrw mepc, s5
    mv t5, s6
    li t6, 0x1800
    csrs mstatus, t6
    j dispatch
plain:
    csrr t5, mcause
dispatch:
    blt t5, zero, interrupt
    addi t5, t5, -1
    beqz t5, lost
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    ld t5, 56(s0)
    addi t5, t5, 1
    sd t5, 56(s0)
    mret
lost:
    csrw mepc, s3
    mret
interrupt:
    slli t5, t5, 1
    addi t5, t5, -22
    beqz t5, external
    li t6, 0x200BFF8
    ld t5, 0(t6)
    addi t5, t5, {period}
    li t6, 0x2004000
    sd t5, 0(t6)
    lbu t5, 48(s0)
    addi t5, t5, 1
    sb t5, 48(s0)
    mret
external:
    li t6, 0xc200004
    lw t5, 0(t6)
    sw t5, 0(t6)
    li t6, 0x10001000
    lw t5, 0x60(t6)
    sw t5, 0x64(t6)
    mret
twice:
    addi a3, a3, 1
    sd a3, 80(s0)
    jalr zero, 0(ra)
data:
    .dword {data}
table:
    .dword {table}
desc:
    .dword 0, 0, 0, 0, 0, 0, 0, 0
avail:
    .dword 0, 0
used:
    .dword 0, 0, 0, 0, 0, 0
stack:
    .dword {stack}
stack_top:
    .dword 0
"""

_TIMER = """
    li t0, 0x200BFF8
    ld t1, 0(t0)
    addi t1, t1, 1
    li t0, 0x2004000
    sd t1, 0(t0)
    li t1, 0x80
    csrs mie, t1
"""

_DEVICE = """
    li t0, 0x10001000
    li t1, 3
    sw t1, 0x70(t0)
    li t1, 1
    sw t1, 0x24(t0)
    sw t1, 0x20(t0)
    li t1, 11
    sw t1, 0x70(t0)
    sw zero, 0x30(t0)
    li t1, 4
    sw t1, 0x38(t0)
    la t1, desc
    sw t1, 0x80(t0)
    la t1, avail
    sw t1, 0x90(t0)
    la t1, used
    sw t1, 0xa0(t0)
    li t1, 1
    sw t1, 0x44(t0)
    li t1, 15
    sw t1, 0x70(t0)
"""

_PLIC = """
    li t0, 0xc000004
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002000
    li t1, 2
    sw t1, 0(t0)
    li t1, 0x800
    csrs mie, t1
"""

_ON = """
    li t1, 8
    csrs mstatus, t1
"""

_EXIT = """
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
"""
_LOOP_OF_TRAPS = """
    li t0, 0x40
    csrw mtvec, t0
    ecall
"""
_SLEEP = """
    csrw mie, zero
    wfi
"""
_BYTES = {"b": 1, "h": 2, "w": 4, "d": 8}


@dataclass(frozen=True)
class Wild:
    """A program, and how its device is served."""

    guest: Guest
    latency_ns: int

    def backends(self) -> Mapping[tuple[str, str], Backend]:
        """Return an entropy source that is quick enough for a short run."""
        return {("rng", "entropy"): Backend(seeded_entropy(7).answer, latency_ns=self.latency_ns)}

    def record(self, path: Path, limit: int = LIMIT) -> History:
        """Record a trace, and all of its states."""
        config, images = config_for(self.guest.elf, seed=7, devices=(RNG,))
        source = LiveSource(config, warp=True, backends=self.backends())
        record_trace(config, images, source, path, until=Until(icount=limit), force=True)
        trace = Trace.open(path)
        events, end = list(trace.events), trace.end_icount
        trace.close()
        history = record(self.guest.elf, events, limit=limit, seed=7, devices=(RNG,))
        assert history.end == end
        alike = next((n for n, row in enumerate(reversed(history.steps)) if row.cause != 1), 0)
        return self.record(path, end - alike + TRAPS) if alike > TRAPS else history


def wild(seed: int) -> Wild:
    """Return a random program."""
    rng = random.Random(seed)
    timer, device = rng.random() < 0.6, rng.random() < 0.7
    interrupts = timer or (device and rng.random() < 0.5)
    setup = _TIMER * timer + _DEVICE * device + _PLIC * (device and interrupts) + _ON * interrupts
    trapping = ["ecall", "ebreak", ".byte 0, 0, 0, 0", "ld t6, 0(zero)", "sd t6, 1(zero)", "nop"]
    text = _START.format(
        setup=setup,
        body="".join(_piece(rng, i, device) for i in range(rng.randrange(8, 30))),
        more="".join(_piece(rng, 100 + i, device, lost=False) for i in range(rng.randrange(0, 12))),
        end=rng.choice([_EXIT, _EXIT, _LOOP_OF_TRAPS, _SLEEP]),
        inside=rng.choice(trapping),
        period=rng.randrange(1, 4),
        data=", ".join(str(rng.getrandbits(63) if rng.random() < 0.3 else 0) for _ in range(DATA_BYTES // 8)),
        table=", ".join(str(rng.getrandbits(63)) for _ in range(4)),
        stack=", ".join("0" for _ in range(32)),
    )
    made = guest(
        text, functions=("_start", "handler", "twice"), objects={"data": DATA_BYTES, "table": 32, "stack": 256}
    )  # fmt: skip
    return Wild(made, rng.choice([1, 30, 200, 900]))


def _piece(rng: random.Random, index: int, device: bool, lost: bool = True) -> str:
    wide, size = rng.choice(list(_BYTES.items()))
    at = rng.randrange(0, 80)
    at = at if rng.random() < 0.3 else at - at % size
    a, b = rng.sample(["a0", "a1", "a2", "a3", "t2", "s4"], 2)
    kinds = [
        "store",
        "load",
        "bump",
        "alu",
        "trap",
        "trap",
        "nested",
        "amo",
        "reserve",
        "call",
        "print",
        "loop",
        "same",
    ]
    kinds += ["wait"] if device else []
    kinds += ["dma", "dma"] if device else []
    kinds += ["lost"] if lost and rng.random() < 0.15 else []
    match rng.choice(kinds):
        case "store":
            return f"    s{wide} {a}, {at}(s0)\n"
        case "load":
            return f"    l{wide} {a}, {at}(s0)\n"
        case "bump":
            return f"    l{wide} {a}, {at}(s0)\n    addi {a}, {a}, {rng.randrange(-3, 4)}\n    s{wide} {a}, {at}(s0)\n"
        case "alu":
            return f"    {rng.choice(['add', 'sub', 'xor', 'mul', 'sltu', 'and'])} {a}, {a}, {b}\n"
        case "trap":
            insn = rng.choice(
                ["ecall", "ebreak", ".byte 0, 0, 0, 0", "ld a0, 0(zero)", "sb a0, 3(zero)", "csrw 0x5c0, a0"]
            )  # fmt: skip
            return f"    {insn}\n" if not insn.startswith("csrw 0x") else "    .byte 0x73, 0x10, 0x05, 0x5c\n"
        case "nested":
            return "    li t5, 1\n    csrw mscratch, t5\n    ecall\n"
        case "amo":
            return f"    addi t2, s0, {8 * rng.randrange(10)}\n    amoadd.d {a}, {b}, (t2)\n"
        case "reserve":
            other = f"    sw {b}, {8 * rng.randrange(4)}(s0)\n" if rng.random() < 0.3 else ""
            word = 8 * rng.randrange(10)
            return f"    addi t2, s0, {word}\n    lr.d {a}, (t2)\n{other}    sc.d {b}, {a}, (t2)\n"
        case "call":
            return "    jal ra, twice\n"
        case "print":
            return f"    li t0, 0x10000000\n    li t1, {rng.randrange(65, 90)}\n    sb t1, 0(t0)\n"
        case "same":
            # a write that changes nothing
            return f"    ld {a}, {at - at % 8}(s0)\n    sd {a}, {at - at % 8}(s0)\n"
        case "wait":
            return f"    li s2, {rng.randrange(5, 30)}\nwait{index}:\n    addi s2, s2, -1\n    bnez s2, wait{index}\n"
        case "dma":
            to, size = rng.randrange(0, 60), rng.choice([1, 2, 7, 8, 13, 24])
            return (
                f"    la t2, desc\n    addi t3, s0, {to}\n    sd t3, 0(t2)\n    li t3, {size}\n    sw t3, 8(t2)\n"
                "    li t3, 2\n    sh t3, 12(t2)\n    la t2, avail\n    lhu t3, 2(t2)\n    addi t3, t3, 1\n"
                "    sh t3, 2(t2)\n    li t2, 0x10001000\n    sw zero, 0x50(t2)\n"
            )
        case "lost":
            return "    li t4, 0x60\n    jalr zero, 0(t4)\n"
        case _:
            inner = f"    s{wide} s2, {at}(s0)\n" if rng.random() < 0.6 else "    jal ra, twice\n"
            return (
                f"    li s2, {rng.randrange(2, 6)}\nloop{index}:\n{inner}    addi s2, s2, -1\n"
                f"    bnez s2, loop{index}\n"
            )  # fmt: skip
