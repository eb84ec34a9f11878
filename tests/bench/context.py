"""What every part of the benchmarks is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.host import Cores
from tests.bench.progress import Progress


@dataclass(slots=True)
class Context:
    """How to measure, and whom to tell."""

    runs: int
    """Runs of everything."""
    quick: bool
    """A first look: fewer samples where there are many."""
    kernels: tuple[str, ...] | None
    """The kernels that were asked for; None: each part has its own."""
    clock: str
    """"cpu": time of the processes that do the work; "wall": time that passes."""
    cores: Cores
    """Where things run."""
    folder: Path
    """A folder that nobody else has, for caches and traces."""
    qemu: bool
    """Whether QEMU is measured too."""
    progress: Progress
    """Told what comes next."""
    problems: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the processes that are measured: caches of their own, the kernel compiled already.

        As the program does, without numpy's threads.
        """
        return {"RRDBG_CACHE": str(self.folder / "cache"), "OPENBLAS_NUM_THREADS": "1"}

    def forget_regions(self) -> None:
        """Drop the compiled regions on disk, so that the next process starts without."""
        shutil.rmtree(self.folder / "cache" / "regions", ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the benchmarks."""

    name: str
    """As it is called on the command line."""
    title: str
    """What it measures, in a few words."""
    work: Callable[[Context], float]
    """Seconds that it is expected to take."""
    measure: Callable[[Context], Iterable[Figure]]
    """Does it."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Explanations that go below its table."""
