"""What the panes draw: plain values, taken from the session in one go at each stop."""

from __future__ import annotations

from dataclasses import field

from rrdbg_core.frozen import Frozen

from rrdbg.session.program import Change, FrameInfo, LineVisit, SourceFile, Variable
from rrdbg.session.values import Location, Point, PointKind

NOWHERE = Location(0)

NEAR = (2, 6, 16)
"""Lines executed before (or after) the cursor that get the strongest shade in the source, the next one, the weakest."""


class CodeLine(Frozen):
    """One instruction of the disassembly."""

    address: int
    """Virtual address."""
    raw: bytes
    """The instruction's bytes."""
    text: str
    """Disassembly, with the target's symbol where there is one."""
    symbol: str = ""
    """Name of the symbol that starts here, or empty."""
    target: int | None = None
    """Where a direct branch or jump goes."""
    file: str = ""
    """Source file it was compiled from, or empty."""
    line: int = 0
    """Line in the file."""


class MarkRow(Frozen):
    """A bookmark or a note."""

    name: str
    """Name of a bookmark; empty for a note."""
    position: int
    """Where it is."""
    text: str
    """The note's text, or the bookmark's."""


class View(Frozen):
    """Everything the panes show of one position."""

    position: int
    """The position: icount, before the step of that number."""
    virtual_ns: int
    """Virtual time, in ns."""
    hart: int
    """Number of the selected hart."""
    priv: str
    """Privilege mode: M, S or U."""
    pc: int
    """Program counter of the hart."""
    symbol: str
    """Where pc is, as symbol+offset, or empty."""
    source: str
    """Where pc is in the source, as file:line, or empty."""
    reason: str
    """Why it stopped here, in words."""
    registers: tuple[tuple[str, int], ...]
    """pc and x1 to x31 by ABI name."""
    csrs: tuple[tuple[str, int, str], ...]
    """CSRs, and f registers that are switched on: name, value, and what it says."""
    code: tuple[CodeLine, ...]
    """Disassembly around pc."""
    marks: tuple[MarkRow, ...] = ()
    """Bookmarks and notes, by position."""
    points: tuple[Point, ...] = ()
    """Breakpoints, watchpoints and catchpoints, by number."""
    frame: int = 0
    """Number of the selected frame; its are the registers and the code."""
    frame_pc: int = 0
    """Where the selected frame stands."""

    @property
    def breakpoints(self) -> dict[int, bool]:
        """Addresses with a breakpoint, and whether it is enabled."""
        return {
            address: point.enabled
            for point in self.points
            if point.kind is PointKind.BREAK and point.address is not None
            for address in (point.address, *(place.address for place in point.more))
        }


class Watch(Frozen):
    """An expression whose value is shown at each stop."""

    expression: str
    """As it was written."""
    format: str = ""
    """As for `print`, without the slash."""

    @property
    def name(self) -> str:
        """What it is called in its pane."""
        return f"/{self.format} {self.expression}" if self.format else self.expression


class Wish(Frozen):
    """What the program's panes want to know of a position."""

    open: frozenset[str] = frozenset()
    """Expressions whose parts are shown."""
    watches: tuple[Watch, ...] = ()
    """Watch expressions."""
    mixed: bool = False
    """Whether the disassembly shows the source lines."""


class Program(Frozen):
    """What the program's panes show of one position and frame. Parts that could not be found are empty."""

    position: int
    """The position."""
    frame: int
    """The selected frame."""
    frames: tuple[FrameInfo, ...] = ()
    """The stack, innermost first."""
    location: Location = NOWHERE
    """Where the selected frame stands: for callers with the line of the call."""
    source: SourceFile | None = None
    """The source file of that place."""
    missing: str = ""
    """Why there is no source: a sentence, and below it what to do."""
    variables: tuple[Variable, ...] = ()
    """The frame's arguments and local variables."""
    watches: tuple[Variable, ...] = ()
    """Values of the watch expressions."""
    parts: dict[str, tuple[Variable, ...]] = field(default_factory=dict)
    """Parts of the opened values, by expression."""
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Lines of the source files that the disassembly mentions, by file."""
    trouble: str = ""
    """Why the stack or the variables are not known, or empty."""


class Place(Frozen):
    """A piece of the program to look at, wherever the program stands."""

    location: Location
    """The address by name."""
    code: tuple[CodeLine, ...]
    """Disassembly around it."""
    source: SourceFile | None = None
    """Its source file."""
    missing: str = ""
    """Why there is none."""


class Trail(Frozen):
    """Source lines executed around a position."""

    position: int
    """The position."""
    visits: tuple[LineVisit, ...] = ()
    """By position of their first step."""


class Compared(Frozen):
    """How the machine at the cursor differs from another position."""

    base: int
    """The other position."""
    position: int
    """The cursor."""
    registers: tuple[tuple[str, int, int], ...] = ()
    """Registers and CSRs: name, value there, value here."""
    memory: tuple[Change, ...] = ()
    """Runs of bytes; `old` is there, `new` is here."""
    bytes: int = 0
    """Bytes that differ in all."""


class Peek(Frozen):
    """What is known of a position that the mouse points at."""

    position: int
    """The position."""
    virtual_ns: int
    """Virtual time there."""
    where: str
    """Function, or the address."""
    what: str
    """The instruction, or the trap taken."""


class Overview(Frozen):
    """What is known of the whole run."""

    total: int
    """Last position."""
    virtual_ns: int
    """Virtual time there."""
    shift: int
    """log2 of the ns of a step."""
    events: int
    """Number of journal events."""
    commands: tuple[tuple[str, str], ...]
    """The command table: names and one line of help."""
    ended: bool = True
    """Whether the recording is complete; False: a recorder may still be at work."""
    damage: str = ""
    """What of the file was lost, in a sentence, or empty."""
    written: bool = False
    """Whether the file was written to a moment ago: what is cut off may be under way."""
    reason: str = ""
    """Why the recording ended, in words."""


class Memory(Frozen):
    """A stretch of guest memory at one position."""

    position: int
    """Position it belongs to."""
    blocks: dict[int, bytes | None] = field(default_factory=dict)
    """By start address, blocks of `BLOCK` bytes; None where nothing can be read."""


BLOCK = 256
"""Bytes of guest memory fetched together; blocks start at multiples of it."""
