"""What is known of a trace without running it: events, virtual time, how it ended."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rrdbg_core.machine.events import Event, EventKind

from rrdbg.session.api import EventRow, TraceInfo
from rrdbg.symbols.escape import harmless, harmless_bytes

MAX_PAYLOAD = 4096
"""Bytes of a payload that an event row carries."""
_SHOWN = 48


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the trace's index says about a stretch of 2^24 steps."""

    start: int
    """First step."""
    stop: int
    """One past the last step."""
    traps: int
    """Exceptions taken."""
    interrupts: int
    """Interrupts taken."""
    console: tuple[tuple[int, bytes], ...]
    """Console output: the position at which each piece is visible first, and its bytes."""


@dataclass(slots=True)
class TraceSource:
    """The still parts of a trace."""

    path: str
    """File name as it was opened."""
    shift: int
    """A step lasts 2^shift ns."""
    events: Sequence[Event]
    """The journal."""
    info: Callable[[], TraceInfo]
    """Returns what is known now; takes in what a recorder has added."""
    epochs: Callable[[], Sequence[Epoch]] = tuple
    """Returns the index, ascending; stretches may be missing."""
    _icounts: list[int] = field(default_factory=list)
    _warps: list[int] = field(default_factory=list)

    def _catch_up(self) -> None:
        for event in self.events[len(self._icounts) :]:
            self._icounts.append(event.icount)
            self._warps.append(max(event.warp_ns, self._warps[-1] if self._warps else 0))

    def virtual_at(self, icount: int) -> int:
        """Return the virtual time of a position, in ns."""
        self._catch_up()
        index = bisect_right(self._icounts, icount)
        return (icount << self.shift) + (self._warps[index - 1] if index else 0)

    def at_virtual(self, ns: int) -> int:
        """Return the first position at or after a virtual time."""
        self._catch_up()
        warps = [0, *self._warps]
        starts = [0, *self._icounts]
        # the last stretch between two events that begins before that time
        times = [(at << self.shift) + warp for at, warp in zip(starts, warps, strict=True)]
        index = bisect_left(times, ns)
        if index < len(times) and times[index] == ns:
            return starts[index]
        if index == 0:
            return 0
        inside = starts[index - 1] + -(-(ns - times[index - 1]) >> self.shift)
        return min(inside, starts[index]) if index < len(starts) else inside

    def first_event_at(self, icount: int) -> int:
        """Return the number of the first event at or after a position."""
        self._catch_up()
        return bisect_left(self._icounts, icount)

    def event_rows(self, first: int, count: int) -> tuple[EventRow, ...]:
        """Return events by number."""
        first = max(first, 0)
        events = self.events[first : first + max(count, 0)]
        return tuple(self._row(number, event) for number, event in enumerate(events, first))

    def _row(self, number: int, event: Event) -> EventRow:
        return EventRow(
            number,
            event.icount,
            self.virtual_at(event.icount),
            event.kind.name.lower(),
            harmless(event.device),
            harmless(event.name),
            event.payload[:MAX_PAYLOAD],
            len(event.payload),
            event_text(event),
        )


def event_text(event: Event) -> str:
    """Return one line about an event."""
    device, name = harmless(event.device), harmless(event.name)
    match event.kind:
        case EventKind.UART_INPUT:
            more = f" ... ({len(event.payload)} bytes)" if len(event.payload) > _SHOWN else ""
            return f'input to {device}: "{harmless_bytes(event.payload[:_SHOWN])}"{more}'
        case EventKind.BH | EventKind.BH_ONESHOT:
            return f"{device}: {name} completed, {len(event.payload)} bytes"
        case EventKind.WARP:
            return f"virtual time warped to {event.warp_ns / 1e6:.6g} ms in all"
        case EventKind.RESET:
            return "reset"
    return f"{device}: connection lost"
