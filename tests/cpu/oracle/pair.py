"""The compiled interpreter and the reference interpreter, side by side."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.reference import ReferenceCore

from tests.cpu.oracle.programs import Case
from tests.cpu.oracle.subjects import CoreSubject


class Pair:
    """Two cores that are kept alike: the compiled one and the reference."""

    def __init__(self, kind: type[CoreSubject] = CoreSubject) -> None:
        self.subjects = kind(Core), kind(ReferenceCore)
        self.cores = tuple(subject.core for subject in self.subjects)

    def load(self, case: Case, icount: int) -> None:
        for subject in self.subjects:
            subject.load(case)
            core = subject.core
            # minstret counts from here on, and check words come soon
            core.mach[L.ICOUNT] = icount
            core.hart[L.MINSTRET] = core.hart[L.MCYCLE] = -icount % (1 << 64)

    def step(self, count: int) -> None:
        for subject in self.subjects:
            subject.step(count)

    def check(self, where: str) -> int:
        """Compare, and return how many check words there were."""
        a, b = self.cores
        for name, words, old in (("hart", a.hart, b.hart), ("mach", a.mach, b.mach)):
            for field in L.fields():
                if field.owner == name:
                    span = slice(field.offset, field.offset + field.words)
                    assert words[span].tolist() == old[span].tolist(), f"{where}: {field.name}"
        assert a.memory.ram.data == b.memory.ram.data, where
        checks = a.take_checks().tolist()
        assert checks == b.take_checks().tolist(), where
        assert a.take_traps().tolist() == b.take_traps().tolist(), where
        for mine, theirs in zip(a.take_written(), b.take_written(), strict=True):
            assert mine.tolist() == theirs.tolist(), where
        for mine, theirs in zip(a.take_run(), b.take_run(), strict=True):
            assert mine.tolist() == theirs.tolist(), where
        assert a.mach[L.MMIO_STATE] == b.mach[L.MMIO_STATE]
        return len(checks)
