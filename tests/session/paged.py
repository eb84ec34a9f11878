"""Random programs behind page tables: a kernel in S mode and two processes in U mode, at the same addresses.

Physical memory, which M mode and the kernel see as it is:

    0x8000_0000  M mode's start and handler; a page further on the kernel
    0x8000_3000  code of process A, then of B: both at 0x4000 to them
    0x8000_5000  data, two pages: to both processes at 0x1_0000 and again, in the other order, at 0x2_0000
    0x8000_7000  page tables: of A and then of B the root, what it leads to, and what that leads to

In B the two pages of data are swapped. The processes yield to each other, fault, share their registers, and ask the
kernel to change PTEs: to take the bits A and D away, to write-protect, to map the other page. So the same byte has four
names, and some of them come and go.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from pathlib import Path

from rrdbg_core.isa.csr import MENVCFG_ADUE, MENVCFG_STCE
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until
from rrdbg_core.replay.recorder import record as record_trace
from rrdbg_core.trace import Trace

from .elf import make_elf
from .history import History, config_for, record

RAM, PAGE = 0x8000_0000, 4096
KERNEL, SAVED, CODE, DATA, TABLES = RAM + 0x1000, RAM + 0x2000, RAM + 0x3000, RAM + 0x5000, RAM + 0x7000
USER_CODE, WINDOWS, DATA_BYTES = 0x4000, (0x1_0000, 0x2_0000), 2 * PAGE
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
LIMIT = 700
"""Steps after which a program that does not end is cut."""
MACHINE = {"privilege": "msu", "isa": "rv64gc", "seed": 7}
_START = """
_start:
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, 0xb1ff
    csrw 0x302, t0
    li t0, 0x222
    csrw 0x303, t0
    li t0, {envcfg}
    csrw 0x30a, t0
    li t0, 7
    csrw mcounteren, t0
    la t0, handler
    csrw mtvec, t0
    li t0, {kernel}
    csrw mepc, t0
    li t0, 0x800
    csrw mstatus, t0
    li t0, {satp}
    csrw 0x180, t0
    mret
handler:
    li t6, {data}
    ld t5, 8(t6)
    addi t5, t5, 1
    sd t5, 8(t6)
    bnez t4, exit
    csrr t5, mepc
    addi t5, t5, 4
    csrw mepc, t5
    mret
exit:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
stay:
    j stay
"""

_KERNEL = """
    la t0, shandler
    csrw 0x105, t0
    li t0, -1
    csrw 0x14d, t0
    li t0, {start}
    csrw 0x141, t0
    li t0, {sie}
    csrw 0x104, t0
    {timer}
    sret
shandler:
    li t6, {saved}
    csrr t3, 0x142
    blt t3, zero, interrupt
    csrr t5, 0x141
    addi t5, t5, 4
    csrw 0x141, t5
    li t4, 8
    bne t3, t4, fault
    li t4, 0
    beqz a7, yield
    addi t4, a7, -1
    beqz t4, change
    addi t4, a7, -2
    beqz t4, machine
    li t4, 1
machine:
    ecall
    sret
change:
    sd s9, 0(s10)
    sret
yield:
    csrr t3, 0x180
    ld t5, 0(t6)
    sd t3, 0(t6)
    csrw 0x180, t5
    csrr t3, 0x141
    ld t5, 8(t6)
    sd t3, 8(t6)
    csrw 0x141, t5
    sret
fault:
    li t6, {data}
    lw t5, {faults}(t6)
    addi t5, t5, 1
    sw t5, {faults}(t6)
    sret
interrupt:
    csrr t5, time
    addi t5, t5, {period}
    csrw 0x14d, t5
    ld t5, 16(t6)
    addi t5, t5, 1
    sd t5, 16(t6)
    sret
"""
_SIZES = {"b": 1, "h": 2, "w": 4, "d": 8}
_REGISTERS = ("a0", "a1", "a2", "a3", "t2", "s4")


def satp_of(process: int) -> int:
    """Return a process's satp; it has an ASID."""
    return 8 << 60 | (process + 5) << 44 | root_of(process) >> 12


def root_of(process: int) -> int:
    """Return where a process's page tables begin."""
    return TABLES + 3 * PAGE * process


def leaf_table_of(process: int) -> int:
    """Return where the PTEs of its pages are."""
    return root_of(process) + 2 * PAGE


@dataclass(frozen=True)
class Paged:
    """A program."""

    elf: bytes

    def record(self, path: Path) -> History:
        """Record a trace, and all of its states."""
        config, images = config_for(self.elf, **MACHINE)
        record_trace(config, images, LiveSource(config, warp=True), path, until=Until(icount=LIMIT), force=True)
        trace = Trace.open(path)
        end = trace.end_icount
        trace.close()
        history = record(self.elf, limit=LIMIT, **MACHINE)
        assert history.end == end
        return history


