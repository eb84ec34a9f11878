"""The region former: plans are well formed whatever it is fed, and cover what guests spend their time on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.regions.form import MAX_MISSING, MAX_SITES, PRICE_IN_A_HURRY, Profile, Region
from rrdbg_core.cpu.regions.plan import MAX_INSNS, Block, Plan
from rrdbg_core.isa.expr import Branch, Helper, Jump
from rrdbg_core.isa.table import decode

from tests.cpu.guest import asm, start
from tests.cpu.sampled import PAGE, RAM, WINDOW, sample

CODE = RAM

Words = npt.NDArray[np.uint64]


def joined(windows: Iterable[Sequence[int]]) -> list[int]:
    """Return windows as the kernel hands them over."""
    return [pc for window in windows for pc in (*window, 0)]


@dataclass
class Fed:
    """A profile and the plans that it gave."""

    profile: Profile = field(default_factory=Profile)
    plans: list[Plan] = field(default_factory=list)
    pages: Mapping[int, bytes] = field(default_factory=dict)

    def feed(self, windows: Sequence[Sequence[int]], at_once: int = 16) -> None:
        """Show windows as they come, and note the plans that come of them."""
        for first in range(0, len(windows), at_once):
            self.profile.add_samples(joined(windows[first : first + at_once]))
            for page in self.profile.missing_pages() & self.pages.keys():
                self.profile.set_page(page, self.pages[page])
            plans = self.profile.next_plans()
            for plan in plans:
                check(plan, self.pages)
            self.plans += plans

    def share(self, stretches: Iterable[Sequence[int]]) -> float:
        """Return the share of steps that regions make."""
        inside = total = 0
        for pcs in stretches:
            inside += sum(simulate(self.plans, pcs))
            total += len(pcs)
        return inside / total


# ---- the rules, written down a second time ---------------------------------------------------------------------------
@dataclass(frozen=True)
class Read:
    """A block, decoded."""

    pcs: tuple[int, ...]
    """Its instructions."""
    ways: frozenset[int]
    """Where it leads, `Block.targets` for an indirect jump."""


@cache
def read(block: Block) -> Read:
    """Decode a block; all but its last instruction go on to the next, and none needs the interpreter."""
    pcs = []
    at = 0
    name = ""
    ways: tuple[int, ...] = ()
    while at < len(block.code):
        assert not ways or ways == (block.pc + at,)
        decoded = decode(int.from_bytes(block.code[at : at + 4], "little"))
        assert decoded is not None
        name, effect = decoded.insn.name, decoded.insn.effect
        assert not isinstance(effect, Helper) or effect.name in ("nop", "lr", "sc", "amo", "float_op")
        pc = block.pc + at
        pcs.append(pc)
        at += decoded.length
        ways = (block.pc + at,)
        if isinstance(effect, Branch):
            ways = (block.pc + at, pc + decoded.imm)
        elif isinstance(effect, Jump):
            ways = (pc + decoded.imm,) if name == "jal" else (*block.targets, -1)
    assert at == len(block.code)
    assert not block.targets or name == "jalr"
    return Read(tuple(pcs), frozenset(ways))


def check(plan: Plan, pages: Mapping[int, bytes]) -> None:
    """Hold a plan against the rules."""
    starts = [block.pc for block in plan.blocks]
    assert len(set(starts)) == len(starts)
    assert sum(len(read(block).pcs) for block in plan.blocks) <= MAX_INSNS
    assert plan.entries
    assert len(set(plan.entries)) == len(plan.entries)
    assert set(plan.entries) <= set(starts)
    for block in plan.blocks:
        page = block.pc // PAGE * PAGE
        assert block.pc % 2 == 0
        assert block.code
        assert block.end <= page + PAGE
        assert block.code == pages[page][block.pc - page : block.end - page]
        assert set(block.targets) <= set(starts)
        assert len(set(block.targets)) == len(block.targets)


def simulate(plans: Sequence[Plan], pcs: Sequence[int]) -> list[int]:
    """Return how many steps each stay in a region makes, if the newest plan that has an entry takes it over."""
    entries = {entry: plan for plan in plans for entry in plan.entries}
    contents = {plan: {block.pc: read(block) for block in plan.blocks} for plan in plans}
    stays = []
    at = 0
    while at < len(pcs):
        plan = entries.get(pcs[at])
        if plan is None:
            at += 1
            continue
        blocks = contents[plan]
        start = at
        while at < len(pcs) and pcs[at] in blocks:
            block = blocks[pcs[at]]
            here = tuple(pcs[at : at + len(block.pcs)])
            if here != block.pcs[: len(here)]:
                break
            at += len(here)
            if at < len(pcs) and pcs[at] not in block.ways:
                break
        if at > start:
            stays.append(at - start)
        at += at == start
    return stays


# ---- guests ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("guest", ["sieve", "sort", "sha256", "matrix", "interp", "heap", "strings"])
def test_plans_cover_what_compute_guests_do(guest: str) -> None:
    sampled = sample(guest, 60_000_000)
    fed = Fed(pages=sampled.pages)
    fed.feed(sampled.windows)
    # what comes late is still to be found
    assert fed.share(sampled.stretches[:-1]) >= 0.95
    insns = sum(len(read(block).pcs) for plan in fed.plans for block in plan.blocks)
    assert insns <= 1200


# ---- small programs --------------------------------------------------------------------------------------------------
def page_of(words: Sequence[int]) -> dict[int, bytes]:
    """Return the page at CODE with instructions from its start on."""
    return {CODE: b"".join(word.to_bytes(4, "little") for word in words).ljust(PAGE, b"\0")}


def trip(words: Sequence[int], steps: int, data: Mapping[int, bytes] | None = None) -> list[int]:
    """Run a program in the reference interpreter and return the pcs of its steps."""
    core = ReferenceCore(1 << 20)
    for address, content in (data or {}).items():
        core.write(address, content)
    start(core, words)
    rows: list[Words] = []
    core.log_steps(4096, lambda block: rows.append(block[:, 1]))
    core.run(steps)
    pcs: list[int] = np.concatenate(rows).tolist()
    return pcs


def cut(pcs: Sequence[int], rng: random.Random, count: int) -> list[list[int]]:
    """Return windows of a run, in order."""
    starts = sorted(rng.randrange(len(pcs) - WINDOW) for _ in range(count))
    return [list(pcs[at : at + WINDOW]) for at in starts]


LOOP = [asm("addi", 5, 5, imm=1), asm("add", 6, 6, 5), asm("bne", 0, 5, 7, imm=-8), asm("jal", 0, imm=-12)]

# fib(n) in a0, over and over
FIB = [
    asm("auipc", 2, imm=0x80000),
    asm("addi", 10, 0, imm=15),
    asm("jal", 1, imm=8),
    asm("jal", 0, imm=-8),
    # fib:
    asm("addi", 5, 0, imm=2),
    asm("blt", 0, 10, 5, imm=60),
    asm("addi", 2, 2, imm=-24),
    asm("sd", 0, 2, 1, imm=0),
    asm("sd", 0, 2, 8, imm=8),
    asm("addi", 8, 10, imm=0),
    asm("addi", 10, 10, imm=-1),
    asm("jal", 1, imm=-28),
    asm("sd", 0, 2, 10, imm=16),
    asm("addi", 10, 8, imm=-2),
    asm("jal", 1, imm=-40),
    asm("ld", 6, 2, imm=16),
    asm("add", 10, 10, 6),
    asm("ld", 1, 2, imm=0),
    asm("ld", 8, 2, imm=8),
    asm("addi", 2, 2, imm=24),
    asm("jalr", 0, 1),
]

STRAIGHT = [asm("addi", 5, 5, imm=1)] * 999 + [asm("jal", 0, imm=-4 * 999)]

CASES = 24
TABLE = RAM + 0x10000
# a bytecode interpreter: x18 = bytes, x19 = index, x9 = first case
SWITCH = [
    asm("auipc", 18, imm=0x10000),
    asm("auipc", 9, imm=0),
    asm("addi", 9, 9, imm=36),
    # next:
    asm("addi", 19, 19, imm=1),
    asm("andi", 19, 19, imm=1023),
    asm("add", 5, 18, 19),
    asm("lbu", 5, 5),
    asm("slli", 5, 5, imm=4),
    asm("add", 5, 5, 9),
    asm("jalr", 0, 5),
    *(
        word
        for case in range(CASES)
        for word in (
            asm("addi", 6, 6, imm=case),
            asm("xor", 7, 7, 6),
            asm("add", 8, 8, 7),
            asm("jal", 0, imm=-40 - 16 * case),
        )
    ),
]


def looping(rounds: int = 100, offset: int = 0) -> list[list[int]]:
    """Return windows of `LOOP`."""
    once = [CODE + offset, CODE + offset + 4, CODE + offset + 8]
    return [(once * 22)[i % 3 :][:WINDOW] for i in range(rounds)]


def test_a_small_loop_is_found_within_thirty_windows() -> None:
    fed = Fed(pages=page_of(LOOP))
    fed.feed(looping(30))
    (plan,) = fed.plans
    (block,) = plan.blocks
    assert (block.pc, len(block.code)) == (CODE, 12)
    assert plan.entries == (CODE,)


def test_nothing_is_formed_twice() -> None:
    fed = Fed(pages=page_of(LOOP))
    fed.feed(looping(2000))
    assert len(fed.plans) == 1


def test_recursion_becomes_one_region() -> None:
    pcs = trip(FIB, 30_000)
    fed = Fed(pages=page_of(FIB))
    fed.feed(cut(pcs, random.Random(1), 400))
    plan = fed.plans[-1]
    returns = [block for block in plan.blocks if block.end == CODE + 4 * len(FIB)]
    # both places it returns to
    assert set(returns[0].targets) >= {CODE + 4 * 12, CODE + 4 * 15}
    assert max(simulate([plan], pcs)) > 5000


def test_an_interpreter_becomes_one_region() -> None:
    rng = random.Random(2)
    bytecode = bytes(min(rng.randrange(CASES), rng.randrange(CASES)) for _ in range(1024))
    pcs = trip(SWITCH, 40_000, {TABLE: bytecode})
    fed = Fed(pages=page_of(SWITCH))
    fed.feed(cut(pcs, rng, 1000))
    # looked at with one plan alone: it has taken the place of those before
    plan = max(fed.plans, key=lambda plan: len(plan.blocks))
    stays = simulate([plan], pcs)
    assert sum(stays) >= 0.95 * len(pcs)
    assert sum(stays) / len(stays) >= 300
    (dispatch,) = [block for block in plan.blocks if len(block.targets) > 1]
    counts = [pcs.count(target) for target in dispatch.targets]
    assert counts[0] >= 0.8 * max(counts)


def test_what_does_not_pay_hides_no_part_of_it_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    pcs = trip(FIB, 30_000)
    windows = cut(pcs, random.Random(1), 400)
    pays, refused = Profile._pays, set[int]()

    def first_refused(self: Profile, region: Region) -> bool:
        root = region.nodes[0].pc
        if not refused and len(region.nodes) > 1:
            refused.add(root)
        return root not in refused and pays(self, region)

    monkeypatch.setattr(Profile, "_pays", first_refused)
    fed = Fed(pages=page_of(FIB))
    fed.feed(windows)
    assert refused
    assert fed.share([pcs[15_000:]]) >= 0.9


def test_long_straight_code_is_cut_into_pieces_that_follow_each_other() -> None:
    """As that of hashes is, whose loops are unrolled: each begins where another one ends, and none lies on another."""
    pcs = [CODE + 4 * (i % len(STRAIGHT)) for i in range(100_000)]
    fed = Fed(pages=page_of(STRAIGHT))
    fed.feed(cut(pcs, random.Random(5), 500))
    made = sum(len(read(block).pcs) for plan in fed.plans for block in plan.blocks)
    assert fed.share([pcs[50_000:]]) >= 0.95
    assert made <= 1.2 * len(STRAIGHT)


def fed_again(words: Sequence[int], windows: Sequence[Sequence[int]]) -> tuple[Fed, Fed]:
    """Return what comes of a program that runs for the first time, and of one that has a region from another run."""
    first, later = Fed(pages=page_of(words)), Fed(pages=page_of(words))
    later.profile.adopt(Plan((Block(CODE + PAGE, LOOP[0].to_bytes(4, "little")),), (CODE + PAGE,)))
    for fed in (first, later):
        fed.feed(windows)
    return first, later


def test_a_region_is_as_large_as_pays_from_the_start() -> None:
    rng = random.Random(2)
    pcs = trip(SWITCH, 40_000, {TABLE: bytes(rng.randrange(CASES) for _ in range(1024))})
    for fed in fed_again(SWITCH, cut(pcs, random.Random(3), 200)):
        assert len(fed.plans[0].blocks) > CASES / 2


def test_looks_in_vain_make_regions_cheaper() -> None:
    pcs = [CODE + 4 * (i % len(STRAIGHT)) for i in range(100_000)]
    fed = Fed(pages=page_of(STRAIGHT))
    windows = cut(pcs, random.Random(5), 150)
    fed.feed(windows[:60])
    assert not fed.plans
    fed.feed(windows[60:])  # still fewer steps lost than are asked for in a hurry, for each instruction
    assert WINDOW * len(windows) < PRICE_IN_A_HURRY * len(STRAIGHT)
    assert fed.plans


def test_a_program_that_ran_before_gets_regions_of_what_is_seldom_run() -> None:
    pcs = [CODE + 4 * (i % len(STRAIGHT)) for i in range(100_000)]
    first, later = fed_again(STRAIGHT, cut(pcs, random.Random(5), 60))
    assert first.plans == []
    assert later.share([pcs]) >= 0.2


def test_what_needs_the_interpreter_stays_outside_and_is_come_back_from() -> None:
    fed, pcs = interrupted_by_a_csr(60)
    entries = {entry for plan in fed.plans for entry in plan.entries}
    assert CODE + 8 in entries
    assert all(CODE + 4 not in read(block).pcs for plan in fed.plans for block in plan.blocks)
    assert fed.share([pcs]) == pytest.approx(1 - 1 / 63, abs=0.01)


def test_what_is_left_again_at_once_is_no_region() -> None:
    fed, _ = interrupted_by_a_csr(10)
    assert not fed.plans


def interrupted_by_a_csr(adds: int) -> tuple[Fed, list[int]]:
    """Return what comes of a loop that needs the interpreter once each time, with some more instructions."""
    add = asm("add", 7, 7, 6)
    words = [asm("addi", 5, 5, imm=1), asm("csrrs", 6, imm=0xB00), *[add] * adds, asm("jal", 0, imm=-4 * adds - 8)]
    fed = Fed(pages=page_of(words))
    pcs = [CODE + 4 * (i % len(words)) for i in range(30_000)]
    fed.feed(cut(pcs, random.Random(3), 200))
    return fed, pcs


def test_an_instruction_across_a_page_end_stays_outside() -> None:
    before = 40
    first = bytes(PAGE - 4 * before - 2) + asm("addi", 5, 5, imm=1).to_bytes(4, "little") * before
    crossing = asm("addi", 6, 6, imm=1).to_bytes(4, "little")
    back = asm("jal", 0, imm=-4 * before - 4).to_bytes(4, "little")
    pages = {CODE: first + crossing[:2], CODE + PAGE: (crossing[2:] + back).ljust(PAGE, b"\0")}
    once = range(CODE + PAGE - 4 * before - 2, CODE + PAGE + 4, 4)
    fed = Fed(pages=pages)
    fed.feed(cut([*once] * 1000, random.Random(4), 200))
    held = {pc for plan in fed.plans for block in plan.blocks for pc in read(block).pcs}
    assert held == {*once} - {CODE + PAGE - 2}


def test_a_trap_is_no_way_through_the_code() -> None:
    # rare interrupts in the middle of the loop: a handler far away, and back
    handler = [asm("addi", 28, 28, imm=1), asm("mret")]
    words = [*LOOP, *[0] * 28, *handler]
    at = CODE + 4 * 32
    once = [CODE, CODE + 4, CODE + 8] * 100 + [CODE, CODE + 4, at, at + 4, CODE + 4, CODE + 8]
    fed = Fed(pages=page_of(words))
    fed.feed(cut(once * 400, random.Random(5), 2000))
    (loop,) = [plan for plan in fed.plans if plan.blocks[0].pc == CODE]
    # no way leads from the loop to the handler, and none of the places where it came cuts the loop in two
    assert [(block.pc, block.end) for block in loop.blocks] == [(CODE, CODE + 12)]


def test_phases_are_followed() -> None:
    words = LOOP * 200
    fed = Fed(pages=page_of(words))
    for phase in range(60):
        before = len(fed.plans)
        fed.feed(looping(60, offset=16 * phase))
        assert len(fed.plans) == before + 1
        assert fed.plans[-1].entries == (CODE + 16 * phase,)


def test_pages_are_asked_for() -> None:
    profile = Profile()
    profile.add_samples(joined(looping(40)))
    assert profile.missing_pages() == {CODE}
    assert profile.next_plans() == []
    profile.set_page(CODE, page_of(LOOP)[CODE])
    assert profile.missing_pages() == set()
    profile.add_samples(joined(looping(40)))
    assert len(profile.next_plans()) == 1


def test_a_page_that_changes_is_formed_anew() -> None:
    fed = Fed(pages=page_of(LOOP))
    fed.feed(looping())
    fed.pages = page_of([asm("addi", 5, 5, imm=2), *LOOP[1:]])
    fed.profile.set_page(CODE, fed.pages[CODE])
    fed.feed(looping())
    assert [plan.blocks[0].code[:4] for plan in fed.plans] == [
        asm("addi", 5, 5, imm=imm).to_bytes(4, "little") for imm in (1, 2)
    ]


def test_a_region_that_is_thrown_away_again_and_again_takes_longer_each_time() -> None:
    fed = Fed(pages=page_of(LOOP))
    waits = []
    for _ in range(6):
        waits.append(0)
        while len(fed.plans) < len(waits) and waits[-1] < 3000:
            fed.feed(looping(16))
            waits[-1] += 1
        fed.profile.forget(fed.plans[-1])
    assert waits == sorted(waits)
    assert waits[-1] > 10 * waits[0]


def test_a_region_from_elsewhere_counts() -> None:
    first = Fed(pages=page_of(LOOP))
    first.feed(looping())
    second = Fed(pages=page_of(LOOP))
    second.profile.adopt(first.plans[0])
    second.feed(looping())
    assert second.plans == []
    second.profile.forget(first.plans[0], changed=False)
    second.feed(looping())
    assert second.plans == first.plans


# ---- anything --------------------------------------------------------------------------------------------------------
@given(st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_garbage_gives_well_formed_plans_or_none(seed: int) -> None:
    rng = random.Random(seed)
    pool = [asm("addi", 5, 5, imm=1), asm("lr.d", 5, 6), asm("ecall"), asm("jalr", 1, 5), 0, 0x0001_0001, 0x8082_8082]
    pages = {}
    for page in (CODE, CODE + PAGE):
        words = [rng.choice((*pool, rng.getrandbits(32))) for _ in range(PAGE // 4)]
        pages[page] = b"".join(word.to_bytes(4, "little") for word in words)
    places = [CODE + PAGE + rng.randrange(-40, 40) for _ in range(12)] + [rng.getrandbits(64), 1, CODE + 3 * PAGE]
    windows = [rng.choices(places, k=rng.randrange(70)) for _ in range(300)]
    fed, again = Fed(pages=pages), Fed(pages=pages)
    fed.feed(windows)
    again.feed(windows)
    assert again.plans == fed.plans


def test_memory_and_work_are_bounded_in_large_code() -> None:
    rng = random.Random(6)
    profile = Profile()
    for _ in range(20):
        profile.add_samples(rng_pcs(rng, 1 << 14))
        for page in sorted(profile.missing_pages())[:8]:
            profile.set_page(page, bytes(PAGE))
        profile.next_plans()
    assert len(profile._flow.outs) <= MAX_SITES
    assert len(profile._missing) <= MAX_MISSING


def rng_pcs(rng: random.Random, count: int) -> list[int]:
    """Return pcs all over a large program."""
    return [RAM + 2 * rng.randrange(1 << 24) if rng.random() > 0.02 else 0 for _ in range(count)]


# ---- pages that the TLB does not know --------------------------------------------------------------------------------
def missing(*places: int) -> tuple[Fed, list[Plan]]:
    """Return a profile with plans of the switch, and those that come of misses at some of its instructions."""
    rng = random.Random(2)
    pcs = trip(SWITCH, 40_000, {TABLE: bytes(rng.randrange(CASES) for _ in range(1024))})
    fed = Fed(pages=page_of(SWITCH))
    fed.feed(cut(pcs, random.Random(3), 200))
    assert fed.plans
    assert not any(block.careful for plan in fed.plans for block in plan.blocks)
    for place in places:
        fed.profile.add_miss(place)
    return fed, fed.profile.next_plans()


def blocks_at(plans: Iterable[Plan], pc: int) -> list[Block]:
    return [block for plan in plans for block in plan.blocks if block.pc <= pc < block.end]


def test_regions_that_are_left_become_careful_there() -> None:
    fed, _ = missing()
    place = fed.plans[-1].blocks[0].pc
    fed, plans = missing(place)
    assert plans
    for plan in plans:
        assert {block.pc for block in plan.blocks if block.careful} == {block.pc for block in blocks_at([plan], place)}
        plain = Plan(tuple(replace(block, careful=False) for block in plan.blocks), plan.entries)
        assert plain in fed.plans  # what it was, and where it was entered
    assert fed.profile.next_plans() == []
    fed.profile.add_miss(place)  # a region that is on its way was left once more
    assert fed.profile.next_plans() == []


def test_misses_elsewhere_change_nothing() -> None:
    assert missing(CODE + PAGE - 4)[1] == []


def test_code_that_changes_is_trusted_again() -> None:
    fed, _ = missing()
    place = fed.plans[-1].blocks[0].pc
    changed = page_of([*SWITCH, asm("addi", rd=1, imm=1)])
    for forgets in (False, True):
        fed, plans = missing(place)
        assert plans
        if forgets:
            fed.profile.set_page(CODE, changed[CODE])
            fed.pages = changed
            fed.plans = []
        rng = random.Random(2)
        pcs = trip(SWITCH, 400_000, {TABLE: bytes(rng.randrange(CASES) for _ in range(1024))})
        fed.feed(cut(pcs, random.Random(4), 4000))
        careful = [block.careful for block in blocks_at(fed.plans if forgets else plans, place)]
        assert careful
        assert any(careful) is not forgets


def test_what_was_careful_in_another_run_stays_so() -> None:
    _, _ = missing()
    fed, plans = missing(missing()[0].plans[-1].blocks[0].pc)
    later = Fed(pages=fed.pages)
    for plan in plans:
        later.profile.adopt(plan)
    careful = {block.pc for plan in plans for block in plan.blocks if block.careful}
    assert all(later.profile._is_careful([pc]) for pc in careful)
