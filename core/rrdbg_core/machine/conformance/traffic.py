"""Random traffic: what a driver, a user and the host may do to a device, drawn from a seed.

The traffic does not look at the device's answers, so that it is the same whatever the device does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from rrdbg_core.devices.contract import Device

MAX_ADVANCE_NS = 5_000_000


class What(Enum):
    """What happens."""

    READ = "read"
    """A register is read."""
    WRITE = "write"
    """A register is written."""
    STORE = "store"
    """RAM is written."""
    ADVANCE = "advance"
    """Virtual time passes."""
    RECEIVE = "receive"
    """Console input comes, as far as the device takes it."""
    COMPLETE = "complete"
    """The host completes the oldest bottom half, if one is pending."""
    RESET = "reset"
    """The machine is reset."""


@dataclass(frozen=True, slots=True)
class Op:
    """One happening."""

    what: What
    """What."""
    offset: int = 0
    """Offset of the register, or address in RAM."""
    size: int = 0
    """Bytes."""
    value: int = 0
    """What is written; ns that pass; seed of a payload."""
    data: bytes = b""
    """Console input."""

    def __str__(self) -> str:
        match self.what:
            case What.READ:
                return f"read of {self.size} bytes at 0x{self.offset:x}"
            case What.WRITE:
                return f"write of {self.size} bytes, 0x{self.value:x}, at 0x{self.offset:x}"
            case What.ADVANCE:
                return f"passing of {self.value} ns"
            case What.RECEIVE:
                return "receive"
            case What.COMPLETE:
                return "bottom_half"
            case _:
                return str(self.what.value)


def _offsets(kind: type[Device]) -> list[int]:
    """Return the offsets that random accesses prefer: those that drivers use, and around powers of two."""
    hot = {offset for exercise in kind.exercises for offset, _, _ in exercise if offset < kind.mmio_size}
    hot |= {1 << bit for bit in range(kind.mmio_size.bit_length())} | set(range(0, min(kind.mmio_size, 64), 4))
    near = {offset + delta for offset in hot for delta in (-4, 0, 1, 2, 4, 8)}
    return sorted(offset for offset in near if 0 <= offset < kind.mmio_size)


def traffic(kind: type[Device], seed: int, steps: int) -> list[Op]:
    """Return `steps` happenings."""
    rng = random.Random(seed)
    hot = _offsets(kind)
    ops: list[Op] = []
    while len(ops) < steps:
        ops += _some(kind, rng, hot)
    return ops[:steps]


def _some(kind: type[Device], rng: random.Random, hot: list[int]) -> Iterator[Op]:
    draw = rng.random()
    if draw < 0.03 and kind.exercises:
        for offset, size, value in rng.choice(kind.exercises):
            yield Op(What.WRITE if offset < kind.mmio_size else What.STORE, offset, size, value)
    elif draw < 0.10:
        yield Op(What.ADVANCE, value=int(MAX_ADVANCE_NS ** rng.random()))
    elif draw < 0.13 and kind.can_receive is not Device.can_receive:
        yield Op(What.RECEIVE, data=rng.randbytes(rng.randint(1, 20)))
    elif draw < 0.20 and kind.bottom_halves:
        yield Op(What.COMPLETE, value=rng.getrandbits(32))
    elif draw < 0.202:
        yield Op(What.RESET)
    else:
        size = rng.choice(kind.access_sizes)
        offset = rng.choice(hot) if rng.random() < 0.8 else rng.randrange(kind.mmio_size)
        offset &= ~(size - 1)
        if offset + size > kind.mmio_size:
            return
        if rng.random() < 0.5:
            yield Op(What.READ, offset, size)
        else:
            yield Op(What.WRITE, offset, size, _value(rng, size))


def _value(rng: random.Random, size: int) -> int:
    bits = 8 * size
    value = rng.choice((rng.getrandbits(bits), rng.getrandbits(4), 1 << rng.randrange(bits), (1 << bits) - 1, 0))
    if size >= 4 and rng.random() < 0.1:
        value = 0x8008_0000 + rng.randrange(0, 0x1_0000, 8)  # somewhere in RAM that nobody minds
    return value & (1 << bits) - 1
