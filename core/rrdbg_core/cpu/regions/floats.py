"""The instructions of F and D in a region.

An f register is a double of LLVM's, which nothing but arithmetic changes a bit of; one that is known to hold a single
in its box is there as a float as well. What the host does not compute in line (see cpu/host_floats.py) is done by the
dispatch loop's side (cpu/float_handlers.py). That it does not trap is seen to where the block begins: `READY`
holds there as anywhere in the region, for the instructions that could change it are not for regions.
"""

from __future__ import annotations

from collections.abc import Sequence

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.handler import FLOATS
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, DYNAMIC, INTEGERS, RNE, HostFloat, boxed, unboxed
from rrdbg_core.cpu.regions.flow import Step
from rrdbg_core.cpu.regions.registers import FCSR, F, hart_word, writes
from rrdbg_core.cpu.regions.text import RegionText
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.rows import Insn
from rrdbg_core.isa.table import reads as integer_reads
from rrdbg_core.isa.table import reserves

READY = "%ready"
"""Whether FS is Dirty, frm is RNE, and the host's arithmetic is as it should be."""
_FCSR_AT = f"%x{FCSR}"


class Floats(RegionText):
    """Emits instructions of F and D."""

    _singles: set[int]
    """f registers that are known to hold a single in its box when the instruction begins."""

    def look_at_mode(self) -> None:
        """Emit what `READY` is."""
        status = self.let(f"and i64 {self.load('i64', self.word(L.MSTATUS), 'hart')}, {MSTATUS_FS}")
        dirty = self.let(f"icmp eq i64 {status}, {MSTATUS_FS}")
        nearest = self.let(f"icmp ult i64 {self.load('i64', self.word(L.FCSR), 'hart')}, 32")
        trusted = self.let(f"icmp ne i64 {self.load('i64', self.word(L.HOST_FLOAT), 'hart')}, 0")
        self.do(f"{READY} = and i1 {self.let(f'and i1 {dirty}, {nearest}')}, {trusted}")

    def get_float(self, number: int) -> str:
        """Return what an f register holds."""
        if number in self._singles:
            return boxed(self, self.let(f"load float, ptr %s{number}"))
        return self.let(f"bitcast double {self.let(f'load double, ptr %x{F + number}')} to i64")

    def set_float(self, number: int, value: str, insn: Insn) -> None:
        """Change an f register."""
        self.do(f"store double {self.let(f'bitcast i64 {value} to double')}, ptr %x{F + number}")
        if gives_single(insn):
            self.do(f"store float {unboxed(self, value)}, ptr %s{number}")

    def compute(self, step: Step) -> None:
        """Emit an instruction that may raise exceptions."""
        decoded = step.decoded
        name, rm = decoded.insn.name, decoded.imm >> 12 & 7
        assert not reserves(decoded.insn.fmt, decoded.imm)  # or the other side would have to trap
        slow, done = self.fresh("slow"), self.fresh("done")
        host = HostFloat(self, name, slow, _FCSR_AT, looks=False)
        count = 0 if host.takes in INTEGERS else host.arity
        numbers = (decoded.rs1, decoded.rs2, decoded.imm >> 27 & 31)[:count]
        if name in DONE_BY_HOST and host.works and host.mode in (None, RNE if rm == DYNAMIC else rm):
            operands = [self._number(host, number) for number in numbers] or [self.get(decoded.rs1)]
            result = host.compute(*operands)
            self._set_result(step, result if host.gives in INTEGERS else host.register(result, host.gives))
            self.do(f"br label %{done}")
            self.label(slow)
        self._ask(step, numbers)
        self.do(f"br label %{done}")
        self.label(done)

    def _number(self, host: HostFloat, number: int) -> str:
        if host.takes == "d":
            return self.let(f"load double, ptr %x{F + number}")
        if number in self._singles:
            return self.let(f"load float, ptr %s{number}")
        return host.number(self.get_float(number), "s")

    def _set_result(self, step: Step, value: str) -> None:
        decoded = step.decoded
        if "rd" in decoded.insn.floats:
            self.set_float(decoded.rd, value, decoded.insn)
        else:
            self.set(decoded.rd, value)

    def _ask(self, step: Step, numbers: Sequence[int]) -> None:
        """Emit a call of what computes on the dispatch loop's side, of f registers with these numbers."""
        # fcsr is in its word of the hart: nobody but who is called here raises anything
        for register in integer_reads(step.decoded):
            self.write_back(register)
        operands = [self.let(f"load double, ptr %x{F + number}") for number in numbers]
        arguments = ", ".join([f"ptr %h, i64 {step.slot}", *(f"double {operand}" for operand in operands)])
        self.do(f"call preserve_allcc i64 {self.handler(FLOATS + (step.slot & 255))}({arguments})")
        for register in sorted(writes(step.decoded)):
            value = self.load("i64", self.word(hart_word(register)), "hart")
            if register == FCSR:
                self.do(f"store i64 {value}, ptr {_FCSR_AT}")
            else:
                self._set_result(step, value)


def gives_single(insn: Insn) -> bool:
    """Return whether an instruction writes a single, in its box, to an f register."""
    stem, *letters = insn.name.split(".")
    return "rd" in insn.floats and (stem == "flw" or letters[:1] == ["s"] or letters == ["w", "x"])


def singles_before(code: Sequence[Step]) -> list[set[int]]:
    """Return for each instruction of a block the f registers that hold a single in its box, whatever came before."""
    found: list[set[int]] = [set()]
    for step in code:
        after = set(found[-1])
        if "rd" in step.decoded.insn.floats:
            after = after | {step.decoded.rd} if gives_single(step.decoded.insn) else after - {step.decoded.rd}
        found.append(after)
    return found
