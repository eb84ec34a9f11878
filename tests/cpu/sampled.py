"""Guests, and what the kernel shows of their runs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rrdbg_core.cpu.core import Core
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
RAM = 0x8000_0000
PAGE = 4096
WINDOW, BETWEEN = 64, 1 << 16

Words = npt.NDArray[np.uint64]


@dataclass
class Sampled:
    """What the kernel shows of a run, and more of it to judge by."""

    windows: list[list[int]] = field(default_factory=list)
    """pcs of the steps of each window."""
    stretches: list[list[int]] = field(default_factory=list)
    """pcs of longer stretches of the run."""
    pages: dict[int, bytes] = field(default_factory=dict)
    """Code, as it is at the end."""


def sample(guest: str, steps: int, *, stretches: int = 8, length: int = 50_000) -> Sampled:
    """Run a guest for some steps, looking at a window every 2^16 or so."""
    config = MachineConfig(images=(ImageRef(kind="elf", digest="image", name=guest),))
    machine = Machine(config, {"image": (GUESTS / f"{guest}.elf").read_bytes()}, ReplaySource([], FOREVER))
    rng = random.Random(7)
    looks = [(at + rng.randrange(8192), WINDOW, 0) for at in range(BETWEEN // 2, steps, BETWEEN)]
    looks += [(steps * (2 * i + 1) // (2 * stretches), length, 1) for i in range(stretches)]
    result = Sampled()
    for at, count, kind in sorted(looks):
        if machine.icount > at:
            continue
        if machine.run(at) is not StopReason.LIMIT:
            break
        pcs = log(machine.core, machine, count)
        (result.stretches if kind else result.windows).append(pcs)
    seen = {pc // PAGE * PAGE for pcs in (*result.windows, *result.stretches) for pc in pcs}
    for page in seen:
        result.pages[page] = machine.memory.ram[page - RAM : page - RAM + PAGE].tobytes()
    return result


def log(core: Core, machine: Machine, count: int) -> list[int]:
    """Run some steps and return their pcs."""
    rows: list[Words] = []
    core.log_steps(4096, lambda block: rows.append(block[:, 1]))
    machine.run(machine.icount + count)
    core.log_steps(0, None)
    return np.concatenate(rows).tolist() if rows else []
