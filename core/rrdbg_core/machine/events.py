"""Journal events: everything that reached the guest from outside, in (icount, sequence) order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class EventKind(IntEnum):
    """What an event did to the guest. The numbers are part of the trace format."""

    UART_INPUT = 1
    """Bytes were put into a console front end's receive path."""
    BH = 2
    """A plain bottom half ran; the payload is what the host back end handed over."""
    BH_ONESHOT = 3
    """A oneshot bottom half ran; it is gone afterwards."""
    WARP = 4
    """Virtual time jumped while every hart was idle, and no other event carried the jump."""
    RESET = 5
    """The user reset the guest."""
    DETACH = 6
    """A live back end was lost; the device was told."""


@dataclass(frozen=True, slots=True)
class Event:
    """One journal record."""

    icount: int
    """Steps since power-on; the event is applied before step `icount`."""
    kind: EventKind
    """What happened."""
    device: str
    """Name of the device in the manifest, or "" for the machine itself."""
    name: str
    """Name of the bottom half, or ""."""
    payload: bytes
    """What was handed to the guest."""
    warp_ns: int
    """Total virtual time skipped while idle, in ns, once the event is applied."""
