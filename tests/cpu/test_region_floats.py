"""Floating point in compiled regions: as in the dispatch loop, and as Berkeley SoftFloat has it."""

from __future__ import annotations

import itertools
import random
import struct

import numpy as np
import pytest
from rrdbg_core.cpu import host_floats
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, FUSED
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.floats import gives_single, singles_before
from rrdbg_core.cpu.regions.flow import steps
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.cpu.regions.registers import FCSR, F, computes, hart_word, reads, uses_floats, writes
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.table import BY_NAME, INSNS, decode, encode, reserves

from tests.cpu.guest import asm
from tests.cpu.oracle.floating import FloatFlow, blocks, floating
from tests.cpu.softfloat import FROM, TO, Operation, Words, judged, operations
from tests.cpu.test_floats import judge_of, random_rows, rows_of_specials
from tests.cpu.test_regions import CLOSE_SLICES, SLICES, Pair, run


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


def run_loop(pair: Pair, seed: int, count: int, slices: tuple[int, ...]) -> None:
    case = floating(seed, count)
    run(pair, case, random.Random(seed), [blocks(case, careful=seed % 2 == 0)], slices)


# ---- as in the dispatch loop -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_loops(pair: Pair, seed: int) -> None:
    before = pair.in_regions
    for number in range(8 * seed, 8 * seed + 8):
        run_loop(pair, number, 1000, CLOSE_SLICES)
    assert pair.in_regions > before + 1_500


def test_a_program_that_stays_hot(pair: Pair) -> None:
    before = pair.in_regions
    run(pair, FloatFlow(1).case("1", 20_000), random.Random(1))
    assert pair.in_regions > before


@pytest.mark.slow
def test_three_million_steps() -> None:
    pair = Pair()
    for seed in itertools.count(1000):
        if pair.steps >= 3_000_000:
            break
        if seed % 20:
            run_loop(pair, seed, 15_000, SLICES)
        else:
            run(pair, FloatFlow(seed).case(str(seed), 40_000), random.Random(seed))
    print(f"{pair.steps:_} steps of {seed - 1000} programs, {pair.in_regions:_} of them in regions")
    assert pair.in_regions > pair.steps // 4


