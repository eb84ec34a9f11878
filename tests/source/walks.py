"""Traces of `programs/walk.c`, compiled in several ways, and what happened in them step by step."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.api import StepRow
from rrdbg.session.decoding import instruction
from rrdbg.session.session import TraceSession
from tests.session.traces import make_trace

PROGRAMS = Path(__file__).parent / "programs"
GUESTS = Path(__file__).parents[2] / "guests"
GCC = shutil.which("riscv64-unknown-elf-gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="no riscv64-unknown-elf-gcc (apt: gcc-riscv64-unknown-elf)")


def build(name: str, folder: Path, *flags: str, until: int | None = None) -> Path:
    """Compile a program of this folder and record it, to its end or so many steps; return the trace, beside the ELF."""
    assert GCC is not None
    elf = folder / f"{name}{''.join(flag.partition('/')[0] for flag in flags)}.elf".replace('"', "")
    subprocess.run(
        [GCC, "-march=rv64imac_zicsr_zifencei", "-mabi=lp64", "-mcmodel=medany", "-ffreestanding", "-fno-pic",
         "-nostdlib", "-static", "-Wl,--build-id=none,--no-warn-rwx-segments", "-T", str(GUESTS / "lib" / "kernel.ld"),
         *flags, "-o", str(elf), f"{name}.c"],
        check=True, cwd=PROGRAMS,
    )  # fmt: skip
    trace = elf.with_suffix(".rrt")
    make_trace(elf.read_bytes(), trace, until=until)
    return trace


@dataclass(frozen=True)
class Frame:
    """A call or trap that has not returned."""

    at: int
    """Address of the call, or of what was interrupted."""
    trap: bool
    number: int
    """Counts all calls and traps."""


class Steps:
    """All steps of a run, and the stack at each position, by following calls, returns and traps alone."""

    def __init__(self, session: TraceSession) -> None:
        self.session = session
        end = session.info().end
        self.rows: list[StepRow] = list(session.iter_steps(0, end))
        self.pcs = [row.pc for row in self.rows]
        self.stacks: list[tuple[Frame, ...]] = [()]
        self.interrupts = [row.insn == 0 and bool(row.trap) for row in self.rows]
        count = 0
        for index, row in enumerate(self.rows):
            stack = self.stacks[-1]
            insn = instruction(row.insn, row.pc) if row.insn else None
            after = self.pcs[index + 1] if index + 1 < end else 0
            if row.trap:
                count += 1
                stack = (*stack, Frame(row.pc, True, count))
            elif insn is not None and insn.is_call and after != row.pc + insn.length:
                count += 1
                stack = (*stack, Frame(row.pc, False, count))
            elif insn is not None and (insn.is_return or insn.name == "mret"):
                stack = stack[:-1]
            self.stacks.append(stack)

    @cache  # noqa: B019
    def name(self, address: int) -> str:
        """Return the function around an address."""
        return self.session.locate(address).symbol

    def names(self, position: int) -> list[tuple[str, bool]]:
        """Return the functions of the stack, innermost first, and which of them a trap interrupted; ends with main."""
        found = [(self.name(self.pcs[position]), False)]
        for frame in reversed(self.stacks[position]):
            if found[-1][0] == "main" or found[-1][0] == "_start":
                break
            found.append((self.name(frame.at), frame.trap))
        return found

    def activation(self, position: int) -> int:
        """Return the number of the call or trap that a position belongs to."""
        stack = self.stacks[position]
        return stack[-1].number if stack else 0


def opened(trace: Path) -> TraceSession:
    """Open a trace in this process."""
    session = rrdbg.open(trace)
    assert isinstance(session, TraceSession)
    return session
