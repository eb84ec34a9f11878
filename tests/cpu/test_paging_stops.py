"""Stops behind page tables: kernel and reference stop at the same steps, for the same reason, in the same state.

Page walks write the bits A and D, which watches see; and a breakpoint at the first instruction of a page comes before
the bit A of that page.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.stops import Hit, Watch, WatchKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource

from tests.session.history import config_for
from tests.session.paged import DATA, MACHINE, PAGE, USER_CODE, leaf_table_of, paged

LIMIT = 700
PTES = [leaf_table_of(p) + 8 * n for p in (0, 1) for n in (USER_CODE >> 12, 0x10, 0x11, 0x20, 0x21)]
KINDS = (WatchKind.READ, WatchKind.WRITE, WatchKind.ACCESS, WatchKind.CHANGE)


def machine(elf: bytes, core: type[Core]) -> Machine:
    config, images = config_for(elf, **MACHINE)
    return Machine(config, images, ReplaySource([], FOREVER), core=core(config.ram_bytes))


def places(elf: bytes) -> list[int]:
    """Return where the guest comes by."""
    guest = machine(elf, ReferenceCore)
    rows: list[int] = []
    guest.core.log_steps(64, lambda block: rows.extend(block[:, 1].tolist()))
    guest.run(LIMIT)
    return rows


def stop_of(guest: Machine) -> tuple[StopReason, int, Hit | None]:
    reason = guest.run(LIMIT)
    return reason, guest.icount, guest.core.hit if reason is StopReason.WATCHPOINT else None


@pytest.mark.parametrize("seed", range(16))
def test_kernel_and_reference_stop_alike(seed: int) -> None:
    rng = random.Random(seed)
    elf = paged(seed).elf
    guests = machine(elf, Core), machine(elf, ReferenceCore)
    straight = machine(elf, ReferenceCore)
    known = places(elf)
    watches = []
    for _ in range(rng.randrange(4)):
        address = rng.choice(PTES) if rng.random() < 0.6 else DATA + rng.choice((0, PAGE)) + rng.randrange(64)
        watches.append(Watch(address, rng.choice((1, 2, 8, 16)), rng.choice(KINDS)))
    breaks = [USER_CODE, *rng.sample(known, 3)]
    for guest in guests:
        guest.core.set_watches(watches)
        guest.core.set_breakpoints(breaks)
    stops = 0
    while True:
        (reason, here, hit), other = stop_of(guests[0]), stop_of(guests[1])
        assert (reason, here, hit) == other, (seed, watches, breaks)
        assert guests[0].digest() == guests[1].digest()
        straight.run(here)
        # the stop has changed nothing: a breakpoint's page is not fetched from before its step
        assert guests[0].differences(guests[0].save(), straight.save()) == [], (seed, here, reason)
        if reason not in (StopReason.BREAKPOINT, StopReason.WATCHPOINT):
            break
        stops += 1
        for guest in guests:
            guest.core.skip_break_once()
    assert stops > 3


def test_walks_that_write_are_seen() -> None:
    """Of all steps in which a page walk sets a bit, a watch on the page tables misses none."""
    seen = 0
    for seed in range(8):
        elf = paged(seed).elf
        watched, plain = machine(elf, Core), machine(elf, ReferenceCore)
        watched.core.set_watches([Watch(leaf_table_of(p), PAGE, WatchKind.CHANGE) for p in (0, 1)])
        expected = []
        before = tables(plain)
        while plain.run(plain.icount + 1) is StopReason.LIMIT and plain.icount <= LIMIT:
            now = tables(plain)
            if not np.array_equal(now, before):
                expected.append(plain.icount)
            before = now
        found = []
        while watched.run(LIMIT) is StopReason.WATCHPOINT:
            found.append(watched.icount)
        assert found == [at for at in expected if at <= LIMIT]
        seen += len(found)
        assert int(watched.core.mach[L.ALONE]) == 0
    assert seen > 40


def tables(guest: Machine) -> np.ndarray:
    return np.concatenate([np.frombuffer(guest.memory.read(leaf_table_of(p), PAGE), np.uint8) for p in (0, 1)])
