"""Conditions: both readers say the same, and what they say is what the words mean."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rrdbg_core.cpu import condition as C
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import BadCondition, CannotJudge, Condition, reader
from rrdbg_core.cpu.condition_code import HOLDS, NO, UNJUDGED, call
from rrdbg_core.cpu.core import Core
from rrdbg_core.isa import expr
from rrdbg_core.isa.expr import Ex, lift

from tests.cpu.conditions import INTERESTING, RAM, condition

RAM_BYTES = 0x4000
M64 = (1 << 64) - 1


@pytest.fixture(scope="module")
def core() -> Core:
    return Core(RAM_BYTES)


def randomise(core: Core, rng: random.Random) -> None:
    """Fill the state with numbers on which operations are at their edges."""
    for offset in (*range(1, 32), L.PC, L.PRIV, *range(L.MSTATUS, L.MHARTID + 1), L.PMPADDR + 3):
        core.hart[offset] = rng.choice((rng.choice(INTERESTING), rng.getrandbits(64), RAM + rng.randrange(RAM_BYTES)))
    core.mach[L.WARP_NS], core.mach[L.TIME_OFFSET] = rng.getrandbits(40), rng.getrandbits(64)
    core.mach[L.SHIFT] = rng.randrange(8)
    core.memory.ram[:] = np.frombuffer(rng.randbytes(RAM_BYTES), np.uint8)


def plain(core: Core, what: Condition, pc: int, icount: int) -> int:
    """Judge with the plain reader."""

    def read(address: int, size: int) -> int | None:
        if not RAM <= address <= RAM + RAM_BYTES - size:
            return None
        return int.from_bytes(core.memory.read(address, size), "little")

    try:
        value = reader(what)(core.hart.tolist(), core.mach.tolist(), pc, icount, read)
    except CannotJudge:
        return UNJUDGED
    assert 0 <= value <= M64
    return HOLDS if value else NO


@pytest.mark.parametrize("seed", range(6))
def test_readers_agree(core: Core, seed: int) -> None:
    rng = random.Random(seed)
    verdicts = dict.fromkeys((NO, HOLDS, UNJUDGED), 0)
    for _ in range(50):
        what = condition(rng)
        for _ in range(3):
            randomise(core, rng)
            pc, icount = rng.getrandbits(64), rng.getrandbits(50)
            state = core.hart.tobytes(), core.mach.tobytes(), core.memory.ram.tobytes()
            verdict = call(what, core._table, pc, icount)
            assert verdict == plain(core, what, pc, icount), what
            assert (core.hart.tobytes(), core.mach.tobytes(), core.memory.ram.tobytes()) == state
            verdicts[verdict] += 1
    assert min(verdicts.values()) > 10


@pytest.mark.parametrize("op", sorted(C.ARITY))
def test_every_operation_agrees_at_its_edges(core: Core, op: str) -> None:
    registers = [C.register(f"a{i}") for i in range(C.ARITY[op])]
    tree = Ex(op, tuple(arg for arg in registers if arg is not None))
    rng = random.Random(op)
    for bit in range(0, 64, 9):
        what = Condition(expr.sar(tree, bit) & 7)
        for _ in range(8):
            core.hart[10:13] = [rng.choice(INTERESTING) for _ in range(3)]
            assert call(what, core._table, 0, 0) == plain(core, what, 0, 0)


def test_what_cannot_be_judged(core: Core) -> None:
    def verdict(tree: Ex) -> int:
        found = call(Condition(tree), core._table, RAM, 5)
        assert found == plain(core, Condition(tree), RAM, 5)
        return found

    core.memory.ram[:] = 255
    end = RAM + RAM_BYTES
    for size in C.LOAD_SIZES:
        assert verdict(C.load(RAM, size)) == verdict(C.load(end - size, size)) == HOLDS
        for outside in (RAM - 1, RAM - size, end - size + 1, end, 0, M64, M64 - size + 1):
            assert verdict(C.load(outside, size)) == UNJUDGED
    for op in C.DIVISIONS:
        assert verdict(Ex(op, (lift(7), lift(0)))) == UNJUDGED
        assert verdict(Ex(op, (lift(1 << 63), lift(M64)))) == (NO if op in ("divu", "rems") else HOLDS)
    nowhere, by_zero = C.load(0, 8), expr.divu(C.ICOUNT, 0)
    # only the arm that is taken matters, and what chooses it
    assert verdict(expr.select(C.ICOUNT, 1, nowhere)) == HOLDS
    assert verdict(expr.select(C.ICOUNT, nowhere, 1)) == UNJUDGED
    assert verdict(expr.select(expr.ne(C.ICOUNT, 5), by_zero, 0)) == NO
    assert verdict(expr.select(by_zero, 1, 1)) == UNJUDGED
    assert verdict(lift(0) * nowhere) == UNJUDGED
    both = C.both(Condition(lift(0)), Condition(nowhere))
    assert both is not None
    assert verdict(both.tree) == NO


def test_shifts_take_their_amount_modulo_64(core: Core) -> None:
    for tree, value in (
        (lift(1) << 65, 2),
        (lift(8) >> 66, 2),
        (expr.sar(1 << 63, 127), M64),
        (lift(3) << M64, 1 << 63),
    ):
        assert call(Condition(expr.eq(tree, value)), core._table, 0, 0) == HOLDS
        assert plain(core, Condition(expr.eq(tree, value)), 0, 0) == HOLDS


def test_what_is_no_condition() -> None:
    deep = wide = C.ICOUNT
    for _ in range(C.MAX_DEPTH + 1):
        deep = ~deep
    for _ in range(20):
        wide = wide + wide
    for tree in (
        deep,
        wide,
        Ex("add", (lift(1),)),
        Ex("no such", ()),
        Ex("operand", ("rs1",)),
        Ex("hart", (L.CUR_IP,)),
        Ex("mach", (-1,)),
        Ex("load", (lift(0), 3)),
        Ex("add", (lift(1), 2)),
        Ex("pc", (1,)),
    ):
        with pytest.raises(BadCondition):
            Condition(tree)


def test_registers_by_name() -> None:
    assert C.register("x0") == lift(0)
    assert C.register("fp") == C.register("s0") == C.register("x8")
    assert C.register("pmpcfg0") is None
    assert C.register("no such") is None
