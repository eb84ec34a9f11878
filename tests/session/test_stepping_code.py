"""What instructions do to the flow of control: seen at a glance, and equal to what decoding each of them says."""

from __future__ import annotations

import random

from rrdbg.session.decoding import instruction
from rrdbg.session.stepping_code import Flow, Kind, Op, kind_of

START = 0x8000_0000
M64 = (1 << 64) - 1


def flow_of(code: bytes, start: int = START) -> Flow:
    """Return the flow of code that lies somewhere."""
    return Flow(((start, start + len(code)),), lambda at, size: code[at - start : at - start + size])


def decoded(code: bytes, start: int = START) -> list[Op]:
    """Return the instructions of code, each one decoded where it is."""
    found, at = [], 0
    while at + 2 <= len(code):
        raw = code[at : at + 4]
        if raw[0] & 3 == 3 and len(raw) < 4:
            break
        insn = instruction(int.from_bytes(raw, "little"), start + at)
        found.append(Op(start + at, start + at + insn.length, kind_of(insn), insn.target))
        at += insn.length
    return found


def same(code: bytes, start: int = START) -> set[Kind]:
    """Check some code and return the kinds of instructions in it."""
    ops = list(flow_of(code, start).by_address.values())
    assert ops == decoded(code, start)
    return {op.kind for op in ops}


def test_compressed_instructions() -> None:
    halves = random.Random(2).sample([half for half in range(1 << 16) if half & 3 != 3], 6_000)
    halves += [0x8082, 0x8282]  # through ra, and through t0
    code = b"".join(half.to_bytes(2, "little") for half in halves)
    assert same(code) == {Kind.PLAIN, Kind.BRANCH, Kind.JUMP, Kind.CALL, Kind.RETURN, Kind.INDIRECT}


def test_instructions_of_every_opcode() -> None:
    chance = random.Random(1)
    words = [chance.getrandbits(25) << 7 | opcode << 2 | 3 for opcode in range(32) for _ in range(200)]
    words += [chance.choice((0, 1, 5)) << 15 | chance.choice((0, 1, 5)) << 7 | 0x67 for _ in range(50)]
    words += [0x3020_0073, 0x1020_0073, 0x0000_0073, 0x1050_0073]  # mret, sret, ecall, wfi
    code = b"".join(word.to_bytes(4, "little") for word in words)
    assert same(code) == set(Kind)


def test_targets_at_both_ends_of_the_address_space() -> None:
    code = b"".join(word.to_bytes(4, "little") for word in (0x8000_006F, 0x7FFF_F06F, 0xFE00_0EE3, 0x7E00_0FE3))
    for start in (0, M64 - 15, START):
        assert all(op.target is not None for op in flow_of(code, start).by_address.values())
        same(code, start)


def test_a_cut_instruction_ends_it() -> None:
    assert not flow_of(b"\x13\x05").by_address
    assert list(flow_of(b"\x01\x00\x13\x05").by_address) == [START]
