"""Experiments on bare metal: short pieces of code, each with a trap handler around it, run on QEMU or on a core.

All experiments of a run go into one image for `-M virt -bios none`. Behind each piece a0, mcause, mtval, mepc and
mstatus are stored; at the end the guest prints the whole table in hex on the UART and ends the machine.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit

from tests.cpu.guest import asm

RAM, RAM_BYTES = 0x8000_0000, 16 << 20
RESULTS = RAM + 0x40_0000
DATA = RAM + 0x80_0000
UART, FINISHER = 0x1000_0000, 0x10_0000
QEMU = "qemu-system-riscv64"
S0, S1, A0, T0, T1, T2 = 8, 9, 10, 5, 6, 7
SAVED_MEPC, SAVED_MSTATUS = 18, 19
MSTATUS, MTVEC, MEPC, MCAUSE, MTVAL = 0x300, 0x305, 0x341, 0x342, 0x343
WORDS = 5


class Outcome(NamedTuple):
    """What an experiment left behind; mcause is all ones if it did not trap."""

    a0: int
    mcause: int
    mtval: int
    mepc: int
    """Distance from the experiment's first instruction, if it trapped there."""
    mstatus: int


def li(rd: int, value: int) -> list[int]:
    """Return code that puts a 64-bit number into a register."""
    value = value & (1 << 64) - 1
    signed = value - (1 << 64) if value >> 63 else value
    if -2048 <= signed < 2048:
        return [asm("addi", rd, 0, imm=signed)]
    if -(1 << 31) <= signed < 1 << 31:
        high = (signed + 0x800) & 0xFFFF_F000
        return [asm("lui", rd, imm=high), asm("addiw", rd, rd, imm=signed)]
    low = (signed & 0xFFF) - (signed & 0x800) * 2
    return [*li(rd, (signed - low) >> 12), asm("slli", rd, rd, imm=12), asm("addi", rd, rd, imm=low)]


def csrw(number: int, rs1: int) -> int:
    return asm("csrrw", 0, rs1, imm=number)


def csrr(rd: int, number: int) -> int:
    return asm("csrrs", rd, 0, imm=number)


def in_user_mode(code: Sequence[int]) -> list[int]:
    """Return code that runs `code` in U mode; PMP must let it."""
    start = [asm("auipc", T0), *li(T1, 0x1800), asm("csrrc", 0, T1, imm=MSTATUS)]
    enter = [asm("addi", T0, T0, imm=4 * (len(start) + 3)), csrw(MEPC, T0), asm("mret")]
    return [*start, *enter, *code, asm("ecall")]


def _jump(distance: int) -> int:
    return asm("jal", 0, imm=distance)


def image(experiments: Sequence[Sequence[int]]) -> tuple[bytes, list[int]]:
    """Return the image, and the address of each experiment."""
    handler = [
        csrr(SAVED_MEPC, MEPC),
        csrr(SAVED_MSTATUS, MSTATUS),
        csrw(MEPC, S1),
        *li(T0, 0x1800),
        asm("csrrs", 0, T0, imm=MSTATUS),
        asm("mret"),
    ]
    words = [_jump(4 * len(handler) + 4), *handler]
    words += li(S0, RESULTS)
    starts = []
    for code in experiments:
        setup = [*li(T0, RAM + 4), csrw(MTVEC, T0), *li(T0, 0x1888 | 0x2_0000), asm("csrrc", 0, T0, imm=MSTATUS)]
        setup += [*li(T0, -1), csrw(MCAUSE, T0), csrw(MTVAL, 0), csrw(0x304, 0), csrw(0x3A0, 0), *li(A0, 0)]
        setup += [asm("addi", SAVED_MEPC, 0), asm("addi", SAVED_MSTATUS, 0)]
        # s1: where to go on
        setup += [asm("auipc", S1), asm("addi", S1, S1, imm=4 * (len(code) + 2))]
        words += setup
        starts.append(RAM + 4 * len(words))
        words += code
        words += [asm("sd", 0, S0, A0, 0)]
        for index, number in ((1, MCAUSE), (2, MTVAL)):
            words += [csrr(T0, number), asm("sd", 0, S0, T0, 8 * index)]
        words += [asm("sd", 0, S0, SAVED_MEPC, 24), asm("sd", 0, S0, SAVED_MSTATUS, 32)]
        words += [asm("addi", S0, S0, imm=8 * WORDS)]
    words += _printer(len(experiments) * WORDS)
    assert 4 * len(words) < RESULTS - RAM
    return struct.pack(f"<{len(words)}I", *words), starts


def _printer(count: int) -> list[int]:
    """Return code that prints `count` doublewords and powers off."""
    a1, a2, a3, a4 = 11, 12, 13, 14
    code = [*li(a1, RESULTS), *li(a2, RESULTS + 8 * count), *li(a3, UART)]
    digit = [
        asm("srli", T1, T0, imm=60),
        asm("slli", T0, T0, imm=4),
        asm("addi", T1, T1, imm=ord("a")),
        asm("sb", 0, a3, T1),
        asm("addi", a4, a4, imm=-1),
    ]
    digit.append(asm("bne", 0, a4, 0, -4 * len(digit)))
    outer = [asm("ld", T0, a1), asm("addi", a1, a1, imm=8), *li(a4, 16), *digit]
    outer.append(asm("bltu", 0, a1, a2, -4 * len(outer)))
    off = [*li(T0, 0x5555), *li(T1, FINISHER), asm("sw", 0, T1, T0), _jump(0)]
    return code + outer + off


def _parse(text: str, starts: Sequence[int]) -> list[Outcome]:
    assert len(text) == 16 * WORDS * len(starts), f"{len(text)} characters"
    digits = text.translate({ord("a") + i: "0123456789abcdef"[i] for i in range(16)})
    words = [int(digits[at : at + 16], 16) for at in range(0, len(digits), 16)]
    outcomes = []
    for index, start in enumerate(starts):
        a0, mcause, mtval, mepc, mstatus = words[WORDS * index : WORDS * (index + 1)]
        outcomes.append(Outcome(a0, mcause, mtval, mepc - start if mepc else 0, mstatus))
    return outcomes


def on_qemu(experiments: Sequence[Sequence[int]], folder: Path) -> list[Outcome]:
    """Run experiments on QEMU's `virt`."""
    data, starts = image(experiments)
    path = folder / "experiments.bin"
    path.write_bytes(data)
    command = [QEMU, "-M", "virt", "-bios", "none", "-m", f"{RAM_BYTES >> 20}M", "-display", "none", "-monitor", "none"]
    command += ["-serial", "stdio", "-device", f"loader,file={path},addr=0x{RAM:x}"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True)
    return _parse(run.stdout, starts)


def on_core(core: Core, experiments: Sequence[Sequence[int]]) -> list[Outcome]:
    """Run experiments on one of rrdbg's CPUs."""
    data, starts = image(experiments)
    core.write(RAM, data)
    core.hart[L.PC] = RAM
    core.set_interrupt(0x80, True)  # out of reset, mtimecmp is 0 and its interrupt pends
    out = bytearray()
    while True:
        reason = core.run(core.icount + 100_000)
        if reason in (Exit.MMIO_READ, Exit.MMIO_WRITE):
            address, value = int(core.mach[L.MMIO_ADDR]), int(core.mach[L.MMIO_VALUE])
            if address == FINISHER:
                return _parse(out.decode(), starts)
            if address == UART:
                out.append(value)
            core.mmio_done(ok=address == UART)
        else:
            assert reason == Exit.LIMIT
            assert core.icount < 50_000_000
