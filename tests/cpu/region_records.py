"""Records of regions for tests, without anything that takes long to import."""

from __future__ import annotations

import random

from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.cpu.regions.record import Record, encode_plan, seal

VERSION = b"version-of-code!"
PROGRAM = b"a program"
SALT = VERSION + PROGRAM


def plan_at(pc: int, code: bytes = b"\x13\x00\x00\x00") -> Plan:
    """Return a plan of one block."""
    return Plan((Block(pc, code),), (pc,))


def record_at(*pcs: int, size: int = 50) -> Record:
    """Return a record with a plan at each pc and object code of some size."""
    return Record(tuple(encode_plan(plan_at(pc)) for pc in pcs), random.Random(pcs[0]).randbytes(size))


def sealed(*pcs: int, size: int = 50) -> bytes:
    """Return the same as bytes."""
    return seal(SALT, record_at(*pcs, size=size))
