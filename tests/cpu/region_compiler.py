"""A compiler's process for tests: plans out of the samples themselves, code that is a small function from LLVM.

`python -m tests.cpu.region_compiler [FAULT ...]`. A plan is one block at each sampled pc, whose bytes come from the
page. What happens at a plan depends on its pc: see `FAULTS`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from rrdbg_core.cpu.regions import helper
from rrdbg_core.cpu.regions.plan import Block, Plan

CODE_BYTES = 8
"""Bytes of each block."""
GOOD = 0x80000000
"""Pages from here on make no trouble. Each kind of trouble has a page of its own, in which any pc makes it."""
RAISES = 0x10000
ABORTS = 0x11000
KILLED = 0x13000
HANGS = 0x14000
TALKS = 0x15000
"""Writes to standard output and standard error, as LLVM might."""
SLOW = 0x16000
"""Waits until the file RRDBG_TEST_GATE is there."""


class Sampled:
    """One plan for each pc that was seen."""

    def __init__(self) -> None:
        self._pages: dict[int, bytes] = {}
        self._waiting: list[int] = []
        self._made: set[int] = set()

    def add_samples(self, pcs: Sequence[int]) -> None:
        """Take samples."""
        self._waiting += [pc for pc in pcs if pc not in self._made and pc not in self._waiting]

    def set_page(self, address: int, content: bytes) -> None:
        """Take a page."""
        assert len(content) == 4096
        self._pages[address] = content

    def missing_pages(self) -> set[int]:
        """Return missing pages."""
        return {pc & ~0xFFF for pc in self._waiting} - set(self._pages)

    def adopt(self, plan: Plan) -> None:
        """Take a plan for made."""
        self._made.add(plan.blocks[0].pc)

    def forget(self, plan: Plan, *, changed: bool) -> None:
        """Make a plan again when it is sampled again."""
        self._made.discard(plan.blocks[0].pc)
        if changed:
            self._pages.pop(plan.blocks[0].pc & ~0xFFF, None)

    def add_miss(self, pc: int) -> None:
        """Make a plan of a pc, as if it had been sampled."""
        self.add_samples([pc])

    def next_plans(self) -> list[Plan]:
        """Return new plans."""
        ready = [pc for pc in self._waiting if pc & ~0xFFF in self._pages]
        self._waiting = [pc for pc in self._waiting if pc not in ready]
        self._made.update(ready)
        return [plan_at(pc, self._pages[pc & ~0xFFF]) for pc in ready]


def plan_at(pc: int, page: bytes) -> Plan:
    """Return the plan that is made of a pc."""
    return Plan((Block(pc, page[pc & 0xFFF :][:CODE_BYTES], (pc + 2,)),), (pc,))


def name_of(plan: Plan) -> str:
    """Return the symbol of a plan's function."""
    return f"region_{plan.entries[0]:x}"


def compile_plans(plans: Sequence[Plan]) -> bytes:
    """Return object code with a function for each plan that returns its pc, or misbehave."""
    import llvmlite.binding as llvm

    for plan in plans:
        misbehave(plan.entries[0] & ~0xFFF)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    text = "".join(f"define i64 @{name_of(plan)}() {{ ret i64 {plan.entries[0]} }}\n" for plan in plans)
    module = llvm.parse_assembly(text, context=llvm.create_context())
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    code: bytes = target.emit_object(module)
    return code


def misbehave(page: int) -> None:
    """Do what plans of a page do."""
    if page == RAISES:
        raise KeyError("no such instruction")
    if page == ABORTS:
        os.abort()
    if page == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if page == HANGS:
        ctypes.PyDLL(None).sleep(1000)  # keeps the interpreter's lock, as a compiler in a loop may
    if page == TALKS:
        os.write(1, b"LLVM ERROR: this is fine\n")
        os.write(2, b"LLVM ERROR: this is fine\n")
        print("this too", flush=True)
    if page == SLOW:
        while not os.path.exists(os.environ["RRDBG_TEST_GATE"]):
            time.sleep(0.001)


def main(*words: str) -> NoReturn:
    """Be the helper; a word sets a limit: `COMPILE_SECONDS=1`."""
    helper.restrain()
    for word in words:
        name, _, value = word.partition("=")
        setattr(helper, name, type(getattr(helper, name))(value))
    helper.serve(Sampled, compile_plans)


if __name__ == "__main__":
    main(*sys.argv[1:])
