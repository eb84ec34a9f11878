"""What a verification does at its pauses: everything that must not change the guest.

An operation acts on a walker (a machine at a position, and its source) and may run it on for a stretch, never beyond
`limit`. What it does is a function of the walker's position and of the random numbers it is given.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import condition as conditions
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import Condition
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.stops import ALL, Gate, Watch, WatchKind
from rrdbg_core.isa import expr
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import ReplaySource
from rrdbg_core.replay.capsule import Capsule, capture, release, source_of
from rrdbg_core.trace.reader import Trace

STRETCH = 2000
"""Steps that an operation runs on for, at most."""
FEW = 20
"""Steps that are taken one by one."""
_CONDITIONS = (
    None,
    Condition(conditions.ICOUNT & 1),
    Condition(conditions.load(conditions.hart(L.X + 10), 8)),
    Condition(expr.divu(conditions.PC, conditions.hart(L.X + 15))),
)
"""Conditions of gates: some hold, some do not, some cannot be judged."""


@dataclass
class Walker:
    """A machine that replays a trace, and is handed around."""

    trace: Trace
    """The trace."""
    machine: Machine = field(init=False)
    """The machine; another one after a move."""
    source: ReplaySource = field(init=False)
    """Its events."""
    checks: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    """Check words since they were taken last."""

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Get a new machine, cold and at power-on."""
        self.source = source_of(self.trace)
        self.machine = Machine(self.trace.manifest.config, dict(self.trace.images), self.source)

    def move(self, capsule: Capsule, seed: int) -> None:
        """Go on from a state in a new machine; its parts come back in an order drawn from `seed`."""
        self.renew()
        release(capsule, self.machine, self.source, order=self.machine.shuffled(seed))

    def capture(self) -> Capsule:
        """Return the state."""
        self.keep_checks()
        return capture(self.machine, self.source)

    def keep_checks(self) -> None:
        """Save the check words that the core has made."""
        words = self.machine.core.take_checks()
        self.machine.core.take_traps()
        if len(words):
            self.checks.append(words)

    def take_checks(self) -> npt.NDArray[np.uint64]:
        """Return the check words since the last call."""
        self.keep_checks()
        words, self.checks = self.checks, []
        return np.concatenate([np.zeros(0, np.uint64), *words])


Operation = Callable[[Walker, int, random.Random], None]
"""From walker, limit and random numbers."""


def move(walker: Walker, limit: int, rng: random.Random) -> None:
    """Write the state out and go on in a new machine with cold caches; its parts come back in random order."""
    walker.move(walker.capture(), rng.getrandbits(32))


def look(walker: Walker, limit: int, rng: random.Random) -> None:
    """Read registers, RAM and device state."""
    machine = walker.machine
    for _ in range(8):
        size = rng.choice((1, 4, 8, 64))
        machine.memory.read(RAM_BASE + rng.randrange(machine.memory.size - size), size)
    for device in machine.devices.values():
        for name in device.state.fields:
            getattr(device.state, name)
        device.irq_level()
        device.next_deadline_ns()
    machine.digest()


def drop_caches(walker: Walker, limit: int, rng: random.Random) -> None:
    """Forget decoded code and translations."""
    walker.machine.core.drop_caches()


def snapshot(walker: Walker, limit: int, rng: random.Random) -> None:
    """Take a snapshot and throw it away; restore one into the machine itself."""
    walker.machine.core.take_written()
    capsule = walker.capture()
    if rng.random() < 0.5:
        walker.machine.restore(capsule.state, order=walker.machine.shuffled(rng.getrandbits(32)))


def log_steps(walker: Walker, limit: int, rng: random.Random) -> None:
    """Run a stretch with the step log on."""
    core = walker.machine.core
    core.log_steps(64, lambda rows: None)
    walker.machine.run(_somewhere(walker, limit, rng))
    core.log_steps(0, None)


def watch(walker: Walker, limit: int, rng: random.Random) -> None:
    """Run a stretch with watchpoints and breakpoints that are passed over, most of them under conditions."""
    core, machine = walker.machine.core, walker.machine
    core.set_gates([Gate(what, ALL) for what in _CONDITIONS])
    numbers = range(len(_CONDITIONS) + 1)
    written = machine.core.dirty_pages(1)
    pages = [int(rng.choice(written)) for _ in range(3)] if len(written) else [0]
    kinds = rng.choices((WatchKind.READ, WatchKind.WRITE, WatchKind.ACCESS, WatchKind.CHANGE), k=len(pages))
    places = [RAM_BASE + page * PAGE_BYTES + rng.randrange(0, PAGE_BYTES, 8) for page in pages]
    core.set_watches(
        [Watch(at, rng.choice((1, 8, 64)), kind, rng.choice(numbers)) for at, kind in zip(places, kinds, strict=True)]
    )
    breaks = [int(core.hart[L.PC]), *places]
    core.set_breakpoints(breaks, rng.choices(numbers, k=len(breaks)))
    register = rng.randrange(1, 32)
    core.watch_registers(rng.choice((0, 0, 1 << register)), [(register, rng.choice(numbers[1:]))] * rng.randrange(2))
    core.catch_traps(
        exceptions=rng.random() < 0.5, interrupts=rng.random() < 0.5, gated=[(3, number) for number in numbers[1:]]
    )
    core.search(True)
    machine.run(_somewhere(walker, limit, rng))
    core.search(False)
    core.set_watches(())
    core.set_breakpoints(())
    core.watch_registers(0)
    core.catch_traps(exceptions=False, interrupts=False)
    core.set_gates(())


def arm(walker: Walker, limit: int, rng: random.Random) -> None:
    """Let decoded code tell when it is run again."""
    walker.machine.core.take_run()


def switch_tiers(walker: Walker, limit: int, rng: random.Random) -> None:
    """Run what comes without compiled regions or without blocks, or with them again."""
    core = walker.machine.core
    if rng.random() < 0.5:
        core.supply.suspended = not core.supply.suspended
    else:
        core.blocks = not core.blocks


def single_steps(walker: Walker, limit: int, rng: random.Random) -> None:
    """Take some steps one by one, settling more than once."""
    machine = walker.machine
    for icount in range(machine.icount, min(machine.icount + FEW, limit) + 1):
        machine.run(icount)
        machine.run(icount)


def _somewhere(walker: Walker, limit: int, rng: random.Random) -> int:
    return min(walker.machine.icount + rng.randrange(STRETCH), limit)


HARMLESS: list[Operation] = [look, drop_caches, snapshot, log_steps, watch, arm, switch_tiers, single_steps]
"""Operations in the same machine."""
