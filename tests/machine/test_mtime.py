"""The kernel reads mtime by itself: nothing differs from asking the machine."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import FOREVER, ReplaySource
from rrdbg_core.trace.contents import image_digest

from tests.cpu.guest import asm

MTIME = 0x200_BFF8
T0 = 5


def program(rng: random.Random) -> bytes:
    """Return a loop that reads the timer in all sizes, some of them wrong, writes it, and waits for it."""
    words = [asm("lui", rd=T0, imm=0x200_C000)]
    words += [asm("auipc", rd=31), asm("addi", rd=31, rs1=31, imm=12), asm("csrrw", rs1=31, imm=0x305)]
    top = len(words)
    for _ in range(40):
        rd, other = rng.randrange(6, 16), rng.randrange(6, 16)
        kind = rng.random()
        if kind < 0.5:
            words.append(asm(rng.choice(("ld", "lw", "lwu")), rd=rd, rs1=T0, imm=-8))
        elif kind < 0.7:
            words.append(asm(rng.choice(("lw", "lwu", "lh", "ld", "lb")), rd=rd, rs1=T0, imm=rng.choice((-4, -6, -8))))
        elif kind < 0.75:
            words.append(asm(rng.choice(("sd", "sw")), rs1=T0, rs2=rd, imm=-8))
        else:
            words.append(asm(rng.choice(("add", "xor", "csrrs")), rd=rd, rs1=rd, rs2=other, imm=0xC01))
    words.append(asm("jal", imm=4 * (top - len(words))))
    return struct.pack(f"<{len(words)}I", *words)


def trail(seed: int, shift: int, *, asked: bool, logged: bool) -> tuple[Any, ...]:
    data = program(random.Random(seed))
    image = ImageRef(kind="raw", digest=image_digest(data), name="timer", load_address=0x8000_0000)
    machine = Machine(MachineConfig(images=(image,), shift=shift), {image.digest: data}, ReplaySource([], FOREVER))
    accesses: list[Any] = []
    machine.on_access = accesses.append if asked else None
    rows: list[list[int]] = []
    if logged:
        machine.core.log_steps(100, lambda block: rows.extend(block.tolist()))
    machine.run(3_000)
    assert bool(accesses) == asked
    state = machine.core.hart[L.X : L.X + 32].tolist(), int(machine.core.mach[L.ACC])
    machine.run(1 << 16)
    return state, machine.digest(), machine.core.take_checks().tolist(), rows


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("seed", range(3))
def test_reads_of_the_timer(seed: int, shift: int, logged: bool) -> None:
    by_itself, asked = (trail(seed, shift, asked=asked, logged=logged) for asked in (False, True))
    assert by_itself == asked
