"""Blocks against the dispatch loop alone: nothing of the guest differs, wherever a run is cut.

Both cores are the same kernel. One of them makes blocks of whatever it runs for the second time; the other one never.
"""

from __future__ import annotations

import mmap
import platform
import random
import struct

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.block_memory import BLOCK_AFTER, BLOCK_BYTES, block_memory
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.handler import BLOCK_HEAD_BYTES, END, ENTER, MIDDLE, OUT, TO_NOBODY
from rrdbg_core.cpu.native import names
from rrdbg_core.cpu.ops import BLOCK_OP, OPS, slot_of
from rrdbg_core.cpu.stencils import ABSOLUTE_8, ENDS, FIRST_WAY, HOLES, NEAR, is_copied, stencil_table
from rrdbg_core.cpu.stops import Gate, Watch, WatchKind
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.expr import Branch, Jump, Load
from rrdbg_core.isa.rvc import expansions
from rrdbg_core.isa.table import INSNS, decode, encode

from tests.cpu.guest import asm
from tests.cpu.oracle.close import BASE, MASK, STEP, atomics, close
from tests.cpu.oracle.floating import floating
from tests.cpu.oracle.flows import Flow
from tests.cpu.oracle.programs import CODE, Generator
from tests.cpu.oracle.subjects import RAM_BYTES, CoreSubject
from tests.cpu.test_every_encoding import COMPRESSED, DATA, FLOATS, VECTOR, operands
from tests.cpu.test_paged_regions import Paged
from tests.cpu.test_regions import CLOSE_SLICES, Pair, run

T0, T1, A0, A1, A2 = 5, 6, 10, 11, 12


class BlockPair(Pair):
    """A core without blocks and one with them."""

    def __init__(self, kind: type[CoreSubject] = CoreSubject) -> None:
        super().__init__(kind, kind)  # type: ignore[arg-type]
        self.inside = 0

    @property
    def made(self) -> int:
        """Blocks made so far."""
        assert not self.plain.core.mach[L.BLOCKS]
        return int(self.forced.core.mach[L.BLOCKS])

    def step(self, count: int) -> None:
        before = int(self.forced.core.hart[L.BLOCK_STEPS])
        super().step(count)
        self.inside += int(self.forced.core.hart[L.BLOCK_STEPS]) - before

    def disturb(self, rng: random.Random) -> None:
        core = self.forced.core
        match rng.randrange(12):
            case 0:
                core.blocks = not core.blocks
            case 1:
                core.take_run()
                self.plain.core.take_run()
            case _:
                super().disturb(rng)

    def calm(self) -> None:
        super().calm()
        self.forced.core.blocks = True


@pytest.fixture(scope="module")
def pair() -> BlockPair:
    return BlockPair()


@pytest.fixture(scope="module")
def paged() -> BlockPair:
    return BlockPair(Paged)


# ---- random programs -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(8))
def test_programs_that_stay_hot(pair: BlockPair, seed: int) -> None:
    before = pair.inside
    run(pair, Flow(seed).case(str(seed), 40_000), random.Random(seed))
    assert pair.inside - before > 1_000


@pytest.mark.parametrize("seed", range(4))
def test_programs_behind_page_tables(paged: BlockPair, seed: int) -> None:
    before = paged.inside
    run(paged, Flow(seed).case(str(seed), 40_000), random.Random(seed))
    assert paged.inside - before > 1_000


@pytest.mark.parametrize("seed", range(6))
def test_accesses_that_are_close_together(pair: BlockPair, paged: BlockPair, seed: int) -> None:
    for number in range(10 * seed, 10 * seed + 10):
        for each in (pair, paged):
            run(each, close(number, 1000), random.Random(number), slices=CLOSE_SLICES)


@pytest.mark.parametrize("seed", range(4))
def test_atomics_end_blocks(pair: BlockPair, seed: int) -> None:
    run(pair, atomics(seed, 1000), random.Random(seed), slices=CLOSE_SLICES)


@pytest.mark.parametrize("seed", range(8))
def test_arithmetic_of_f_and_d(pair: BlockPair, seed: int) -> None:
    before = pair.made
    for number in range(5 * seed, 5 * seed + 5):
        run(pair, floating(number, 2_000), random.Random(number))
    assert pair.made > before


