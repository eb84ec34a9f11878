"""The session's engine over a history: everything by looking at one state after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import places_of, read_virtual, space_of
from rrdbg_core.cpu.condition import CannotJudge, Condition, reader

from rrdbg.session.api import TraceInfo
from rrdbg.session.engine import Found, Targets, Words
from rrdbg.session.session import TraceSession
from rrdbg.session.source import TraceSource
from rrdbg.session.userdata import UserData
from rrdbg.symbols.table import SymbolTable

from .history import History, pieces_of

POLL_STEPS = 64


class ModelEngine:
    """`Engine` over a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.poll: Callable[[int], None] = lambda icount: None
        self.hart: Words = history.harts[0].copy()
        self.mach: Words = history.machs[0].copy()
        self.icount = 0
        self.home: int | None = None
        self._passed: list[int] = []

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

    @property
    def passed(self) -> Sequence[int]:
        return self._passed

    def _judge(self, condition: Condition | None, position: int) -> bool | None:
        """Return whether a condition holds at a position; None where it cannot be judged."""
        if condition is None:
            return True
        history = self.history

        def read(address: int, size: int) -> int | None:
            places = places_of(space_of(history.harts[position]), address, size, partial(history.read, position))
            data = history.read(position, *places[0]) if len(places) == 1 else b""
            return int.from_bytes(data, "little") if len(data) == size else None

        hart, mach = history.harts[position].tolist(), history.machs[position].tolist()
        try:
            return bool(reader(condition)(hart, mach, hart[L.PC], position, read))
        except CannotJudge:
            return None

    def _gates(self, step: int, targets: Targets, *, before: bool) -> list[tuple[int, bool]]:
        """Return the gates that something comes to in a step under their conditions, or before it.

        With each one, whether that is certain: what cannot be judged stops, whatever is to be passed over.
        """
        found = []
        for number, gated in enumerate(targets.gated):
            hit = self._breaks(step, gated.targets) if before else self._found(step, gated.targets) is not None
            held = self._judge(gated.condition, step if before else step + 1) if hit else False
            if held is not False:
                found.append((number, held is True))
        return found

    def _stops(self, gates: list[tuple[int, bool]], left: list[int]) -> bool:
        """Return whether one of the gates lets a hit through; if none does, count them."""
        if any(not (left[number] and certain) for number, certain in gates):
            return True
        for number, _ in gates:
            left[number] -= 1
            self._passed[number] += 1
        return False

    def _event_at(self, position: int) -> bool:
        return any(event.icount == position for event in self.history.events)

    def _found(self, step: int, targets: Targets) -> Found | None:
        """Return what was hit in a step, breaks aside."""
        history = self.history
        row = history.steps[step]
        for watch in targets.watches:
            before = history.read(step, watch.address, watch.length)
            after = history.read(step + 1, watch.address, watch.length)
            for access in row.accesses:
                whole_access = access.last == access.place + access.size - 1
                for place, size in pieces_of(access):
                    if place >= watch.address + watch.length or watch.address >= place + size:
                        continue
                    old = history.read(step, place, size)
                    new = history.read(step + 1, place, size)
                    if (
                        (watch.reads and not access.is_write)
                        or (watch.writes and access.is_write)
                        or (watch.changes and access.is_write and before != after)
                    ):
                        values = (int.from_bytes(data, "little") for data in (old, new))
                        alone = len(row.accesses) == 1 and whole_access and history.config.privilege != "msu"
                        whole = before == after or (alone and not self._event_at(step + 1))
                        return Found(False, place, size, access.is_write, *values, whole)
            if before != after and (watch.changes or watch.writes):
                first = next(i for i in range(len(before)) if before[i] != after[i])
                return Found(False, watch.address + first, 1, True, before[first], after[first], whole=False)
        for number in range(1, 32):
            old, new = history.x(step, number), history.x(step + 1, number)
            if targets.registers >> number & 1 and old != new:
                return Found(False, 0, 0, True, old, new)
        if row.cause is not None and (targets.interrupts if row.cause >> 63 else targets.exceptions):
            return Found(False)
        return None

    def run(self, limit: int, targets: Targets) -> Found | None:
        self._passed = [0] * len(targets.gated)
        left = [gated.ignore for gated in targets.gated]
        while self.icount < limit:
            step = self.icount
            self._work(step)
            found = self._found(step, targets)
            gates = self._gates(step, targets, before=False)
            self._stand(step + 1)
            if found is not None:
                return found
            if self._stops(gates, left):
                through = (number for number, certain in gates if not (left[number] and certain))
                return self._found(step, targets.gated[next(through)].targets)
            if self.icount < limit:
                if self._breaks(self.icount, targets):
                    return Found(True)
                if self._stops(self._gates(self.icount, targets, before=True), left):
                    return Found(True)
        return None

    def _breaks(self, position: int, targets: Targets) -> bool:
        return self.history.pc(position) in targets.breaks and self.history.executes(position)

    def last_hit(self, lo: int, hi: int, targets: Targets) -> int | None:
        self._passed = [0] * len(targets.gated)
        left = [gated.ignore for gated in targets.gated]
        for step in range(hi - 1, lo - 1, -1):
            self._work(step)
            if self._breaks(step, targets) or self._found(step, targets) is not None:
                return step
            gates = [gate for before in (True, False) for gate in self._gates(step, targets, before=before)]
            if self._stops(gates, left):
                return step
        return None

    def executed(self, lo: int, hi: int, places: Sequence[int]) -> bool:
        self._work(lo)
        self._stand(hi)
        return any(self.history.place(step) in places and self.history.executes(step) for step in range(lo, hi))

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
        read = partial(self.history.read, self.icount)
        return read(address, length) if physical else read_virtual(space_of(self.hart), address, length, read)


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
