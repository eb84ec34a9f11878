"""Where `land` goes in random programs that end badly, against the rules said over the list of all steps."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rrdbg.session.landing import LOOP_SPACING, LOOP_TRAPS, PANICS
from rrdbg.session.overview import BIN
from tests.source.walks import Steps, opened

from .programs import Guest, guest
from .traces import make_trace

_START = """
_start:
    la sp, stack_top
    la t0, handler
    csrw mtvec, t0
    la t0, done
    csrw mscratch, t0
{before}
{end}
    jal ra, finish
work:
    addi sp, sp, -16
    sd ra, 8(sp)
    ecall
    jal ra, {called}
    ld ra, 8(sp)
    addi sp, sp, 16
    jalr zero, 0(ra)
quiet:
    addi a1, a1, 1
    jalr zero, 0(ra)
warn_panic:
    addi sp, sp, -16
    sd ra, 8(sp)
    jal ra, quiet
    ld ra, 8(sp)
    addi sp, sp, 16
    jalr zero, 0(ra)
assert_fail:
    addi sp, sp, -16
    sd ra, 8(sp)
    jal ra, report
report:
    addi sp, sp, -16
    sd ra, 8(sp)
    jal ra, kernel_panic
kernel_panic:
    addi sp, sp, -16
    sd ra, 8(sp)
    {dead}
"""

_HANDLER = """
handler:
    csrr t1, mscratch
    jalr zero, 0(t1)
done:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
lost:
    {lost}
finish:
    li t0, 0x100000
    li t1, {word}
    sw t1, 0(t0)
stay:
    j stay
broken:
    .dword 0
stack:
    .dword 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
stack_top:
    .dword 0
