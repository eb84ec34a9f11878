"""Rows exclude each other, decoding inverts encoding, and Spike agrees on what is legal."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.isa.csr import NUMBERS
from rrdbg_core.isa.rvc import expand, expansions
from rrdbg_core.isa.table import INSNS, Insn, decode, encode, reserves

from tests.cpu.oracle import spike as spike_module
from tests.cpu.oracle.legality import legal

COMPRESSED = [h for h in range(65536) if h & 3 != 3]


def test_no_two_rows_overlap() -> None:
    overlapping = [(a.name, b.name) for a, b in combinations(INSNS, 2) if not (a.match ^ b.match) & a.mask & b.mask]
    assert overlapping == []


def test_a_row_matches_itself_and_has_no_stray_bits() -> None:
    for insn in INSNS:
        assert insn.match & ~insn.mask == 0, insn.name
        assert insn.match & 3 == 3, insn.name


registers = st.integers(0, 31)


@given(st.sampled_from(INSNS), registers, registers, registers, st.integers(-(1 << 31), (1 << 31) - 1))
def test_decode_inverts_encode(insn: Insn, rd: int, rs1: int, rs2: int, imm: int) -> None:
    word = encode(insn, rd, rs1, rs2, imm)
    decoded = decode(word)
    if reserves(insn.fmt, word):
        assert decoded is None
        return
    assert decoded is not None
    assert decoded.insn is insn
    assert decoded.length == 4
    assert encode(insn, decoded.rd, decoded.rs1, decoded.rs2, decoded.imm) == word & ~unused(insn)
    if insn.fmt not in ("S", "B", "N", "F"):
        assert decoded.rd == rd
    if insn.fmt not in ("U", "J", "N", "F"):
        assert decoded.rs1 == rs1
    expected = {
        "I": imm & 0xFFF, "S": imm & 0xFFF, "CSR": imm & 0xFFF, "CSRI": imm & 0xFFF, "SH6": imm & 63, "SH5": imm & 31,
        "B": imm & 0x1FFE, "J": imm & 0x1F_FFFE, "U": imm & 0xFFFF_F000,
    }  # fmt: skip
    if insn.fmt in expected and not insn.mask >> 20 & 31:
        width = {"B": 13, "J": 21, "U": 32, "SH6": 6, "SH5": 5}.get(insn.fmt, 12)
        assert decoded.imm & (1 << width) - 1 == expected[insn.fmt]


def unused(insn: Insn) -> int:
    """Return the operand bits that decoding drops: aq and rl, and all of a fence."""
    return {"AMO": 3 << 25, "F": 0xFFFF_FFFF & ~insn.mask}.get(insn.fmt, 0)


def test_the_array_of_expansions_is_the_function() -> None:
    array = expansions()
    assert [int(array[h]) for h in COMPRESSED] == [expand(h) for h in COMPRESSED]
    assert not array[3::4].any()


def test_every_expansion_is_an_instruction() -> None:
    for half in COMPRESSED:
        word = expand(half)
        if word:
            assert decode(word) is not None, hex(half)


@pytest.mark.oracle
def test_spike_agrees_on_every_compressed_encoding() -> None:
    allowed = legal(spike_module.shared(), COMPRESSED)
    differing = [hex(h) for h, ok in zip(COMPRESSED, allowed, strict=True) if ok != (decode(h) is not None)]
    assert differing == []


S_MODE = ("sret", "sfence.vma")
"""What Spike without S mode, which is asked here, does not know."""


def words(count: int, seed: int) -> list[int]:
    """Return random words: noise, words of used opcodes, and rows with one bit flipped."""
    rng = random.Random(seed)
    opcodes = sorted({insn.match & 0x7F for insn in INSNS})
    out = [rng.getrandbits(32) | 3 for _ in range(count // 10)]
    out += [rng.getrandbits(32) & ~0x7F | rng.choice(opcodes) for _ in range(count // 2)]
    while len(out) < count:
        insn = rng.choice(INSNS)
        out.append((insn.match | rng.getrandbits(32) & ~insn.mask) ^ 1 << rng.randrange(2, 32))
    # A CSR instruction is legal if the register exists, which only running it tells.
    known = set(NUMBERS.values())
    return [w for w in out if w & 0x7F != 0x73 or w >> 12 & 3 == 0 or w >> 20 not in known]


def check_legality(count: int, seed: int) -> None:
    sample = words(count, seed)
    print(f"seed {seed}, {len(sample):_} words")
    allowed = legal(spike_module.shared(), sample)
    differing = []
    for word, ok in zip(sample, allowed, strict=True):
        decoded = decode(word)
        exists_only_if_register_does = decoded is not None and decoded.insn.fmt in ("CSR", "CSRI")
        if decoded is not None and decoded.insn.name in S_MODE:
            decoded = None
        if ok != (decoded is not None) and not exists_only_if_register_does:
            differing.append(hex(word))
    assert differing == []


@pytest.mark.oracle
def test_spike_agrees_on_random_words() -> None:
    check_legality(200_000, 1)


@pytest.mark.oracle
@pytest.mark.slow
def test_spike_agrees_on_a_million_random_words() -> None:
    check_legality(1_000_000, 2)
