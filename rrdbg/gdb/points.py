"""The points of a gdb client: `Z` and `z` packets.

gdb removes all of them at each stop and sets them again before it goes on, so they are only noted here and reach the
session before it moves, by their differences. One that is missing for a single motion (gdb steps off a breakpoint, or
over an access, without it) is only disabled: a breakpoint stays in the address space, and a watchpoint on the memory,
that were at hand when it was set first.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg.gdb.errors import EFAULT, Refused
from rrdbg.gdb.fields import M64
from rrdbg.session.api import PointKind, Session
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.values import unreadable_text

SOFTWARE, HARDWARE = 0, 1
_WATCHES = {2: PointKind.WATCH, 3: PointKind.RWATCH, 4: PointKind.AWATCH}
MAX_POINTS = 10_000
MAX_WATCHED = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """What a client sets and removes."""

    type: int
    """0 software and 1 hardware breakpoint, 2 write, 3 read and 4 access watchpoint."""
    address: int
    """Where."""
    length: int
    """Bytes watched; for breakpoints the size of the instruction."""

    @property
    def is_break(self) -> bool:
        """Whether it stops before an instruction."""
        return self.type in (SOFTWARE, HARDWARE)


class ClientPoints:
    """The points that a client wants, and those of them that the session has."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._wanted: dict[Place, str] = {}
        self._placed: dict[Place, tuple[int, str]] = {}
        self._resting: set[Place] = set()

    def insert(self, place: Place, condition: str = "") -> None:
        """Want a point; a second time changes its condition."""
        if place.is_break and place.address & 1:
            raise Refused(f"no instruction can start at {place.address:#x}")
        if not place.is_break and not 0 < place.length <= MAX_WATCHED:
            raise Refused(f"cannot watch {place.length:_} bytes")
        if len(self._wanted) >= MAX_POINTS:
            raise Refused("too many breakpoints")
        if not place.is_break and place not in self._placed:
            block = self._session.read_memory(place.address, place.length)
            if not block.mapped:
                raise Refused(unreadable_text(block.address + len(block.data) & M64, mapped=False), number=EFAULT)
        self._wanted[place] = condition

    def remove(self, place: Place) -> None:
        """Want a point no more."""
        self._wanted.pop(place, None)

    def clear(self) -> None:
        """Remove all: the client is gone."""
        self._wanted.clear()
        self._resting.update(self._placed)
        self.settle()

    def settle(self) -> None:
        """Give the session what is wanted."""
        for place, (number, condition) in list(self._placed.items()):
            if place not in self._wanted and place not in self._resting:
                self._session.enable_point(number, on=False)
                self._resting.add(place)
            elif self._wanted.get(place) != condition:
                del self._placed[place]
                self._resting.discard(place)
                self._session.delete_point(number)
        for place, condition in self._wanted.items():
            if place in self._resting:
                self._session.enable_point(self._placed[place][0])
                self._resting.remove(place)
            elif place not in self._placed:
                self._placed[place] = (self._add(place, condition), condition)

    @property
    def places(self) -> tuple[Place, ...]:
        """What the session stops at."""
        return tuple(place for place in self._placed if place not in self._resting)

    def place_of(self, number: int) -> Place | None:
        """Return the client's point that the session has under a number."""
        return next((place for place, (known, _) in self._placed.items() if known == number), None)

    def _add(self, place: Place, condition: str) -> int:
        if not place.is_break:
            kind = _WATCHES[place.type]
            return self._session.add_watch(place.address, length=place.length, kind=kind, internal=True).number
        try:
            return self._session.add_break(place.address, condition=condition, internal=True).number
        except (UsageError, NotFound):
            # gdb tests its conditions itself as well; that only takes longer
            return self._session.add_break(place.address, internal=True).number
