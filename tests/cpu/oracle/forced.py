"""Compiled regions, forced: random plans over a case's code can be entered from its first step on."""

from __future__ import annotations

import random
from collections import OrderedDict

from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.flow import is_translatable
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.isa.expr import Branch, Jump
from rrdbg_core.isa.table import Decoded, decode

from tests.cpu.oracle.programs import DATA, Case
from tests.cpu.oracle.subjects import CoreSubject

BLOCKS = 60
"""Most blocks of a plan, about."""
SCOUTED = 3000
"""Steps in which it is seen where a case goes."""
_KEPT = 64


class ForcedSubject(CoreSubject):
    """A core that runs whatever it can in regions."""

    def __init__(self, kind: type[Core] = Core) -> None:
        super().__init__(kind)
        self._compiled: OrderedDict[tuple[bytes, ...], tuple[list[Plan], bytes]] = OrderedDict()
        self._loaded: tuple[bytes, ...] = ()

    def load(self, case: Case) -> None:
        key = tuple(case.memory.values())[:2]
        regions = self.core.regions
        if key != self._loaded:
            regions.clear()
        super().load(case)
        if key != self._loaded:
            if key not in self._compiled:
                plans = random_plans(case, self._scout(case), random.Random(case.name.split("/")[0]))
                self._compiled[key] = plans, compile_plans(plans) if plans else b""
                if len(self._compiled) > _KEPT:
                    self._compiled.popitem(last=False)
            if self._compiled[key][0]:
                regions.add(*self._compiled[key])
            self._loaded = key
        regions.look()

    def _scout(self, case: Case) -> set[int]:
        """Return where a case goes in its first steps."""
        pcs: set[int] = set()
        self.core.log_steps(1000, lambda rows: pcs.update(rows[:, 1].tolist()))
        super().step(SCOUTED)
        self.core.log_steps(0, None)
        super().load(case)
        self.core.take_run(), self.core.take_written()
        return pcs

    def step(self, count: int) -> None:
        self.core.regions.look_again()
        super().step(count)


def random_plans(case: Case, visited: set[int], rng: random.Random) -> list[Plan]:
    """Return plans over the code of a case, mostly where it goes: their blocks and entries are drawn."""
    leaders: dict[int, tuple[int, bytes]] = {}
    for address, data in case.memory.items():
        if address != DATA:
            for pc in _leaders(address, data, rng):
                if pc in visited or rng.random() < 0.05:
                    leaders[pc] = address, data
    if not leaders:
        return []
    plans = []
    for _ in range(rng.choice((2, 3))):
        start = rng.choice(sorted(leaders))
        near = sorted(leaders, key=lambda pc: abs(pc - start))[:BLOCKS]
        chosen = [pc for pc in near if rng.random() < 0.97]
        # jumps far away, into the handler and out of it
        chosen += rng.sample(sorted(leaders), min(4, len(leaders)))
        blocks = {}
        for pc in chosen:
            block = _block(pc, *leaders[pc], leaders, rng)
            if block is not None:
                blocks[pc] = block
        if blocks:
            entries = [pc for pc in blocks if rng.random() < 0.7] or [min(blocks)]
            plans.append(Plan(tuple(blocks.values()), tuple(entries)))
    return plans


def _decode(data: bytes, at: int) -> Decoded | None:
    return decode(int.from_bytes(data[at : at + 4], "little")) if at + 2 <= len(data) else None


def _leaders(address: int, data: bytes, rng: random.Random) -> list[int]:
    """Return addresses at which blocks may start: after and at the end of jumps, and some more."""
    found = {address}
    at = 0
    while (decoded := _decode(data, at)) is not None or at + 2 <= len(data):
        length = 2 if decoded is None else decoded.length
        if decoded is not None and isinstance(decoded.insn.effect, Branch | Jump):
            found |= {address + at + length, address + at + decoded.imm}
        elif rng.random() < 0.1:
            found.add(address + at)
        at += length
    return [pc for pc in sorted(found) if address <= pc < address + len(data) and not pc & 1]


def _block(
    pc: int, address: int, data: bytes, leaders: dict[int, tuple[int, bytes]], rng: random.Random
) -> Block | None:
    at = start = pc - address
    stops, targets = rng.random() < 0.7, []
    while at < len(data):
        decoded = _decode(data, at)
        if decoded is None or not is_translatable(decoded) or at + decoded.length > len(data):
            break
        if (address + at) // PAGE_BYTES != (address + at + decoded.length - 1) // PAGE_BYTES:
            break
        if (address + at) // PAGE_BYTES != pc // PAGE_BYTES or (at > start and stops and address + at in leaders):
            break
        at += decoded.length
        if isinstance(decoded.insn.effect, Branch | Jump):
            if decoded.insn.name == "jalr":
                targets = rng.sample(sorted(leaders), min(rng.randrange(6), len(leaders)))
            break
    return Block(pc, data[start:at], tuple(targets), rng.random() < 0.5) if at > start else None
