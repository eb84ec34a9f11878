"""Which regions a core has, and which of them can be entered: guest code changes, and debuggers want to stop in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import CODE, PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.ops import REGION_OP
from rrdbg_core.cpu.regions.linked import LinkedObject, Region
from rrdbg_core.cpu.regions.plan import Plan

if TYPE_CHECKING:
    from rrdbg_core.cpu.core import Core

MAX_CODE_BYTES = 64 << 20
"""Object code that a core keeps; beyond that the oldest goes."""
MAX_ENTRIES = 256
"""Entries of a region that can be used: a slot has eight bits for which it is."""


class Regions:
    """The regions of one core. None of it is guest state."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._objects: list[LinkedObject] = []  # oldest first
        self._plans: set[Plan] = set()
        self._by_page: dict[int, list[Region]] = {}
        self._entries: dict[int, Region] = {}  # by pc, of those that are installed
        self._breaks: frozenset[int] = frozenset()
        self._suspended = False
        self._waiting: set[Region] = set()  # for slots
        self._strange: dict[Region, int] = {}  # other code stands there: the generation in which that was seen
        self._gone: list[Plan] = []
        self._changed: set[int] = set()
        self.linked = 0
        """Regions that were linked, all in all."""
        self.evicted = 0
        """Those of them that were thrown away again."""

    @property
    def installed(self) -> int:
        """Regions that can be entered now."""
        return sum(region.installed for region in self._all())

    # ---- regions come and go -----------------------------------------------------------------------------------------
    def add(self, plans: Sequence[Plan], code: bytes) -> None:
        """Take object code, and let its regions be entered where the guest's code is what they were made of.

        Raises:
            ValueError: The code is not what the plans say, or there is no place for it.
            RuntimeError: It is damaged.
        """
        if self._plans.issuperset(plans):
            return
        linked = LinkedObject(plans, code, self._core.handlers)
        self._objects.append(linked)
        self._plans.update(plans)
        self.linked += len(linked.regions)
        for region in linked.regions:
            for page in region.lines:
                self._by_page.setdefault(page, []).append(region)
        self.look(linked.regions)
        while sum(old.size for old in self._objects) > MAX_CODE_BYTES:
            self._evict(self._objects[0])

    def clear(self) -> None:
        """Throw all of them away."""
        while self._objects:
            self._evict(self._objects[0])

    def _evict(self, linked: LinkedObject) -> None:
        self._objects.remove(linked)
        self.evicted += len(linked.regions)
        for region in linked.regions:
            if region.installed:
                self._remove(region)
            self._waiting.discard(region)
            self._strange.pop(region, None)
            self._plans.discard(region.plan)
            for page in region.lines:
                self._by_page[page].remove(region)
        linked.collect(self._core.memory.run)
        linked.close()

    def collect(self) -> None:
        """Note in `Memory.run` what was run."""
        for linked in self._objects:
            linked.collect(self._core.memory.run)

    def take_gone(self) -> list[Plan]:
        """Return what was found not to fit the guest's code any more since the last call."""
        gone, self._gone = self._gone, []
        return gone

    def take_changed(self) -> set[int]:
        """Return the pages of RAM that had regions and were written since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    # ---- entering them -----------------------------------------------------------------------------------------------
    def look(self, regions: Iterable[Region] | None = None) -> None:
        """Let those regions be entered, of all or of some, that fit what is in RAM, and no others."""
        flush = removed = False
        for region in list(self._all()) if regions is None else regions:
            if self._may_run(region):
                flush |= self._install(region)
            elif region.installed:
                self._remove(region)
                removed = True
        if removed:  # their entries may belong to older ones now
            for region in self._all():
                if region.installed:
                    self._install(region)
        if flush:
            self._core.flush_tlb()

    def look_again(self) -> None:
        """Look at the regions whose pages have lost their slots, or got none, or another content than they had.

        Stores to code that is in no region tell nobody: a kernel patches itself while it boots.
        """
        if self._suspended:
            return
        written = self._core.memory.written
        rewritten = [
            region for region, seen in self._strange.items() if any(written[page] >= seen for page in region.lines)
        ]
        if self._waiting or rewritten:
            self.look((*self._waiting, *rewritten))

    def code_changed(self, pages: Iterable[int]) -> None:
        """Look at what was written: code of some pages."""
        touched = {region: None for page in pages for region in self._by_page.get(page, ())}
        if touched:
            self._changed.update(page for page in pages if page in self._by_page)
            before = [region for region in touched if region.installed]
            self.look(touched)
            self._gone += [region.plan for region in before if not region.fits(self._core.memory.ram)]

    def set_breaks(self, addresses: Iterable[int]) -> None:
        """Let no region be entered that contains one of these addresses."""
        self._breaks = frozenset(addresses)
        self.look()

    def suspend(self, *, suspended: bool = True) -> None:
        """Let none be entered for the time being."""
        self._suspended = suspended
        self.look()

    def drop(self) -> None:
        """All decoded code was forgotten, and the places where regions were entered with it."""
        for region in self._all():
            if region.installed:
                self._cover(region, 0)
            region.installed = False
            self._waiting.add(region)
        self._entries.clear()

    def _all(self) -> Iterable[Region]:
        return (region for linked in self._objects for region in linked.regions)

    def _may_run(self, region: Region) -> bool:
        core = self._core
        self._waiting.discard(region)
        self._strange.pop(region, None)
        if self._suspended:
            return False
        if not all(core.has_slots(page) for page in region.lines):
            self._waiting.add(region)
            return False
        if self._breaks and any(block.pc <= at < block.end for at in self._breaks for block in region.plan.blocks):
            return False
        fits = region.fits(core.memory.ram)
        if not fits:
            self._strange[region] = core.generation
        return fits

    def _install(self, region: Region) -> bool:
        """Put the region into the slots of its entries; return whether stores may pass by the TLB that must not."""
        core = self._core
        flags, fresh = core.memory.flags, False
        for page, lines in region.lines.items():
            core.lines[page] |= np.uint64(lines)
            fresh |= not flags[page] & CODE
            flags[page] |= CODE
        self._cover(region, 1)
        self._lay_out(region)
        for number, pc in enumerate(region.plan.entries[:MAX_ENTRIES]):
            if self._entries.setdefault(pc, region).serial > region.serial:
                continue
            self._entries[pc] = region
            core.put_slot(pc, REGION_OP | region.number << 8 | number << 24 | (pc - RAM_BASE) // PAGE_BYTES << 32)
        region.installed = True
        return fresh

    def _lay_out(self, region: Region) -> None:
        """Tell the kernel where the region's code is, for when it may be mapped elsewhere."""
        core = self._core
        row = [word for page_and_lines in region.lines.items() for word in page_and_lines]
        core.region_pages[region.number] = 0
        if len(region.lines) <= L.MAX_REGION_PAGES:
            core.region_pages[region.number, : len(row) + 1] = [len(region.lines), *row]
        core.region_places[region.number] = 0

    def _remove(self, region: Region) -> None:
        core = self._core
        region.installed = False
        for pc in region.plan.entries:
            if self._entries.get(pc) is region:
                del self._entries[pc]
                core.put_slot(pc, 0)
        self._cover(region, 0)
        for other in {other for page in region.lines for other in self._by_page[page] if other.installed}:
            self._cover(other, 1)

    def _cover(self, region: Region, covered: int) -> None:
        """Let stores to a region's code tell, or not."""
        for at, code in region.code:
            self._core.region_code[at // 2 : (at + len(code)) // 2] = covered
