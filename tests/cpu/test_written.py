"""`Core.take_written`, `take_run` and `take_touched`: exactly what was written, read and executed, and when."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore

from tests.cpu.guest import CODE, RAM, RAM_BYTES, asm, start

DATA = RAM + 0x10000
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
KINDS = pytest.mark.parametrize("kind", [Core, ReferenceCore])


def mark(model: dict[int, int], address: int, size: int) -> None:
    """Note each byte's word on its own: one bit for each of a page's 512."""
    for byte in range(address - RAM, address - RAM + size):
        model[byte >> 12] |= 1 << (byte >> 3 & 511)


def taken(core: Core) -> dict[int, int]:
    """Return the words written, put together from pages, lines and masks."""
    pages, lines, masks = core.take_written()
    assert (pages.dtype, lines.dtype, masks.dtype) == (np.uint32, np.uint64, np.uint8)
    assert pages.tolist() == sorted(set(pages.tolist()))
    rest = iter(masks.tolist())
    words = {}
    for page, mask in zip(pages.tolist(), lines.tolist(), strict=True):
        words[page] = sum(next(rest) << 8 * line for line in range(64) if mask >> line & 1)
    assert next(rest, None) is None
    assert masks.all()
    return words


def program(rng: random.Random, steps: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Return code that stores at random places, and what each of its steps writes (address, size; 0: nothing)."""
    words, writes = [], []
    while len(words) < steps:
        kind = rng.random()
        if kind < 0.1:
            # x5 points elsewhere: within a page, to its end, or into another page
            offset = rng.choice((rng.getrandbits(16), rng.getrandbits(4) << 12 | 0xFF8 | rng.getrandbits(3)))
            words += [asm("lui", 5, imm=offset + 0x800 & ~0xFFF), asm("addi", 5, 5, imm=offset), asm("add", 5, 5, 6)]
            writes += [(0, 0)] * 3
            pointer = DATA + offset
        elif kind < 0.2 and words:
            words += [asm("andi", 7, 5, imm=~7), asm("amoadd.d", 8, 7, 9, imm=3)]
            writes += [(0, 0), (pointer & ~7, 8)]
        elif kind < 0.3 and words:
            address = pointer & ~7
            words += [asm("andi", 7, 5, imm=~7), asm("lr.d", 8, 7), asm("sc.d", 8, 7, 9), asm("sc.d", 8, 7, 9)]
            writes += [(0, 0), (0, 0), (address, 8), (0, 0)]
        elif words:
            name = rng.choice(list(STORES))
            imm = rng.randrange(-2048, 2048)
            words.append(asm(name, 0, 5, rng.randrange(32), imm))
            writes.append((pointer + imm, STORES[name]))
    return words, writes


@KINDS
@pytest.mark.parametrize("seed", range(6))
def test_exactly_the_words_that_were_written(kind: type[Core], seed: int) -> None:
    rng = random.Random(seed)
    core = kind(RAM_BYTES)
    words, writes = program(rng, 3000)
    start(core, words)
    core.hart[L.X + 6] = DATA
    model: dict[int, int] = defaultdict(int)
    mark(model, CODE, 4 * len(words))
    done = 0
    while done < len(words):
        upto = min(done + rng.randrange(1, 400), len(words))
        assert core.run(upto) == Exit.LIMIT
        for address, size in writes[done:upto]:
            mark(model, address, size)
        done = upto
        match rng.randrange(4):
            case 0:
                address, size = DATA + rng.getrandbits(16), rng.choice((1, 64, 65, rng.randrange(1, 9000)))
                core.write(address, bytes(size))
                mark(model, address, size)
            case 1:
                numbers = np.array(sorted(rng.sample(range(20, 200), 3)))
                core.load_pages(numbers, np.zeros((3, 4096), np.uint8))
                for number in numbers.tolist():
                    mark(model, RAM + 4096 * number, 4096)
            case 2:
                core.new_generation()  # somebody else's interest in dirty pages does not disturb
            case _:
                assert taken(core) == model
                assert taken(core) == {}
                model.clear()
    assert taken(core) == model
    assert len(writes) == core.icount