def test_random_programs(pair: BlockPair) -> None:
    before = pair.made
    for case in Generator(12).cases(per_program=4):
        run(pair, case, random.Random(12))
    assert pair.made > before


@pytest.mark.parametrize("seed", range(4))
def test_code_that_does_not_fit(pair: BlockPair, seed: int) -> None:
    """All blocks are thrown away whenever there is no room for another one."""
    core = pair.forced.core
    before, room = pair.made, int(names.BLOCK_ROOM) + 600
    full = 0
    pair.load(Flow(seed).case(str(seed), 40_000))
    core.mach[L.BLOCK_BYTES] = room
    for slice_ in range(60):
        used = int(core.mach[L.BLOCK_USED])
        pair.step(500)
        pair.check(f"slice {slice_}")
        full += int(core.mach[L.BLOCK_USED]) < used
        assert core.mach[L.BLOCK_USED] <= room
    pair.calm()
    assert full
    assert pair.made > before + 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "paged"])
def test_twenty_million_steps(kind: str) -> None:
    pair = BlockPair() if kind == "plain" else BlockPair(Paged)
    seed = 3000
    while pair.steps < 20_000_000:
        run(pair, Flow(seed).case(str(seed), 100_000), random.Random(seed))
        seed += 1
    print(f"{pair.steps:_} steps of {seed - 3000} programs, {pair.made:_} blocks")
    assert pair.made > 5_000


