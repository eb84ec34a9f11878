"""The session's engine over a history: everything by looking at one state after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rrdbg_core.cpu import layout as L

from rrdbg.session.api import TraceInfo
from rrdbg.session.engine import Found, Targets, Words
from rrdbg.session.session import TraceSession
from rrdbg.session.source import TraceSource
from rrdbg.session.userdata import UserData
from rrdbg.symbols.table import SymbolTable

from .history import History

POLL_STEPS = 64


class ModelEngine:
    """`Engine` over a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.poll: Callable[[int], None] = lambda icount: None
        self.hart: Words = history.harts[0].copy()
        self.mach: Words = history.machs[0].copy()
        self.icount = 0

    @property
    def end(self) -> int:
        return self.history.end

    def seek(self, icount: int) -> None:
        assert 0 <= icount <= self.end
        self._work(icount)
        self._stand(icount)

    def _stand(self, icount: int) -> None:
        self.icount = icount
        self.hart[:] = self.history.harts[icount]
        self.mach[:] = self.history.machs[icount]

    def _work(self, icount: int) -> None:
        """Poll as something does that takes long."""
        if icount % POLL_STEPS == 0:
            self.poll(icount)

    def _found(self, step: int, targets: Targets) -> Found | None:
        """Return what was hit in a step, breaks aside."""
        history = self.history
        row = history.steps[step]
        for watch in targets.watches:
            for access in row.accesses:
                if access.address < watch.address + watch.length and watch.address < access.address + access.size:
                    old = int.from_bytes(history.read(step, access.address, access.size), "little")
                    new = int.from_bytes(history.read(step + 1, access.address, access.size), "little")
                    changed = history.read(step, watch.address, watch.length) != history.read(
                        step + 1, watch.address, watch.length
                    )
                    if (
                        (watch.reads and not access.is_write)
                        or (watch.writes and access.is_write)
                        or (watch.changes and access.is_write and changed)
                    ):
                        return Found(False, access.address, access.size, access.is_write, old, new)
            before = history.read(step, watch.address, watch.length)
            after = history.read(step + 1, watch.address, watch.length)
            if before != after and (watch.changes or watch.writes):
                first = next(i for i in range(len(before)) if before[i] != after[i])
                return Found(False, watch.address + first, 1, True, before[first], after[first])
        for number in range(1, 32):
            old, new = history.x(step, number), history.x(step + 1, number)
            if targets.registers >> number & 1 and old != new:
                return Found(False, 0, 0, True, old, new)
        if row.cause is not None and (targets.interrupts if row.cause >> 63 else targets.exceptions):
            return Found(False)
        return None

    def run(self, limit: int, targets: Targets) -> Found | None:
        while self.icount < limit:
            self._work(self.icount)
            found = self._found(self.icount, targets)
            self._stand(self.icount + 1)
            if found is not None:
                return found
            if self.icount < limit and self._breaks(self.icount, targets):
                return Found(True)
        return None

    def _breaks(self, position: int, targets: Targets) -> bool:
        return self.history.pc(position) in targets.breaks and not self.history.interrupt(position)

    def last_hit(self, lo: int, hi: int, targets: Targets) -> int | None:
        for step in range(hi - 1, lo - 1, -1):
            self._work(step)
            if self._breaks(step, targets) or self._found(step, targets) is not None:
                return step
        return None

    def rungs(self, lo: int, hi: int) -> Sequence[int]:
        return [lo, *(at for at in range(lo - lo % 100 + 100, hi, 100))]

    def log(self, lo: int, hi: int, sink: Callable[[Words], None]) -> None:
        for start in range(lo, hi, 7):
            self._work(start)
            sink(np.array(self.history.rows[start : min(start + 7, hi)]))
        self._stand(hi)

    def traps(self, lo: int, hi: int) -> Words:
        taken = [(row.icount, row.cause) for row in self.history.steps[lo:hi] if row.cause is not None]
        self._stand(hi)
        return np.array(taken, np.uint64).reshape(-1, 2)

    def console(self, lo: int, hi: int) -> Sequence[tuple[int, bytes]]:
        self._stand(hi)
        return [(at, data) for at, data in self.history.console if lo < at <= hi]

    def read(self, address: int, length: int, physical: bool) -> bytes:
        return self.history.read(self.icount, address, length)


def session_over(history: History, folder: Path) -> TraceSession:
    """Return a session over a history."""
    source = TraceSource(str(folder / "model.rrt"), history.config.shift, history.events, lambda: info)
    end = source.virtual_at(history.end)
    info = TraceInfo(
        source.path, history.end, end, 0, "virt-1", 1, 0x8000_0000, history.config.ram_bytes, len(history.events), (0,),
        True, f"the guest exited with code {history.exit_code}", history.exit_code, "",
    )  # fmt: skip
    symbols = SymbolTable(list(history.images.values()))
    return TraceSession(ModelEngine(history), source, symbols, UserData(source.path))


assert L.X == 0
