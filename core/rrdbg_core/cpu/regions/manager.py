"""Which regions a core has, and which of them can be entered: guest code changes, and debuggers want to stop in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import CODE, PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.ops import REGION_OP
from rrdbg_core.cpu.regions.linked import LinkedObject, Region, page_of
from rrdbg_core.cpu.regions.plan import Plan

if TYPE_CHECKING:
    from rrdbg_core.cpu.core import Core


class Regions:
    """The regions of one core. None of it is guest state."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._objects: list[LinkedObject] = []
        self._by_page: dict[int, list[Region]] = {}
        self._entries: dict[int, Region] = {}  # by pc, of those that are installed
        self._flushes = 0
        self._breaks: frozenset[int] = frozenset()

    # ---- regions come and go -----------------------------------------------------------------------------------------
    def add(self, plans: Sequence[Plan], code: bytes) -> None:
        """Take object code, and let its regions be entered where the guest's code is what they were made of."""
        linked = LinkedObject(plans, code, self._core.handlers)
        self._objects.append(linked)
        for region in linked.regions:
            for page in region.lines:
                self._by_page.setdefault(page, []).append(region)
        self.look(linked.regions)

    def clear(self) -> None:
        """Throw all of them away."""
        self.drop()
        for linked in self._objects:
            linked.collect(self._core.memory.run)
            linked.close()
        self._objects.clear()
        self._by_page.clear()

    def collect(self) -> None:
        """Note in `Memory.run` what was run."""
        for linked in self._objects:
            linked.collect(self._core.memory.run)

    # ---- entering them -----------------------------------------------------------------------------------------------
    def look(self, regions: Iterable[Region] | None = None) -> None:
        """Let those regions be entered, of all or of some, that fit what is in RAM, and no others."""
        flush = removed = False
        for region in self._all() if regions is None else regions:
            if self._may_run(region):
                flush |= self._install(region)
            elif region.installed:
                self._remove(region)
                removed = True
        if removed:  # entries may belong to older ones now
            for region in self._all():
                if region.installed:
                    self._install(region)
        if flush:
            self._core.flush_tlb()

    def code_changed(self, pages: Iterable[int]) -> None:
        """Look at what was written: code of some pages."""
        self.look({id(region): region for page in pages for region in self._by_page.get(page, ())}.values())

    def set_breaks(self, addresses: Iterable[int]) -> None:
        """Let no region be entered that contains one of these addresses."""
        self._breaks = frozenset(addresses)
        self.look()

    def drop(self) -> None:
        """All decoded code is forgotten, and the places where regions were entered with it."""
        for region in self._all():
            region.installed = False
        self._entries.clear()
        self._core.region_lines[:] = 0

    def _all(self) -> Iterable[Region]:
        return (region for linked in self._objects for region in linked.regions)

    def _may_run(self, region: Region) -> bool:
        core = self._core
        if any(not core.decoded_base(page) for page in region.lines):
            return False
        if self._breaks and any(block.pc <= at < block.end for at in self._breaks for block in region.plan.blocks):
            return False
        return region.fits(core.memory.ram)

    def _install(self, region: Region) -> bool:
        """Put the region into the slots of its entries; return whether stores may pass by the TLB that must not."""
        core = self._core
        flags, fresh = core.memory.flags, False
        for page, lines in region.lines.items():
            core.lines[page] |= np.uint64(lines)
            core.region_lines[page] |= np.uint64(lines)
            fresh |= not flags[page] & CODE
            flags[page] |= CODE
        for number, pc in enumerate(region.plan.entries):
            self._entries[pc] = region
            core.put_slot(pc, REGION_OP | region.number << 8 | number << 32)
        region.installed = True
        return fresh

    def _remove(self, region: Region) -> None:
        core = self._core
        region.installed = False
        for pc in region.plan.entries:
            if self._entries.get(pc) is region:
                del self._entries[pc]
                core.put_slot(pc, 0)
        for page in region.lines:
            others = (other.lines[page] for other in self._by_page[page] if other.installed)
            core.region_lines[page] = np.uint64(_union(others))


def _union(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total
