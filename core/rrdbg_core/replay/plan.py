"""Which pauses a verification makes, and how one is made."""

from __future__ import annotations

import random
from collections.abc import Callable

from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.source import Divergence
from rrdbg_core.replay import pauses
from rrdbg_core.replay.pauses import Operation, Walker
from rrdbg_core.replay.worker import run_elsewhere

CHUNK = 1 << 20
"""Steps between two polls."""


class Pause(Frozen):
    """What is done where."""

    icount: int
    """Position."""
    operation: Operation | None
    """What; None: the stretch up to the next pause runs in a new process."""
    seed: int
    """Seed of its random numbers."""

    @property
    def is_move(self) -> bool:
        """Whether the state goes on in another machine."""
        return self.operation is None or self.operation is pauses.move

    @property
    def text(self) -> str:
        """What is done, in words."""
        what = "it goes on in a new process." if self.operation is None else self.operation.__doc__ or ""
        return " ".join(what.splitlines()[0].rstrip(".").split())


def plan(start: int, end: int, count: int, seed: int, processes: int) -> list[Pause]:
    """Return pauses at random positions start <= p < end: half of them moves, `processes` of these to new processes."""
    rng = random.Random(seed)
    count = min(count, end - start)
    places = sorted(rng.sample(range(start, end), count))
    moves = (count + 1) // 2
    kinds: list[Operation | None] = [None] * min(processes, moves)
    kinds += [pauses.move] * (moves - len(kinds))
    kinds += [rng.choice(pauses.HARMLESS) for _ in range(count - moves)]
    rng.shuffle(kinds)
    return [Pause(place, kind, rng.getrandbits(64)) for place, kind in zip(places, kinds, strict=True)]


def run_on(walker: Walker, until: int, poll: Callable[[int], None]) -> None:
    """Run a walker to a position.

    Raises:
        Divergence: It does not get there.
    """
    machine = walker.machine
    while machine.icount < until:
        stop = min(machine.icount + CHUNK, until)
        reason = machine.run(stop)
        walker.keep_checks()
        if machine.icount < stop:
            raise Divergence(f"the guest stops at icount {machine.icount} ({reason.value})")
        poll(machine.icount)


def perform(walker: Walker, pause: Pause, until: int, poll: Callable[[int], None]) -> None:
    """Make a pause at the walker's position, and run on.

    Raises:
        Divergence: It does not get there.
    """
    rng = random.Random(pause.seed)
    if pause.operation is None:
        if walker.machine.icount < until:
            stretch = run_elsewhere(walker.trace, walker.capture(), until, poll)
            walker.checks.append(stretch.checks)
            walker.move(stretch.end, rng.getrandbits(32))
    else:
        pause.operation(walker, until, rng)
    run_on(walker, until, poll)
