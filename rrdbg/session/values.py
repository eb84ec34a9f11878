"""What a session answers with: plain frozen values, the same in process and from the engine's own process.

Text that the guest can influence (symbol names, console bytes in `text` fields, device names) is already harmless
here: control characters are escaped. `data` and `payload` fields are raw bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import overload

from rrdbg_core.frozen import Frozen


class StopReason(StrEnum):
    """Why a motion ended where it did."""

    SEEK = "seek"
    """The position that was asked for is reached."""
    STEP = "step"
    """The steps that were asked for are done (also `finish` and `until` that arrived)."""
    BREAKPOINT = "breakpoint"
    """A breakpoint's location is about to be executed."""
    WATCHPOINT = "watchpoint"
    """A watched place was accessed: forwards by the step before this position, backwards by the step after it."""
    CATCHPOINT = "catchpoint"
    """A caught trap was taken: same rule as for watchpoints."""
    START = "start"
    """The start of the recording is reached."""
    END = "end"
    """The end of the recording is reached."""


class PointKind(StrEnum):
    """What a point waits for."""

    BREAK = "break"
    """Execution of an address."""
    WATCH = "watch"
    """A change of a value."""
    RWATCH = "rwatch"
    """A read."""
    AWATCH = "awatch"
    """A read or a write."""
    CATCH = "catch"
    """A trap."""


class Location(Frozen):
    """An address as people name it."""

    address: int
    """Virtual address."""
    symbol: str = ""
    """Name of the function or object around it, or empty."""
    offset: int = 0
    """Bytes from the symbol's start."""
    file: str = ""
    """Source file as the compiler was given it, or empty."""
    line: int = 0
    """Line in the file, from 1; 0 when unknown."""

    @property
    def text(self) -> str:
        """`symbol+offset`, or empty without a symbol."""
        if not self.symbol:
            return ""
        return f"{self.symbol}+{self.offset}" if self.offset else self.symbol

    @property
    def source(self) -> str:
        """`file:line`, or empty."""
        return f"{self.file}:{self.line}" if self.line else ""


class When(Frozen):
    """Where the session stands."""

    icount: int
    """The position: before the step of that number, after all events at it."""
    end: int
    """Last position of the trace."""
    virtual_ns: int
    """Virtual time of the guest, in ns."""
    hart: int
    """Number of the selected hart."""
    priv: str
    """Its privilege mode: "M", "S" or "U"."""
    pc: int
    """Its program counter."""
    location: Location
    """pc by name."""
    waiting: bool = False
    """Whether the hart sleeps in wfi."""

    @property
    def share(self) -> float:
        """Part of the trace that lies behind, 0 to 1."""
        return self.icount / self.end if self.end else 1.0


class Stop(Frozen):
    """Where a motion ended, and why."""

    reason: StopReason
    """Why."""
    when: When
    """Where."""
    points: tuple[int, ...] = ()
    """Numbers of the points that stopped it; those of a front end's own are below 0."""
    what: str = ""
    """What was watched or caught, as it was written."""
    access: str = ""
    """"read", "write" or "trap"; empty for other reasons."""
    address: int | None = None
    """Address of the access."""
    old: int | None = None
    """Value before the access (little endian, the watched length), when up to 8 bytes are watched."""
    new: int | None = None
    """Value after the access."""
    reverse: bool = False
    """Whether the motion went backwards."""
    deleted: bool = False
    """Whether the point was temporary and is gone now."""
    exit_code: int | None = None
    """The guest's exit code, when the stop is the end of a run that ended by itself."""
    text: str = ""
    """The whole stop in gdb's words, one or more lines."""
    returned: str = ""
    """For `finish`: what the function has returned, as gdb prints it: `$1 = 5`."""


class RegisterValue(Frozen):
    """One register."""

    name: str
    """ABI name, or the CSR's name."""
    value: int
    """Its 64 bits, unsigned."""
    group: str
    """"general", "float", "csr" or "machine" (icount, priv, virtual time)."""
    text: str = ""
    """What the value says: a symbol, a trap's cause, the fields that are set; may be empty."""


