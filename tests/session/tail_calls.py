"""Random programs of functions that leave by tail calls, and who called and jumped to whom as the steps show it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from rrdbg.session.decoding import instruction
from rrdbg.session.session import TraceSession
from tests.gdb.recordings import record
from tests.symbols.compilers import GCC, need

START = (
    '__asm__(".section .text.unlikely\\n.globl _start\\n_start: la sp, stack+8192\\n call main\\n'
    ' li t0, 0x100000\\n li t1, 0x5555\\n sw t1, 0(t0)\\n1: j 1b\\n .text");'
)
HEAD = f"""{START}
#define F __attribute__((noinline))
#define ALONE __attribute__((noipa))
#define INLINE static inline __attribute__((always_inline))
typedef long (*function)(long, long);
char stack[8192] __attribute__((aligned(16)));
volatile long sink;
"""
OPTIONS = "-g -march=rv64imac -mabi=lp64 -mcmodel=medany -ffreestanding -w -c"
LINK = "-march=rv64imac -mabi=lp64 -nostdlib -static -Wl,-Ttext=0x80000000,-e,_start,--no-warn-rwx-segments"
CLANG = "clang"
_OWN = {CLANG: ("--target=riscv64-unknown-elf", "-mno-relax")}
LIMIT = 30_000
"""Steps after which a recording ends that does not end by itself."""


def random_source(seed: int, *, circles: bool, functions: int = 12) -> str:
    """Return a random program: n counts down on every way, so that it ends.

    Args:
        seed: Of its random choices.
        circles: Whether tail calls may lead back to a function that has left by one.
        functions: How many.
    """
    rng = random.Random(seed)
    kinds = [rng.choice(("F", "F", "ALONE", "static F")) for _ in range(functions)]
    lines = [f"{kind} long f{i}(long n, long x);" for i, kind in enumerate(kinds)]
    lines.append(f"volatile function table[2] = {{f{rng.randrange(functions)}, f{rng.randrange(functions)}}};")

    def call(i: int, *, tail: bool) -> str:
        later = range(i + 1, functions)
        anywhere = rng.random() < 0.2 and (circles or not tail)
        if tail and not later and not anywhere:
            return "sink"
        chosen = rng.choice(later) if later and not anywhere else rng.randrange(functions)
        return f"f{chosen}(n - 1, {rng.choice(('x', 'x + 1', 'x ^ n', '3', 'sink', 'y'))})"

    for i, kind in enumerate(kinds):
        inlined = rng.random() < 0.25
        if inlined:
            lines.append(
                f"INLINE long g{i}(long n, long y) {{ sink += y; return {call(i, tail=True)}; }}".replace("x", "y")
            )
        body = [f"long y = x * {rng.randrange(2, 9)};", rng.choice(("sink = x;", "sink -= y;", "sink++;"))]
        if rng.random() < 0.4:
            body.append(f"if (n > 0) y += {call(i, tail=False)};")
        if rng.random() < 0.2:
            body.append("if (n > 1) y -= table[x & 1](n - 2, y);")
        body.append("if (n <= 0) return y + x;")
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            body.append(f"if (x {rng.choice(('& 1', '& 2', '> 9', '< n'))}) return {call(i, tail=True)};")
        if circles and rng.random() < 0.08:
            body.append("if (x == 77) return table[n & 1](n - 1, x);")
        body.append(f"return g{i}(n, y);" if inlined else f"return {call(i, tail=True)};")
        lines.append(f"{kind} long f{i}(long n, long x) {{ {' '.join(body)} }}")
    calls = " ".join(f"sink += f{rng.randrange(functions)}({rng.randrange(2, 7)}, {k});" for k in range(6))
    lines.append(f"int main(void) {{ {calls} return sink; }}")
    return HEAD + "\n".join(lines) + "\n"


def recorded(text: str, compiler: str, options: str, folder: Path, limit: int = LIMIT) -> Path:
    """Compile and record a program, and return the trace."""
    source, other, elf = folder / "tails.c", folder / "tails.o", folder / "tails.elf"
    source.write_text(text)
    command = [need(compiler), *_OWN.get(compiler, ()), *OPTIONS.split(), *options.split()]
    subprocess.run([*command, "-o", str(other), str(source)], check=True)
    subprocess.run([need(GCC), *LINK.split(), "-o", str(elf), str(other), "-lgcc"], check=True)
    return record(elf, folder, until=limit)


def activations(session: TraceSession) -> list[list[tuple[int, ...]]]:
    """Return for each position the functions of each call that has not returned, outermost first."""
    starts = {symbol.address for symbol in session._symbols.starting_with("", 10_000) if symbol.kind == "function"}
    end = session.position("end")
    stack: list[tuple[int, ...]] = [(session._symbols.entry or 0,)]
    found: list[list[tuple[int, ...]]] = []
    rows = list(session.iter_steps(0, end))
    for row, after in zip(rows, [*(row.pc for row in rows[1:]), 0], strict=True):
        found.append(list(stack))
        insn = instruction(row.insn, row.pc)
        if insn.is_call:
            stack.append((after,))
        elif insn.is_return:
            stack.pop()
        elif insn.name in ("jal", "jalr") and after in starts and after != stack[-1][-1]:  # not a loop
            stack[-1] = (*stack[-1], after)
    return found
