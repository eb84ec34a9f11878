"""The trace behind a session: events, virtual time, how it ended, and whether it replays."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace.model import EpochIndex

from rrdbg.session.api import EventRow, TraceInfo, VerifyResult
from rrdbg.symbols.escape import harmless, harmless_bytes

MAX_PAYLOAD = 4096
"""Bytes of a payload that an event row carries."""
_SHOWN = 48


def _no_verify(pauses: int, seed: int, poll: Callable[[int], None]) -> VerifyResult:
    raise RrdbgError("there is nothing to verify against")


@dataclass(slots=True)
class TraceSource:
    """A trace, all but the guest in it."""

    path: str
    """File name as it was opened."""
    shift: int
    """A step lasts 2^shift ns."""
    events: Sequence[Event]
    """The journal."""
    info: Callable[[], TraceInfo]
    """Returns what is known now; takes in what a recorder has added."""
    epochs: Callable[[], Sequence[EpochIndex]] = tuple
    """Returns the index, ascending; stretches may be missing."""
    epoch_spans: Callable[[], Sequence[tuple[int, int]]] = tuple
    """Returns the first step of each part of the index, and one past its last; costs less than the index."""
    verify: Callable[[int, int, Callable[[int], None]], VerifyResult] = _no_verify
    """Replays the trace against its digests: pauses, seed, and what to call with the position that is reached."""
    close: Callable[[], None] = lambda: None
    """Lets go of the file."""
    carried: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    """Source files of the guest's program that the trace carries: content by name."""
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

    def inputs(self, lo: int, hi: int) -> list[int]:
        """Return the positions lo <= p < hi at which something reached the guest from outside."""
        first, last = self.first_event_at(lo), self.first_event_at(hi)
        return [event.icount for event in self.events[first:last] if event.kind is not EventKind.WARP]

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
