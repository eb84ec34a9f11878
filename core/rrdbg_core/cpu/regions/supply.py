"""Where a running core's regions come from: samples go out, and what comes back is put to use."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.regions.client import Client, enabled
from rrdbg_core.cpu.regions.link import Stats

if TYPE_CHECKING:
    from rrdbg_core.cpu.core import Core

QUIET_STEPS = 1 << 21
"""Steps that a core makes before anything of this begins: some milliseconds."""
START_STEPS, READY_STEPS = 1 << 23, 1 << 21
"""Steps that a core makes outside of regions before samples go out, and a process that compiles is started; the same
where one waits.

A guest that is soon over needs none, nor does one whose regions are on disk.
"""
EARLY_STEPS = 1 << 26
"""Steps outside of regions up to which windows of samples are close to each other."""
EARLY_PERIOD, LATE_PERIOD, MAX_PERIOD = 1 << 16, 1 << 18, 1 << 22
"""Steps outside of regions between two windows, and most steps of all kinds."""
ENOUGH_SAMPLES = 512
"""Samples that are worth a message."""
SHOWN_PAGES = 64
"""Pages that are sent unasked with the first samples of them, so that the first regions do not wait for an answer."""
STEPS_A_MISS = 1 << 12
"""Regions that are left more often than that, for pages that the TLB does not know, are worth a change: each time costs
about as much as a hundred steps, and the change some percent of the region's speed."""
MISSES_TOLD = 1 << 10
"""Places of them that are remembered, so that each is told once."""
LOOK_STEPS = 1 << 20
"""Steps between two attempts to install regions whose pages were not decoded yet."""


class Supply:
    """Feeds one core's regions.

    Args:
        core: The core.
        program: What stands for the guest program among the regions on disk; nothing: they are not kept.
    """

    def __init__(self, core: Core, program: bytes) -> None:
        self._core = core
        self._client: Client | None = None
        self._suspended = not enabled()
        self._next = QUIET_STEPS
        self._seen = 0, 0  # steps, and those of them outside of regions, when last looked at
        self._flushes = 0
        self._shown: set[int] = set()  # pages sent unasked
        self._program = program
        self._misses, self._told = (0, 0), set[int]()  # and steps, when last looked at

    @property
    def suspended(self) -> bool:
        """Whether no region is entered, and none is made, for the time being."""
        return self._suspended

    @suspended.setter
    def suspended(self, suspended: bool) -> None:
        self._suspended = suspended
        self._next = 0
        if suspended:
            self._core.mach[L.WINDOW_PERIOD] = 0
        self._core.regions.suspend(suspended=suspended)

    @property
    def stats(self) -> Stats:
        """What has been done for this core so far."""
        return Stats() if self._client is None else self._client.stats

    def renew(self) -> None:
        """Begin anew with what regions there are: in a copy of the process, where the compiler is another's."""
        self._client, self._next, self._shown, self._told = None, 0, set(), set()

    def tend(self, steps: int) -> None:
        """Do what is due after `steps` steps of this core, all in all: called before each run."""
        if steps < self._next or self._suspended:
            return
        core, mach = self._core, self._core.mach
        if self._client is None:
            if steps < QUIET_STEPS:
                return
            self._client = Client(self._program, bell=partial(mach.__setitem__, L.NEWS, 1))
        outside = steps - int(core.hart[L.REGION_STEPS])
        mach[L.WINDOW_PERIOD] = self._period(steps, outside)
        self.hear()
        self._send(self._client, outside)
        self._send_misses(self._client, steps)
        core.regions.look_again()
        self._next = steps + LOOK_STEPS

    def hear(self) -> None:
        """Take what has come from who compiles: regions, and questions for pages."""
        core, mach, client = self._core, self._core.mach, self._client
        mach[L.NEWS] = 0
        if client is None or self._suspended:
            return
        if mach[L.FLUSHES] != self._flushes:
            self._flushes = int(mach[L.FLUSHES])
            core.regions.drop()
        for result in client.take():
            with suppress(ValueError, RuntimeError):  # there is no place for it, or it is damaged
                core.regions.add(result.plans, result.code)
        self._send_pages(client, client.wanted())

    def _period(self, steps: int, outside: int) -> int:
        """Return the steps between two windows: the fewer are made outside of regions, the less there is to see."""
        made, made_outside = steps - self._seen[0], outside - self._seen[1]
        self._seen = steps, outside
        period = EARLY_PERIOD if outside < EARLY_STEPS else LATE_PERIOD
        return min(period * made // max(made_outside, 1), MAX_PERIOD) if made else period

    def _send(self, client: Client, outside: int) -> None:
        core, mach = self._core, self._core.mach
        enough = mach[L.SAMPLES] >= ENOUGH_SAMPLES
        if enough and outside >= (READY_STEPS if client.ready else START_STEPS):
            samples = core.samples[: int(mach[L.SAMPLES])]
            if len(self._shown) < SHOWN_PAGES:
                # numpy's `unique` would import for 20 ms
                seen = {page * PAGE_BYTES for page in set((samples // np.uint64(PAGE_BYTES)).tolist())}
                pages = sorted(seen - self._shown - {0})[: SHOWN_PAGES - len(self._shown)]
                self._send_pages(client, pages)
                self._shown.update(pages)
            client.send_samples(samples.tobytes())
            mach[L.SAMPLES] = 0
        elif mach[L.SAMPLES] > L.SAMPLE_BUFFER * 3 // 4:
            mach[L.SAMPLES] = 0  # nobody needs them, and later ones may be needed
        gone = core.regions.take_gone()
        if gone:
            client.forget(gone)
        changed = {RAM_BASE + page * PAGE_BYTES for page in core.regions.take_changed()}
        if changed:
            self._told.clear()
        self._send_pages(client, changed)

    def _send_misses(self, client: Client, steps: int) -> None:
        """Tell of the places where regions were left last, if they are left often: likely they are those that count."""
        hart = self._core.hart
        misses = int(hart[L.REGION_MISSES])
        many = (misses - self._misses[0]) * STEPS_A_MISS > steps - self._misses[1]
        self._misses = misses, steps
        if many:
            last = hart[L.MISSED_AT : L.MISSED_AT + L.MISSED].tolist()
            places = {place for place in last if last.count(place) > 1} - self._told - {0}
            if len(self._told) >= MISSES_TOLD:
                self._told.clear()
            self._told |= places
            if places:
                client.send_misses(sorted(places))

    def _send_pages(self, client: Client, addresses: Iterable[int]) -> None:
        """Send those pages that lie in RAM."""
        core = self._core
        pages = [address for address in sorted(addresses) if core.memory.contains(address, PAGE_BYTES)]
        client.send_pages({address: core.memory.read(address, PAGE_BYTES) for address in pages})