def test_without_fused_operations(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions as another host has them do the same."""
    monkeypatch.setattr(host_floats, "host_has_fma", lambda: False)
    for seed in range(200, 220):
        case = floating(seed, 1000)
        plan = blocks(case, careful=seed % 2 == 0)
        assert b"fma" not in compile_plans([plan])
        run(pair, case, random.Random(seed), [plan], CLOSE_SLICES)


def test_with_floating_point_off_or_another_mode() -> None:
    """A block with floating point is left to the dispatch loop until all is as it has to be; others are not."""
    program = [asm("fadd.d", rd=1, rs1=2, rs2=3, imm=7 << 12), asm("addi", rd=5, rs1=5, imm=1), asm("jal", imm=-8)]
    core = Core(1 << 16)
    core.mach[L.FLOAT] = MSTATUS_FS
    core.write(0x8000_0000, struct.pack("<3I", *program))
    plan = Plan((Block(0x8000_0000, struct.pack("<3I", *program)),), (0x8000_0000,))
    core.regions.add([plan], compile_plans([plan]))
    core.hart[L.MTVEC] = 0x8000_0000
    seen = {}
    for state, frm in itertools.product((0, 0x2000, 0x4000, 0x6000), (0, 1, 4, 5)):
        core.hart[L.PC], core.hart[L.MSTATUS], core.hart[L.FCSR] = 0x8000_0000, state, frm << 5
        core.regions.look_again()
        before = int(core.hart[L.REGION_STEPS])
        core.run(core.icount + 3_000)
        seen[state, frm] = int(core.hart[L.REGION_STEPS]) - before
        assert core.hart[L.MSTATUS] & MSTATUS_FS == (MSTATUS_FS if state and frm < 5 else state)
    inside = {key for key, count in seen.items() if count > 2_000}
    # the first instruction makes FS Dirty
    assert inside == {(0x2000, 0), (0x4000, 0), (0x6000, 0)}, seen


def test_products_and_sums_are_not_fused() -> None:
    """LLVM must not make one operation of two, whatever the host can do."""
    program = [asm("fmul.d", rd=1, rs1=2, rs2=3), asm("fadd.d", rd=1, rs1=1, rs2=4), asm("jal", imm=-8)]
    core = Core(1 << 16)
    core.mach[L.FLOAT] = MSTATUS_FS
    core.write(0x8000_0000, struct.pack("<3I", *program))
    plan = Plan((Block(0x8000_0000, struct.pack("<3I", *program)),), (0x8000_0000,))
    core.regions.add([plan], compile_plans([plan]))
    tiny = 1 + 2**-30
    core.hart[L.PC], core.hart[L.MSTATUS], core.hart[L.FCSR] = 0x8000_0000, 0x6000, 1
    for register, value in ((2, tiny), (3, tiny), (4, -1.0)):
        core.hart[L.F + register] = struct.unpack("<Q", struct.pack("<d", value))[0]
    core.regions.look()
    core.run(core.icount + 3)
    assert core.hart[L.REGION_STEPS] >= 2
    [found] = struct.unpack("<d", struct.pack("<Q", int(core.hart[L.F + 1])))
    assert found == tiny * tiny - 1.0 != 2**-29 + 2**-60


# ---- as SoftFloat has it ---------------------------------------------------------------------------------------------
CODE, ROWS_AT = 0x8000_0000, 0x8001_0000
JUDGED = sorted(name for name in DONE_BY_HOST if not name.startswith(("fmin", "fmax")))
ROW_BYTES = 40
"""Three operands, result, fflags."""
A, B, C, RESULT, ROW, LEFT, FLAGS = 10, 11, 12, 13, 8, 9, 14


def program(name: str, rm: int, flags: int) -> tuple[list[int], int]:
    """Return a loop over rows, and how many of its instructions come before the first that is not for regions."""
    insn = BY_NAME[name]
    operation = operation_of(name)
    if operation.code == FROM:
        before = [asm("ld", rd=A, rs1=ROW)]
    else:
        before = [asm("fld" if operation.wide else "flw", rd=10 + i, rs1=ROW, imm=8 * i) for i in range(3)]
    before.append(encode(insn, RESULT, A, 0 if insn.mask >> 20 & 31 == 31 else B, rm << 12 | C << 27))
    if "rd" in insn.floats:
        before.append(asm("fsw" if operation.bits == 32 else "fsd", rs1=ROW, rs2=RESULT, imm=24))
    else:
        before.append(asm("sd", rs1=ROW, rs2=RESULT, imm=24))
    mode = asm("csrrwi", rd=FLAGS, rs1=flags, imm=1)
    after = [asm("sd", rs1=ROW, rs2=FLAGS, imm=32), asm("addi", rd=ROW, rs1=ROW, imm=ROW_BYTES)]
    after.append(asm("addi", rd=LEFT, rs1=LEFT, imm=-1))
    after.append(asm("bne", rs1=LEFT, imm=-4 * (len(before) + 1 + len(after))))
    return [*before, mode, *after, asm("jal")], len(before)


def operation_of(name: str) -> Operation:
    """Return what SoftFloat knows an instruction as."""
    return next(operation for operation in operations() if operation.function == judge_of(name))


class Vectors:
    """Instructions in loops that are regions."""

    def __init__(self, rows: int) -> None:
        self.core = Core(1 << 24)
        self.core.mach[L.FLOAT] = MSTATUS_FS
        self.rows = rows

    def compile(self, kinds: list[tuple[str, int, int]]) -> None:
        """Make a region of each (instruction, rounding mode, flags raised before)."""
        plans = []
        for number, kind in enumerate(kinds):
            words, before = program(*kind)
            at = CODE + 128 * number
            code = struct.pack(f"<{len(words)}I", *words)
            self.core.write(at, code)
            first = Block(at, code[: 4 * before])
            second = Block(at + 4 * before + 4, code[4 * before + 4 : -4])
            plans.append(Plan((first, second), (first.pc, second.pc)))
        self.core.regions.clear()
        for start in range(0, len(plans), 64):
            self.core.regions.add(plans[start : start + 64], compile_plans(plans[start : start + 64]))
        self.core.regions.look()

    def run(self, number: int, kind: tuple[str, int, int], rows: tuple[Words, Words, Words]) -> tuple[Words, Words]:
        """Return results and flags."""
        core, count = self.core, len(rows[0])
        table = np.zeros((count, ROW_BYTES // 8), np.uint64)
        table[:, 0], table[:, 1], table[:, 2] = rows
        core.write(ROWS_AT, table.tobytes())
        core.hart[L.PC], core.hart[L.MSTATUS], core.hart[L.FCSR] = CODE + 128 * number, MSTATUS_FS, kind[2]
        core.hart[ROW], core.hart[LEFT] = ROWS_AT, count
        before = int(core.hart[L.REGION_STEPS])
        words = len(program(*kind)[0])
        core.run(core.icount + (words - 1) * count)
        assert core.hart[LEFT] == 0
        assert int(core.hart[L.REGION_STEPS]) - before > count * (words - 4), kind
        table = np.frombuffer(core.memory.read(ROWS_AT, table.nbytes), np.uint64).reshape(table.shape)
        return table[:, 3], table[:, 4]


def check_vectors(kinds: list[tuple[str, int, int]], count: int, seed: int) -> int:
    """Compare vectors with SoftFloat; return how many there were."""
    vectors = Vectors(count)
    vectors.compile(kinds)
    done = 0
    for number, kind in enumerate(kinds):
        name, rm, flags = kind
        operation = operation_of(name)
        specials, drawn = rows_of_specials(operation), random_rows(operation, count, seed + number)
        picked = np.random.default_rng(seed + number).permutation(len(specials[0]))[: 3 * count]
        a, b, c = (np.concatenate((column[picked], other)) for column, other in zip(specials, drawn, strict=True))
        got, raised = vectors.run(number, kind, (a, b, c))
        minus = {"fmsub": "c", "fnmsub": "a", "fnmadd": "ac", "fmadd": ""}.get(name.split(".")[0], "")
        want, flags_wanted = judged(operation, 0 if rm == 7 else rm, a, b, c, minus=minus)
        if operation.code == TO and operation.bits == 32:
            want = want.astype(np.int32).astype(np.int64).astype(np.uint64)
        wrong = np.flatnonzero((got != want) | (raised != (flags_wanted | np.uint64(flags))))
        if len(wrong):
            at = wrong[0]
            told = [hex(column[at]) for column in (a, b, c, got, want, raised, flags_wanted)]
            raise AssertionError(f"{kind}: {told}")
        done += len(a)
    return done


pytest.importorskip("softfloatpy", reason="the wheel `softfloatpy` is not installed")


def kinds_of(seed: int) -> list[tuple[str, int, int]]:
    """Return each instruction in its usual mode, with NX raised before and without, and in some mode at random."""
    rng = random.Random(seed)
    found = []
    for name in JUDGED:
        if BY_NAME[name].fmt == "RF":
            found.append((name, BY_NAME[name].match >> 12 & 7, 0))
            continue
        usual = 1 if operation_of(name).code == TO else rng.choice((0, 7))
        found += [(name, usual, 1), (name, usual, 0), (name, rng.choice((0, 1, 2, 3, 4, 7)), rng.choice((0, 1, 30)))]
    return found


@pytest.mark.oracle
def test_vectors_against_softfloat() -> None:
    assert check_vectors(kinds_of(1), 1000, 1) > 200_000


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", JUDGED)
def test_more_vectors_against_softfloat(name: str) -> None:
    if BY_NAME[name].fmt == "RF":
        kinds = [(name, BY_NAME[name].match >> 12 & 7, flags) for flags in (0, 1, 31)]
    else:
        kinds = [(name, rm, flags) for rm in (0, 1, 2, 3, 4, 7) for flags in (0, 1, 31)]
    assert check_vectors(kinds, 20_000, 1000) > 60_000


# ---- what is known of instructions -----------------------------------------------------------------------------------
def test_registers_have_words_of_their_own() -> None:
    words = [hart_word(register) for register in range(FCSR + 1)]
    assert words == [*range(L.X, L.X + 32), *range(L.F, L.F + 32), L.FCSR]


def test_what_instructions_read_and_write() -> None:
    def known(name: str, rs3: int = 0) -> tuple[set[int], set[int]]:
        decoded = decode(asm(name, rd=1, rs1=2, rs2=3, imm=rs3 << 27))
        assert decoded is not None
        return set(reads(decoded)), set(writes(decoded))

    assert known("fmadd.d", 4) == ({F + 2, F + 3, F + 4, FCSR}, {F + 1, FCSR})
    assert known("fadd.s") == ({F + 2, F + 3, FCSR}, {F + 1, FCSR})
    assert known("fsqrt.d") == ({F + 2, FCSR}, {F + 1, FCSR})
    assert known("fcvt.w.d") == ({F + 2, FCSR}, {1, FCSR})
    assert known("fcvt.d.w") == ({2, FCSR}, {F + 1, FCSR})
    assert known("fle.s") == ({F + 2, F + 3, FCSR}, {1, FCSR})
    assert known("fsgnj.d") == ({F + 2, F + 3}, {F + 1})
    assert known("fmv.x.d") == ({F + 2}, {1})
    assert known("fmv.w.x") == ({2}, {F + 1})
    assert known("fld") == ({2}, {F + 1})
    assert known("fsd") == ({2, F + 3}, set())
    assert known("add") == ({2, 3}, {1})


def test_every_instruction_of_f_and_d_is_known_as_one() -> None:
    for insn in INSNS:
        decoded = decode(insn.match)
        assert decoded is not None
        assert uses_floats(decoded) == (insn.ext in "FD"), insn.name
        # a reserved mode would make it an illegal instruction
        assert not (computes(decoded) and reserves(insn.fmt, decoded.imm))


def test_singles_are_known_where_they_are_made() -> None:
    single = {insn.name for insn in INSNS if gives_single(insn)}
    assert {"flw", "fmv.w.x", "fadd.s", "fsgnj.s", "fcvt.s.d", "fcvt.s.wu", "fmin.s", "fnmadd.s"} <= single
    assert not single & {"fld", "fmv.x.w", "fcvt.d.s", "fcvt.w.s", "fle.s", "fadd.d", "fmv.d.x", "fclass.s", "fsw"}
    words = [asm("flw", rd=1, rs1=2), asm("fadd.d", rd=1, rs1=2), asm("fadd.s", rd=3, rs1=1), asm("fld", rd=3, rs1=2)]
    code = steps(Block(CODE, struct.pack("<4I", *words)))
    assert singles_before(code) == [set(), {1}, set(), {3}, set()]
    assert len(FUSED) == 4