def paged(seed: int) -> Paged:
    """Return a random program."""
    rng = random.Random(seed)
    image = bytearray(TABLES + 6 * PAGE - RAM)

    def put(address: int, data: bytes) -> None:
        image[address - RAM : address - RAM + len(data)] = data

    timer = rng.random() < 0.6
    interrupts = "\n    csrr t0, time\n    addi t0, t0, 1\n    csrw 0x14d, t0" if timer else ""
    start = _START.format(
        envcfg=MENVCFG_ADUE | MENVCFG_STCE, kernel=KERNEL, satp=satp_of(0), data=DATA + rng.choice((0, 16, PAGE))
    )
    kernel = _KERNEL.format(
        start=USER_CODE,
        sie=0x20 if timer else 0,
        timer=f"li t0, 0x20\n    csrs 0x100, t0{interrupts}",
        saved=SAVED,
        data=DATA + rng.choice((24, 40, PAGE)),
        faults=rng.randrange(0, 64, 4),
        period=rng.randrange(1, 4),
    )
    put(RAM, assemble(start, RAM))
    put(KERNEL, assemble(kernel, KERNEL))
    put(SAVED, struct.pack("<QQ", satp_of(1), USER_CODE))
    put(DATA, rng.randbytes(96))
    put(DATA + PAGE, rng.randbytes(96))
    for process in (0, 1):
        text = f"    li s0, {WINDOWS[0]}\n    li s1, {WINDOWS[1]}\n"
        text += "".join(_piece(rng, i) for i in range(rng.randrange(10, 24)))
        text += "    li a7, 0\n    ecall\n" + (
            "    li a7, 3\n    ecall\n" if process == 0 or rng.random() < 0.5 else ""
        )
        text += "again:\n    li a7, 0\n    ecall\n    j again\n"
        put(CODE + PAGE * process, assemble(text, USER_CODE))
        for table, index, pte in _ptes(rng, process):
            put(table + 8 * index, struct.pack("<Q", pte))
    return Paged(make_elf(bytes(image), base=RAM))


def _ptes(rng: random.Random, process: int) -> list[tuple[int, int, int]]:
    """Return table, index and content of the PTEs of a process."""
    root = root_of(process)
    found = [(root, 2, (RAM >> 12) << 10 | V | R | W | X | A | D), (root, 0, (root + PAGE) >> 12 << 10 | V)]
    found.append((root + PAGE, 0, (root + 2 * PAGE) >> 12 << 10 | V))
    code = (CODE + PAGE * process) >> 12
    found.append((root + 2 * PAGE, USER_CODE >> 12, code << 10 | V | R | X | U | rng.choice((0, A))))
    for window, swapped in zip(WINDOWS, (0, 1), strict=True):
        for page in (0, 1):
            where = DATA + PAGE * (page ^ swapped ^ process)
            flags = V | R | W | U | rng.choice((0, 0, A, A | D))
            found.append((root + 2 * PAGE, (window >> 12) + page, where >> 12 << 10 | flags))
    return found


def _piece(rng: random.Random, index: int) -> str:
    wide, size = rng.choice(list(_SIZES.items()))
    # near the start of a page, or across its end
    at = rng.randrange(0, 80) if rng.random() < 0.5 else rng.randrange(-9, 3)
    at = at if rng.random() < 0.6 else at - at % size
    base = rng.choice(("s0", "s1"))
    a, b = rng.sample(_REGISTERS, 2)
    to = f"    li t1, {rng.choice((0, PAGE, PAGE))}\n    add t1, t1, {base}\n"
    match rng.choice(
        ("store", "store", "load", "bump", "amo", "alu", "yield", "yield", "change", "change", "machine", "bad", "loop")
    ):
        case "store":
            return f"{to}    s{wide} {a}, {at}(t1)\n"
        case "load":
            return f"{to}    l{wide} {a}, {at}(t1)\n"
        case "bump":
            return (
                f"{to}    l{wide} {a}, {at}(t1)\n    addi {a}, {a}, {rng.randrange(-3, 4)}\n    s{wide} {a}, {at}(t1)\n"
            )
        case "amo":
            return f"{to}    addi t1, t1, {8 * rng.randrange(10)}\n    amoadd.d {a}, {b}, (t1)\n"
        case "alu":
            return f"    {rng.choice(['add', 'sub', 'xor', 'mul'])} {a}, {a}, {b}\n"
        case "yield":
            return "    li a7, 0\n    ecall\n"
        case "change":
            process, window, page = rng.randrange(2), rng.choice(WINDOWS), rng.randrange(2)
            entry = leaf_table_of(process) + 8 * ((window >> 12) + page)
            where = DATA + PAGE * rng.randrange(2)
            flags = V | R | U | rng.choice((W, W, W, 0)) | rng.choice((0, 0, A, A | D))
            pte = where >> 12 << 10 | (flags if rng.random() < 0.9 else 0)
            if rng.random() < 0.25:
                entry = leaf_table_of(process) + 8 * (USER_CODE >> 12)
                pte = (CODE + PAGE * process) >> 12 << 10 | V | R | X | U
            return f"    li s10, {entry}\n    li s9, {pte}\n    li a7, 1\n    ecall\n"
        case "machine":
            return "    li a7, 2\n    ecall\n"
        case "bad":
            return f"    ld {a}, {8 * rng.randrange(4)}(zero)\n"
        case _:
            body = f"{to}    s{wide} s2, {at}(t1)\n    addi s2, s2, -1\n"
            return f"    li s2, {rng.randrange(2, 4)}\nloop{index}:\n{body}    bnez s2, loop{index}\n"
