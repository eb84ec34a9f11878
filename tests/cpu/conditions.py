"""Random conditions, for those that judge them."""

from __future__ import annotations

import random

from rrdbg_core.cpu import condition as C
from rrdbg_core.cpu.condition import Condition
from rrdbg_core.isa.expr import Ex, lift
from rrdbg_core.isa.registers import ABI

RAM = 0x8000_0000
INTERESTING = (0, 1, 2, 63, 64, 65, 127, 128, 255, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1, (1 << 63) - 1)
_NAMES = (*ABI[1:], "pc", "icount", "priv", "time_ns", "time", "mcycle", "minstret", "mstatus", "mcause", "pmpaddr3")


def leaf(rng: random.Random) -> Ex:
    """Return a constant or a register."""
    if rng.random() < 0.4:
        return lift(rng.choice(INTERESTING) if rng.random() < 0.7 else rng.getrandbits(64))
    found = C.register(rng.choice(_NAMES))
    assert found is not None
    return found


def tree(rng: random.Random, depth: int, addresses: tuple[int, int] = (RAM, RAM + 0x4000)) -> Ex:
    """Return a random tree; most of its loads lie within the addresses, or a little beside them."""
    if depth == 0 or rng.random() < 0.1:
        return leaf(rng)
    if rng.random() < 0.2:
        size = rng.choice(C.LOAD_SIZES)
        low, high = addresses
        if rng.random() < 0.3:
            return C.load(tree(rng, depth - 1, addresses), size)
        if rng.random() < 0.3:
            return C.load(rng.choice((low, high)) + rng.randrange(-9, 9), size)
        return C.load(lift(low) + (tree(rng, depth - 1, addresses) & (high - low - 1)), size)
    op = rng.choice(tuple(C.ARITY))
    return Ex(op, tuple(tree(rng, depth - 1, addresses) for _ in range(C.ARITY[op])))


def condition(rng: random.Random, addresses: tuple[int, int] = (RAM, RAM + 0x4000)) -> Condition:
    """Return a random condition."""
    return Condition(tree(rng, rng.randrange(1, 5), addresses))
