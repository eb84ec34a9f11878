"""Random guest programs that keep to the calling convention: functions, recursion, loops, traps, timer interrupts.

Everything that a debugger's motions care about happens within a few thousand steps.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from rrdbg_core.machine.conformance.assembler import assemble

from .elf import BASE, FUNC, OBJECT, Sym, make_elf

DATA_BYTES = 64

_START = """
_start:
    la sp, stack_top
    la t0, handler
    csrw mtvec, t0
    la s0, data
    la s1, table
    {timer}
    {calls}
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
stay:
    j stay
"""

_TIMER = """
    li t0, 0x200BFF8
    ld t1, 0(t0)
    addi t1, t1, 1
    li t0, 0x2004000
    sd t1, 0(t0)
    li t1, 0x80
    csrs mie, t1
    li t1, 8
    csrs mstatus, t1
"""

_HANDLER = """
handler:
    addi sp, sp, -32
    sd t0, 0(sp)
    sd t1, 8(sp)
    csrr t0, mcause
    blt t0, zero, interrupt
    csrr t1, mepc
    addi t1, t1, 4
    csrw mepc, t1
    ld t0, 56(s0)
    addi t0, t0, 1
    sd t0, 56(s0)
    j leave
interrupt:
    li t0, 0x200BFF8
    ld t1, 0(t0)
    addi t1, t1, {period}
    li t0, 0x2004000
    sd t1, 0(t0)
    lbu t0, 48(s0)
    addi t0, t0, 1
    sb t0, 48(s0)
leave:
    ld t0, 0(sp)
    ld t1, 8(sp)
    addi sp, sp, 32
    mret
"""


@dataclass(frozen=True)
class Guest:
    """A program with its symbols."""

    text: str
    elf: bytes
    symbols: dict[str, int] = field(default_factory=dict)


def guest(text: str, *, functions: tuple[str, ...] = (), objects: dict[str, int] | None = None) -> Guest:
    """Assemble a program whose first label stands at the start of RAM.

    Args:
        text: Assembly.
        functions: Labels that become function symbols, in address order; each reaches to the next one.
        objects: Labels that become objects, with their sizes.
    """
    labels = labels_of(text)
    code = assemble(text)
    ends = sorted([*(labels[name] for name in functions), *(labels[name] for name in objects or {}), BASE + len(code)])
    rows = [Sym(name, labels[name], next(e for e in ends if e > labels[name]) - labels[name]) for name in functions]
    rows += [Sym(name, labels[name], size, OBJECT) for name, size in (objects or {}).items()]
    assert all(row.kind in (FUNC, OBJECT) for row in rows)
    return Guest(text, make_elf(code, rows), labels)


def labels_of(text: str) -> dict[str, int]:
    """Return the addresses of a program's labels."""
    labels: dict[str, int] = {}
    for match in re.finditer(r"^(\w+):", text, re.MULTILINE):
        labels[match[1]] = BASE + len(assemble(_known(text[: match.start()], text)))
    return labels


def _known(part: str, whole: str) -> str:
    """Return a part of a program that assembles by itself: labels behind it stand at its end."""
    missing = set(re.findall(r"^(\w+):", whole, re.MULTILINE)) - set(re.findall(r"^(\w+):", part, re.MULTILINE))
    for name in missing:
        part = re.sub(rf"\b{name}\b", f"{BASE:#x}", part)
    return part


def random_guest(seed: int) -> Guest:
    """Return a random program."""
    rng = random.Random(seed)
    count = rng.randrange(2, 6)
    timer = rng.random() < 0.7
    names = [f"f{i}" for i in range(count)]
    calls = "\n".join(
        f"    li a0, {rng.randrange(8)}\n    jal ra, {rng.choice(names)}" for _ in range(rng.randrange(4, 12))
    )
    text = _START.format(timer=_TIMER if timer else "", calls=calls)
    text += _HANDLER.format(period=rng.randrange(1, 4))
    for index, name in enumerate(names):
        text += _function(rng, name, names[index + 1 :])
    text += f"recurse:\n{_RECURSE}"
    text += f"data:\n    .dword {', '.join('0' for _ in range(DATA_BYTES // 8))}\n"
    text += f"table:\n    .dword {', '.join(str(rng.getrandbits(63)) for _ in range(4))}\n"
    text += f"stack:\n    .dword {', '.join('0' for _ in range(256))}\nstack_top:\n    .dword 0\n"
    functions = ("_start", "handler", *names, "recurse")
    return guest(text, functions=functions, objects={"data": DATA_BYTES, "table": 32, "stack": 2048})


_RECURSE = """
    beqz a0, bottom
    addi sp, sp, -16
    sd ra, 8(sp)
    addi a0, a0, -1
    jal ra, recurse
    addi a1, a1, 1
    ld ra, 8(sp)
    addi sp, sp, 16
bottom:
    jalr zero, 0(ra)
"""


def _function(rng: random.Random, name: str, below: list[str]) -> str:
    body = "".join(_piece(rng, name, below, i) for i in range(rng.randrange(3, 9)))
    frame = f"    addi sp, sp, -32\n    sd ra, 24(sp)\n    sd s2, 16(sp)\n{body}    ld s2, 16(sp)\n    ld ra, 24(sp)\n"
    return f"{name}:\n{frame}    addi sp, sp, 32\n    jalr zero, 0(ra)\n"


def _piece(rng: random.Random, name: str, below: list[str], index: int) -> str:
    at = rng.randrange(0, 40)
    wide, size = rng.choice([("b", 1), ("h", 2), ("w", 4), ("d", 8)])
    at = at if rng.random() < 0.2 else at - at % size
    a, b = rng.sample(["a0", "a1", "a2", "t2", "t3"], 2)
    kind = rng.randrange(10)
    if kind == 0:
        return f"    s{wide} {a}, {at}(s0)\n"
    if kind == 1:
        return f"    l{wide} {a}, {at}(s0)\n    addi {a}, {a}, {rng.randrange(-3, 4)}\n    s{wide} {a}, {at}(s0)\n"
    if kind == 2:
        return f"    {rng.choice(['add', 'sub', 'xor', 'mul', 'sltu'])} {a}, {a}, {b}\n"
    if kind == 3 and below:
        return f"    jal ra, {rng.choice(below)}\n"
    if kind == 4:
        return f"    li a0, {rng.randrange(4)}\n    jal ra, recurse\n"
    if kind == 5:
        return "    ecall\n"
    if kind == 6:
        return f"    addi t2, s0, {8 * rng.randrange(5)}\n    amoadd.d {a}, {b}, (t2)\n"
    if kind == 7:
        return f"    li t0, 0x10000000\n    li t1, {rng.randrange(65, 90)}\n    sb t1, 0(t0)\n"
    if kind == 8:
        return f"    ld {a}, {8 * rng.randrange(4)}(s1)\n    sd {a}, {8 * rng.randrange(5)}(s0)\n"
    loop = f"{name}_loop{index}"
    inner = f"    jal ra, {rng.choice(below)}\n" if below and rng.random() < 0.3 else f"    s{wide} s2, {at}(s0)\n"
    return f"    li s2, {rng.randrange(2, 6)}\n{loop}:\n{inner}    addi s2, s2, -1\n    bnez s2, {loop}\n"
