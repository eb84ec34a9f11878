"""Which snapshots a recording can afford.

Snapshots cost at most 5 % of the time of recording. A snapshot's price is what the ones before have cost a page; what
it is paid with is a twentieth of the time that this thread has computed. So two recordings of one run may differ in
where their snapshots lie, and in nothing that a snapshot is not.
"""

from __future__ import annotations

SHARE = 20
"""A snapshot may cost one in so many nanoseconds."""
BASE_NS = 400_000
"""What a snapshot costs, whatever changed."""
PAGE_NS = 8_000
"""What each changed page costs on top to copy, compress and write, as long as nothing is known."""
DEAREST_PAGE_NS = 100_000
"""A page is not expected to cost more: one slow write shall not end all snapshots."""
LEARNS_FROM = 64
"""Changed pages from which on the price of a page is learned."""


class Thinning:
    """A bucket of time that snapshots are paid from. The first snapshot is free.

    Args:
        ram_pages: Pages of RAM. The bucket holds what the dearest snapshot costs, so that one is affordable in the end.
    """

    def __init__(self, ram_pages: int) -> None:
        self._ram_pages = ram_pages
        self._page_ns = PAGE_NS
        self._knows = False  # whether that was learned
        self._saved = 0

    def cost(self, changed_pages: int) -> int:
        """Return what a snapshot of so many changed pages is expected to take, in nanoseconds."""
        return BASE_NS + self._page_ns * changed_pages

    def earn(self, ns: int) -> None:
        """Add what some nanoseconds of recording earn."""
        self._saved = min(self._saved + ns // SHARE, self.cost(self._ram_pages))

    def pay(self, changed_pages: int) -> int:
        """Pay for a snapshot of so many changed pages and return the price, or return 0: it is not affordable."""
        cost = self.cost(changed_pages)
        if cost > self._saved:
            return 0
        self._saved -= cost
        return cost

    def settle(self, paid: int, ns: int) -> None:
        """Pay what a snapshot has taken over its price, or take back what it has not."""
        self._saved += paid - ns

    def learn(self, changed_pages: int, ns: int) -> None:
        """Take in what a snapshot has taken."""
        if changed_pages >= LEARNS_FROM:
            found = min(max(ns - BASE_NS, 0) // changed_pages, DEAREST_PAGE_NS)
            self._page_ns += (found - self._page_ns) // (4 if self._knows else 1)
            self._knows = True
