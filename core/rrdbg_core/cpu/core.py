"""The guest CPU as the machine drives it: state arrays, caches, and the compiled kernel behind one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import build
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import Condition
from rrdbg_core.cpu.condition_code import address_of
from rrdbg_core.cpu.memory import (
    CODE,
    HALVES_PER_PAGE,
    LINE_BYTES,
    LINES_PER_PAGE,
    PAGE_BYTES,
    RAM_BASE,
    WATCHED_R,
    WATCHED_W,
    WORD_BYTES,
    WORDS_PER_PAGE,
    Memory,
)
from rrdbg_core.cpu.ops import FETCH_OP, FIRST_OP, ILLEGAL_OP, UNDECODED_OP, armed
from rrdbg_core.cpu.regions.manager import Regions
from rrdbg_core.cpu.regions.supply import Supply

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    Pages = npt.NDArray[np.uint32]

STRIDE = 2056
"""Words of a decoded page, see cpu/native/names.py."""
NO_TAG = 0x800
"""A TLB tag that no address equals, see cpu/native/names.py."""
POINTERS = 30
"""Entries of the table of pointers."""
POOL_PAGES = 4096
"""Decoded pages that are kept: 64 MiB of slots, touched only as far as they are used."""
CHECK_PERIOD = 1 << 16
"""Steps between check words."""
_CHECK_BUFFER, _TRAP_BUFFER, _OUTPUT_BUFFER = 4096, 8192, 4096
INTERRUPT = 1 << 63
ALL = (1 << 64) - 1
"""As many hits as there are, see `Gate`."""
REGISTER_HIT, TRAP_HIT = 1 << 32, 2 << 32


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
    """The next step is a semihosting call: carry it out, `semihosting_done`, and run again."""
    TRACKED = 7
    """The last step stored to a range that the machine tracks."""
    DRAIN = 8
    """A buffer is full; `run` empties it and goes on by itself."""
    SERVED = 9
    """The kernel has done many accesses to devices by itself, and time has passed."""


_KEPT_WORDS = [L.MCYCLE, L.MINSTRET, L.REGION_STEPS, L.REGION_VISITS, L.REGION_LEAVES]
"""What a reset leaves as it was: counters."""
_EXITS = tuple(Exit)
_DRAIN = int(Exit.DRAIN)


class WatchKind(IntEnum):
    """What a watch looks for."""

    READ = L.WATCH_READ
    """Any read."""
    WRITE = L.WATCH_WRITE
    """Any write."""
    ACCESS = L.WATCH_READ | L.WATCH_WRITE
    """Any access."""
    CHANGE = L.WATCH_CHANGE
    """A write that changes the value."""
    TRACKED = L.WATCH_TRACKED
    """A write, of interest to the machine, not to the debugger."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a hit must pass to stop the run."""

    condition: Condition | None = None
    """Must hold: before the step for a breakpoint, behind it for anything else."""
    ignore: int = 0
    """Hits under the condition that are passed over; in a search, how many, from the first on, `last` looks at."""


@dataclass(frozen=True, slots=True)
class GateCount:
    """What came to a gate since it was set."""

    passed: int
    """Hits that were passed over; in a search, hits that held."""
    last: int
    """In a search: step of the newest hit that held, of those that it looks at, if there is one."""
    doubts: int
    """In a search: hits that could not be judged; `Core.last_hit` is the newest of them or of the ungated ones."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A watched range of memory."""

    address: int
    """First byte."""
    size: int
    """Bytes."""
    kind: WatchKind
    """What counts as a hit."""
    gate: int = 0
    """Number of its gate, from 1 on; 0: none."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a step did to a watch."""

    index: int
    """Index of the watch; `REGISTER_HIT` + register number; `TRAP_HIT`."""
    address: int
    """Address of the access."""
    size: int
    """Bytes of the access."""
    is_write: bool
    """True for a write."""
    old: int
    """Value before."""
    new: int
    """Value after."""


