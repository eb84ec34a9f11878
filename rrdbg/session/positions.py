"""Positions as people write them.

    1_234_567   that icount; k, M and G are thousands, millions and billions: 20k, 1.5M
    +100  -1k   relative to the current position; also in virtual time: +2.5ms
    50%         of the trace
    2.5ms       the first position at or after that virtual time (ns, us, ms, s)
    start  end  of the trace
    @name       a bookmark
    #7          where event 7 applies

What lies outside of the trace is refused.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Protocol

from rrdbg.session.api import Position
from rrdbg.session.errors import NotFound, UsageError

FORMS = "1_234_567, 20k, +100, -1k, 50%, 2.5ms, +2.5ms, start, end, @bookmark or #event"
"""The forms, for messages."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_TIMES = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_COUNT = re.compile(r"([+-]?)(\d[\d_]*(?:\.\d+)?)([kKmMgG]?)")
_TIME = re.compile(r"([+-]?)(\d[\d_]*(?:\.\d+)?)\s*(ns|us|µs|ms|s)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


class Track(Protocol):
    """What positions refer to."""

    @property
    def icount(self) -> int:
        """The current position."""

    @property
    def end(self) -> int:
        """The last position."""

    def virtual_at(self, icount: int) -> int:
        """Return the virtual time of a position, in ns."""

    def at_virtual(self, ns: int) -> int:
        """Return the first position at or after a virtual time; beyond the end when there is none."""

    def bookmark_at(self, name: str) -> int | None:
        """Return where a bookmark is."""

    def event_at(self, number: int) -> int | None:
        """Return where an event applies."""


def looks_like_position(text: str) -> bool:
    """Return whether text has a form that only positions have (so not a plain number, nor a symbol)."""
    text = text.strip()
    return text[:1] in ("@", "#", "+", "-") or bool(_SHARE.fullmatch(text) or _TIME.fullmatch(text))


def resolve(position: Position, track: Track) -> int:
    """Return the icount that a position means.

    Raises:
        UsageError: It cannot be understood, or lies outside the trace.
        NotFound: There is no such bookmark or event.
    """
    icount = position if isinstance(position, int) else _parse(position.strip(), track)
    if not 0 <= icount <= track.end:
        written = f" ({position.strip()})" if isinstance(position, str) else ""
        raise UsageError(
            f"position {icount:_}{written} lies outside the trace", hint=f"it goes from 0 to {track.end:_}"
        )
    return icount


def _parse(text: str, track: Track) -> int:
    if text == "start":
        return 0
    if text == "end":
        return track.end
    if text.startswith("@"):
        found = track.bookmark_at(text[1:])
        if found is None:
            raise NotFound(f"there is no bookmark {text[1:]!r}", hint="`info bookmarks` lists them")
        return found
    if text.startswith("#"):
        return _event(text, track)
    if match := _SHARE.fullmatch(text):
        share = Decimal(match[1])
        if share > 100:
            raise UsageError(f"position {text} lies outside the trace", hint="0% to 100%")
        return int(share * track.end / 100)
    if match := _TIME.fullmatch(text):
        ns = int(Decimal(match[2].replace("_", "")) * _TIMES[match[3]])
        if not match[1]:
            return _at_virtual(ns, text, track)
        here = track.virtual_at(track.icount)
        return _at_virtual(max(here + ns if match[1] == "+" else here - ns, 0), text, track)
    if match := _COUNT.fullmatch(text):
        count = int(Decimal(match[2].replace("_", "")) * _UNITS[match[3].lower()])
        return {"": count, "+": track.icount + count, "-": track.icount - count}[match[1]]
    raise UsageError(f"{text!r} is not a position", hint=f"positions are written {FORMS}")


def _event(text: str, track: Track) -> int:
    number = text[1:].replace("_", "")
    if not number.isdecimal():
        raise UsageError(f"{text!r} is not a position", hint="an event's number follows #: #7")
    found = track.event_at(int(number))
    if found is None:
        raise NotFound(f"there is no event {number}", hint="`info events` lists them")
    return found


def _at_virtual(ns: int, text: str, track: Track) -> int:
    icount = track.at_virtual(ns)
    if icount > track.end:
        last = track.virtual_at(track.end)
        raise UsageError(f"virtual time {text} lies outside the trace", hint=f"it ends at {last / 1e6:.6g}ms")
    return icount
