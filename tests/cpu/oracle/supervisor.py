"""Privileged programs on two machines, compared step by step or at the end.

python -m tests.cpu.oracle.supervisor --steps 1_000_000                       the CPU against the reference interpreter
python -m tests.cpu.oracle.supervisor --subject reference --against spike     the reference interpreter against Spike

Spike keeps a TLB; it is emptied before every step, so that page tables act at once there too.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.isa.csr import MENVCFG_ADUE, MENVCFG_STCE, MSTATUS_WRITABLE_S, S_EXCEPTIONS, S_INTERRUPTS, SEI
from rrdbg_core.isa.disasm import disassemble

from tests.cpu.oracle.differences import supervisor_difference
from tests.cpu.oracle.paged import NUMBER, PAGES, PagedGenerator
from tests.cpu.oracle.programs import Case
from tests.cpu.oracle.spike import ISA, PAGE, RAM_BASE, Spike
from tests.cpu.oracle.subjects import CoreSubject, get_csr, set_csr

COMPARED = (
    *("mstatus", "mie", "mip", "mtvec", "mepc", "mcause", "mtval", "mscratch", "medeleg", "mideleg", "menvcfg"),
    *("mcounteren", "stvec", "sepc", "scause", "stval", "sscratch", "scounteren", "senvcfg", "satp", "stimecmp"),
    *("minstret", "mcountinhibit", "pmpcfg0", "pmpaddr0"),
)
_WORDS = {
    "stvec": L.STVEC,
    "sepc": L.SEPC,
    "scause": L.SCAUSE,
    "stval": L.STVAL,
    "sscratch": L.SSCRATCH,
    "satp": L.SATP,
    "scounteren": L.SCOUNTEREN,
    "senvcfg": L.SENVCFG,
    "medeleg": L.MEDELEG,
    "mideleg": L.MIDELEG,
    "stimecmp": L.STIMECMP,
    "menvcfg": L.MENVCFG,
    "mie": L.MIE,
    "mstatus": L.MSTATUS,
}
_MASKS = {
    "medeleg": S_EXCEPTIONS,
    "mideleg": S_INTERRUPTS,
    "menvcfg": 1 | MENVCFG_ADUE | MENVCFG_STCE,
    "mie": 0xAAA,
    "mstatus": MSTATUS_WRITABLE_S | 0x6000,
}
State = dict[str, int | bytes]


class SupervisorCore(CoreSubject):
    """`Core`, or the reference interpreter, with S mode."""

    def __init__(self, kind: type[Core] = Core) -> None:
        super().__init__(kind)
        self.core.mach[L.SUPERVISOR] = 1

    def load(self, case: Case) -> None:
        super().load(Case(case.name, case.pc, case.priv, case.x, {}, case.memory, case.steps, case.f))
        names = {number: name for name, number in NUMBER.items()}
        for number, value in case.csrs.items():
            name = names[number]
            if name in _WORDS:
                self.core.hart[_WORDS[name]] = value & _MASKS.get(name, (1 << 64) - 1)
            else:
                set_csr(self.core, number, value)
        self.core.hart[L.SEIP] = self.core.hart[L.MIP] & SEI
        self.core.flush_tlb()

    def values(self) -> State:
        """Return all that is compared."""
        core, hart = self.core, self.core.hart
        state: State = {"pc": int(hart[L.PC]), "priv": int(hart[L.PRIV]), "ram": core.memory.ram.tobytes()}
        state |= {f"x{number}": int(hart[L.X + number]) for number in range(1, 32)}
        for name in COMPARED:
            state[name] = int(hart[_WORDS[name]]) if name in _WORDS else get_csr(core, NUMBER[name])
        state["mstatus"] = get_csr(core, 0x300) | 2 << 34
        if not hart[L.MCOUNTINHIBIT] & 4:
            state["minstret"] = int(state["minstret"]) + self.slept & (1 << 64) - 1
        return state


class SupervisorSpike(Spike):
    """Spike with S mode; page walks set A and D where menvcfg.ADUE says so, and there is a stimecmp."""

    isa, priv = f"{ISA}_sstc_svadu", "msu"


class SupervisorSpikeSubject:
    """Spike as a subject."""

    def __init__(self) -> None:
        self.spike = SupervisorSpike(PAGES * PAGE)
        self.slept, self.foreign = 0, False

    def load(self, case: Case) -> None:
        spike = self.spike
        spike.reset()
        for page in spike.pages:
            page[:] = bytes(PAGE)
        closed = {0x3A0: 0, 0x3B0: 0, NUMBER["satp"]: 0, NUMBER["mstatus"]: 0, NUMBER["menvcfg"]: 0}
        for name in ("medeleg", "mideleg", "mie", "mip", "scounteren", "senvcfg", "mcounteren", "sscratch", "mscratch"):
            closed[NUMBER[name]] = 0
        for number, value in (closed | case.csrs).items():
            spike.put_csr(number, value)
        for address, data in case.memory.items():
            spike.write(address, data)
        spike.x[:] = case.x
        # the instruction that enters the program is not counted: it stands for the one that writes the counters
        spike.put_csr(NUMBER["minstret"], 0)
        spike.put_csr(NUMBER["mcycle"], 0)
        spike.enter(case.pc, case.priv)

    def step(self, count: int) -> None:
        self.spike.step_exact(count)

    def values(self) -> State:
        spike = self.spike
        state: State = {"pc": spike.state.pc, "priv": spike.state.prv, "ram": spike.ram()}
        state |= {f"x{number}": spike.x[number] for number in range(1, 32)}
        return state | {name: spike.get_csr(NUMBER[name]) for name in COMPARED}


Subject = SupervisorCore | SupervisorSpikeSubject


def differing(a: State, b: State) -> list[str]:
    """Name the fields that differ, with both values."""
    out = []
    for name, value in a.items():
        other = b[name]
        if value == other:
            continue
        if isinstance(value, bytes) and isinstance(other, bytes):
            at = next(i for i, (x, y) in enumerate(zip(value, other, strict=True)) if x != y)
            word = slice(at & ~7, (at & ~7) + 8)
            out.append(f"ram at {RAM_BASE + at:#x} {value[word].hex()} {other[word].hex()}")
        else:
            out.append(f"{name} {value:#x} {other:#x}")
    return out


@dataclass
class Result:
    """What a run has seen."""

    steps: int = 0
    cases: int = 0
    traps: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.steps:_} steps in {self.cases:_} cases, {len(self.mismatches)} mismatches; "
            f"accepted {dict(self.accepted)}; traps {dict(sorted(self.traps.items()))}"
        )


def compare(reference: Subject, subject: Subject, case: Case, result: Result) -> str | None:
    """Run `case` on both, and find the first step that differs."""
    result.cases += 1

    def same(steps: int) -> bool:
        for machine in (reference, subject):
            machine.load(case)
            machine.step(steps)
        return not differing(reference.values(), subject.values())

    if same(case.steps):
        result.steps += case.steps - subject.slept
        _count_traps(subject, result)
        return None
    low, high = 0, case.steps
    while high - low > 1:
        middle = (low + high) // 2
        if same(middle):
            low = middle
        else:
            high = middle
    result.steps += low
    for machine in (reference, subject):
        machine.load(case)
        machine.step(low)
    before = reference.values()
    word = _instruction(subject) if isinstance(subject, SupervisorCore) else 0
    subject.load(case)
    subject.step(low)
    for machine in (reference, subject):
        machine.step(1)
    after = subject.values()
    fields = differing(reference.values(), after)
    if isinstance(reference, SupervisorSpikeSubject):
        accepted = supervisor_difference(word, {text.split()[0] for text in fields}, before, after)
        if accepted is not None:
            result.accepted[accepted] += 1
            return None
    pc = int(before["pc"])
    text = f"case {case.name} step {low} priv {before['priv']} pc {pc:#x}: {word:#x} {disassemble(word, pc)}: "
    result.mismatches.append(text + "; ".join(fields))
    return result.mismatches[-1]


def _count_traps(subject: Subject, result: Result) -> None:
    if isinstance(subject, SupervisorCore):
        for _, cause in subject.core.take_traps().tolist():
            result.traps[f"{'interrupt' if cause >> 63 else 'exception'} {cause & 63}"] += 1


def _instruction(subject: SupervisorCore) -> int:
    """Return what the next step would execute, 0 if it cannot be fetched."""
    core = subject.core
    words: list[int] = []
    core.log_steps(8, lambda rows: words.extend(rows[:, 2].tolist()))
    subject.step(1)
    core.log_steps(0, None)
    return words[0] if words else 0


def run(
    reference: Subject,
    subject: Subject,
    *,
    seed: int,
    steps: int,
    stop_at: int = 10,
    told: Callable[[str], None] | None = None,
) -> Result:
    """Compare until `steps` steps were made or `stop_at` mismatches were found."""
    result, program = Result(), 0
    while result.steps < steps and len(result.mismatches) < stop_at:
        for case in PagedGenerator(seed << 32 | program).cases():
            mismatch = compare(reference, subject, case, result)
            if mismatch and told:
                told(mismatch)
        program += 1
    return result


def make(name: str) -> Subject:
    """Return the subject `name`: spike, core or reference."""
    if name == "spike":
        return SupervisorSpikeSubject()
    return SupervisorCore({"core": Core, "reference": ReferenceCore}[name])


def main() -> int:
    parser = argparse.ArgumentParser(description="compare privileged programs on two CPUs")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument("--subject", choices=("core", "reference"), default="core")
    parser.add_argument("--against", choices=("spike", "reference"), default="reference")
    options = parser.parse_args()
    started = time.monotonic()
    result = run(
        make(options.against), make(options.subject), seed=options.seed, steps=options.steps,
        told=lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    print(f"seed {options.seed}: {result}; {time.monotonic() - started:.0f} s")
    return 1 if result.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
