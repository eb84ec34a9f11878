"""Broken translators, all of which the comparison of regions with the dispatch loop must tell from the right one."""

# ruff: noqa: E501  (what is replaced stands as it does in the source)

from __future__ import annotations

import inspect
import random
import sys
from types import ModuleType

import pytest
from rrdbg_core.cpu import host_floats
from rrdbg_core.cpu.regions import accesses, floats, flow, reach, registers, text, translate
from rrdbg_core.cpu.regions import compile as compiler
from rrdbg_core.cpu.regions.flow import MAX_BUDGET
from rrdbg_core.cpu.regions.plan import Block, Plan

from tests.cpu import test_region_floats, test_region_misses
from tests.cpu.guest import asm
from tests.cpu.oracle.close import atomics, close, whole
from tests.cpu.oracle.floating import blocks, floating
from tests.cpu.oracle.flows import Flow
from tests.cpu.oracle.forced import random_plans
from tests.cpu.oracle.programs import CODE
from tests.cpu.test_regions import CLOSE_SLICES, SLICES, Pair, run

WHERE = 'where = self.let(f"sub i64 {self.value(target, last)}, %delta")'
LINKS = "\n                self.set(last.decoded.rd, self.virtual(block.end))"
MUTANTS = {
    "a block too long for the budget": ("{self._flow.budgets[block.pc]}", "{self._flow.budgets[block.pc] - 1}"),
    "a block does not see to those behind it": ("length = len(self.blocks[only[pc]]) + budgets[pc]", "length = len(self.blocks[only[pc]])"),
    "a block sees to the shortest way behind it": ("max(budgets[only[pc]], length)", "min(budgets[only[pc]], length)"),
    "a step of a block is not counted": ("sub i64 {before}, {len(code)}", "sub i64 {before}, {len(code) - 1}"),
    "a step more at the entry": ("self.let('add i64 %n, 1')", "self.let('add i64 %n, 2')"),
    "a way out forgets a step": ("len(self._code) - number, handler)", "len(self._code) - number - 1, handler)"),
    "a way out has another's row": ("len(self._tails) - 1, len(self._rows)))", "len(self._tails) - 1, max(len(self._rows) - 1, 0)))"),
    "what a block has changed is not written back": ("self._write_back(self._tails[number] - self._tails[number - 1])", "pass"),
    "what had changed before is not written back": ("            self._write_back(changed - less)\n", ""),
    "nothing is written back before a jump to anywhere": ("        self._write_back(self._changed)\n", ""),
    "a way out for which all blocks have the same end": ("self._ends.setdefault(self._tails[0], len(self._ends))", "self._ends.setdefault(frozenset(), len(self._ends))"),
    "branches the other way": ("return last.pc + decoded.imm, block.end", "return block.end, last.pc + decoded.imm"),
    "changes before a block forgotten": ("after = changed[block.pc].union(", "after = frozenset().union("),
    "changes within a block forgotten": ("for step in self._code[:number])", "for step in self._code[:0])"),
    "registers of a way out not kept": ("return alive | self.changed[block.pc]", "return alive"),
    "a register loaded from its neighbour": (
        "self.load(kind, self.word(hart_word(register)), \"hart\")", "self.load(kind, self.word(hart_word(register ^ 1)), \"hart\")"
    ),
    "misaligned stores pass the TLB": ("if reach.align > 1 else", "if reach.align > 8 else"),
    "stores look at the TLB of loads": ("(reach.writes, WRITE_TLB_BYTES)", "(reach.writes, 0)"),
    "what is stored is not looked for": ("(reach.writes, WRITE_TLB_BYTES)", "(reach.writes and not reach.reads, WRITE_TLB_BYTES)"),
    "what is loaded is not looked for": ("(reach.reads, 0)", "(reach.reads and not reach.writes, 0)"),
    "the page of the lowest byte alone is looked for": ('page = self.let(f"and i64 {high}, {PAGE_MASK}")', 'page = self.let(f"and i64 {low}, {PAGE_MASK}")'),
    "the page of the highest byte is not looked for": ('both = self.let(f"and i1 {first}, {last}")', 'both = self.let(f"and i1 {first}, {first}")'),
    "the lowest byte of a reach is its first": ("min(self.low, offset)", "self.low"),
    "the highest byte of a reach is its first": ("max(self.high, offset + effect.size - 1)", "max(self.high, effect.size - 1)"),
    "a reach forgets what is loaded": ("self.reads = True", "self.reads = not self.writes"),
    "a reach forgets what is stored": ("self.writes = True", "self.writes = not self.reads"),
    "a reach takes stores that may be misaligned": ("if (offset - self.aligned) % min(self.align, effect.size):", "if False:"),
    "a reach is aligned as its first store": ("if effect.size > self.align:", "if self.align == 1:"),
    "a register stays what it was": ("roots[register], fresh = (fresh, 0), fresh + 1", "pass"),
    "a register becomes what it was made of": ("roots[register] = root, distance + source[1]", "roots[register] = root, distance"),
    "an access lies where the first does": ("ptr {place}, i64 {offset}", "ptr {place}, i64 0"),
    "the mark of a store is its neighbour's": ("{offset - reach.aligned >> 3}", "{(offset - reach.aligned >> 3) + 1}"),
    "the mark of a store is the first one's": ("{offset - reach.aligned >> 3}", "0"),
    "a careful look at the wrong place": ("size | what, stored)", "8 | what, stored)"),
    "the wrong word gets dirty": ("self.let(f'lshr i64 {offset}, 3')", "self.let(f'lshr i64 {offset}, 4')"),
    "no word gets dirty": ('        self.store("i8", "1", mark, "dirty")\n', ""),
    "loads extended the wrong way": ("'sext' if signed else 'zext'", "'zext' if signed else 'sext'"),
    "words loaded as unsigned": ("'sext' if signed else 'zext'", "'sext' if signed and size < 4 else 'zext'"),
    "jalr links before it looks": (
        WHERE + LINKS,
        LINKS.lstrip() + "\n                " + WHERE,
    ),
    "jalr links to itself": (
        WHERE + LINKS,
        WHERE + LINKS.replace("block.end", "last.pc"),
    ),
    "jal links to itself": (
        "case Jump():" + LINKS,
        "case Jump():" + LINKS.replace("block.end", "last.pc"),
    ),
    "lr reserves nothing": ('self.store("i64", "1", self.word(L.RES_VALID), "hart")', "pass"),
    "lr reserves another address": ('self.let(f"add i64 {at}, {RAM_BASE}"), self.word(L.RES_ADDR)', '"8", self.word(L.RES_ADDR)'),
    "sc keeps the reservation": ('            self.store("i64", "0", self.word(word), "hart")\n', "            pass\n"),
    "sc without a look at the address": ("and i1 {valid}, {same}", "and i1 {valid}, {valid}"),
    "sc says that it failed": ('self.set(step.decoded.rd, "0")', 'self.set(step.decoded.rd, "1")'),
    "an AMO returns what it writes": (
        "self.set(step.decoded.rd, self._old)", "self.set(step.decoded.rd, self.value(result, step))"
    ),
    "an AMO takes the whole operand": ('operand("rs2") if size == 8 else sext32(operand("rs2"))', 'operand("rs2")'),
    "atomics may be misaligned": ("{PAGE_MASK | (size - 1)}", "{PAGE_MASK}"),
    "runs are not marked": ('        self.store("i8", "1", f"getelementptr (i8, ptr @{MARKS}', '        f"" or (lambda *a: 0)("i8", "1", f"getelementptr (i8, ptr @{MARKS}'),
    "runs up to a side exit are not marked": ("            self._set_mark(self._early[number])\n", "            pass\n"),
    "a side exit is one step off": ("(handler, still, step.pc,", "(handler, still, step.pc + 2,"),
    "a side exit runs another instruction": ("step.pc, step.slot)", "step.pc, self._flow.blocks[min(self._flow.blocks)][0].slot)"),
    "a look that fails leaves at the first instruction": ("self.miss_at(number)", "self.miss_at(0)"),
    "looks that fail leave at the last one's instruction": ("self.miss_at(number)", "self.miss_at(max(self._looks))"),
    "sc goes on where it fails": ("label %{good}, label %{bad}", "label %{good}, label %{good}"),
    "branches on what is not less": ('return self.let(f"xor i1 {self.condition(left, step)}, true")', "return self.condition(left, step)"),
    "pc is that of the next instruction": ("return self.virtual(step.pc)", "return self.virtual(step.pc + 4)"),
    "immediates are unsigned": ("return str(step.decoded.imm)", "return str(step.decoded.imm & 0xFFFFFFFF)"),
    "known targets are mixed up": (
        "label %{self._edge_label(pc)}\" for pc in known)", "label %{self._edge_label(known[0])}\" for pc in known)"
    ),
    "all entries are the first": ("label %block{pc:x}\" for number, pc in enumerate(others, 1)", "label %block{first:x}\" for number, pc in enumerate(others, 1)"),
}  # fmt: skip
"""What is wrong, and the source that makes it so."""
BUDGET_MUTANTS = {
    "a block does not see to those behind it": ("length = len(self.blocks[only[pc]]) + budgets[pc]", "length = len(self.blocks[only[pc]])"),
    "a block sees to the last way behind it": ("max(budgets[only[pc]], length)", "length"),
    "a block that can be entered is seen to by another": (" and pc not in self._plan.entries", ""),
    "a block with two predecessors is seen to by one": ("if len(sources) == 1 and", "if sources and"),
    "nobody sees to a circle": ("depths[pc] <= len(only) and ", ""),
    "those behind a block come too late": ("key=lambda pc: (-depths[pc], pc)", "key=lambda pc: (depths[pc], pc)"),
    "what a block wants is without bounds": (" and length <= MAX_BUDGET", ""),
}  # fmt: skip
"""The same, of what blocks want to be left; with such a one a guest may run on for ever."""
FLOAT_MUTANTS = {
    "exceptions that are not raised yet are not": ("            self.need(is_raised)\n            return", "            return"),
    "sums may overflow": ("            self._need_finite(result)\n", ""),
    "what is subnormal or infinite is the host's": ("form, 2, 2 * form.bias - 1)", "form, 0, 2 * form.bias + 2)"),
    "singles need no box": ('self.need(self.f.let(f"icmp uge i64 {value}, {BOX}"))', "pass"),
    "NaNs are compared": ('f"fcmp ord {self._form.kind} {x}, {y}"', 'f"fcmp true {self._form.kind} {x}, {y}"'),
    "the wrong summand is subtracted": ('in ("fmsub", "fnmadd") else z', 'in ("fmsub", "fnmsub") else z'),
    "whatever the rounding mode": ("host.mode in (None, RNE if rm == DYNAMIC else rm)", "True"),
    "FS need not be Dirty": ('f"icmp eq i64 {status}, {MSTATUS_FS}"', 'f"icmp ne i64 {status}, 0"'),
    "whatever frm is, if it is not reserved": ("'hart')}, 32\")", "'hart')}, 160\")"),
    "integers are not told to who computes": ("for register in integer_reads(step.decoded):", "for register in ():"),
    "operands the wrong way round": ("for number in numbers]\n        arguments", "for number in reversed(numbers)]\n        arguments"),
    "exceptions of who computes are forgotten": ('self.do(f"store i64 {value}, ptr {_FCSR_AT}")', "pass"),
    "results of who computes are forgotten": ("self._set_result(step, value)", "pass"),
    "a single stays one": ("after - {step.decoded.rd}", "after"),
    "f registers are mixed up": ("L.register_word(register)", "L.register_word(register ^ (register >= F))"),
    "singles are loaded without a box": ('self.let(f"or i64 {loaded}, {BOX}")', "loaded"),
    "f registers are not written back": ('        self.store(kind, value, self.word(hart_word(register)), "hart")', '        if kind == "i64":\n            self.store(kind, value, self.word(hart_word(register)), "hart")'),
}  # fmt: skip
"""The same, of floating point. None of them may let an instruction trap where regions do not expect it."""
PARTS = (host_floats, registers, reach, flow, text, floats, accesses, translate)
"""The translator's modules, each before those that need it."""
LOOPS, ATOMICS, PROGRAMS, FLOAT_LOOPS = 150, 10, 40, 120
STEPS = 6_000