def check_tables(core: Core) -> None:
    """Check what is known of blocks: a slot is marked if it is in a block that can be entered, and it is in one."""
    used = int(core.mach[L.POOL_USED]) * names.STRIDE
    slots, block_of = core._dec[:used], core._block_of.copy()
    assert not block_of[used:].any()
    block_of[block_of == int(names.BEGINS)] = 0
    for first in np.isin(slots & np.uint64(255), (names.OP_BLOCK, names.OP_ASLEEP)).nonzero()[0].tolist():
        head = (int(slots[first]) >> 8) - core._block_code.ctypes.data - BLOCK_HEAD_BYTES
        assert 0 <= head < core.mach[L.BLOCK_USED]
        length = int(core._block_code.view(np.uint64)[head // 8 + 1])
        assert block_of[first : first + length].tolist() == [*range(1, length + 1)]
        block_of[first : first + length] = 0
    assert not block_of.any()


def test_what_is_known_of_blocks_is_true(pair: BlockPair) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        pair.load(Flow(seed).case(str(seed), 10_000))
        check_tables(pair.forced.core)
        for slice_ in range(20):
            pair.step(500)
            pair.check(f"program {seed}, slice {slice_}")
            check_tables(pair.forced.core)
            pair.disturb(rng)
            check_tables(pair.forced.core)
        pair.calm()


def test_pages_that_do_not_fit(pair: BlockPair) -> None:
    """Decoded pages are thrown away, and the blocks in them, whenever a third one is run."""
    core = pair.forced.core
    pages, before, flushes = int(core.mach[L.POOL_PAGES]), pair.made, int(core.mach[L.FLUSHES])
    for seed in range(4):
        pair.load(Flow(seed).case(str(seed), 20_000))
        core.mach[L.POOL_PAGES] = 4
        for slice_ in range(40):
            pair.step(500)
            pair.check(f"program {seed}, slice {slice_}")
            check_tables(core)
        core.mach[L.POOL_PAGES] = pages
    assert core.mach[L.FLUSHES] - flushes > 10
    assert pair.made > before + 50


# ---- every instruction -----------------------------------------------------------------------------------------------
class One:
    """One instruction at a time between others, in a block or not."""

    def __init__(self, *, blocks: bool) -> None:
        self.core = Core(RAM_BYTES)
        self.core.mach[L.FLOAT] = MSTATUS_FS
        self.core.mach[L.BLOCK_AFTER] = 1
        self.core.blocks = blocks

    def run(self, code: bytes, steps: int, registers: list[int], fcsr: int) -> list[object]:
        core, hart = self.core, self.core.hart
        core.write(CODE, code)
        made = int(core.mach[L.BLOCKS])
        for _ in range(3):  # decoded; made a block; run in it
            core.write(DATA - 0x2000, random.Random(1).randbytes(0x5000))
            hart[1:32] = registers
            hart[L.PC], hart[L.PRIV], hart[L.MTVEC] = CODE, L.PRIV_M, VECTOR
            hart[L.MEPC] = hart[L.MCAUSE] = hart[L.MTVAL] = 0
            hart[L.MSTATUS], hart[L.FCSR] = MSTATUS_FS, fcsr
            hart[L.F : L.F + 32] = FLOATS
            limit = core.icount + steps
            while core.run(limit) != Exit.LIMIT:
                core.mmio_done(ok=False)
        self.made = int(core.mach[L.BLOCKS]) - made
        traps = [int(hart[at]) for at in (L.MEPC, L.MCAUSE, L.MTVAL, L.MSTATUS)]
        memory = core.memory.ram[DATA - 0x2000 - L_BASE : DATA + 0x3000 - L_BASE].tobytes()
        return [int(hart[L.PC]), hart[1:32].tolist(), traps, hart[L.F : L.FCSR + 1].tolist(), memory]


L_BASE = 0x8000_0000
NOP = struct.pack("<I", 0x13)


@pytest.fixture(scope="module")
def ones() -> tuple[One, One]:
    return One(blocks=False), One(blocks=True)


def same(ones: tuple[One, One], bits: bytes, registers: list[int], what: str, fcsr: int = 0) -> int:
    """Compare an instruction in the middle of a block, or at its end if it jumps; return how many blocks were made."""
    decoded = decode(int.from_bytes(bits.ljust(4, b"\0"), "little"))
    ends = decoded is not None and isinstance(decoded.insn.effect, Branch | Jump)
    code = NOP + bits + (b"" if ends else NOP)
    plain, blocked = (one.run(code + b"\0\0\0\0", 2 if ends else 3, registers, fcsr) for one in ones)
    for index, part in enumerate(("pc", "x", "traps", "f", "memory")):
        assert plain[index] == blocked[index], f"{what}: {part}"
    assert not ones[0].made
    return ones[1].made


def test_every_row(ones: tuple[One, One]) -> None:
    rng = random.Random(3)
    copied = {op.insn.name for op in OPS if is_copied(op)}
    for insn in INSNS:
        for number in range(20):
            rd = rng.randrange(32) if number % 4 else 0
            word = encode(insn, rd, rng.randrange(32), rng.randrange(32), (rng.getrandbits(21) - (1 << 20)) & ~1)
            if insn.fmt in ("AMO", "RM", "R4", "RF"):
                word = insn.match | rng.getrandbits(32) & ~insn.mask & 0xFFFF_FFFF
            if isinstance(insn.effect, Branch | Jump) and number % 2:  # stay in the page
                word = encode(
                    insn, rng.randrange(32), rng.randrange(32), rng.randrange(32), 2 * rng.randrange(-2, 1000)
                )
            if insn.name in ("mret", "sret", "wfi", "ecall", "ebreak") or insn.fmt in ("CSR", "CSRI"):
                continue
            made = same(
                ones,
                struct.pack("<I", word),
                operands(rng, insn.name),
                f"{insn.name} 0x{word:08x}",
                rng.choice((0, 0x1F, rng.randrange(256))),
            )
            if insn.name in copied and decode(word) is not None:
                assert made, f"{insn.name} 0x{word:08x} is in no block"


def test_loads_whose_value_nobody_wants_are_made(ones: tuple[One, One]) -> None:
    for insn in INSNS:
        if isinstance(insn.effect, Load):
            assert same(ones, struct.pack("<I", encode(insn, 0, A2, 0, 0)), [0] * 31, insn.name)
            assert ones[1].core.hart[L.MEPC] == VECTOR  # there is nothing at 0, nor where the trap leads


def test_all_compressed(ones: tuple[One, One]) -> None:
    rng = random.Random(2)
    legal = [halfword for halfword in COMPRESSED if expansions()[halfword]]
    made = 0
    for number, halfword in enumerate(rng.sample(legal, 6_000)):
        if number % 16 == 0:
            registers = [DATA + 8 * rng.randrange(256) for _ in range(31)]
        made += bool(same(ones, struct.pack("<H", halfword), registers, f"0x{halfword:04x}"))
    assert made > 5_900


# ---- stops, marks, changes -------------------------------------------------------------------------------------------
class Loop:
    """Ten instructions that go round, in a block."""

    WORDS = (
        *(asm("addi", A0, A0, imm=1), asm("ld", A1, A2), asm("add", T0, T0, A1), asm("sd", rs1=A2, rs2=A0, imm=8)),
        *(asm("xor", T1, T0, A0), asm("slli", T1, T1, imm=3), asm("sub", T0, T0, T1), asm("lw", A1, A2, imm=12)),
        *(asm("add", T0, T0, A1), asm("jal", imm=-36)),
    )

    def __init__(self, *, blocks: bool = True) -> None:
        self.core = Core(RAM_BYTES)
        self.core.blocks = blocks
        self.core.write(CODE, struct.pack(f"<{len(self.WORDS)}I", *self.WORDS))
        hart = self.core.hart
        hart[L.PC], hart[A2] = CODE, DATA
        self.core.run(200)
        assert self.core.hart[L.PC] == CODE
        self.core.take_run()

    @property
    def in_block(self) -> bool:
        """Whether a block can be entered at the beginning."""
        return bool(self.core._dec[2 * names.STRIDE + CODE % 4096 // 2] & np.uint64(255) == BLOCK_OP)

    def state(self) -> list[int]:
        return [
            *self.core.hart[: L.PRIV].tolist(),
            self.core.icount,
            *self.core.memory.ram[DATA - L_BASE :][:32].tolist(),
        ]


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_a_block_sleeps_until_all_of_it_has_told_that_it_is_run(loop: Loop) -> None:
    assert not loop.in_block
    loop.core.run(207)
    pages, _, halves = loop.core.take_run()
    assert pages.tolist() == [(CODE - L_BASE) // 4096]
    assert halves.tolist() == [0b1010_1010_1010_1]
    for icount in (209, 211, 216, 217, 220):  # at the end of the block; in it; at its end again
        loop.core.run(icount)
        assert not loop.in_block
    loop.core.run(221)
    assert loop.in_block
    assert loop.core.take_run()[2].tolist() == [0b0101_0101_0101_0101_0101]
    assert not loop.in_block
    inside = int(loop.core.hart[L.BLOCK_STEPS])
    loop.core.run(230)
    assert not loop.in_block
    loop.core.run(240)
    assert loop.in_block
    assert loop.core.hart[L.BLOCK_STEPS] == inside
    loop.core.run(260)
    assert loop.core.hart[L.BLOCK_STEPS] == inside + 20


def test_steps_behind_the_way_out_are_not_made_in_a_block(loop: Loop) -> None:
    loop.core.run(240)
    assert loop.in_block
    inside = int(loop.core.hart[L.BLOCK_STEPS])
    loop.core.flush_tlb()
    loop.core.run(250)
    assert loop.core.hart[L.BLOCK_STEPS] == inside + 1  # the first instruction; the second one is a load
    loop.core.run(260)
    assert loop.core.hart[L.BLOCK_STEPS] == inside + 11


def test_a_block_whose_second_half_has_not_told_sleeps_on(loop: Loop) -> None:
    told = []
    for each in (loop, Loop(blocks=False)):
        for icount in (205, 210, 220):  # half a round twice, and a whole one
            each.core.hart[L.PC] = CODE
            each.core.run(icount)
        told.append(each.core.take_run()[2].tolist())
    assert told[0] == told[1] == [0b0101_0101_0101_0101_0101]


def test_it_stops_anywhere(loop: Loop) -> None:
    other = Loop(blocks=False)
    rng = random.Random(1)
    for _ in range(300):
        steps = rng.choice((1, 2, 5, 9, 10, 11, 30))
        for each in (loop, other):
            each.core.run(each.core.icount + steps)
        assert loop.state() == other.state()
    assert loop.in_block
    assert loop.core.mach[L.BLOCKS]
    assert not other.core.mach[L.BLOCKS]


@pytest.mark.parametrize("index", range(len(Loop.WORDS)))
def test_breakpoints(loop: Loop, index: int) -> None:
    loop.core.run(300)
    assert loop.in_block
    loop.core.set_breakpoints([CODE + 4 * index])
    for number in range(3):
        assert loop.core.run(1000) == Exit.BREAK
        assert (loop.core.hart[L.PC], loop.core.icount) == (CODE + 4 * index, 300 + 10 * number + index)
        loop.core.skip_break_once()
    loop.core.set_breakpoints([])
    assert loop.core.run(1000) == Exit.LIMIT
    assert loop.in_block


def test_watches(loop: Loop) -> None:
    loop.core.run(300)
    assert loop.in_block
    loop.core.set_watches([Watch(DATA + 8, 8, WatchKind.WRITE)])
    assert loop.core.run(1000) == Exit.WATCH
    assert loop.core.icount == 304
    assert loop.core.hit.new == loop.core.hart[A0]


@pytest.mark.parametrize("index", range(len(Loop.WORDS)))
@pytest.mark.parametrize("at", [0, 2])
def test_code_that_is_written_from_outside(loop: Loop, index: int, at: int) -> None:
    loop.core.run(300)
    assert loop.in_block
    before = loop.core.memory.read(CODE + 4 * index + at, 2)
    loop.core.write(CODE + 4 * index + at, before)
    assert not loop.in_block
    loop.core.run(1000)
    assert loop.in_block
    other = Loop(blocks=False)
    other.core.run(1000)
    assert loop.state() == other.state()


@pytest.mark.parametrize("index", range(1, 9))
def test_code_that_writes_itself(index: int) -> None:
    """A store into the block that it is in: what comes behind it is the new code, without fence.i."""
    new = asm("addi", A0, A0, imm=100)
    outcomes = []
    for blocks in (True, False):
        loop = Loop(blocks=blocks)
        words = list(Loop.WORDS)
        words[1] = asm("sw", rs1=A1, rs2=T0, imm=0)
        words[2:9] = [asm("addi", T1, T1, imm=1)] * 7
        loop.core.write(CODE, struct.pack("<10I", *words))
        loop.core.hart[A1], loop.core.hart[T0] = DATA, new
        loop.core.run(300)
        assert loop.in_block == blocks
        loop.core.hart[A1] = CODE + 4 * index
        loop.core.run(310)
        outcomes.append(loop.state())
        assert loop.core.hart[A0] == outcomes[0][A0]
        assert loop.core.memory.read(CODE + 4 * index, 4) == struct.pack("<I", new)
    assert outcomes[0] == outcomes[1]


def test_a_jump_into_the_middle_parts_it(loop: Loop) -> None:
    jump = CODE + 0x100
    other = Loop(blocks=False)
    for each in (loop, other):
        each.core.write(jump, struct.pack("<I", asm("jal", imm=CODE + 16 - jump)))
        each.core.run(300)
    assert loop.in_block
    before = int(loop.core.mach[L.BLOCKS])
    for each in (loop, other):
        each.core.hart[L.PC] = jump
        each.core.run(1000)
    assert loop.state() == other.state()
    assert loop.core.mach[L.BLOCKS] == before + 2
    block_of = loop.core._block_of[2 * names.STRIDE + CODE % 4096 // 2 :][:20].tolist()
    assert block_of == [*range(1, 9), *range(1, 13)]


def test_a_break_where_a_jump_leads_into_the_middle(loop: Loop) -> None:
    jump = CODE + 0x100
    loop.core.write(jump, struct.pack("<I", asm("jal", imm=CODE + 16 - jump)))
    loop.core.run(300)
    assert loop.in_block
    loop.core.hart[L.PC] = jump
    loop.core.run(304)
    loop.core.set_breakpoints([CODE + 16])
    assert loop.core.run(1000) == Exit.BREAK
    assert (loop.core.hart[L.PC], loop.core.icount) == (CODE + 16, 311)


@pytest.mark.parametrize("index", range(len(Loop.WORDS)))
def test_a_slot_that_somebody_puts_there(loop: Loop, index: int) -> None:
    loop.core.run(300)
    assert loop.in_block
    other = Loop(blocks=False)
    other.core.run(300)
    pc, decoded = CODE + 4 * index, decode(asm("addi", A0, A0, imm=100))
    assert decoded is not None
    for each in (loop, other):
        each.core.put_slot(pc, slot_of(decoded, pc))
        each.core.run(320)
    assert loop.state() == other.state()


@pytest.mark.parametrize("seed", range(4))
def test_watches_of_some_words(pair: BlockPair, seed: int) -> None:
    rng = random.Random(seed)
    seen = 0
    for number in range(10 * seed, 10 * seed + 10):
        case = close(number, 1000)
        pair.load(case)
        near = case.x[BASE] + (rng.randrange(8) * case.x[STEP] & case.x[MASK])
        kinds = [WatchKind.CHANGE, WatchKind.WRITE, WatchKind.READ, WatchKind.ACCESS]
        watches = [Watch(near + 4 * rng.randrange(-14, 14), rng.choice((1, 8, 40)), rng.choice(kinds), 1)]
        pair.step(100)
        for core in pair.cores:
            core.set_gates([Gate()])
            core.set_watches(watches)
            core.search(True)
        for slice_ in range(9):
            pair.step(100)
            pair.check(f"{case.name}, slice {slice_}, {watches}")
            counts = [core.gate_counts for core in pair.cores]
            assert counts[0] == counts[1], f"{case.name}, {watches}"
            seen += counts[0][0].passed
        for core in pair.cores:
            core.set_watches(())
            core.set_gates(())
        pair.calm()
    assert seen > 50


# ---- what they are made of -------------------------------------------------------------------------------------------
def test_holes_have_the_same_numbers_everywhere() -> None:
    for number, hole in enumerate(HOLES[:-1]):
        assert int(getattr(names, f"HOLE_{hole.upper()}")) == number
    assert int(names.WAY_OUT) == FIRST_WAY > len(HOLES)
    assert (int(names.STENCIL_ENTER), int(names.STENCIL_END), int(names.STENCIL_OUT)) == (ENTER, END, OUT)
    assert (int(names.TO_NOBODY), int(names.MIDDLE), int(names.ABSOLUTE_8)) == (TO_NOBODY, MIDDLE, ABSOLUTE_8)
    assert (int(names.ENDS), int(names.NEAR)) == (ENDS, NEAR)
    assert (int(names.OP_BLOCK), int(names.BLOCK_HEAD)) == (BLOCK_OP, BLOCK_HEAD_BYTES)


def rows() -> dict[int, tuple[int, list[int], int]]:
    """Return, by op, the size of each stencil, its relocations, and its halfwords."""
    table = stencil_table()
    found = {}
    for number, row in enumerate(table[: OUT + 1]):
        if row:
            head = table[row]
            found[number] = head & 0xFFFF, table[row + 1 :][: head >> 16 & 0xFFFF], head >> 32 & 255
    return found


def test_all_that_needs_no_helper_can_be_copied() -> None:
    assert set(rows()) == {op.number for op in OPS if is_copied(op)} | {ENTER, END, OUT}


def test_the_largest_block_finds_room() -> None:
    found = rows()
    way_out = found[OUT][0] + 7
    costs = [
        (size + sum(entry >> 20 & 0xFFF >= FIRST_WAY for entry in relocations) * way_out) / max(halves, 1)
        for size, relocations, halves in found.values()
    ]
    assert max(costs) * (int(names.BLOCK_SLOTS) + 1) + found[ENTER][0] + found[END][0] + 64 < int(names.BLOCK_ROOM)
    assert int(names.BLOCK_SLOTS) + 2 < int(names.BEGINS)


def test_other_hosts_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    table = np.array(stencil_table(), np.uint64)
    assert not table.any()
    assert not len(block_memory(table.ctypes.data))


def test_without_memory_that_can_be_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(mmap, "mmap", refused)
    loop = Loop()
    assert not loop.core.blocks
    loop.core.blocks = True
    assert not loop.core.blocks
    loop.core.run(1000)
    monkeypatch.undo()
    other = Loop()
    assert len(other.core._block_code) == BLOCK_BYTES
    other.core.run(1000)
    assert loop.state() == other.state()


def test_what_is_run_a_few_times_stays_as_it_is() -> None:
    core = Core(RAM_BYTES)
    core.write(CODE, struct.pack("<10I", *Loop.WORDS))
    core.hart[L.PC], core.hart[A2] = CODE, DATA
    core.run(10 * BLOCK_AFTER)
    assert not core.mach[L.BLOCKS]
    core.run(10 * BLOCK_AFTER + 1)
    assert core.mach[L.BLOCKS] == 1
