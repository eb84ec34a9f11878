"""Every state of a short run, recorded by single steps: what all clever ways of finding a state are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import is_fetchable, space_of, translate
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.steplog import Access, LogRow, parse_log_row
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.events import Event
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource
from rrdbg_core.trace import image_digest

Words = npt.NDArray[np.uint64]
RAM_BYTES = 1 << 16


@dataclass(repr=False)
class History:
    """A run, state by state."""

    config: MachineConfig
    images: dict[str, bytes]
    events: list[Event]
    harts: list[Words] = field(default_factory=list)
    """At each position."""
    machs: list[Words] = field(default_factory=list)
    """At each position."""
    rams: list[tuple[bytes, ...]] = field(default_factory=list)
    """Pages at each position; equal ones are the same object."""
    rows: list[Words] = field(default_factory=list)
    """Log row of each step."""
    steps: list[LogRow] = field(default_factory=list)
    """The same, readable."""
    console: list[tuple[int, bytes]] = field(default_factory=list)
    """First position at which output is visible, and the output."""
    exit_code: int | None = None

    @property
    def end(self) -> int:
        return len(self.steps)

    @property
    def cut(self) -> int | None:
        """Where a trace of the same guest has to end; None: where the guest does."""
        return self.end if self.exit_code is None else None

    def read(self, position: int, address: int, length: int) -> bytes:
        """Return memory at a position, as far as it is RAM."""
        start = address - RAM_BASE
        if start < 0 or length <= 0:
            return b""
        first, last = start // PAGE_BYTES, (start + length - 1) // PAGE_BYTES
        pages = self.rams[position][first : last + 1]
        inside = start - first * PAGE_BYTES
        return b"".join(pages)[inside : inside + length]

    def x(self, position: int, number: int) -> int:
        return int(self.harts[position][L.X + number]) if number else 0

    def pc(self, position: int) -> int:
        return int(self.harts[position][L.PC])

    def place(self, position: int) -> int | None:
        """Return the physical address of pc."""
        return translate(space_of(self.harts[position]), self.pc(position), partial(self.read, position))

    def user_satp(self, position: int) -> int | None:
        """Return satp without its ASID where U mode executes behind page tables."""
        hart = self.harts[position]
        satp = int(hart[L.SATP])
        return satp & ~(0xFFFF << 44) if satp >> 60 and int(hart[L.PRIV]) == L.PRIV_U else None

    def executes(self, position: int) -> bool:
        """Return whether an instruction is about to be executed: no interrupt comes first, and it can be fetched."""
        if position < self.end:
            return not self.interrupt(position) and self.steps[position].cause not in (1, 12)
        if self.config.privilege == "msu":
            return is_fetchable(self.harts[position], self.pc(position), partial(self.read, position))
        return len(self.read(position, self.pc(position), 2)) == 2

    def interrupt(self, step: int) -> bool:
        """Return whether a step takes an interrupt instead of an instruction."""
        cause = self.steps[step].cause
        return cause is not None and cause >> 63 == 1


def config_for(elf: bytes, *, ram_bytes: int = RAM_BYTES, **changes: object) -> tuple[MachineConfig, dict[str, bytes]]:
    """Return the machine for an image, and the image by digest."""
    ref = ImageRef(kind="elf", digest=image_digest(elf), name="test.elf")
    return MachineConfig(ram_bytes=ram_bytes, images=(ref,), **changes), {ref.digest: elf}  # type: ignore[arg-type]


def record(
    elf: bytes, events: Sequence[Event] = (), *, limit: int = 4000, core: type[Core] = ReferenceCore, **changes: object
) -> History:
    """Run a guest step by step and keep everything."""
    config, images = config_for(elf, **changes)
    machine = Machine(config, images, ReplaySource(events, FOREVER), core=core(config.ram_bytes))
    history = History(config, images, list(events))
    machine.on_console = lambda step, data: history.console.append((step + 1, data))
    machine.core.log_steps(1, lambda rows: history.rows.extend(row.copy() for row in rows))
    pages: dict[int, bytes] = {}
    while True:
        stop = machine.run(len(history.harts))
        if len(history.rows) < len(history.harts):
            break  # no step was made: the run has ended
        history.harts.append(machine.core.hart.copy())
        history.machs.append(machine.core.mach.copy())
        for number in range(machine.memory.pages):
            content = bytes(machine.memory.page(number))
            if pages.get(number) != content:
                pages[number] = content
        history.rams.append(tuple(pages[number] for number in range(machine.memory.pages)))
        if stop is not StopReason.LIMIT or len(history.harts) > limit:
            break
    history.steps = [parse_log_row(row) for row in history.rows]
    history.exit_code = machine.exit_code
    return history


def pieces_of(access: Access) -> list[tuple[int, int]]:
    """Return where an access went: physical addresses and bytes, in one piece or in two."""
    if access.last == access.place + access.size - 1:
        return [(access.place, access.size)]
    first = PAGE_BYTES - access.place % PAGE_BYTES
    return [(access.place, first), (access.last // PAGE_BYTES * PAGE_BYTES, access.size - first)]
