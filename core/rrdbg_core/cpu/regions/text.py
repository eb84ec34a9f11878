"""Text of a region's function: its memory, the guest's registers, and the expressions of instructions."""

from __future__ import annotations

from abc import abstractmethod

from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.cpu.handler import MIDDLE
from rrdbg_core.cpu.regions.flow import Step
from rrdbg_core.cpu.regions.registers import hart_word, kind_of
from rrdbg_core.isa.expr import Ex, lift

_SCOPES = ("hart", "tlb", "ram", "dirty", "marks")
"""Kinds of memory, none of which overlaps another."""


class RegionText(Emitter):
    """Knows what a region's instructions are made of."""

    _old = ""
    """What an atomic instruction has read."""

    # ---- memory ------------------------------------------------------------------------------------------------------
    def load(self, kind: str, pointer: str, scope: str) -> str:
        """Emit a load."""
        return self.let(f"load {kind}, ptr {pointer}, align 1{scoped(scope)}")

    def store(self, kind: str, value: str, pointer: str, scope: str) -> None:
        """Emit a store."""
        self.do(f"store {kind} {value}, ptr {pointer}, align 1{scoped(scope)}")

    def word(self, offset: int) -> str:
        """Return a pointer to word `offset` of the hart."""
        return self.let(f"getelementptr i64, ptr %h, i64 {offset - MIDDLE}")

    def handler(self, number: int) -> str:
        """Return an entry of the table of handlers."""
        return self.let(f"load ptr, ptr {self.let(f'getelementptr ptr, ptr %ops, i64 {number}')}")

    # ---- registers ---------------------------------------------------------------------------------------------------
    def get(self, register: int) -> str:
        """Return a register's value."""
        return "0" if register == 0 else self.let(f"load i64, ptr %x{register}")

    def set(self, register: int, value: str) -> None:
        """Change a register."""
        if register:
            self.do(f"store i64 {value}, ptr %x{register}")

    @abstractmethod
    def get_float(self, number: int) -> str:
        """Return what an f register holds."""

    def write_back(self, register: int) -> None:
        """Store what a register holds to the hart's word of it."""
        kind = kind_of(register)
        value = self.let(f"load {kind}, ptr %x{register}")
        self.store(kind, value, self.word(hart_word(register)), "hart")

    def value(self, tree: Ex, step: Step) -> str:
        """Emit an expression of an instruction."""
        if tree.op == "const":
            return str(tree.args[0])
        if tree.op == "operand":
            match str(tree.args[0]):
                case "rs1":
                    return self.get(step.decoded.rs1)
                case "rs2":
                    return self.get(step.decoded.rs2)
                case "fs1":
                    return self.get_float(step.decoded.rs1)
                case "fs2":
                    return self.get_float(step.decoded.rs2)
                case "imm":
                    return str(step.decoded.imm)
                case "old":
                    return self._old
                case _:
                    return self.virtual(step.pc)
        return self.operation(tree.op, [self.value(arg, step) for arg in tree.args if isinstance(arg, Ex)])

    def virtual(self, place: int) -> str:
        """Return the virtual address of a place in the region, which is known by its physical one."""
        return self.let(f"add i64 {place}, %delta")

    def condition(self, tree: Ex, step: Step) -> str:
        """Emit a comparison of an instruction: i1."""
        left, right = (arg for arg in tree.args if isinstance(arg, Ex))
        if tree.op == "ne" and left.op in ("lts", "ltu") and right == lift(1):
            return self.let(f"xor i1 {self.condition(left, step)}, true")
        return self.comparison(tree.op, self.value(left, step), self.value(right, step))


def scoped(scope: str) -> str:
    """Return the metadata that tell an access to one kind of memory from accesses to others."""
    number = _SCOPES.index(scope)
    return f", !alias.scope !{10 + number}, !noalias !{20 + number}"


def metadata() -> str:
    """Return what the metadata of a region's instructions refer to."""
    count = len(_SCOPES)
    lines = ['!0 = !{!"branch_weights", i32 1, i32 4000}', '!1 = !{!"branch_weights", i32 4000, i32 1}']
    lines += ["!2 = distinct !{!2}", "!3 = !{}"]
    lines += [f"!{30 + i} = distinct !{{!{30 + i}, !2}}" for i in range(count)]
    lines += [f"!{10 + i} = !{{!{30 + i}}}" for i in range(count)]
    lines += [f"!{20 + i} = !{{{', '.join(f'!{30 + j}' for j in range(count) if j != i)}}}" for i in range(count)]
    return "\n".join(lines)