class DisasmLine(Frozen):
    """One instruction in memory."""

    address: int
    """Virtual address."""
    raw: bytes
    """Its 2 or 4 bytes, or what could be read."""
    text: str
    """As objdump prints it; "(bad address)" when memory cannot be read."""
    location: Location
    """The address by name."""
    target: int | None = None
    """Where a direct branch or jump goes."""
    target_text: str = ""
    """The target by name: `symbol+offset`, or empty."""


def unreadable_text(address: int, mapped: bool) -> str:
    """Return what to say of memory that cannot be read, in gdb's words."""
    return f"cannot access memory at address {address:#x}{'' if mapped else ': not mapped'}"


class MemoryBlock(Frozen):
    """A stretch of guest memory."""

    address: int
    """Virtual address of the first byte."""
    data: bytes
    """The bytes, as many as can be read without side effects from the start on; device registers cannot."""
    length: int
    """Bytes that were asked for; more than `len(data)` when the rest is unreadable."""
    mapped: bool = True
    """Whether the first byte that is missing, if one is, has a physical address."""


class ConsoleChunk(Frozen):
    """Console output that appeared together."""

    icount: int
    """First position at which it is visible."""
    data: bytes
    """Raw bytes as the guest sent them."""


class ConsoleOutput(Frozen, Sequence[ConsoleChunk]):
    """Console output, oldest first: a sequence of chunks that are made when asked for.

    A guest may print millions of bytes one by one.
    """

    positions: bytes
    """i64[n]: first position at which each chunk is visible, ascending."""
    ends: bytes
    """i64[n]: where each of them ends in `data`."""
    data: bytes
    """What all of them hold."""

    @classmethod
    def of(cls, chunks: Sequence[ConsoleChunk]) -> ConsoleOutput:
        """Return chunks as output."""
        if isinstance(chunks, ConsoleOutput):
            return chunks
        positions = array("q", [chunk.icount for chunk in chunks])
        ends = array("q", accumulate(len(chunk.data) for chunk in chunks))
        return cls(positions.tobytes(), ends.tobytes(), b"".join(chunk.data for chunk in chunks))

    @cached_property
    def at(self) -> Sequence[int]:
        """The positions as numbers."""
        return memoryview(self.positions).cast("q")

    @cached_property
    def until(self) -> Sequence[int]:
        """The ends as numbers."""
        return memoryview(self.ends).cast("q")

    def __len__(self) -> int:
        return len(self.positions) // 8

    @overload
    def __getitem__(self, index: int) -> ConsoleChunk: ...
    @overload
    def __getitem__(self, index: slice) -> ConsoleOutput: ...
    def __getitem__(self, index: int | slice) -> ConsoleChunk | ConsoleOutput:
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return ConsoleChunk(self.at[numbers], self.data[self._start(numbers) : self.until[numbers]])
        if numbers.step != 1:
            return ConsoleOutput.of([self[number] for number in numbers])
        first, last = numbers.start, max(numbers.start, numbers.stop)
        start, stop = self._start(first), self._start(last)
        ends = array("q", [end - start for end in self.until[first:last]])
        return ConsoleOutput(self.positions[8 * first : 8 * last], ends.tobytes(), self.data[start:stop])

    def _start(self, number: int) -> int:
        return self.until[number - 1] if number else 0

    def __iter__(self) -> Iterator[ConsoleChunk]:
        start = 0
        for at, end in zip(self.at, self.until, strict=True):
            yield ConsoleChunk(at, self.data[start:end])
            start = end

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One journal event."""

    number: int
    """Its number from 0 on; `#number` is its position."""
    icount: int
    """Position at which it applies."""
    virtual_ns: int
    """Virtual time once it is applied, in ns."""
    kind: str
    """"uart_input", "bh", "bh_oneshot", "warp", "reset" or "detach"."""
    device: str
    """Device that got it, or empty for the machine."""
    name: str
    """Name of the bottom half, or empty."""
    payload: bytes
    """What was handed to the guest; at most the first 4096 bytes."""
    size: int
    """Bytes of the whole payload."""
    text: str
    """One line about it, harmless on a terminal."""


class Bookmark(Frozen):
    """A named position of the user's; `@name` goes there."""

    name: str
    """Unique name."""
    icount: int
    """Where it is."""
    text: str = ""
    """What the user says about it."""


