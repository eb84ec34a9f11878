"""Host back ends: the host's half of a device, which does what bottom halves ask for.

A back end lives outside the guest and only while a guest is recorded. What it hands to the guest is journaled, so that
replay needs none. It must never reach into a device or into guest memory: its answers travel as payloads. Three kinds,
by what their time depends on:

    Backend(answer)              a function of the request; completes after a fixed virtual latency, hence at an icount
                                 that is a function of the guest: the recording is reproducible
    Backend(answer, live=True)   asks the host; runs in a thread and completes when it is done
    Backend(answer, start=...)   has a life of its own: keeps the `Outside` that `start` is given, answers None, and
                                 completes later, from a thread or from an EXTERNAL timer

An EXTERNAL timer follows the guest's virtual clock, so that a back end's speed follows the guest's. It belongs to the
host: it is neither journaled nor part of a snapshot, and its callback runs between two steps of the guest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from rrdbg_core.frozen import Frozen

LATENCY_NS = 20_000
"""How long a back end takes on the virtual clock, unless it says otherwise."""

Answer = Callable[[int, bytes], bytes | None]
"""From the request's number (from 0) and content to the payload; None if that comes later."""


class Outside(Protocol):
    """What a recording offers to a back end."""

    def virtual_ns(self) -> int:
        """Return the guest's virtual clock in ns, as it was between the last two steps."""
        ...

    def external_timer(self, deadline_ns: int, callback: Callable[[], None]) -> None:
        """Have `callback` called once, between two steps, when the virtual clock has reached `deadline_ns`.

        To be called from `start`, from `answer` of a back end that is not live, or from such a callback.
        """
        ...

    def complete(self, payload: bytes) -> None:
        """Hand over the answer to the oldest request that is still without one. Any thread may call."""
        ...


class Backend(Frozen):
    """What answers the requests of a bottom half."""

    answer: Answer
    """Does the work. If the back end is not live, it must be a function of its arguments alone."""
    live: bool = False
    """Whether it needs the host: it then runs in a thread, and takes as long as it takes."""
    latency_ns: int = LATENCY_NS
    """Virtual time until the completion, if it is not live."""
    start: Callable[[Outside], None] | None = None
    """Called once, when the recording begins."""


class ExternalTimers:
    """EXTERNAL timers that wait for their time."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def add(self, deadline_ns: int, callback: Callable[[], None]) -> None:
        """Add a timer; of equal ones, the older runs first."""
        heapq.heappush(self._heap, (deadline_ns, self._count, callback))
        self._count += 1

    def next_ns(self) -> int | None:
        """Return when the next one is due, on the virtual clock."""
        return self._heap[0][0] if self._heap else None

    def run(self, now_ns: int) -> None:
        """Call back those that are due, in order of their deadlines."""
        while self._heap and self._heap[0][0] <= now_ns:
            heapq.heappop(self._heap)[2]()
