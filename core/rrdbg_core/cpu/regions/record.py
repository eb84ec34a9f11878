"""A batch of regions as bytes: its plans and its object code, under one checksum.

The checksum covers a salt too, which stands for all that the object code depends on: what was compiled by another
version, for another CPU or for another program does not pass. It guards against accidents: torn files, mixed versions,
bytes that are none of ours.

    4 bytes magic, u32 bytes of the body, 16 bytes xxh3_128(salt + body)
    body: u16 plans, u32 bytes of each, the plans, the object code
    plan: u16 entries, u16 blocks, u64 of each entry, (u64 pc, u16 bytes, u16 targets, u8 careful) of each block,
          u64 of all targets, the code of all blocks

Everything is little endian. No object code says that these plans cannot be compiled.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import xxhash

from rrdbg_core.cpu.regions.plan import MAX_INSNS, Block, Plan

MAX_RECORD_BYTES = 8 << 20
"""Bytes of the largest record."""
MAX_PLANS = 256
"""Plans of a record."""
MAX_PLAN_BYTES = 1 << 18
"""Bytes of a plan."""
_MAGIC = b"RgnB"
_HEAD = struct.Struct("<4sI16s")
_COUNTS = struct.Struct("<HH")
_BLOCK = struct.Struct("<QHHB")


@dataclass(frozen=True, slots=True)
class Record:
    """A batch of regions that were compiled together."""

    plans: tuple[bytes, ...]
    """The plans, encoded."""
    code: bytes
    """Object code of all of them; empty: they cannot be compiled."""


def encode_plan(plan: Plan) -> bytes:
    """Return a plan as bytes: equal plans give equal bytes.

    Raises:
        ValueError: It is larger than any plan should be.
    """
    blocks = plan.blocks
    targets = [target for block in blocks for target in block.targets]
    try:
        data = b"".join(
            (
                _COUNTS.pack(len(plan.entries), len(blocks)),
                struct.pack(f"<{len(plan.entries)}Q", *plan.entries),
                *(_BLOCK.pack(block.pc, len(block.code), len(block.targets), block.careful) for block in blocks),
                struct.pack(f"<{len(targets)}Q", *targets),
                *(block.code for block in blocks),
            )
        )
    except struct.error as error:
        raise ValueError(f"not a plan: {error}") from None
    if len(data) > MAX_PLAN_BYTES or len(blocks) > MAX_INSNS:
        raise ValueError(f"a plan of {len(blocks)} blocks, {len(data)} bytes")
    return data


def decode_plan(data: bytes) -> Plan:
    """Return the plan that `encode_plan` made bytes of.

    Raises:
        ValueError: It did not.
    """
    try:
        entries, blocks = _COUNTS.unpack_from(data)
        heads = _COUNTS.size + 8 * entries
        tail = heads + _BLOCK.size * blocks
        rows = list(_BLOCK.iter_unpack(data[heads:tail]))
        count = sum(row[2] for row in rows)
        targets = struct.unpack_from(f"<{count}Q", data, tail)
        at, taken, parts = tail + 8 * count, 0, []
        for pc, size, jumps, careful in rows:
            parts.append(Block(pc, bytes(data[at : at + size]), targets[taken : taken + jumps], careful == 1))
            at, taken = at + size, taken + jumps
        plan = Plan(tuple(parts), struct.unpack_from(f"<{entries}Q", data, _COUNTS.size))
    except struct.error as error:
        raise ValueError(f"not a plan: {error}") from None
    if at != len(data) or len(rows) != blocks or blocks > MAX_INSNS or any(row[3] > 1 for row in rows):
        raise ValueError(f"not a plan: {len(data)} bytes, {at} used")
    return plan


def digest(plan: bytes) -> bytes:
    """Return 16 bytes that stand for an encoded plan."""
    return xxhash.xxh3_128_digest(plan)


def seal(salt: bytes, record: Record) -> bytes:
    """Return a record as bytes.

    Raises:
        ValueError: It is larger than any record should be.
    """
    plans = record.plans
    body = b"".join(
        (struct.pack(f"<H{len(plans)}I", len(plans), *map(len, plans)), *plans, record.code),
    )
    if len(body) > MAX_RECORD_BYTES or not 0 < len(plans) <= MAX_PLANS:
        raise ValueError(f"a record of {len(plans)} plans, {len(body)} bytes")
    return _HEAD.pack(_MAGIC, len(body), _check(salt, body)) + body


def unseal(salt: bytes, data: memoryview, at: int = 0) -> tuple[Record, int] | None:
    """Return the record that stands at an offset, and the offset behind it; None: there is no whole one."""
    body_at = at + _HEAD.size
    if body_at > len(data):
        return None
    magic, size, check = _HEAD.unpack_from(data, at)
    end = body_at + size
    if magic != _MAGIC or size > MAX_RECORD_BYTES or end > len(data):
        return None
    body = data[body_at:end]
    if _check(salt, body) != check:
        return None
    try:
        (count,) = struct.unpack_from("<H", body)
        sizes = struct.unpack_from(f"<{count}I", body, 2)
    except struct.error:
        return None
    plan_at, plans = 2 + 4 * count, []
    for plan_bytes in sizes:
        plans.append(bytes(body[plan_at : plan_at + plan_bytes]))
        plan_at += plan_bytes
    if plan_at > size or not 0 < count <= MAX_PLANS or max(sizes) > MAX_PLAN_BYTES:
        return None
    return Record(tuple(plans), bytes(body[plan_at:])), end


def tally(data: memoryview) -> tuple[int, int]:
    """Return how many plans a file holds that are compiled, and that cannot be; nothing is checked."""
    compiled = refused = at = 0
    while at + _HEAD.size + 2 <= len(data):
        magic, size, _ = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        (count,) = struct.unpack_from("<H", data, at)
        end = at + size
        if magic != _MAGIC or end > len(data) or 2 + 4 * count > size:
            break
        sizes = struct.unpack_from(f"<{count}I", data, at + 2)
        if 2 + 4 * count + sum(sizes) < size:
            compiled += count
        else:
            refused += count
        at = end
    return compiled, refused


def _check(salt: bytes, body: bytes | memoryview) -> bytes:
    whole = xxhash.xxh3_128(salt)
    whole.update(body)
    return whole.digest()
