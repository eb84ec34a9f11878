"""Where events come from: the journal of a recording, or the back ends of a live run.

The machine asks its source at fixed points only: between steps, with virtual timers served first. A source that is a
function of the guest (a script, a seed) therefore acts at the same icount in every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.events import Event

FOREVER = 1 << 62
"""An icount that no run reaches."""


class Divergence(RrdbgError):
    """Replay differs from the recording."""

    exit_code = ExitCode.DIVERGED


@dataclass(slots=True)
class Now:
    """What a source may know of the machine when it is asked. Not frozen: one is made for each device access."""

    icount: int
    """Steps since power-on."""
    virtual_ns: int
    """The virtual clock."""
    warp_ns: int
    """How much of it was skipped while idle."""
    idle: bool
    """Every hart waits for an interrupt."""
    deadline_ns: int | None
    """The next virtual deadline, if any."""


class Idle:
    """What an idle machine shall do. One of JUMP, EVENT, STOP or END."""

    JUMP = "jump"
    """Warp to the deadline."""
    EVENT = "event"
    """Ask for an event: there is one now."""
    STOP = "stop"
    """Return to the caller: interrupted, or at the end of the recording."""
    END = "end"
    """Nothing will ever happen again."""


class EventSource(Protocol):
    """A journal or live back ends."""

    def next_icount(self) -> int:
        """Return the icount up to which the machine may run before it asks again."""
        ...

    def take(self, now: Now) -> Event | None:
        """Return the next event to apply here, or None."""
        ...

    def idle(self, now: Now) -> str:
        """Say what an idle machine shall do; a live source may wait here in host time."""
        ...

    def listens(self) -> bool:
        """Return whether it has to learn of console output in the very step, as it may act on it."""
        ...

    def idle_until(self) -> int:
        """Return the icount before which an idle machine need not ask: it jumps to its deadline, and nothing happens.

        0 if the machine must ask whenever it is idle.
        """
        ...

    def room(self, device: str, size: int) -> None:
        """Learn how many bytes of console input a device takes now."""
        ...

    def scheduled(self, device: str, name: str, request: bytes, oneshot: bool) -> None:
        """Learn that a bottom half was scheduled: the host's part of the work may start."""
        ...

    def console(self, step: int, data: bytes) -> None:
        """Learn what the guest printed in a step; not everything if it does not listen."""
        ...

    def reset(self) -> None:
        """Learn that the machine is reset: bottom halves that were pending never run."""
        ...

    def medium(self, device: str, number: int) -> bytes | None:
        """Return a block of what was put into a device before power-on, always the same; None: it cannot be read."""
        ...

    def stored(self, name: bytes) -> bytes | None:
        """Return an encoded object that the machine does not have, or None."""
        ...


class Store(Protocol):
    """What a trace holds beside events: blocks of media, and objects."""

    def block(self, device: str, number: int) -> bytes | None:
        """Return a block of a device's medium, or None if the recording could not read it.

        Raises:
            KeyError: The recording never asked for it.
        """
        ...

    def stored(self, name: bytes) -> bytes | None:
        """Return an encoded object, or None if there is none of that name."""
        ...


class ReplaySource:
    """The events of a recording, applied where they were.

    Args:
        events: The journal.
        end_icount: Last position that replays.
        cut: The recording was ended there from outside, where an idle machine may have been waiting. Else it was at
            a proper position, or goes on behind it.
        store: What the recording holds beside events.
    """

    def __init__(
        self, events: Sequence[Event], end_icount: int, *, cut: bool = True, store: Store | None = None
    ) -> None:
        self.events = events
        self.store = store
        self.end_icount = end_icount
        self.cut = cut
        self.position = 0
        """Index of the next event."""

    def seek(self, applied: int) -> None:
        """Go on behind the first `applied` events."""
        self.position = applied

    def next_icount(self) -> int:
        if self.position < len(self.events):
            return self.events[self.position].icount
        return FOREVER

    def take(self, now: Now) -> Event | None:
        if self.position >= len(self.events):
            return None
        event = self.events[self.position]
        if event.icount != now.icount or not self._due(event, now):
            return None
        self.position += 1
        return event

    @staticmethod
    def _due(event: Event, now: Now) -> bool:
        """An event of an idle machine comes behind the deadlines up to its own virtual time."""
        if event.warp_ns == now.warp_ns:
            return True
        if event.warp_ns < now.warp_ns:
            raise Divergence(
                f"at icount {now.icount}: the journal's {event.kind.name} event comes at a virtual time that has passed"
            )
        if not now.idle:
            return False
        if now.deadline_ns is None:
            return True
        return event.warp_ns - now.warp_ns < now.deadline_ns - now.virtual_ns

    def idle(self, now: Now) -> str:
        if self.position < len(self.events) and self.events[self.position].icount == now.icount:
            return Idle.EVENT if self._due(self.events[self.position], now) else Idle.JUMP
        if self.cut and self.position >= len(self.events) and now.icount >= self.end_icount:
            return Idle.STOP
        return Idle.END if now.deadline_ns is None else Idle.JUMP

    def listens(self) -> bool:
        return False

    def idle_until(self) -> int:
        if self.position < len(self.events):
            return self.events[self.position].icount
        return self.end_icount if self.cut else FOREVER

    def room(self, device: str, size: int) -> None:
        """The journal knows what went in."""

    def scheduled(self, device: str, name: str, request: bytes, oneshot: bool) -> None:
        """The journal knows when it completed."""

    def console(self, step: int, data: bytes) -> None:
        """Output is derived."""

    def reset(self) -> None:
        """The journal does not complete what is gone."""

    def medium(self, device: str, number: int) -> bytes | None:
        try:
            if self.store is not None:
                return self.store.block(device, number)
        except KeyError:
            pass
        raise Divergence(f"the guest reads block {number} of {device}, which it did not read when it was recorded")

    def stored(self, name: bytes) -> bytes | None:
        return None if self.store is None else self.store.stored(name)
