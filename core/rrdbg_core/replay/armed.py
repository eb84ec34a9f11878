"""Set a machine up to stop at targets, or to remember where they hit last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.stops import ALL, REGISTER_HIT, Gate, GateCount, Watch, WatchKind
from rrdbg_core.machine.machine import Machine
from rrdbg_core.replay.targets import Found, MemoryWatch, Targets

NOTHING = Targets()


class Armed:
    """What a machine's core stops at. Setting it up takes about a millisecond: it stays until something else is wanted.

    Writes to RAM by anything but the hart, and registers that a reset or the host changes, are compared here: they
    belong to the step they happen in or behind, and hit if they change something; gates cannot judge them. Nobody looks
    at reads by devices.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._targets = self._everything = NOTHING
        self._breaks: list[tuple[int, int]] = []
        self._gates = 0
        self.searching = False
        """Whether hits are passed over."""
        self.outside: Found | None = None
        """The first hit since `set` that the hart has no part in."""
        self._outside_step: int | None = None

    def set(self, targets: Targets) -> None:
        """Stop at `targets`."""
        self._set(targets, False, [gated.ignore for gated in targets.gated])

    def search(self, targets: Targets, marks: Sequence[int] = ()) -> None:
        """Pass over `targets`, count what is gated and remember the newest hits.

        Args:
            targets: What to look for; what their gates ignore does not matter.
            marks: For each gate, of how many hits, from the first one on, to remember the newest; of all by default.
        """
        self._set(targets, True, marks or [ALL] * len(targets.gated))

    def _set(self, targets: Targets, search: bool, ignore: Sequence[int]) -> None:
        core = self._machine.core
        if targets is not self._targets and targets != self._targets:
            everything = targets.open()
            parts = [(targets, 0), *((gated.targets, number) for number, gated in enumerate(targets.gated, 1))]
            breaks = [(address, number) for part, number in parts for address in dict.fromkeys(part.breaks)]
            if breaks != self._breaks:
                core.set_breakpoints([address for address, _ in breaks], [number for _, number in breaks])
            core.set_watches([watch for part, number in parts for watch in self._watches(part, number)])
            core.watch_registers(
                targets.registers & ~1,
                [(r, number) for part, number in parts[1:] for r in range(1, 64) if part.registers >> r & 1],
            )
            classes = [(part.exceptions | part.interrupts << 1, number) for part, number in parts[1:]]
            core.catch_traps(
                exceptions=targets.exceptions,
                interrupts=targets.interrupts,
                gated=[(mask, number) for mask, number in classes if mask],
            )
            self._targets, self._breaks, self._everything = targets, breaks, everything
        gates = [Gate(gated.condition, count) for gated, count in zip(targets.gated, ignore, strict=True)]
        if gates or self._gates:
            core.set_gates(gates)
        self._gates = len(gates)
        if search or self.searching:
            core.search(search)
        self.searching = search
        self.outside = self._outside_step = None
        everything = self._everything
        self._machine.on_store = self._stored if any(w.writes or w.changes for w in everything.watches) else None
        self._machine.on_reset = self._reset if everything.registers else None
        self._machine.on_answer = self._answered if everything.registers >> 10 & 3 else None

    def _watches(self, targets: Targets, gate: int) -> list[Watch]:
        """Return the kernel's watches: the part of each that lies in RAM, reads and writes apart."""
        found = []
        for watch in targets.watches:
            start, stop = self._clipped(watch)
            if start < stop and watch.reads:
                found.append(Watch(start, stop - start, WatchKind.READ, gate))
            if start < stop and (watch.writes or watch.changes):
                kind = WatchKind.WRITE if watch.writes else WatchKind.CHANGE
                found.append(Watch(start, stop - start, kind, gate))
        return found

    def _clipped(self, watch: MemoryWatch) -> tuple[int, int]:
        end = RAM_BASE + self._machine.memory.size
        return max(watch.address, RAM_BASE), min(watch.address + watch.length, end)

    def _stored(self, address: int, data: bytes) -> None:
        """Look at a write by anything but the hart, before it happens."""
        for watch in self._everything.watches:
            start, stop = max(watch.address, address), min(watch.address + watch.length, address + len(data))
            if start >= stop or not (watch.writes or watch.changes):
                continue
            old = self._machine.memory.read(start, stop - start)
            new = data[start - address : stop - address]
            if old == new:
                continue
            first = next(i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
            start, old, new = start + first, old[first:], new[first:]
            size = min(len(new), 8)
            before, after = (int.from_bytes(part[:8], "little") for part in (old, new))
            self._hit(Found(False, start, size, True, before, after, whole=old[8:] == new[8:]))
            return

    def _reset(self) -> None:
        """Look at the registers that a reset is about to clear."""
        hart = self._machine.core.hart
        for register in range(1, 32):
            old = int(hart[L.X + register])
            if self._everything.registers >> register & 1 and old:
                self._hit(Found(False, old=old))
                return

    def _answered(self, register: int, new: int) -> None:
        """Look at a register before the host puts its answer into it: the step itself finds it changed already."""
        old = int(self._machine.core.hart[L.X + register])
        if old != new and self._everything.registers >> register & 1:
            self._hit(Found(False, old=old, new=new))

    def _hit(self, found: Found) -> None:
        self._outside_step = self._machine.step
        self.outside = found if self.outside is None else replace(self.outside, whole=False)
        if not self.searching:
            self._machine.stop_behind_step()

    def found(self) -> Found:
        """Return what the step that stopped the core did."""
        hit = self._machine.core.hit
        if hit.index >= REGISTER_HIT:
            return Found(False, old=hit.old, new=hit.new)
        whole = not self._machine.core.mach[L.HIT_MORE]
        return Found(False, hit.address, hit.size, hit.is_write, hit.old, hit.new, whole)

    @property
    def counts(self) -> list[GateCount]:
        """What came to each gate since it was set."""
        return self._machine.core.gate_counts

    def newest(self) -> int | None:
        """Return the step of the newest hit of a search that no gate has judged."""
        hit = self._machine.core.last_hit
        steps = [step for step in (hit[0] if hit else None, self._outside_step) if step is not None]
        return max(steps, default=None)

    def pass_break(self) -> None:
        """Let the next step leave a breakpoint at which it stands."""
        self._machine.core.skip_break_once()
