"""State arrays and caches of a core, and the table of pointers through which the kernel knows them."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import build
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.block_memory import BLOCK_AFTER, block_memory
from rrdbg_core.cpu.handler import FIRST_REGION, MAX_REGIONS
from rrdbg_core.cpu.memory import CODE, HALVES_PER_PAGE, LINES_PER_PAGE, RAM_BASE, Memory
from rrdbg_core.cpu.ops import FETCH_OP
from rrdbg_core.cpu.regions.manager import Regions
from rrdbg_core.cpu.regions.supply import Supply
from rrdbg_core.isa.csr import MENVCFG_ADUE

if TYPE_CHECKING:
    from rrdbg_core.cpu.core import Core
    from rrdbg_core.cpu.stops import Gate, Watch

    Words = npt.NDArray[np.uint64]

STRIDE = 2056
"""Words of a decoded page, see cpu/native/names.py."""
NO_TAG = 0x800
"""A TLB tag that no address equals, see cpu/native/names.py."""
POINTERS = 42
"""Entries of the table of pointers."""
POOL_PAGES = 4096
"""Decoded pages that are kept: 64 MiB of slots, touched only as far as they are used."""
_CHECK_BUFFER, _TRAP_BUFFER, _OUTPUT_BUFFER = 4096, 8192, 4096
_KEPT_WORDS = [L.MCYCLE, L.MINSTRET, L.BLOCK_STEPS]
_KEPT_WORDS += [L.REGION_STEPS, L.REGION_VISITS, L.REGION_LEAVES, L.REGION_MISSES]
"""What a reset leaves as it was: counters."""


class Exit(IntEnum):
    """Why the kernel came back. The numbers are those of cpu/native/names.py."""

    LIMIT = 0
    """icount has reached the limit."""
    MMIO_READ = 1
    """The next step reads a device: answer with `mmio_done` and run again."""
    MMIO_WRITE = 2
    """The next step writes a device: carry it out, `mmio_done`, and run again."""
    WFI = 3
    """Every hart waits, and no interrupt that would wake one is pending."""
    BREAK = 4
    """pc stands at a breakpoint; the instruction has not run."""
    WATCH = 5
    """The last step hit a watch, see `hit`."""
    SEMIHOST = 6
    """The next step is a semihosting call: carry it out, `call_done`, and run again."""
    TRACKED = 7
    """The last step stored to a range that the machine tracks."""
    DRAIN = 8
    """A buffer is full; `run` empties it and goes on by itself."""
    SERVED = 9
    """The kernel has done many accesses to devices by itself, and time has passed."""
    SBI = 10
    """The next step is a call of S mode that the machine answers: carry it out, `call_done`, and run again."""


class CoreBase:
    """What a core consists of; see `Core`."""

    def __init__(
        self, ram_bytes: int, *, hart_count: int = 1, program: bytes = b"", progress: build.Progress | None = None
    ) -> None:
        self.regions = Regions(cast("Core", self))
        """Its compiled regions."""
        self.supply = Supply(cast("Core", self), program)
        """Where they come from."""
        self.memory = Memory(ram_bytes)
        """Guest RAM."""
        self.harts: Words = np.zeros((hart_count, L.HART_WORDS), np.uint64)
        """State of each hart."""
        self.mach: Words = np.zeros(L.MACH_WORDS, np.uint64)
        """State and scratch of the machine."""
        self.hart: Words = self.harts[0]
        self._watches: tuple[Watch, ...] = ()
        self._tracked: tuple[Watch, ...] = ()
        self._registers: list[tuple[int, int]] = []
        self._catches: list[tuple[int, int]] = []
        self._gates: tuple[Gate, ...] = ()
        self._break_rows: Words = np.zeros((1, L.BREAK_WORDS), np.uint64)
        self._watch_rows: Words = np.zeros((1, L.WATCH_WORDS), np.uint64)
        self._gate_rows: Words = np.zeros((1, L.GATE_WORDS), np.uint64)
        self._watched: Words = np.zeros(self.memory.pages + 1, np.uint64)  # lines
        self._checks = np.zeros(_CHECK_BUFFER + 1, np.uint64)
        self._traps = np.zeros((_TRAP_BUFFER + 1, 2), np.uint64)
        self._output = np.zeros((_OUTPUT_BUFFER, 2), np.uint64)
        self._log: Words = np.zeros((0, L.LOG_WORDS), np.uint64)
        self._clint = self._uart = np.zeros(1, np.uint64)  # nobody's
        self.check_words: list[npt.NDArray[np.uint64]] = []
        self.trap_rows: list[npt.NDArray[np.uint64]] = []
        self.steps = 0
        """Steps made by this core, all in all: those made again count again."""
        self.exits = [0] * len(Exit)
        """How often the kernel came back, by `Exit`."""
        self._words: memoryview[int] = memoryview(self.mach)  # type: ignore[arg-type]
        # generations in which `take_written`, `take_run` and `take_touched` were last called
        self._taken = self._run_taken = self._touched = 1
        self._unsaved_since = 1  # generation from which on pages may have lines that `take_unsaved` has not told
        self.on_log: Callable[[Words], None] | None = None
        """Called with full step logs, u64[n, LOG_WORDS]."""
        self.on_output: Callable[[list[int], list[int]], None] | None = None
        """Called with steps and the bytes that they printed, before `run` comes back."""
        self.reset()
        self._prepare(progress)

    def reset(self) -> None:
        """Put the hart into its reset state (privileged spec 3.4); counters and icount go on."""
        for number, hart in enumerate(self.harts):
            keep = hart[_KEPT_WORDS].copy()
            hart[:] = 0
            hart[_KEPT_WORDS] = keep
            hart[L.PRIV] = L.PRIV_M
            if self.mach[L.SUPERVISOR]:
                hart[L.MENVCFG] = MENVCFG_ADUE
            hart[L.MHARTID] = number
        self.mach[L.MMIO_STATE] = self.mach[L.CALLED] = 0
        if hasattr(self, "_kernel"):
            self.drop_caches()

    def _prepare(self, progress: build.Progress | None) -> None:
        """Lay out the caches and the table of pointers."""
        pages = self.memory.pages
        pool = min(POOL_PAGES, pages + 2)
        self._kernel = build.load(progress)
        self.mach[L.RAM_BASE] = RAM_BASE
        self.mach[L.RAM_PAGES] = pages
        self.mach[L.POOL_PAGES] = pool
        self.mach[L.GENERATION] = 1
        self._dec = np.zeros(pool * STRIDE, np.uint64)
        self._dmap = np.zeros(pages + 1, np.uint32)
        self._drev = np.zeros(pool + 1, np.uint32)
        self._tlb = np.full((L.TLB_BANKS + L.XTLB_BANKS) * (2 << L.TLB_BITS), NO_TAG, np.uint64)
        self._tlb_lists = np.zeros(L.TLB_BANKS + L.XTLB_BANKS << L.TLB_LIST_BITS, np.uint64)
        self._block_of = np.zeros(pool * STRIDE, np.uint8)
        self._block_code = block_memory(self._kernel.stencils)
        self.mach[L.BLOCK_BYTES], self.mach[L.BLOCK_AFTER] = len(self._block_code), BLOCK_AFTER
        self._pte_lines = np.zeros(pages + 1, np.uint64)
        self._pte_list = np.zeros(pages, np.uint32)
        self.lines = np.zeros(pages + 1, np.uint64)
        self.samples = np.zeros(L.SAMPLE_BUFFER, np.uint64)
        self.region_code = np.zeros(pages * HALVES_PER_PAGE, np.uint8)
        # by the numbers of regions; memory of which no more is touched than was ever needed
        self.region_pages = np.zeros((FIRST_REGION + MAX_REGIONS, L.REGION_PAGE_WORDS), np.uint64)
        self.region_places = np.zeros((FIRST_REGION + MAX_REGIONS, 2), np.uint64)
        # what the kernel takes, see cpu/native/collect.py; memory of which no more is touched than was ever needed
        self._taken_pages = np.empty(3 * pages, np.uint32)
        self._taken_lines = np.empty(2 * pages, np.uint64)
        self._taken_parts = np.empty(2 * pages * LINES_PER_PAGE, np.uint32)
        self._unsaved = np.zeros(pages, np.uint64)
        self._pointers = np.zeros(POINTERS, np.uint64)
        self._point()
        self.drop_caches()

    def _point(self) -> None:
        """Fill the table of pointers, in the order of cpu/native/names.py."""
        memory, kernel = self.memory, self._kernel
        exec_tlb = self._tlb[L.TLB_BANKS * (2 << L.TLB_BITS) :]
        places: tuple[Any, ...] = (
            *(self.hart, self.mach, memory.ram, self._dec, self._dmap, self._drev, self._tlb, exec_tlb),
            *(memory.flags, memory.written, memory.read_, memory.executed, self.lines, kernel.rvc, kernel.decode),
            *(self._checks, self._traps, self._log, memory.dirty_words, kernel.variants),
            *(self._break_rows, self._watch_rows, self._gate_rows, self._watched, memory.run),
            *(self.samples, self.region_code, self._clint, self._uart, self._output),
            *(self._taken_pages, self._taken_lines, self._taken_parts, self._unsaved),
            *(self._pte_lines, self._pte_list, self.region_pages, self.region_places),
            *(kernel.stencils, self._block_code, self._block_of, self._tlb_lists),
        )
        for index, place in enumerate(places):
            self._pointers[index] = place if isinstance(place, int) else place.ctypes.data
        self._table = self._pointers.ctypes.data

    # ---- caches ------------------------------------------------------------------------------------------------------
    @property
    def icount(self) -> int:
        """Steps since power-on."""
        return int(self.mach[L.ICOUNT])

    def drop_caches(self) -> None:
        """Forget TLBs and decoded code. Never changes what the guest does."""
        self.regions.drop()
        mapped = self._dmap.nonzero()[0]
        self._dmap[mapped] = 0
        self.memory.flags[mapped] &= 255 - CODE
        self.lines[mapped] = 0
        self._dec[: 2 * STRIDE] = FETCH_OP
        self._block_of[: int(self.mach[L.POOL_USED]) * STRIDE] = 0
        self.mach[L.BLOCK_USED] = 0
        self.mach[L.POOL_USED] = 2
        self.flush_tlb()

    def flush_tlb(self) -> None:
        """Forget the TLBs."""
        self._kernel.flush_banks(self._table, L.ALL_BANKS)

    @property
    def generation(self) -> int:
        """The present generation of dirty pages."""
        return self._words[L.GENERATION]

    def new_generation(self) -> int:
        """Start a new generation of dirty pages and return it: pages written from now on carry its number or more."""
        self._words[L.GENERATION] += 1
        self.flush_tlb()
        return self._words[L.GENERATION]
