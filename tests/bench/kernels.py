"""Speed of the interpreter and cost of recording, over the compute kernels, beside QEMU."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import FOREVER, ReplaySource
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import record
from rrdbg_core.trace.contents import image_digest

from tests.bench.measure import Figure, timed, wall

KERNELS = ("sort", "sha256", "sieve", "matrix", "interp", "strings")
"""Compute kernels, at least 1 G steps each."""
BIN = Path(__file__).resolve().parents[2] / "guests" / "bin"
QEMU = ["qemu-system-riscv64", "-M", "virt", "-bios", "none", "-nographic", "-icount", "shift=0,sleep=off", "-kernel"]


def machine_of(name: str) -> tuple[MachineConfig, dict[str, bytes]]:
    """Return a machine that runs a guest, and its images."""
    data = (BIN / f"{name}.elf").read_bytes()
    digest = image_digest(data)
    return MachineConfig(images=(ImageRef(kind="elf", digest=digest, name=name),)), {digest: data}


def plain(name: str) -> Callable[[], None]:
    """Return a call that runs a guest to its end without recording; RAM and kernel are ready before."""
    machine = Machine(*machine_of(name), ReplaySource([], FOREVER))
    return lambda: _to_the_end(machine)


def _to_the_end(machine: Machine) -> None:
    machine.run(FOREVER)
    assert machine.exit_code == 0


def interpreter(runs: int, say: Callable[[str], None]) -> list[Figure]:
    """Measure MIPS of plain runs, and of QEMU with the same rules of time."""
    figures: list[Figure] = []
    speeds, ratios = [], []
    qemu = shutil.which(QEMU[0])
    for name in KERNELS:
        mips, theirs = [], []
        for run in range(runs):
            say(f"{name}: run {run + 1} of {runs}")
            machine = Machine(*machine_of(name), ReplaySource([], FOREVER))
            seconds = timed(lambda machine=machine: _to_the_end(machine))  # type: ignore[misc]
            mips.append(machine.icount / seconds / 1e6)
            if qemu:
                theirs.append(machine.icount / wall([*QEMU, str(BIN / f"{name}.elf")]) / 1e6)
        mine = Figure(f"interpreter, {name}", "MIPS", tuple(mips))
        figures.append(mine)
        speeds.append(mine.median)
        if theirs:
            other = Figure(f"QEMU -icount shift=0,sleep=off, {name}", "MIPS", tuple(theirs))
            figures.append(other)
            ratios.append(mine.median / other.median)
    total = Figure("interpreter, median of the kernels", "MIPS", tuple(speeds), "at least 150")
    figures.append(_judged(total, total.median >= 150))
    if ratios:
        figures.append(Figure("interpreter / QEMU -icount", "ratio", tuple(ratios)))
    return figures


def recording(runs: int, say: Callable[[str], None]) -> list[Figure]:
    """Measure what recording with all defaults costs over a plain run, as pairs."""
    figures, medians = [], []
    for name in KERNELS:
        ratios = []
        for run in range(runs):
            say(f"recording {name}: run {run + 1} of {runs}")
            base = timed(plain(name))
            with tempfile.TemporaryDirectory() as folder:
                config, images = machine_of(name)
                result = record(config, images, LiveSource(config), Path(folder) / "bench.rrt")
                ratios.append(result.host_seconds / base)
        figure = Figure(f"recording / plain run, {name}", "ratio", tuple(ratios))
        figures.append(figure)
        medians.append(figure.median)
    total = Figure("recording / plain run, median of the kernels", "ratio", tuple(medians), "at most 1.10")
    return [*figures, _judged(total, total.median <= 1.10)]


def _judged(figure: Figure, met: bool) -> Figure:
    return Figure(figure.name, figure.unit, figure.samples, figure.goal, met)
