"""A boot of Debian's Linux to power-off, recorded and replayed beside QEMU: same kernel, initramfs, command line.

Nothing of it is in the repository: guests/linux/fetch.py gets it from a mirror of Debian, once. The program that the
guest runs is busybox without a name of what it should do, which says what it could.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import rrdbg
from tests.bench.context import Context, Part
from tests.bench.figures import Figure
from tests.bench.host import EVERY, ROOT, Failed, qemu, run
from tests.bench.speed import child

PART = "linux"
INTO = ROOT / "guests" / "linux" / "build"
RRDBG = [sys.executable, "-m", "rrdbg"]
MEMORY, APPEND, ENDED = "256M", "console=ttyS0", b"reboot: Power down"
MOTIONS = 200


def work(context: Context) -> float:
    """Return the seconds that it is expected to take."""
    return 30.0 + context.runs * (60.0 if context.qemu else 25.0)


def measure(context: Context) -> Iterator[Figure]:
    """Measure boots in turns, then motions in the last recording."""
    _fetch(context)
    trace, log = context.folder / "linux.rrt", context.folder / "linux.log"
    ours = ["--kernel", INTO / "Image", "--initrd", INTO / "initramfs.cpio.gz", "--append", APPEND, "--memory", MEMORY]
    record = [*RRDBG, "record", *map(str, ours), "--no-input", "-f", "-o", str(trace)]
    turns = {"record": record, "record warm": record, "replay": [*RRDBG, "verify", str(trace)]}
    if context.qemu:
        theirs = ["-M", "virt", "-m", MEMORY, "-nographic", "-nic", "none", "-kernel", str(INTO / "Image")]
        theirs += ["-initrd", str(INTO / "initramfs.cpio.gz"), "-append", APPEND]
        for mode in ("record", "replay"):
            counting = f"shift=0,sleep=off,rr={mode},rrfile={log}"
            turns[f"qemu {mode}"] = [qemu() or "qemu-system-riscv64", *theirs, "-icount", counting]
    took: dict[str, list[float]] = defaultdict(list)
    for number in range(context.runs):
        for mode, command in turns.items():
            context.progress.begin(f"linux: {mode}, run {number + 1} of {context.runs}", 10.0)
            if mode == "record":
                context.forget_regions()
            cost = run(command, EVERY, env=context.environment)
            if mode != "replay" and ENDED not in cost.stdout:
                raise Failed(f"linux: {mode} did not power off; it printed {cost.stdout[-200:]!r}")
            took[mode].append(cost.wall)
    for mode, seconds in took.items():
        yield Figure(PART, mode, "s", tuple(seconds), note="wall time, all cores")
    for mode, other, goal in (
        ("record", "qemu record", 2.0),
        ("record warm", "qemu record", 1.0),
        ("replay", "qemu replay", 0.8),
    ):
        if other in took:
            ratios = tuple(mine / theirs for mine, theirs in zip(took[mode], took[other], strict=True))
            yield Figure(PART, f"{mode}/{other}", "ratio", ratios, goal=goal, relative=True)
    with rrdbg.open(trace) as session:
        steps = session.info().end
    yield Figure(PART, "steps", "M", (steps / 1e6,), informative=True)
    yield Figure(PART, "trace", "MB", (trace.stat().st_size / 1e6,), goal=100)
    context.progress.begin(f"linux: {MOTIONS} goto, {MOTIONS} reverse-stepi", 30.0)
    tour = child(context, "tests.bench.travel", "tour", "wall", str(trace), str(MOTIONS), "0", where=EVERY)
    yield Figure(PART, "goto", "s", tuple(tour["goto"]), statistic="p95", goal=0.2)
    yield Figure(PART, "reverse-stepi", "s", tuple(tour["stepi"]), statistic="p95", goal=0.01)


def _fetch(context: Context) -> None:
    context.progress.begin("linux: fetching Debian's kernel", 20.0)
    script = [sys.executable, str(ROOT / "guests" / "linux" / "fetch.py"), "--into", str(INTO)]
    if not (INTO / "versions.json").exists():
        run(script, context.cores)
    busybox = next((path for path in (INTO / "files").glob("**/bin/busybox") if path.is_file()), Path("busybox"))
    run([*script, "--offline", "--program", str(busybox)], context.cores)


LINUX = Part(PART, "a boot of Linux", work, measure)
