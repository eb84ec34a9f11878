"""What a machine has done since it was built, and what it cost the host: `Machine.stats`.

Always counted, and cheap: nothing here is guest state, and nothing that the guest sees depends on it. All
accesses to devices are counted; the time is taken of one in `TIMED_ONE_IN`, and stands for the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Exit
from rrdbg_core.frozen import Frozen

if TYPE_CHECKING:
    from rrdbg_core.cpu.core import Core

TIMED_ONE_IN = 61
"""Of how many accesses to a device one is timed. A prime: a guest that polls makes its accesses in short cycles."""
NOTHING, SEMIHOSTING, SBI = "nothing", "semihosting", "sbi"
"""What stands in the place of a device: for accesses to where none is, and for calls of the host."""


class Cost(Frozen):
    """How often something happened, and how long it took."""

    count: int = 0
    """How often."""
    ns: int = 0
    """Host time of all of them, in ns; estimated where only some are timed."""


class Meter:
    """Counts something, and takes the time of all or of some of it."""

    __slots__ = ("count", "ns", "timed")

    def __init__(self) -> None:
        self.count = self.timed = self.ns = 0

    def add(self, ns: int, count: int = 1) -> None:
        """Count it once more, or several times; it took so long."""
        self.count += count
        self.timed += count
        self.ns += ns

    def time(self, ns: int) -> None:
        """Take the time of one that is counted already."""
        self.timed += 1
        self.ns += ns

    def more(self, ns: int) -> None:
        """Add to the time of one that is counted and timed already."""
        self.ns += ns

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Count what is done in the `with` block once more, and its time. What fails does not count."""
        began_ns = time.perf_counter_ns()
        yield
        self.add(time.perf_counter_ns() - began_ns)

    @property
    def cost(self) -> Cost:
        """What it comes to: those that are not timed took as long as the others."""
        return Cost(self.count, self.ns * self.count // self.timed if self.timed else self.ns)


class DeviceMeters:
    """What is measured of one device."""

    __slots__ = ("accesses", "deadlines", "events")

    def __init__(self) -> None:
        self.accesses, self.events, self.deadlines = Meter(), Meter(), Meter()

    def stats(self, name: str, served: int, deadlines: int) -> DeviceStats:
        """Return it, with the accesses and deadlines that the kernel served by itself."""
        accesses, own = self.accesses.cost, self.deadlines.cost
        return DeviceStats(
            name,
            Cost(accesses.count + served, accesses.ns),
            self.events.cost,
            Cost(own.count + deadlines, own.ns),
            served,
        )


class DeviceStats(Frozen):
    """One device. Times hold what follows from it at once: DMA, interrupt lines, console output that is handed on."""

    name: str
    """Its name; `NOTHING`, `SEMIHOSTING` or `SBI`."""
    accesses: Cost
    """Reads and writes by the guest. The time is estimated."""
    events: Cost = Cost()
    """Events of the journal: console input and bottom halves."""
    deadlines: Cost = Cost()
    """Times that it acted by itself, by the virtual clock."""
    served: int = 0
    """Accesses that the kernel served by itself. They take no time here, nor do deadlines that it served."""

    @property
    def ns(self) -> int:
        """Host time of all of it, in ns."""
        return self.accesses.ns + self.events.ns + self.deadlines.ns


class RegionStats(Frozen):
    """Compiled regions of guest code."""

    stored: int
    """Regions that came from the disk."""
    compiled: int
    """Regions that were compiled beside this run."""
    refused: int
    """Plans that could not be compiled."""
    linked: int
    """Regions that were linked into this process."""
    evicted: int
    """Regions that were thrown out again."""
    installed: int
    """Regions that can be entered now."""
    visits: int
    """How often regions were entered from outside."""
    leaves: int
    """How often one was left for a single step outside that it cannot make."""
    misses: int
    """Those of them at loads and stores of a page that the TLB did not know."""
    starts: int
    """How often the compiler was started."""
    dropped: int
    """Messages with samples that were dropped: the compiler could not keep up."""
    compiler_ns: int
    """CPU time of the compiler, a process of its own, in ns, as far as it has told."""


class Stats(Frozen):
    """What a machine has done since it was built. Going back does not undo it: steps made twice count twice."""

    steps: int
    """Steps made."""
    region_steps: int
    """Those of them that were made in compiled regions."""
    block_steps: int
    """Those of them that were made in blocks; all others were made by the interpreter."""
    host_ns: int
    """Host time in `Machine.run`, in ns, waiting included."""
    cpu_ns: int
    """CPU time of it, in ns."""
    exits: Mapping[str, int]
    """How often the kernel came back to Python, by cause: the names of `Exit`, in small letters, all of them."""
    tlb_misses: int
    """Loads and stores that missed the TLB."""
    tlb_resolved: int
    """Those of them that a region could go on with at once."""
    fetch_misses: int
    """Fetches that missed the TLB of fetches."""
    decoded: int
    """Instructions decoded."""
    flushes: int
    """How often all decoded code was forgotten because there was no room."""
    blocks: int
    """Blocks that were put together."""
    warps: int
    """Times that an idle machine jumped to its next deadline."""
    events: int
    """Events of the journal that were applied."""
    regions: RegionStats
    """Compiled regions."""
    devices: tuple[DeviceStats, ...]
    """Each device, in the order of addresses; the other three only if there was anything."""

    @property
    def region_share(self) -> float:
        """Share of the steps that was made in compiled regions, from 0 to 1."""
        return self.region_steps / self.steps if self.steps else 0.0

    @property
    def block_share(self) -> float:
        """Share of the steps that was made in blocks, from 0 to 1."""
        return self.block_steps / self.steps if self.steps else 0.0

    @property
    def mips(self) -> float:
        """Million steps per second of CPU time: what waiting for input and for other programs takes does not count."""
        return self.steps * 1e3 / self.cpu_ns if self.cpu_ns else 0.0


class Meters:
    """What a machine measures.

    Args:
        names: Names of its devices.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.devices = [DeviceMeters() for _ in names]
        """By device, in the same order."""
        self.semihosting = Meter()
        """Calls of the host."""
        self.sbi = Meter()
        """Calls of S mode."""
        self.nothing = 0
        """Accesses to where no device is, or none that takes them."""
        self.warps = self.events = self.host_ns = self.cpu_ns = 0

    def stats(self, core: Core) -> Stats:
        """Return it, with what the core counts."""
        mach, harts, regions, supply = core.mach, core.harts, core.regions, core.supply.stats
        served = {"clint": int(mach[L.CLINT_SERVED]), "uart": int(mach[L.UART_SERVED])}
        deadlines = {"clint": int(mach[L.CLINT_DEADLINES])}
        devices = [
            meters.stats(name, served.get(name, 0), deadlines.get(name, 0))
            for name, meters in zip(self._names, self.devices, strict=True)
        ]
        others = [(SEMIHOSTING, self.semihosting.cost), (SBI, self.sbi.cost), (NOTHING, Cost(self.nothing))]
        devices += [DeviceStats(name, cost) for name, cost in others if cost.count]
        return Stats(
            steps=core.steps,
            region_steps=int(harts[:, L.REGION_STEPS].sum()),
            block_steps=int(harts[:, L.BLOCK_STEPS].sum()),
            host_ns=self.host_ns,
            cpu_ns=self.cpu_ns,
            exits={cause.name.lower(): core.exits[cause] for cause in Exit},
            tlb_misses=int(mach[L.TLB_MISSES]),
            tlb_resolved=int(mach[L.RESOLVED]),
            fetch_misses=int(mach[L.FETCHES]),
            decoded=int(mach[L.DECODED]),
            flushes=int(mach[L.FLUSHES]),
            blocks=int(mach[L.BLOCKS]),
            warps=self.warps + int(mach[L.WARPS]),
            events=self.events,
            regions=RegionStats(
                stored=supply.stored,
                compiled=supply.compiled,
                refused=supply.refused,
                linked=regions.linked,
                evicted=regions.evicted,
                installed=regions.installed,
                visits=int(harts[:, L.REGION_VISITS].sum()),
                leaves=int(harts[:, L.REGION_LEAVES].sum()),
                misses=int(harts[:, L.REGION_MISSES].sum()),
                starts=supply.starts,
                dropped=supply.dropped,
                compiler_ns=supply.cpu_ns,
            ),
            devices=tuple(devices),
        )