@dataclass(frozen=True, slots=True)
class Access:
    """One memory access of a logged step."""

    is_write: bool
    """True for a write."""
    address: int
    """Virtual address."""
    size: int
    """Bytes."""
    value: int
    """What was read or written, zero-extended."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One step of the step log."""

    icount: int
    """Position before the step."""
    pc: int
    """Address of the instruction."""
    insn: int
    """Its bits; 0 if they could not be fetched."""
    priv: int
    """Privilege it ran at."""
    cause: int | None
    """mcause of the trap that the step took, or None."""
    rd_value: int
    """Value of the destination register after the step."""
    accesses: tuple[Access, ...]
    """Memory accesses, in order."""


class Core:
    """One hart, its memory, and the kernel that runs them.

    Shapes: harts u64[1, HART_WORDS], mach u64[MACH_WORDS], see cpu/layout.py.

    Args:
        ram_bytes: Size of RAM.
        hart_count: Harts.
        program: What stands for the guest program among the compiled regions on disk; nothing: they are not kept.
        progress: Told when the kernel has to be compiled.
    """

    def __init__(
        self, ram_bytes: int, *, hart_count: int = 1, program: bytes = b"", progress: build.Progress | None = None
    ) -> None:
        self.regions = Regions(self)
        """Its compiled regions."""
        self.supply = Supply(self, program)
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
        self._taken = self._run_taken = 1  # generations in which `take_written` and `take_run` were last called
        self.on_log: Callable[[Words], None] | None = None
        """Called with full step logs, u64[n, LOG_WORDS]."""
        self.on_output: Callable[[list[int], list[int]], None] | None = None
        """Called with steps and the bytes that they printed, before `run` comes back."""
        self.reset()
        self._prepare(progress)

    # ---- set-up ------------------------------------------------------------------------------------------------------
    def reset(self) -> None:
        """Put the hart into its reset state (privileged spec 3.4); counters and icount go on."""
        for number, hart in enumerate(self.harts):
            keep = hart[_KEPT_WORDS].copy()
            hart[:] = 0
            hart[_KEPT_WORDS] = keep
            hart[L.PRIV] = L.PRIV_M
            hart[L.MHARTID] = number
        self.mach[L.MMIO_STATE] = self.mach[L.SEMIHOSTED] = 0
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
        self._tlb = np.zeros(4096, np.uint64)
        self._xtlb = np.zeros(1024, np.uint64)
        self.lines = np.zeros(pages + 1, np.uint64)
        self.samples = np.zeros(L.SAMPLE_BUFFER, np.uint64)
        self.region_code = np.zeros(pages * HALVES_PER_PAGE, np.uint8)
        self._pointers = np.zeros(POINTERS, np.uint64)
        self._point()
        self.drop_caches()

    def _point(self) -> None:
        """Fill the table of pointers, in the order of cpu/native/names.py."""
        memory, kernel = self.memory, self._kernel
        places: tuple[Any, ...] = (
            *(self.hart, self.mach, memory.ram, self._dec, self._dmap, self._drev, self._tlb, self._xtlb),
            *(memory.flags, memory.written, memory.read_, memory.executed, self.lines, kernel.rvc, kernel.decode),
            *(self._checks, self._traps, self._log, memory.dirty_words, kernel.variants),
            *(self._break_rows, self._watch_rows, self._gate_rows, self._watched, memory.run),
            *(self.samples, self.region_code, self._clint, self._uart, self._output),
        )
        for index, place in enumerate(places):
            self._pointers[index] = place if isinstance(place, int) else place.ctypes.data
        self._table = self._pointers.ctypes.data

    # ---- running -----------------------------------------------------------------------------------------------------
    @property
    def icount(self) -> int:
        """Steps since power-on."""
        return int(self.mach[L.ICOUNT])

    def run(self, limit: int) -> Exit:
        """Run until icount is `limit`, or until something is due before that. Never goes beyond the limit."""
        kernel, table, mach, exits = self._kernel.run, self._table, self._words, self.exits
        self.supply.tend(self.steps)
        before, mach[L.SERVED] = mach[L.ICOUNT], 0
        reason = kernel(table, limit)
        while reason == _DRAIN:
            exits[_DRAIN] += 1
            self._drain()
            reason = kernel(table, limit)
        exits[reason] += 1
        self.steps += mach[L.ICOUNT] - before
        if self.on_log:
            self._drain()
        elif mach[L.OUTPUT_ROWS]:
            self._print()
        return _EXITS[reason]

    def _drain(self) -> None:
        mach = self.mach
        if mach[L.STALE]:
            page = int(mach[L.STALE]) - 1
            mach[L.STALE] = 0
            self.regions.code_changed((page, page + 1))
        if mach[L.CHECKS]:
            self.check_words.append(self._checks[: int(mach[L.CHECKS])].copy())
            mach[L.CHECKS] = 0
        if mach[L.TRAPS]:
            self.trap_rows.append(self._traps[: int(mach[L.TRAPS])].copy())
            mach[L.TRAPS] = 0
        if mach[L.LOG_ROWS]:
            if self.on_log:
                self.on_log(self._log[: int(mach[L.LOG_ROWS])].copy())
            mach[L.LOG_ROWS] = 0
        if mach[L.OUTPUT_ROWS]:
            self._print()

    def _print(self) -> None:
        """Hand over what was printed."""
        rows = self._output[: self._words[L.OUTPUT_ROWS]].T.tolist()
        self._words[L.OUTPUT_ROWS] = 0
        if self.on_output:
            self.on_output(*rows)

    def take_checks(self) -> npt.NDArray[np.uint64]:
        """Return the check words since the last call, one per multiple of 2^16 steps that was reached."""
        self._drain()
        words, self.check_words = self.check_words, []
        return np.concatenate(words) if words else np.zeros(0, np.uint64)

    def take_traps(self) -> npt.NDArray[np.uint64]:
        """Return the traps since the last call: u64[n, 2] of icount and mcause."""
        self._drain()
        rows, self.trap_rows = self.trap_rows, []
        return np.concatenate(rows) if rows else np.zeros((0, 2), np.uint64)

    def lend(self, clint: Words, clint_at: int, uart: Words, uart_at: int) -> None:
        """Let the kernel do what it can of two devices, given their states and addresses; 0: nothing."""
        self._clint, self._uart = clint, uart
        self.mach[L.CLINT_AT], self.mach[L.UART_AT] = clint_at, uart_at
        self._point()

    def mmio_done(self, value: int = 0, *, ok: bool = True) -> None:
        """Answer a device access: the next run completes the instruction, or traps."""
        self.mach[L.MMIO_VALUE] = value
        self.mach[L.MMIO_STATE] = 2 if ok else 3

    def semihosting_done(self) -> None:
        """Say that the semihosting call was carried out: the next run completes the ebreak."""
        self.mach[L.SEMIHOSTED] = 1

    def set_interrupt(self, bits: int, level: bool, hart: int = 0) -> None:
        """Raise or lower lines in a hart's mip."""
        old = int(self.harts[hart, L.MIP])
        self.harts[hart, L.MIP] = old | bits if level else old & ~bits

    # ---- caches ------------------------------------------------------------------------------------------------------
    def drop_caches(self) -> None:
        """Forget TLBs and decoded code. Never changes what the guest does."""
        self.regions.drop()
        mapped = self._dmap.nonzero()[0]
        self._dmap[mapped] = 0
        self.memory.flags[mapped] &= 255 - CODE
        self.lines[mapped] = 0
        self._dec[: 2 * STRIDE] = FETCH_OP
        self.mach[L.POOL_USED] = 2
        self.flush_tlb()

    def flush_tlb(self) -> None:
        """Forget the TLBs."""
        self._tlb[::2] = NO_TAG
        self._xtlb[::2] = NO_TAG

    def new_generation(self) -> int:
        """Start a new generation of dirty pages and return it: pages written from now on carry its number or more."""
        self.mach[L.GENERATION] += np.uint64(1)
        self.flush_tlb()
        return int(self.mach[L.GENERATION])

    def dirty_pages(self, since: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the pages written in generation `since` or later, ascending."""
        return (self.memory.written[: self.memory.pages] >= since).nonzero()[0]

    def touched(self, since: int) -> tuple[Pages, Pages]:
        """Return the pages read and the pages executed in generation `since` or later, ascending: two u32[n]."""
        memory = self.memory
        read, executed = (gen[: memory.pages] >= since for gen in (memory.read_, memory.executed))
        return read.nonzero()[0].astype(np.uint32), executed.nonzero()[0].astype(np.uint32)

    def take_run(self) -> tuple[Pages, Words, Pages]:
        """Return where instructions were started since the last call, and start afresh.

        Returns:
            The pages, ascending, u32[n]; for each of them, u64[n], bit i stands for its 64-byte line i; for each of
            those lines, in order, u32[k], bit h stands for an instruction at its halfword h.
        """
        memory = self.memory
        self.regions.collect()
        rows = memory.run.reshape(memory.pages, HALVES_PER_PAGE)
        pages = (memory.executed[: memory.pages] >= self._run_taken).nonzero()[0]
        marks = rows[pages]
        rows[pages] = 0
        halves = np.packbits(marks, axis=1, bitorder="little").view("<u4")
        lines = np.packbits(halves != 0, axis=1, bitorder="little").view("<u8").reshape(len(pages))
        some = lines != 0
        self._arm(pages, marks)
        # a page that the exec TLB lets pass would not be noticed again in this generation
        self._run_taken = self.new_generation()
        return pages[some].astype(np.uint32), lines[some], halves[halves != 0]

    def _arm(self, pages: npt.NDArray[np.int64], marks: npt.NDArray[np.uint8]) -> None:
        """Let the decoded slots of instructions tell when they are run again: u8[n, 2048] of n pages, 1 for each."""
        rows, slots = marks.nonzero()
        places = self._dmap[pages[rows]].astype(np.int64) * STRIDE + slots
        content = self._dec[places]
        ops = content & np.uint64(0xFF)
        known = (ops >= FIRST_OP) | (ops == ILLEGAL_OP)
        self._dec[places[known]] = armed(content[known])

    def take_written(self) -> tuple[Pages, Words, npt.NDArray[np.uint8]]:
        """Return what was written since the last call, and start afresh (a new generation included).

        Stores, DMA and loaded pages count, whether they change a value or not.

        Returns:
            The pages, ascending, u32[n]; for each of them, u64[n], bit i stands for its 64-byte line i; for each of
            those lines, in order, u8[k], bit w stands for its 8-byte word w.
        """
        rows = self.memory.dirty_words.reshape(self.memory.pages, WORDS_PER_PAGE)
        pages = self.dirty_pages(self._taken)
        words = np.packbits(rows[pages], axis=1, bitorder="little")
        written = words != 0
        lines = np.packbits(written, axis=1, bitorder="little").view("<u8").reshape(len(pages))
        rows[pages] = 0
        # a page that a TLB lets pass would not be noticed again in this generation
        self._taken = self.new_generation()
        return pages.astype(np.uint32), lines, words[written]

    def take_pages(self) -> Pages:
        """Return the pages written since the last call, or the last `take_written`, ascending: u32[n].

        It is quick, and leaves the words to the next `take_written`, which then tells those of before as well.
        """
        pages = self.dirty_pages(self._taken)
        self._taken = self.new_generation()
        return pages.astype(np.uint32)

    # ---- memory from outside -----------------------------------------------------------------------------------------
    def write(self, address: int, data: bytes) -> None:
        """Store into RAM as a device does: pages get dirty, stale code is dropped, reservations break."""
        memory = self.memory
        if not data:
            return
        start = address - RAM_BASE
        memory.ram[start : start + len(data)] = np.frombuffer(data, np.uint8)
        first, last = start // PAGE_BYTES, (start + len(data) - 1) // PAGE_BYTES
        memory.written[first : last + 1] = self.mach[L.GENERATION]
        memory.dirty_words[start // WORD_BYTES : (start + len(data) - 1) // WORD_BYTES + 1] = 1
        self._forget_code(np.arange(first, last + 1))
        for hart in self.harts:
            if (
                hart[L.RES_VALID]
                and address < int(hart[L.RES_ADDR]) + 8
                and int(hart[L.RES_ADDR]) < address + len(data)
            ):
                hart[L.RES_VALID] = hart[L.RES_ADDR] = 0

    def load_pages(self, numbers: npt.NDArray[np.int64], content: npt.NDArray[np.uint8]) -> None:
        """Put back pages of a snapshot: u8[n, 4096]. They count as written in this generation."""
        self.memory.rows()[numbers] = content
        self.memory.written[numbers] = self.mach[L.GENERATION]
        self.memory.dirty_words.reshape(self.memory.pages, WORDS_PER_PAGE)[numbers] = 1
        self._forget_code(numbers)

    def _forget_code(self, numbers: npt.NDArray[np.int64]) -> None:
        """Drop the decoded code of some pages; their place in the pool stays theirs."""
        changed = numbers[self.lines[numbers] != 0].tolist()
        for page in changed:
            base = int(self._dmap[page]) * STRIDE
            self._dec[base : base + 2048] = 0
            self.lines[page] = 0
        self.regions.code_changed(changed)

    def _undecode(self, addresses: Iterable[int]) -> None:
        """Decode anew what stands at these virtual addresses, in whatever page they may lie."""
        pages = self._dec.reshape(-1, STRIDE)[2 : int(self.mach[L.POOL_USED])]
        for address in addresses:
            pages[:, address % PAGE_BYTES // 2] = 0

    # ---- places of regions -------------------------------------------------------------------------------------------
    @property
    def handlers(self) -> int:
        """Address of the table of handlers."""
        return self._kernel.handlers

    def has_slots(self, page: int) -> bool:
        """Return whether a page of RAM has its place among the decoded ones, or could be given one."""
        if not self._dmap[page]:
            number = int(self.mach[L.POOL_USED])
            if number == self.mach[L.POOL_PAGES]:
                return False
            # as `fetch` in native/decode.py does it
            self.mach[L.POOL_USED] = number + 1
            self._dmap[page], self._drev[number] = number, page
            slots = self._dec[number * STRIDE : (number + 1) * STRIDE]
            slots[:HALVES_PER_PAGE], slots[HALVES_PER_PAGE:] = UNDECODED_OP, FETCH_OP
        return True

    def put_slot(self, pc: int, slot: int) -> None:
        """Put something into the slot of an address; its page has slots."""
        base = int(self._dmap[(pc - RAM_BASE) // PAGE_BYTES]) * STRIDE
        self._dec[base + pc % PAGE_BYTES // 2] = slot

    # ---- stops -------------------------------------------------------------------------------------------------------
    def set_gates(self, gates: Sequence[Gate]) -> None:
        """Set the gates, to be named by their places from 1 on, and begin to count.

        Gates in use stay in number and order; what they ask for may change at any time.
        """
        if len(gates) != len(self._gates):
            self._gate_rows = np.zeros((len(gates) + 1, L.GATE_WORDS), np.uint64)
            self._point()
            self._gates = ()
        before = [gate.condition for gate in self._gates]
        self._gates = tuple(gates)
        self._gate_rows[:, L.GATE_IGNORE :] = 0
        self._gate_rows[1:, L.GATE_IGNORE] = [gate.ignore for gate in gates]
        if len(before) != len(gates) or any(a is not b.condition for a, b in zip(before, gates, strict=True)):
            self._gate_rows[1:, L.GATE_CONDITION] = [self._function(gate) for gate in gates]

    def _function(self, gate: Gate) -> int:
        return 0 if gate.condition is None else address_of(gate.condition)

    @property
    def gate_counts(self) -> list[GateCount]:
        """What came to each gate since `set_gates`, or since `search`."""
        rows = self._gate_rows[1:].tolist()
        return [GateCount(row[L.GATE_PASSED], row[L.GATE_LAST], row[L.GATE_DOUBTS]) for row in rows]

    def set_breakpoints(self, addresses: Sequence[int], gates: Sequence[int] = ()) -> None:
        """Stop before the instruction at each of these virtual addresses.

        Args:
            addresses: Where; the same address may be there several times.
            gates: Number of the gate of each; none by default.
        """
        rows = sorted(zip(addresses, gates or [0] * len(addresses), strict=True))
        changed = set(self._break_rows[:-1, 0].tolist()) ^ set(addresses)
        # one row more: the kernel may look behind the last one
        self._break_rows = np.zeros((len(rows) + 1, L.BREAK_WORDS), np.uint64)
        self._break_rows[:-1, :2] = np.array(rows, np.uint64).reshape(-1, 2)
        self.mach[L.BREAKS] = len(rows)
        self._point()
        self._undecode(changed)
        if changed:
            self.regions.set_breaks(addresses)

    def set_watches(self, watches: Sequence[Watch]) -> None:
        """Stop behind the steps that hit these watches."""
        self._watches = tuple(watches)
        self._apply_watches()

    def track(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Leave the kernel behind each store to one of the ranges (address, bytes), for the machine's sake."""
        self._tracked = tuple(Watch(address, size, WatchKind.TRACKED) for address, size in ranges)
        self._apply_watches()

    def _apply_watches(self) -> None:
        memory = self.memory
        memory.flags &= 255 - WATCHED_R - WATCHED_W
        self._watched[:] = 0
        table = self._watches + self._tracked
        for watch in table:
            first = max(watch.address - RAM_BASE, 0)
            last = min(watch.address - RAM_BASE + watch.size, memory.size) - 1
            if first > last:
                continue
            flags = (WATCHED_R if watch.kind & L.WATCH_READ else 0) | (WATCHED_W if watch.kind & ~L.WATCH_READ else 0)
            memory.flags[first // PAGE_BYTES : last // PAGE_BYTES + 1] |= flags
            self._watched[first // PAGE_BYTES : last // PAGE_BYTES + 1] |= _lines(first, last)
        rows = [(watch.address, watch.size, int(watch.kind), watch.gate) for watch in table]
        rows += [(register, 0, L.WATCH_REGISTER, gate) for register, gate in self._registers]
        rows += [(mask, 0, L.WATCH_TRAP, gate) for mask, gate in self._catches]
        self._watch_rows = np.array([*rows, (0, 0, 0, 0)], np.uint64)
        self.mach[L.WATCHES], self.mach[L.WATCH_ROWS] = len(table), len(rows)
        self._point()
        self.flush_tlb()

    def watch_registers(self, mask: int, gated: Sequence[tuple[int, int]] = ()) -> None:
        """Stop behind the steps that change a register.

        Args:
            mask: Bit r: any change of x[r].
            gated: Registers and numbers of their gates.
        """
        registers = [(register, 0) for register in range(1, 32) if mask >> register & 1] + list(gated)
        if registers != self._registers:
            self._registers = registers
            self._apply_watches()
        for register, _ in gated:
            mask |= 1 << register
        self.mach[L.REG_WATCH] = mask
        self._set_stepping()

    def catch_traps(self, *, exceptions: bool, interrupts: bool, gated: Sequence[tuple[int, int]] = ()) -> None:
        """Stop behind the steps that take a trap.

        Args:
            exceptions: Whether any exception counts.
            interrupts: Whether any interrupt counts.
            gated: Classes (1: exceptions, 2: interrupts, 3: both) and numbers of their gates.
        """
        mask = int(exceptions) | int(interrupts) << 1
        catches = [(mask, 0)] * (mask != 0) + list(gated)
        if catches != self._catches:
            self._catches = catches
            self._apply_watches()
        for kinds, _ in gated:
            mask |= kinds
        self.mach[L.CATCH] = mask

    def _set_stepping(self) -> None:
        stepping = int(bool(self.mach[L.REG_WATCH]) or bool(self.mach[L.LOG_LIMIT]))
        if stepping != int(self.mach[L.STEPPING]):
            self.mach[L.STEPPING] = stepping
            self.flush_tlb()

    def skip_break_once(self) -> None:
        """Let the next step leave a breakpoint that stands at pc."""
        self.mach[L.SKIP_BREAK] = self.icount + 1

    def search(self, on: bool) -> None:
        """While on, breakpoints and watches do not stop the run: the newest hit is remembered.

        Set gates before: they begin to count then, too.
        """
        self.mach[L.SEARCH] = int(on)
        self.mach[L.HITS] = self.mach[L.LAST_HIT] = self.mach[L.LAST_HIT_INDEX] = 0

    @property
    def last_hit(self) -> tuple[int, int] | None:
        """icount and index (0 = breakpoint, else index of the watch + 1) of the newest hit of a search.

        Hits at a gate count here only if they could not be judged.
        """
        if not self.mach[L.HITS]:
            return None
        return int(self.mach[L.LAST_HIT]), int(self.mach[L.LAST_HIT_INDEX])

    @property
    def hit(self) -> Hit:
        """What the last step did, after Exit.WATCH."""
        mach = [int(word) for word in self.mach[L.HIT_INDEX : L.HIT_NEW + 1]]
        index, address, size, kind, old, new = mach
        return Hit(index - 1 if index < REGISTER_HIT else index, address, size, kind == 2, old, new)

    @property
    def tracked_hit(self) -> bool:
        """True if the last step stored to a tracked range."""
        return bool(self.mach[L.TRACKED_HIT])

    # ---- step log ----------------------------------------------------------------------------------------------------
    def log_steps(self, rows: int, on_log: Callable[[Words], None] | None) -> None:
        """Log every step from now on, in blocks of at most `rows`; 0 ends it."""
        self._log = np.zeros((max(rows, 1), L.LOG_WORDS), np.uint64)
        self.mach[L.LOG_LIMIT] = rows
        self.mach[L.LOG_ROWS] = 0
        self.on_log = on_log
        self._point()
        self._set_stepping()


def _lines(first: int, last: int) -> Words:
    """Return the lines that bytes `first` to `last` of RAM touch, u64 for each page from the first one's on."""
    start = first // PAGE_BYTES * LINES_PER_PAGE
    bits = np.zeros((last // PAGE_BYTES + 1) * LINES_PER_PAGE - start, np.uint8)
    bits[first // LINE_BYTES - start : last // LINE_BYTES + 1 - start] = 1
    return np.packbits(bits, bitorder="little").view("<u8")


def parse_log_row(row: npt.NDArray[np.uint64]) -> LogRow:
    """Return one row of a step log as an object."""
    words = [int(word) for word in row]
    icount, pc, insn, priv, cause, value, count = words[:7]
    accesses = []
    for index in range(count):
        kind, address, data = words[7 + 3 * index : 10 + 3 * index]
        accesses.append(Access(kind & 255 == 2, address, kind >> 8, data))
    taken = None if cause == 0 else cause if cause & INTERRUPT else cause - 1
    return LogRow(icount, pc, insn, priv, taken, value, tuple(accesses))
