"""Run a case on two machines, compare everything a guest can see, and find the first step that differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.expr import FloatLoad, FloatStore, Load, Store
from rrdbg_core.isa.rvc import expand
from rrdbg_core.isa.table import decode

from tests.cpu.oracle import differences, programs
from tests.cpu.oracle.programs import CODE, CODE_BYTES, DATA, Case
from tests.cpu.oracle.spike import ALL_ONES, MISA, RAM_BASE, Spike

MINSTRET = 0xB02
_FCSR, _MSTATUS, _PMPCFG0, _PMPADDR0 = 0x3, 0x300, 0x3A0, 0x3B0
COMPARED_CSRS = {
    "mstatus": 0x300, "mie": 0x304, "mtvec": 0x305, "mcounteren": 0x306, "menvcfg": 0x30A, "mcountinhibit": 0x320,
    "mscratch": 0x340, "mepc": 0x341, "mcause": 0x342, "mtval": 0x343, "mip": 0x344, "pmpcfg0": 0x3A0, "pmpcfg2": 0x3A2,
    "fcsr": 3,
    **{f"pmpaddr{i}": 0x3B0 + i for i in range(16)}, "minstret": MINSTRET,
}  # fmt: skip


class State(NamedTuple):
    """All that is compared."""

    pc: int
    priv: int
    x: tuple[int, ...]
    csrs: tuple[int, ...]
    ram: bytes
    f: tuple[int, ...] = ()

    def differing(self, other: State) -> list[str]:
        """Name the fields that differ, with both values."""
        out = []
        for name in ("pc", "priv"):
            a, b = getattr(self, name), getattr(other, name)
            if a != b:
                out.append(f"{name} {a:#x} {b:#x}")
        out += [f"x{i} {a:#x} {b:#x}" for i, (a, b) in enumerate(zip(self.x, other.x, strict=True)) if a != b]
        out += [f"f{i} {a:#x} {b:#x}" for i, (a, b) in enumerate(zip(self.f, other.f, strict=True)) if a != b]
        names = zip(COMPARED_CSRS, self.csrs, other.csrs, strict=True)
        out += [f"{name} {a:#x} {b:#x}" for name, a, b in names if a != b]
        if self.ram != other.ram:
            at = next(i for i, (a, b) in enumerate(zip(self.ram, other.ram, strict=True)) if a != b)
            out.append(f"ram at {RAM_BASE + at:#x} {self.ram[at]:#x} {other.ram[at]:#x}")
        return out


class Subject(Protocol):
    """A machine that can be compared."""

    foreign: bool
    """Set when the case met a device that only the other side has; the result says nothing then."""
    slept: int
    """Steps asked for that were not made, because the hart waited for an interrupt."""

    def load(self, case: Case) -> None: ...
    def step(self, count: int) -> None: ...
    def state(self) -> State: ...


class SpikeSubject:
    """Spike as a subject. `exact` makes stores to code act at once."""

    def __init__(self, spike: Spike, *, exact: bool = False) -> None:
        self.spike = spike
        self.exact = exact
        self.foreign = False
        self.slept = 0
        self._misa = 0

    def misa_changed(self) -> bool:
        """Return whether the program has switched an extension off."""
        return bool(self.spike.get_csr(MISA) != self._misa)

    def load(self, case: Case) -> None:
        spike = self.spike
        spike.reset()
        self._misa = spike.get_csr(MISA)
        for page in spike.pages:
            page[:] = _ZERO_PAGE
        # Spike comes out of reset with entry 0 open to all; the manual wants every entry off.
        # Spike ends the process over an fcsr that is written while mstatus.FS is Off.
        spike.put_csr(_MSTATUS, MSTATUS_FS)
        spike.put_csr(_FCSR, case.csrs.get(_FCSR, 0))
        for number, value in ({_MSTATUS: 0, _PMPCFG0: 0, _PMPADDR0: 0} | case.csrs).items():
            if number != _FCSR:
                spike.put_csr(number, value)
        for address, data in case.memory.items():
            spike.write(address, data)
        spike.x[:] = case.x
        for number, value in enumerate(case.f):
            spike.f[2 * number], spike.f[2 * number + 1] = value, ALL_ONES
        spike.enter(case.pc, case.priv)
        # The stub that set the start state up has retired instructions; a write takes effect one less.
        self._retired = spike.get_csr(MINSTRET)

    def step(self, count: int) -> None:
        if self.exact:
            self.spike.step_exact(count)
        else:
            self.spike.step(count)

    def state(self) -> State:
        spike, get = self.spike, self.spike.get_csr
        csrs = [get(number) for number in COMPARED_CSRS.values()]
        csrs[-1] = csrs[-1] - self._retired & (1 << 64) - 1
        return State(spike.state.pc, spike.state.prv, tuple(spike.x), tuple(csrs), spike.ram(), tuple(spike.f[::2]))


_ZERO_PAGE = bytes(4096)


@dataclass
class Mismatch:
    """The first step after which two machines differ."""

    case: Case
    step: int
    pc: int
    word: int
    fields: list[str]

    def __str__(self) -> str:
        from rrdbg_core.isa.disasm import disassemble

        text = disassemble(self.word, self.pc)
        return f"case {self.case.name} step {self.step} pc {self.pc:#x}: {self.word:#x} {text}: " + "; ".join(
            self.fields
        )


@dataclass
class Tally:
    """What a fuzz run has seen."""

    steps: int = 0
    cases: int = 0
    stale_code: int = 0
    """Cases that ran a modified instruction without fence.i; they agree once Spike drops its decoded code."""
    foreign: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    mismatches: list[Mismatch] = field(default_factory=list)

    def __str__(self) -> str:
        accepted = ", ".join(f"{name}: {n}" for name, n in self.accepted.items()) or "none"
        return (
            f"{self.steps:_} steps in {self.cases:_} cases, {len(self.mismatches)} mismatches; "
            f"stale code {self.stale_code}, foreign devices {self.foreign}, accepted differences: {accepted}"
        )


def compare(reference: Subject, subject: Subject, case: Case, tally: Tally) -> Mismatch | None:
    """Run `case` on both and record the outcome in `tally`."""
    tally.cases += 1
    reference.load(case)
    subject.load(case)
    reference.step(case.steps)
    subject.step(case.steps)
    if subject.foreign:
        tally.foreign += 1
        return None
    if reference.state() == subject.state():
        tally.steps += case.steps - subject.slept
        return None
    if isinstance(reference, SpikeSubject) and not reference.exact:
        reference = SpikeSubject(reference.spike, exact=True)
        if _same_after(reference, subject, case, case.steps):
            tally.stale_code += 1
            tally.steps += case.steps - subject.slept
            return None
    step = first_difference(reference, subject, case)
    tally.steps += step
    before, after, other, word = around(reference, subject, case, step)
    fields = after.differing(other)
    names = {text.partition(" ")[0] for text in fields}
    difference = differences.accepted(word, accessed(word, before), names)
    if difference is None and isinstance(reference, SpikeSubject) and reference.misa_changed():
        difference = differences.HARD_WIRED_MISA
    if difference is not None:
        tally.accepted[difference.name] += 1
        return None
    mismatch = Mismatch(case, step, before.pc, word, fields)
    tally.mismatches.append(mismatch)
    return mismatch


def accessed(word: int, before: State) -> int | None:
    """Return the address of a device that a step accesses or would run; for most steps None, or an address in RAM."""
    if not differences.in_ram(before.pc):
        return before.pc
    decoded = decode(word)
    if decoded is None or not (
        isinstance(decoded.insn.effect, Load | Store | FloatLoad | FloatStore) or decoded.insn.fmt == "AMO"
    ):
        return None
    offset = 0 if decoded.insn.fmt == "AMO" else decoded.imm
    return before.x[decoded.rs1] + offset & (1 << 64) - 1


def _same_after(reference: Subject, subject: Subject, case: Case, steps: int) -> bool:
    for machine in (reference, subject):
        machine.load(case)
        machine.step(steps)
    return reference.state() == subject.state()


def first_difference(reference: Subject, subject: Subject, case: Case) -> int:
    """Return the lowest n such that the states after n + 1 steps differ.

    A difference stays, as a rule; where one heals, some later first step is found, which is as good.
    """
    low, high = 0, case.steps
    while high - low > 1:
        middle = (low + high) // 2
        if _same_after(reference, subject, case, middle):
            low = middle
        else:
            high = middle
    return low


def around(reference: Subject, subject: Subject, case: Case, step: int) -> tuple[State, State, State, int]:
    """Return the state before `step`, both states after it, and the instruction at pc.

    A compressed one comes as its expansion; 0 if pc is unmapped.
    """
    reference.load(case)
    reference.step(step)
    before = reference.state()
    reference.step(1)
    after = reference.state()
    subject.load(case)
    subject.step(step + 1)
    at = before.pc - RAM_BASE
    word = int.from_bytes(before.ram[at : at + 4], "little") if 0 <= at < len(before.ram) else 0
    if word & 3 != 3:
        word = expand(word & 0xFFFF) or word & 0xFFFF
    return before, after, subject.state(), word


def minimise(reference: Subject, subject: Subject, mismatch: Mismatch) -> Case:
    """Return a case of one step that shows the same mismatch, or the shortened original."""
    case = mismatch.case.shortened(mismatch.step + 1)
    reference.load(case)
    reference.step(mismatch.step)
    state = reference.state()
    memory = {}
    for address, size in ((programs.HANDLER, 256), (CODE, CODE_BYTES), (DATA, programs.DATA_BYTES)):
        memory[address] = state.ram[address - RAM_BASE :][:size]
    csrs = {n: v for n, v in zip(COMPARED_CSRS.values(), state.csrs, strict=True) if n not in (MINSTRET, 0x344)}
    single = Case(f"{case.name}@{mismatch.step}", state.pc, state.priv, state.x, csrs, memory, 1, state.f)
    return single if not _same_after(reference, subject, single, 1) else case