ALL = MUTANTS | BUDGET_MUTANTS | FLOAT_MUTANTS


def sources_for(name: str) -> dict[str, str]:
    """Return the sources of the translator's modules, in one of which something can be made wrong."""
    sources = {part.__name__: inspect.getsource(part) for part in PARTS}
    changed = [part for part, source in sources.items() if ALL[name][0] in source]
    assert len(changed) == 1, f"{name}: the translator has changed, and the mutant must"
    return sources


def mutate(name: str) -> ModuleType:
    """Return the translator with something wrong."""
    old, new = ALL[name]
    sources = sources_for(name)
    for part, source in sources.items():
        # each part takes what it needs from the others of this translator
        for other in sources:
            source = source.replace(f"from {other} import", f"from mutant.{other} import")
        module = ModuleType(f"mutant.{part}")
        sys.modules[module.__name__] = module
        exec(compile(source.replace(old, new), module.__name__, "exec"), module.__dict__)
    return module


def caught(name: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(compiler, "module_source", mutate(name).module_source)
    pair = Pair()
    loops = [*(close(seed, 1000) for seed in range(LOOPS)), *(atomics(seed, 1000) for seed in range(ATOMICS))]
    cases = [(case, [whole(case, careful=careful)]) for case in loops for careful in (True, False)]
    cases += [(Flow(seed).case(f"{seed}", STEPS), []) for seed in range(PROGRAMS)]
    if name in FLOAT_MUTANTS:
        loops = [floating(seed, 1000) for seed in range(FLOAT_LOOPS)]
        cases = [(case, [blocks(case, careful=careful)]) for case in loops for careful in (True, False)]
    try:
        if name in FLOAT_MUTANTS:
            test_region_floats.test_with_floating_point_off_or_another_mode()
        if name.startswith("sc "):
            test_region_misses.test_an_sc_elsewhere_fails(careful=False)
        for number, (case, plans) in enumerate(cases):
            run(pair, case, random.Random(number), plans, CLOSE_SLICES if plans else SLICES)
    except AssertionError:
        return True
    return False


def check_budgets(translator: ModuleType, plan: Plan) -> None:
    """Check that however a block of a plan is come to, somebody has seen to it that its steps are left."""
    flow = translator.Flow(plan)
    preds: dict[int, set[int]] = {pc: set() for pc in flow.blocks}
    for block in plan.blocks:
        for target in translator.successors(block, flow.blocks[block.pc][-1]):
            preds.get(target, set()).add(block.pc)
    for block in plan.blocks:
        length, pc = len(flow.blocks[block.pc]), block.pc
        for _ in plan.blocks:
            if pc in flow.budgets:
                break
            assert pc not in plan.entries
            [pc] = preds[pc]
            length += len(flow.blocks[pc])
        assert length <= flow.budgets[pc] <= max(MAX_BUDGET, len(flow.blocks[pc]))


def drawn_plans(seed: int) -> list[Plan]:
    """Return plans over a random program."""
    case = Flow(seed).case(str(seed), 1)
    visited = range(CODE, CODE + len(case.memory[CODE]), 4)
    return random_plans(case, set(visited), random.Random(seed))


def code(*words: int) -> bytes:
    """Return instructions as bytes."""
    return b"".join(word.to_bytes(4, "little") for word in words)


STEP = asm("addi", rd=1, rs1=1, imm=1)
CIRCLE = Plan(
    (
        Block(CODE, code(STEP)),
        Block(CODE + 0x100, code(asm("jal", imm=0x100))),
        Block(CODE + 0x200, code(asm("jal", imm=-0x100))),
    ),
    (CODE,),
)
"""The last two lead to each other, and nothing leads there."""
FORK = Plan(
    (
        Block(CODE, code(asm("beq", imm=0x100))),
        Block(CODE + 4, code(STEP, STEP, STEP)),
        Block(CODE + 0x100, code(STEP)),
    ),
    (CODE,),
)
"""A short way and a long one."""


@pytest.mark.parametrize("name", [None, *BUDGET_MUTANTS])
def test_blocks_are_seen_to(name: str | None) -> None:
    translator = mutate(name) if name else translate

    def check_all() -> None:
        check_budgets(translator, CIRCLE)
        check_budgets(translator, FORK)
        for seed in range(3):
            for plan in drawn_plans(seed):
                check_budgets(translator, plan)

    if name is None:
        check_all()
        return
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_all()


def test_every_mutant_is_of_this_translator() -> None:
    for name in ALL:
        sources_for(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS | FLOAT_MUTANTS)
def test_every_mutant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(name, monkeypatch)


@pytest.mark.parametrize("name", [*list(MUTANTS)[1:30:9], *list(FLOAT_MUTANTS)[::6]])
def test_some_mutants_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(name, monkeypatch)


def test_the_right_translator_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    for seed in range(3):
        run(pair, Flow(seed).case(f"{seed}", STEPS), random.Random(seed))
    assert pair.in_regions
