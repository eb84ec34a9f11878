"""Which snapshots a recording can afford.

Snapshots should cost at most 5 % of the time of recording. Decided by host time, two recordings of one run would
differ; so the cost is a model: a snapshot costs as much as so many steps, and every step earns a twentieth of a step.
"""

from __future__ import annotations

SHARE = 20
"""A snapshot may cost one in so many steps."""
BASE_COST = 200_000
"""Steps that a snapshot costs, whatever changed: 0.4 ms at 500 steps a microsecond (2-core x86-64, 2026).

Guests whose hot code is compiled run faster, but it is those that do not whose way from snapshot to snapshot is long.
"""
PAGE_COST = 6_000
"""Steps that each changed page costs on top: 12 microseconds to compare, copy, compress and write it."""
ACCESS_COST = 2_000
"""Steps that an access to a device takes the time of, where it leaves the kernel: 4 microseconds."""


class Thinning:
    """A bucket of steps that snapshots are paid from. The first snapshot is free.

    Args:
        ram_pages: Pages of RAM. The bucket holds what the dearest snapshot costs, so that one is affordable in the end.
    """

    def __init__(self, ram_pages: int) -> None:
        self._capacity = BASE_COST + PAGE_COST * ram_pages
        self._saved = 0

    def earn(self, steps: int, accesses: int = 0) -> None:
        """Add what some steps earn, and the accesses to devices in them."""
        self._saved = min(self._saved + (steps + ACCESS_COST * accesses) // SHARE, self._capacity)

    def pay(self, changed_pages: int) -> bool:
        """Return whether a snapshot of so many changed pages is affordable, and pay for it if so."""
        cost = BASE_COST + PAGE_COST * changed_pages
        if cost > self._saved:
            return False
        self._saved -= cost
        return True
