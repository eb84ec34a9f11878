"""What stops a replay, found the slow way: step by step, comparing the guest before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rrdbg_core.cpu import layout as L
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.targets import MemoryWatch, Targets


@dataclass(frozen=True)
class Step:
    """One step of the guest."""

    number: int
    pc: int
    interrupted: bool
    registers: tuple[int, ...]
    registers_after: tuple[int, ...]
    cause: int
    accesses: tuple[tuple[bool, int, int], ...]
    ram: bytes
    ram_after: bytes


def walk(replayer: Replayer, lo: int, hi: int, watched: tuple[int, int]) -> list[Step]:
    """Return the steps lo <= n < hi, with a stretch of RAM before and after each."""
    replayer.seek(lo)
    steps = []
    rows: list[np.ndarray] = []
    replayer.log(lo, hi, rows.append)
    log = np.concatenate(rows)
    replayer.seek(lo)
    for row in log:
        hart = replayer.machine.core.hart
        before = tuple(int(word) for word in hart[L.X : L.X + 32])
        pc, ram = int(hart[L.PC]), replayer.read(*watched)
        pending = int(hart[L.MIP]) & int(hart[L.MIE])
        enabled = int(hart[L.PRIV]) != 3 or int(hart[L.MSTATUS]) >> 3 & 1
        replayer.advance(int(row[0]) + 1)
        accesses = []
        for slot in range(int(row[6])):
            kind, address = int(row[7 + 3 * slot]), int(row[8 + 3 * slot])
            accesses.append((kind & 255 == 2, address, kind >> 8))
        after = tuple(int(word) for word in replayer.machine.core.hart[L.X : L.X + 32])
        steps.append(
            Step(
                int(row[0]),
                pc,
                bool(pending and enabled),
                before,
                after,
                int(row[4]),
                tuple(accesses),
                ram,
                replayer.read(*watched),
            )
        )
    return steps


def hits_before(step: Step, targets: Targets) -> bool:
    """Return whether a breakpoint stands before the step."""
    return step.pc in targets.breaks and not step.interrupted


def hits_in(step: Step, targets: Targets, base: int) -> bool:
    """Return whether anything else hits in the step; RAM was recorded from `base` on."""
    if any(targets.registers >> r & 1 and step.registers[r] != step.registers_after[r] for r in range(1, 32)):
        return True
    if step.cause and (targets.interrupts if step.cause >> 63 else targets.exceptions):
        return True
    return any(_watch_hits(step, watch, base) for watch in targets.watches)


def _watch_hits(step: Step, watch: MemoryWatch, base: int) -> bool:
    for is_write, address, size in step.accesses:
        if address < watch.address + watch.length and watch.address < address + size:
            if watch.reads and not is_write:
                return True
            if watch.writes and is_write:
                return True
    part = slice(watch.address - base, watch.address - base + watch.length)
    return (watch.changes or watch.writes) and step.ram[part] != step.ram_after[part]
