"""What the panes draw: plain values, taken from the session in one go at each stop."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CodeLine:
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


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A bookmark or a note."""

    name: str
    """Name of a bookmark; empty for a note."""
    position: int
    """Where it is."""
    text: str
    """The note's text, or the bookmark's."""


@dataclass(frozen=True, slots=True)
class View:
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
    """CSRs: name, value, and what its fields say."""
    code: tuple[CodeLine, ...]
    """Disassembly around pc."""
    marks: tuple[MarkRow, ...] = ()
    """Bookmarks and notes, by position."""
    breakpoints: frozenset[int] = frozenset()
    """Addresses with an enabled breakpoint."""


@dataclass(frozen=True, slots=True)
class Overview:
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


@dataclass(frozen=True, slots=True)
class Memory:
    """A stretch of guest memory at one position."""

    position: int
    """Position it belongs to."""
    blocks: dict[int, bytes | None] = field(default_factory=dict)
    """By start address, blocks of `BLOCK` bytes; None where nothing can be read."""


BLOCK = 256
"""Bytes of guest memory fetched together; blocks start at multiples of it."""