class Note(Frozen):
    """A remark of the user's about a position."""

    number: int
    """Number from 1 on."""
    icount: int
    """Where it belongs."""
    text: str
    """The remark."""


class Point(Frozen):
    """A breakpoint, watchpoint or catchpoint."""

    number: int
    """Its number from 1 on, as in gdb; internal ones from -1 downwards."""
    kind: PointKind
    """What it waits for."""
    what: str
    """As the user wrote it."""
    address: int | None = None
    """Address of code or data; None for registers and traps."""
    length: int = 0
    """Bytes watched."""
    register: str = ""
    """The register watched, or empty."""
    location: Location | None = None
    """The address by name."""
    condition: str = ""
    """Expression that must be true, or empty."""
    enabled: bool = True
    """Whether it stops anything."""
    temporary: bool = False
    """Whether it goes at its first stop."""
    ignore: int = 0
    """Hits still to be passed over."""
    hits: int = 0
    """Times it was hit, ignored ones included."""
    more: tuple[Location, ...] = ()
    """Where else it stops: a line, or a function that was inlined, may have several copies."""
    space: int = 0
    """For a breakpoint that belongs to an address space: mode and root of its page tables, as in satp."""
    physical: bool = False
    """For a breakpoint: whether its addresses are physical, and it stops by whatever addresses they are executed."""


class SymbolInfo(Frozen):
    """A function or object of an image."""

    name: str
    """Its name, harmless on a terminal."""
    address: int
    """Its first address."""
    size: int
    """Bytes; 0 when unknown."""
    kind: str
    """"function", "object" or "label"."""


class Lane(Frozen):
    """One lane of the timeline, over the window's buckets."""

    name: str
    """"traps", "interrupts", "console", "input", "bookmarks", "notes" or "snapshots"."""
    counts: tuple[int, ...]
    """How many happened in each bucket (bytes, for console); a bucket spread from coarser knowledge has its share."""
    exact: bool = True
    """False when counts are spread evenly over 2^18 steps, which is what the index knows, or a stretch is not known."""


class Timeline(Frozen):
    """What happened between two positions, counted in buckets.

    Position p in lo <= p < hi belongs to bucket (p - lo) * buckets // (hi - lo).
    """

    lo: int
    """First position."""
    hi: int
    """One past the last position."""
    buckets: int
    """Number of buckets."""
    lanes: tuple[Lane, ...]
    """The lanes, always all of them, in a fixed order."""


class TraceInfo(Frozen):
    """What is known of the whole trace."""

    path: str
    """File name as it was opened."""
    end: int
    """Last position that replays."""
    virtual_end_ns: int
    """Virtual time there."""
    shift: int
    """A step lasts 2^shift ns of virtual time."""
    machine: str
    """Name of the machine's version."""
    harts: int
    """Number of harts."""
    ram_base: int
    """Physical address of RAM."""
    ram_bytes: int
    """Bytes of RAM."""
    events: int
    """Number of journal events."""
    snapshots: tuple[int, ...]
    """Positions of recorded snapshots."""
    ended: bool
    """Whether the recording was ended properly; False for one that was killed, or still runs."""
    reason: str
    """Why the recording ended, or what is known about it."""
    exit_code: int | None
    """The guest's exit code, if it exited."""
    damage: str
    """What is lost or damaged, or empty."""


class VerifyResult(Frozen):
    """Outcome of a verification."""

    ok: bool
    """Whether the replay equals the recording."""
    text: str
    """A sentence, or the whole report of a divergence."""
    icount: int | None = None
    """Where it diverged, as near as known."""


class Progress(Frozen):
    """How far a long call is."""

    title: str
    """What is being done."""
    done: int
    """Steps done."""
    total: int
    """Steps to do, at the worst; 0 when unknown."""
    rate: float
    """Steps per second."""
    eta: float | None
    """Seconds left at most, None when unknown."""

    @property
    def share(self) -> float | None:
        """Part that is done, 0 to 1, None when unknown."""
        return min(self.done / self.total, 1.0) if self.total else None