@KINDS
def test_pages_alone(kind: type[Core]) -> None:
    core = kind(RAM_BYTES)
    start(core, [asm("sd", 0, 5, 6), asm("sd", 0, 5, 6, 8), asm("sd", 0, 7, 6), asm("sd", 0, 5, 6, 16)])
    core.hart[L.X + 5], core.hart[L.X + 7] = DATA, DATA + 0x3000
    core.take_written()
    core.run(2)
    page = (DATA - RAM) >> 12
    assert core.take_pages().tolist() == [page]
    assert core.take_pages().tolist() == []
    core.run(3)
    assert core.take_pages().tolist() == [page + 3]
    core.run(4)
    # the words of before come along
    assert taken(core) == {page: 0b111}


@KINDS
def test_the_last_bytes_of_ram(kind: type[Core]) -> None:
    core = kind(RAM_BYTES)
    start(core, [asm("sd", 0, 5, 6, -8), asm("sb", 0, 5, 6, -1)])
    core.hart[L.X + 5] = RAM + RAM_BYTES
    core.take_written()
    core.run(2)
    assert taken(core) == {RAM_BYTES // 4096 - 1: 1 << 511}


@KINDS
def test_pages_read_and_executed_by_generation(kind: type[Core]) -> None:
    core = kind(RAM_BYTES)
    loop = [asm("lw", 7, 5), asm("amoadd.w", 7, 6, 0, imm=2), asm("jal", 0, 0, imm=-8)]
    start(core, loop, RAM + 0x3FF8)  # the jump lies in the next page
    core.hart[L.X + 5], core.hart[L.X + 6] = RAM + 0x8FFE, RAM + 0x20000
    core.run(300)
    assert [pages.tolist() for pages in read_and_executed(core)] == [[8, 9, 0x20], [3, 4]]
    assert [pages.tolist() for pages in read_and_executed(core)] == [[], []]
    core.hart[L.X + 5] = RAM + 0x30000
    core.run(600)
    core.new_generation()  # somebody else's interest in dirty pages does not disturb
    read, executed = read_and_executed(core)
    assert (read.tolist(), executed.tolist()) == ([0x20, 0x30], [3, 4])
    assert read.dtype == executed.dtype == np.uint32


def read_and_executed(core: Core) -> tuple[np.ndarray, np.ndarray]:
    before = core.generation
    touched = core.take_touched()
    assert core.generation > before
    return touched.read, touched.executed


@KINDS
@pytest.mark.parametrize("seed", range(5))
def test_all_at_once_is_each_by_itself(kind: type[Core], seed: int) -> None:
    """Two cores run the same: what one tells at once, the other tells piece by piece, and a third what is unsaved."""
    rng = random.Random(seed)
    code, _ = program(rng, 400)
    whole, pieces = kind(RAM_BYTES), ReferenceCore(RAM_BYTES)
    for core in (whole, pieces):
        start(core, code)
        core.hart[L.X + 6] = DATA
    unsaved: dict[int, int] = {}
    since = 1
    while whole.icount < len(code):
        limit = min(whole.icount + rng.choice((0, 1, 20, 90)), len(code))
        for core in (whole, pieces):
            core.run(limit)
        touched = whole.take_touched()
        written, run = pieces.take_written(), pieces.take_run()
        for mine, theirs in zip((touched.written, touched.written_lines, touched.written_words), written, strict=True):
            assert (mine.dtype, mine.tolist()) == (theirs.dtype, theirs.tolist())
        started = touched.executed_lines != 0
        mine_run = touched.executed[started], touched.executed_lines[started], touched.executed_halves
        for mine, theirs in zip(mine_run, run, strict=True):
            assert (mine.dtype, mine.tolist()) == (theirs.dtype, theirs.tolist())
        for generations, told in ((pieces.memory.read_, touched.read), (pieces.memory.executed, touched.executed)):
            assert told.tolist() == (generations[: pieces.memory.pages] >= since).nonzero()[0].tolist()
        since = pieces.new_generation()
        for page, lines in zip(touched.written.tolist(), touched.written_lines.tolist(), strict=True):
            unsaved[page] = unsaved.get(page, 0) | lines
        assert whole.unsaved_pages == len(unsaved)
        if rng.random() < 0.3:
            pages, lines = whole.take_unsaved()
            assert dict(zip(pages.tolist(), lines.tolist(), strict=True)) == dict(sorted(unsaved.items()))
            assert whole.unsaved_pages == 0
            unsaved.clear()


def run_halves(core: Core) -> set[int]:
    """Return the addresses of the instructions started, put together from pages, lines and masks."""
    pages, lines, masks = core.take_run()
    assert (pages.dtype, lines.dtype, masks.dtype) == (np.uint32, np.uint64, np.uint32)
    assert pages.tolist() == sorted(set(pages.tolist()))
    assert lines.all()
    assert masks.all()
    rest = iter(masks.tolist())
    found = set()
    for page, mask in zip(pages.tolist(), lines.tolist(), strict=True):
        for line in (bit for bit in range(64) if mask >> bit & 1):
            halves = next(rest)
            found |= {RAM + 4096 * page + 64 * line + 2 * half for half in range(32) if halves >> half & 1}
    assert next(rest, None) is None
    return found


@KINDS
@pytest.mark.parametrize("seed", range(5))
def test_exactly_the_instructions_that_were_started(kind: type[Core], seed: int) -> None:
    """Jumps all over some pages, compressed code, code that is rewritten, breakpoints, and a look after any step."""
    rng = random.Random(seed)
    core = kind(RAM_BYTES)
    base, count = RAM + 0x2FC0, 3000  # across page ends
    places = [base]
    while len(places) < count:
        places.append(places[-1] + rng.choice((2, 4)))
    for place, behind in zip(places, [*places[1:], places[-1] + 4], strict=True):
        target = rng.choice(places) if rng.random() < 0.02 else None
        if behind - place == 2:
            core.write(place, 0x0505.to_bytes(2, "little"))  # c.addi a0, 1
        elif target is None or abs(target - place) > 3000:
            core.write(place, asm("addi", 11, 11, imm=1).to_bytes(4, "little"))
        else:
            core.write(place, asm("bne", 0, 0, 12, target - place).to_bytes(4, "little"))
    core.write(places[-1], asm("ebreak").to_bytes(4, "little"))
    core.hart[L.PC], core.hart[L.MTVEC], core.hart[L.X + 12] = base, base, 1
    model: set[int] = set()
    twin = ReferenceCore(RAM_BYTES)
    twin.hart[:] = core.hart
    twin.memory.ram[:] = core.memory.ram
    for _ in range(40):
        breaks = rng.sample(places, rng.choice((0, 0, 5)))
        core.set_breakpoints(breaks)
        for _ in range(rng.randrange(4)):
            # another immediate, in code that may be decoded and armed
            place = rng.choice(places)
            if core.memory.read(place, 2) == b"\x05\x05":
                new = rng.choice((0x0505, 0x0509)).to_bytes(2, "little")
                core.write(place, new)
                twin.write(place, new)
        limit = core.icount + rng.choice((1, 2, 50, 400))
        while core.icount < limit:
            before = core.icount
            core.run(limit)
            for _ in range(core.icount - before):
                model.add(int(twin.hart[L.PC]))
                twin.run(twin.icount + 1)
            core.skip_break_once()
            assert core.hart[: L.MHARTID].tolist() == twin.hart[: L.MHARTID].tolist()
        if rng.random() < 0.3:
            core.drop_caches()
        if rng.random() < 0.5:
            assert run_halves(core) == model
            assert run_halves(core) == set()
            model = set()
    assert run_halves(core) == model


@KINDS
def test_an_instruction_across_a_page_end_executes_both(kind: type[Core]) -> None:
    core = kind(RAM_BYTES)
    start(core, [asm("addi", 5, 5, imm=1)], RAM + 0x3FFE)
    core.run(1)
    assert core.take_touched().executed.tolist() == [3, 4]
