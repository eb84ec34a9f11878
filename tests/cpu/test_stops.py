"""Breakpoints, watches and catches against a model that steps, decodes and compares memory by itself."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.steplog import parse_log_row
from rrdbg_core.cpu.stops import REGISTER_HIT, TRAP_HIT, Watch, WatchKind
from rrdbg_core.isa.expr import FloatLoad, FloatStore, Load, Store
from rrdbg_core.isa.table import decode

from tests.cpu.oracle.programs import CODE, DATA, Case, Generator
from tests.cpu.oracle.subjects import RAM_BYTES, CoreSubject

RAM = 0x8000_0000
KINDS = pytest.mark.parametrize("kind", [Core, ReferenceCore])
FETCH_FAULT, INTERRUPT = 1, 1 << 63


@dataclass
class Step:
    """What the model saw of one step."""

    pc: int
    cause: int | None = None
    changed: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Registers that changed: old and new value."""
    reads: list[tuple[int, int]] = field(default_factory=list)
    """Address and size."""
    writes: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """Address, bytes before, bytes after."""


def history(subject: CoreSubject, case: Case) -> list[Step]:
    """Make the steps of a case one by one, and look at each from outside."""
    subject.load(case)
    core = subject.core
    steps = []
    for _ in range(case.steps):
        before, pc, ram = registers_of(core), int(core.hart[L.PC]), core.memory.ram.tobytes()
        icount = core.icount
        subject.step(1)
        if core.icount == icount:
            break
        traps = core.take_traps()
        step = Step(pc, int(traps[0, 1]) if len(traps) else None)
        after = registers_of(core)
        step.changed = {r: (a, b) for r, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
        if step.cause is None:
            look(step, before, ram, core.memory.ram.tobytes(), after)
        steps.append(step)
    return steps


def registers_of(core: Core) -> list[int]:
    """Return x0 to x31, then f0 to f31."""
    words: list[int] = core.hart.tolist()
    return [0, *words[L.X + 1 : L.X + 32], *words[L.F : L.F + 32]]


def look(step: Step, x: list[int], ram: bytes, now: bytes, after: list[int]) -> None:
    """Note the accesses to RAM of an instruction that retired."""
    at = step.pc - RAM
    decoded = decode(int.from_bytes(ram[at : at + 4], "little"))
    assert decoded is not None
    effect = decoded.insn.effect
    atomic = decoded.insn.fmt == "AMO"
    if not (atomic or isinstance(effect, Load | Store | FloatLoad | FloatStore)):
        return
    address = x[decoded.rs1] + (0 if atomic else decoded.imm) & (1 << 64) - 1
    size = (8 if decoded.imm & 7 == 3 else 4) if atomic else effect.size  # type: ignore[union-attr]
    if not RAM <= address <= RAM + RAM_BYTES - size:
        return
    name = decoded.insn.name
    written = (address, ram[address - RAM :][:size], now[address - RAM :][:size])
    if isinstance(effect, Load | FloatLoad) or name.startswith(("lr", "amo")):
        step.reads.append((address, size))
    if isinstance(effect, Store | FloatStore) or name.startswith("amo"):
        step.writes.append(written)
    elif name.startswith("sc"):
        # rd = x0 hides whether it succeeded; programs rarely do that, and then the value tells
        succeeded = after[decoded.rd] == 0 if decoded.rd else written[1] != written[2]
        if succeeded:
            step.writes.append(written)


@dataclass
class Stops:
    """What to stop at."""

    breaks: list[int]
    watches: list[Watch]
    registers: int
    exceptions: bool
    interrupts: bool

    def apply(self, core: Core) -> None:
        core.set_breakpoints(self.breaks)
        core.set_watches(self.watches)
        core.watch_registers(self.registers)
        core.catch_traps(exceptions=self.exceptions, interrupts=self.interrupts)

    def before(self, step: Step) -> bool:
        """Return whether a breakpoint stands before the step."""
        taken_first = step.cause is not None and (step.cause & INTERRUPT or step.cause == FETCH_FAULT)
        return step.pc in self.breaks and not taken_first

    def after(self, step: Step) -> list[int]:
        """Return the indices of what the step hit."""
        hits = []
        for index, watch in enumerate(self.watches):
            low, high = watch.address, watch.address + watch.size
            read = any(low < a + n and a < high for a, n in step.reads)
            write = any(low < a + len(old) and a < high for a, old, _ in step.writes)
            change = any(
                old[i] != new[i] and low <= a + i < high for a, old, new in step.writes for i in range(len(old))
            )
            wanted = {
                WatchKind.READ: read,
                WatchKind.WRITE: write,
                WatchKind.ACCESS: read or write,
                WatchKind.CHANGE: change,
            }
            if wanted[watch.kind]:
                hits.append(index)
        hits += [REGISTER_HIT + r for r in step.changed if self.registers >> r & 1]
        if step.cause is not None and (self.interrupts if step.cause & INTERRUPT else self.exceptions):
            hits.append(TRAP_HIT)
        return hits


def draw(rng: random.Random, steps: list[Step]) -> Stops:
    """Choose things to stop at, most of which happen."""
    pcs = [rng.choice(steps).pc for _ in range(rng.randrange(3))] + [CODE + 2 * rng.randrange(1024)]
    watches = []
    accessed = [a for step in steps for a, _ in step.reads] + [a for step in steps for a, _, _ in step.writes]
    for _ in range(rng.randrange(4)):
        address = rng.choice(accessed) if accessed and rng.random() < 0.8 else DATA + rng.randrange(0x2000)
        kind = rng.choice((WatchKind.READ, WatchKind.WRITE, WatchKind.ACCESS, WatchKind.CHANGE))
        watches.append(Watch(address + rng.randrange(-3, 4), rng.choice((1, 2, 4, 8, 100)), kind))
    changed = [r for step in steps for r in step.changed]
    register = rng.choice(changed) if changed and rng.random() < 0.5 else rng.randrange(1, 64)
    registers = rng.choice((0, 0, 0, 1 << register))
    return Stops(pcs if rng.random() < 0.7 else [], watches, registers, rng.random() < 0.2, rng.random() < 0.2)


def run_to_stop(subject: CoreSubject, limit: int) -> Exit:
    """Run, serving devices."""
    while (reason := subject.core.run(limit)) in (Exit.MMIO_READ, Exit.MMIO_WRITE):
        subject.answer()
    return reason


@KINDS
@pytest.mark.parametrize("seed", range(12))
def test_stops_are_those_of_the_model(kind: type[Core], seed: int) -> None:
    rng = random.Random(seed)
    subject = CoreSubject(kind)
    core = subject.core
    seen = 0
    for case in Generator(5000 + seed).cases(steps=300):
        steps = history(subject, case)
        for _ in range(4):
            stops = draw(rng, steps)
            subject.load(case)
            stops.apply(core)
            at = 0
            while at < len(steps):
                # from position `at`, whose breakpoint (if any) is passed over
                target = at
                while True:
                    if target > at and target < len(steps) and stops.before(steps[target]):
                        expected = (Exit.BREAK, target)
                        break
                    if target >= len(steps):
                        expected = (Exit.LIMIT, len(steps))
                        break
                    hits = stops.after(steps[target])
                    target += 1
                    if hits:
                        expected = (Exit.WATCH, target)
                        break
                core.skip_break_once()
                reason = run_to_stop(subject, len(steps))
                assert (reason, core.icount) == expected, case.name
                if reason == Exit.WATCH:
                    # the first watch that the first access of the step hits
                    assert core.hit.index in hits
                    if core.hit.index >= REGISTER_HIT and core.hit.index < TRAP_HIT:
                        changed = steps[target - 1].changed
                        assert (core.hit.old, core.hit.new) == changed[core.hit.index - REGISTER_HIT]
                    seen += 1
                at = core.icount
            Stops([], [], 0, False, False).apply(core)
    assert seen > 10


@KINDS
@pytest.mark.parametrize("seed", range(12))
def test_a_search_remembers_the_newest_hit(kind: type[Core], seed: int) -> None:
    rng = random.Random(seed)
    subject = CoreSubject(kind)
    core = subject.core
    for case in Generator(6000 + seed).cases(steps=300):
        steps = history(subject, case)
        subject.load(case)
        subject.step(len(steps))
        end = subject.state()
        for _ in range(4):
            stops = draw(rng, steps)
            first, last = sorted(rng.randrange(len(steps) + 1) for _ in range(2))
            subject.load(case)
            subject.step(first)
            stops.apply(core)
            core.search(True)
            assert run_to_stop(subject, last) == Exit.LIMIT
            found = core.last_hit
            hits = [i for i in range(first, last) if stops.before(steps[i]) or stops.after(steps[i])]
            assert (None if found is None else found[0]) == (hits[-1] if hits else None), case.name
            core.search(False)
            Stops([], [], 0, False, False).apply(core)
            subject.step(len(steps) - last)
            assert subject.state() == end


@KINDS
@pytest.mark.parametrize("seed", range(6))
def test_the_step_log_tells_what_the_model_saw(kind: type[Core], seed: int) -> None:
    subject = CoreSubject(kind)
    core = subject.core
    for case in Generator(7000 + seed).cases(steps=300):
        steps = history(subject, case)
        rows: list[list[int]] = []
        subject.load(case)
        core.log_steps(64, lambda block, rows=rows: rows.extend(block))
        subject.step(len(steps))
        core.log_steps(0, None)
        assert len(rows) == len(steps)
        for icount, (row, step) in enumerate(zip(map(parse_log_row, rows), steps, strict=True)):
            assert (row.icount, row.pc, row.cause) == (icount, step.pc, step.cause)
            if step.cause is None:
                in_ram = [a for a in row.accesses if RAM <= a.address < RAM + RAM_BYTES]
                assert [(a.address, a.size) for a in in_ram if not a.is_write] == step.reads
                written = [(a.address, a.value) for a in in_ram if a.is_write]
                assert written == [(a, int.from_bytes(new, "little")) for a, _, new in step.writes]
                decoded = decode(row.insn)
                assert decoded is not None
                if decoded.rd in step.changed:
                    assert row.rd_value == step.changed[decoded.rd][1]
