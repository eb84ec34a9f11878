"""How long a user waits before anything happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.bench import qemu
from tests.bench.context import Context, Part
from tests.bench.figures import Figure
from tests.bench.host import run
from tests.bench.kernels import manifest

PART = "startup"
RRDBG = [sys.executable, "-m", "rrdbg"]


def work(context: Context) -> float:
    """Return the seconds that it is expected to take."""
    return context.runs * 12.0


def measure(context: Context) -> Iterator[Figure]:
    """Measure the first ever start, a later one, and the help."""
    first: list[float] = []
    later: list[float] = []
    helped: list[float] = []
    theirs: list[float] = []
    kernel_bytes = 0
    hello = manifest()["hello"]
    for number in range(context.runs):
        context.progress.begin(f"starts: run {number + 1} of {context.runs}", 12.0)
        cache, trace = context.folder / f"cache-{number}", context.folder / "hello.rrt"
        # hello makes 8,920 steps: the whole process is an upper bound of the way to the first instruction
        command = [*RRDBG, "record", "guest:hello", "--no-input", "-q", "-f", "-o", str(trace)]
        for costs in (first, later):
            costs.append(run(command, context.cores, env={"RRDBG_CACHE": str(cache)}).seconds(context.clock))
        helped.append(run([*RRDBG, "--help"], context.cores).seconds(context.clock))
        kernel_bytes = sum(path.stat().st_size for path in (cache / "kernels").glob("*.o"))
        if context.qemu:
            log = context.folder / "qemu.log"
            done = qemu.measure("record", hello.elf, log, context.cores, hello.output_sha256)
            theirs.append(done.cost.seconds(context.clock))
    yield Figure(PART, "first ever start, compilation included", "s", tuple(first), goal=20)
    yield Figure(PART, "later start, a whole recording of hello", "s", tuple(later), goal=1)
    if theirs:
        yield Figure(PART, "the same with QEMU rr=record", "s", tuple(theirs))
    yield Figure(PART, "rrdbg --help", "s", tuple(helped), goal=0.25)
    yield Figure(PART, "compiled guest CPU on disk", "MB", (kernel_bytes / 1e6,))


STARTUP = Part(PART, "starts", work, measure)