"""

BEFORE = (
    "",
    "    jal ra, work",
    "    jal ra, warn_panic",
    "    ebreak",  # handled, and returned from
    "    li s0, 3\nagain:\n    ebreak\n    addi s0, s0, -1\n    bnez s0, again",
    f"    li s0, {2 * LOOP_TRAPS}\nlong:\n    ebreak\n    addi s0, s0, -1\n    bnez s0, long",
)
TO_LOST = "    la t0, lost\n    csrw mscratch, t0\n"
TO_BROKEN = "    la t0, broken\n    csrw mtvec, t0\n"
END = {
    "exit": "",
    "panic": "    jal ra, assert_fail",
    "lost": f"{TO_LOST}    li s1, 16\n    ld s1, 0(s1)",
    "call": f"{TO_LOST}    ecall",
    "loop": f"{TO_BROKEN}    ebreak",
    "spin": "here:\n    j here",
}
DEAD = ("jal ra, finish", "j kernel_panic", "ebreak", f"{TO_BROKEN}    ebreak")
LOST = ("jal ra, finish", "ecall", "jal ra, assert_fail", "j lost")
NAMES = ("_start", "work", "quiet", "warn_panic", "assert_fail", "report", "kernel_panic")
HANDLERS = ("handler", "done", "lost", "finish")
UNTIL = 3000


FAILED, DONE = "0x73333", "0x5555"
ENDINGS = (
    *((end, DEAD[0], lost, word) for end in ("lost", "call") for lost in LOST for word in (FAILED, DONE)),
    *(("panic", dead, LOST[0], DONE) for dead in DEAD),
    *((end, DEAD[0], LOST[0], word) for end in ("exit", "loop", "spin") for word in (FAILED, DONE)),
)
SEEDS = range(2 * len(ENDINGS))


def program(seed: int) -> Guest:
    """Return a random program: each of the endings after something harmless, and after anything."""
    rng = random.Random(seed)
    end, dead, lost, word = ENDINGS[seed % len(ENDINGS)]
    calm = seed < len(ENDINGS)
    before = rng.sample([text for text in BEFORE if not calm or "panic" not in text], rng.randrange(4))
    called = "quiet" if calm else rng.choice(("quiet", "warn_panic"))
    text = _START.format(before="\n".join(before), end=END[end], called=called, dead=dead)
    text += _HANDLER.format(lost=lost, word=word)
    return guest(text, functions=(*NAMES, *HANDLERS), objects={"broken": 8, "stack": 128})


def frames(steps: Steps, position: int) -> list[tuple[str, int]]:
    """Return the functions of the stack, innermost first, and where they were entered."""
    stack = steps.stacks[position]
    names = [*(steps.name(frame.at) for frame in stack), steps.name(steps.pcs[position])]
    entries = [0]
    for depth, frame in enumerate(stack):
        found = next(at for at in range(position + 1) if steps.stacks[at][depth : depth + 1] == (frame,))
        entries.append(found)
    return list(zip(names, entries, strict=True))[::-1]


def panicked(steps: Steps, position: int) -> int | None:
    """Return where the outermost panic of those that have not returned was entered."""
    return next((entry for name, entry in reversed(frames(steps, position)) if PANICS.search(name)), None)


def expected(steps: Steps, exit_code: int | None) -> tuple[str, int]:
    """Return the rule that holds, by the first words that say so, and where it leads."""
    rows, last = steps.rows, len(steps.rows) - 1
    traps = [row for row in rows if row.trap]
    loop: list[int] = []
    for row in reversed(traps):
        near = (loop[-1] if loop else len(rows)) - row.icount <= LOOP_SPACING
        if not near or (row.trap, row.pc) != (traps[-1].trap, traps[-1].pc):
            break
        loop.append(row.icount)
    if len(loop) >= LOOP_TRAPS:
        return "A trap loop", loop[-1]
    called = panicked(steps, last)
    if called is None:
        at = next((p for p in range(last, -1, -1) if PANICS.search(steps.session.locate(steps.pcs[p]).text)), None)
        called = panicked(steps, at) if at is not None else None
    if called is not None:
        return "A panic", called
    if exit_code:
        return "The guest exited", last
    for frame in reversed(steps.stacks[last]):
        if frame.trap:
            taken = next(row for row in rows if steps.stacks[row.icount + 1][-1:] == (frame,))
            if "ecall" not in taken.trap:
                return "An exception that was not returned from", taken.icount
    return ("The guest exited", last) if exit_code is not None else ("End of the recording", last + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_lands_where_the_rules_say(seed: int, tmp_path: Path) -> None:
    make_trace(program(seed).elf, tmp_path / "run.rrt", until=UNTIL)
    with opened(tmp_path / "run.rrt") as session:
        steps = Steps(session)
        why, where = expected(steps, session.info().exit_code)
        stop = session.land()
        assert (stop.what.startswith(why), stop.when.icount) == (True, where), (why, where, stop.what)


LONG = """
_start:
    la t0, back
    csrw mtvec, t0
    li s0, {rounds}
    li s1, {spread}
work:
    addi s2, s1, 0
rest:
    addi s2, s2, -1
    bnez s2, rest
    ebreak
    addi s0, s0, -1
    bnez s0, work
    la t0, {handler}
    csrw mtvec, t0
last:
    ld a0, 1(zero)
    j last
back:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
again:
    addi a1, a1, 1
    addi a1, a1, 1
    mret
broken:
    .dword 0
"""


@pytest.mark.parametrize(
    ("rounds", "spread", "handler"),
    [
        (30_000, 40, "broken"),  # traps, then nothing but traps
        (500_000, 1, "again"),  # about as frequent before as then
        (1, 5 * BIN, "again"),  # none, then a loop with some steps between
        (1, 1, "broken"),  # from the first part on
    ],
)
def test_a_loop_may_be_long(
    rounds: int, spread: int, handler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beginning is found by the index, however far from the end."""
    monkeypatch.setattr("rrdbg.session.landing.TRAP_REACH", BIN)
    program = guest(LONG.format(rounds=rounds, spread=spread, handler=handler), functions=("_start", "last"))
    make_trace(program.elf, tmp_path / "run.rrt", until=(32 if rounds < 100_000 else 64) * BIN + 1234)
    with opened(tmp_path / "run.rrt") as session:
        session.add_break("last")
        session.goto(0)
        session.continue_()
        begun = session.icount + (handler == "broken")  # of the loop of another trap that follows
        session.goto("end")
        stop = session.land()
        assert stop.what.startswith("A trap loop")
        assert stop.when.icount == begun
