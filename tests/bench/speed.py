"""Steps per second on the compute kernels: plain runs, recording and replaying, beside QEMU in turn."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.bench import qemu
from tests.bench.context import Context, Part
from tests.bench.figures import Better, Figure
from tests.bench.host import Cores, Failed, run
from tests.bench.kernels import KERNELS, QUICK, Kernel, kernel, manifest

PART = "kernels"
OURS, THEIRS = ["plain", "record", "record warm", "cold", "warm"], ["plain", "icount", "record", "replay"]
# by turns, so that both see the same minutes of the host
TURNS = ("plain", "qemu plain", "record", "qemu record", "record warm", "qemu icount", "cold", "qemu replay", "warm")
RATIOS = {
    "plain/qemu": ("plain", "qemu plain"),
    "plain/icount": ("plain", "qemu icount"),
    "record/qemu": ("record", "qemu record"),
    "record warm/qemu": ("record warm", "qemu record"),
    "cold/qemu": ("cold", "qemu replay"),
    "warm/qemu": ("warm", "qemu replay"),
}
"""Speed of the first over that of the second, run by run."""
GOALS = {"plain/qemu": (1.0, None), "record/qemu": (2.0, 1.0), "warm/qemu": (2.0, 1.0)}
"""What the median of the kernels has to reach, and the worst of them."""
SECONDS = {"plain": 3.0, "record": 3.5, "record warm": 3.0, "cold": 4.0, "warm": 4.0, "qemu plain": 1.5}
"""What a run is expected to take; 2.5 s unless named."""
STARTS = 3
"""Starts of QEMU in each mode; what the fastest takes is taken off its runs."""
SMALLEST = "hello"
"""A guest that does nothing: what it takes is start-up."""


def chosen(context: Context) -> tuple[str, ...]:
    """Return the kernels to measure."""
    return context.kernels or (QUICK if context.quick else KERNELS)


def turns(context: Context) -> tuple[str, ...]:
    """Return what is measured in one round."""
    return tuple(turn for turn in TURNS if context.qemu or not turn.startswith("qemu"))


def work(context: Context) -> float:
    """Return the seconds that it is expected to take."""
    return len(chosen(context)) * context.runs * sum(SECONDS.get(turn, 2.5) for turn in turns(context))


def measure(context: Context) -> Iterator[Figure]:
    """Measure all kernels; summaries over them come last."""
    bench = Bench(context)
    values: dict[str, list[float]] = defaultdict(list)
    for name in chosen(context):
        for figure in bench.kernel(kernel(name)):
            values[figure.name].append(figure.value)
            yield figure
    yield from summaries(values)


class Bench:
    """Runs kernels in turn."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._log, self._trace = context.folder / "qemu.log", context.folder / "kernel.rrt"
        self._starts = {mode: self._start(mode) for mode in THEIRS} if context.qemu else {}

    def _start(self, mode: str) -> float:
        """Return what QEMU takes for a guest that does nothing."""
        guest = manifest()[SMALLEST]
        costs = []
        for _ in range(STARTS):
            started = qemu.measure(mode, guest.elf, self._log, self._context.cores, guest.output_sha256)
            costs.append(started.cost.seconds(self._context.clock))
        return min(costs)

    def kernel(self, guest: Kernel) -> Iterable[Figure]:
        """Measure one kernel in all ways, `runs` times."""
        context = self._context
        samples: dict[str, list[float | None]] = defaultdict(list)
        extra: dict[str, list[float]] = defaultdict(list)
        notes: dict[str, str] = {}
        broken: set[str] = set()
        for number in range(context.runs):
            shift = ""
            for turn in turns(context):
                context.progress.begin(
                    f"{guest.name}: {turn}, run {number + 1} of {context.runs}", SECONDS.get(turn, 2.5)
                )
                if turn in broken:
                    continue
                try:
                    if turn.startswith("qemu"):
                        mips, shift = self._theirs(turn.removeprefix("qemu "), guest, shift)
                        if shift == qemu.SHIFTS[1]:
                            notes[turn] = f"{guest.name}: QEMU aborts with {qemu.SHIFTS[0]} here; {turn}: {shift}"
                    else:
                        mips = self._ours(turn, guest, extra)
                except Failed as error:
                    broken.add(turn)
                    context.problems.append(f"{guest.name}: {turn}: {error}")
                    mips = None
                samples[turn].append(mips)
        self._trace.unlink(missing_ok=True)
        return figures(guest.name, samples, extra, notes)

    def _ours(self, mode: str, guest: Kernel, extra: dict[str, list[float]]) -> float:
        """Run a kernel on rrdbg and return MIPS."""
        context = self._context
        if not mode.endswith("warm"):
            context.forget_regions()
        if mode.startswith("record"):
            self._trace.unlink(missing_ok=True)
        arguments = {
            "plain": ["plain", str(guest.elf)],
            "record": ["record", str(guest.elf), str(self._trace)],
            "record warm": ["record", str(guest.elf), str(self._trace)],
            "cold": ["replay", str(self._trace)],
            "warm": ["replay", str(self._trace)],
        }[mode]
        answer = child(context, "tests.bench.guest", *arguments)
        found = answer["steps"], answer["exit_code"], answer["output"]
        if found != (guest.steps, 0, guest.output_sha256):
            raise Failed(f"steps, exit code and output are {found}")
        extra[f"helper {mode}"].append(answer["helper_cpu"])
        extra[f"memory {mode}"].append(answer["peak_bytes"] / 1e6)
        if mode == "record":
            extra["trace"].append(answer["trace_bytes"] / guest.steps * 1e3)
        seconds: float = answer[context.clock]
        return guest.steps / seconds / 1e6

    def _theirs(self, mode: str, guest: Kernel, shift: str) -> tuple[float, str]:
        """Run a kernel on QEMU and return MIPS, without its start-up, and how time was counted."""
        if mode == "replay" and not shift:
            raise Failed("there is no recording")
        shift = shift if mode == "replay" else ""
        done = qemu.measure(mode, guest.elf, self._log, self._context.cores, guest.output_sha256, shift)
        seconds = done.cost.seconds(self._context.clock) - self._starts[mode]
        return guest.steps / max(seconds, 1e-3) / 1e6, done.shift


def child(context: Context, module: str, *arguments: str, where: Cores | None = None) -> dict[str, Any]:
    """Run a module in a process of its own, on the guest's core or somewhere else, and return the JSON it prints."""
    done = run([sys.executable, "-m", module, *arguments], where or context.cores, env=context.environment)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def figures(
    name: str, samples: dict[str, list[float | None]], extra: dict[str, list[float]], notes: dict[str, str]
) -> Iterator[Figure]:
    """Return what a kernel's runs come to."""

    def figure(what: str, unit: str, values: Iterable[float], better: Better, **more: Any) -> Iterator[Figure]:
        values = tuple(values)
        if values:
            yield Figure(PART, what, unit, values, better, subject=name, **more)

    for turn, values in samples.items():
        yield from figure(turn, "MIPS", (v for v in values if v is not None), "higher", note=notes.get(turn, ""))
    for ratio, (first, second) in RATIOS.items():
        pairs = zip(samples.get(first, ()), samples.get(second, ()), strict=False)
        both = [a / b for a, b in pairs if a is not None and b is not None]
        yield from figure(ratio, "ratio", both, "higher", relative=True)
    pairs = zip(samples.get("plain", ()), samples.get("record", ()), strict=False)
    costs = [plain / record for plain, record in pairs if plain is not None and record is not None]
    yield from figure("recording", "ratio", costs, "lower", relative=True)
    for mode in OURS:
        yield from figure(f"helper {mode}", "s", extra[f"helper {mode}"], "lower", informative=True)
    yield from figure("trace", "KB", extra["trace"], "lower", relative=True)
    yield from figure("memory", "MB", extra["memory record"], "lower")


def summaries(values: dict[str, list[float]]) -> Iterator[Figure]:
    """Return medians and extremes over the kernels."""

    def figure(what: str, name: str, unit: str, better: Better, statistic: str, goal: float | None) -> Figure:
        relative = unit == "ratio"
        return Figure(
            PART, what, unit, tuple(values[name]), better, statistic, goal, relative=relative, informative=True
        )

    for turn in TURNS:
        if values.get(turn):
            yield figure(f"{turn}, median of the kernels", turn, "MIPS", "higher", "median", None)
    for ratio in RATIOS:
        if values.get(ratio):
            median, worst = GOALS.get(ratio, (None, None))
            yield figure(f"{ratio}, median of the kernels", ratio, "ratio", "higher", "median", median)
            yield figure(f"{ratio}, lowest of the kernels", ratio, "ratio", "higher", "minimum", worst)
    if values.get("recording"):
        yield figure("time of recording / plain, median of the kernels", "recording", "ratio", "lower", "median", 1.10)


SPEED = Part(
    PART,
    "million steps per second on the compute kernels",
    work,
    measure,
    {
        "cold, warm": "replay without and with the regions that an earlier run has left on disk; so too `record warm`",
        "a/qemu": "speed over QEMU's in the same mode, run by run; plain/icount: over QEMU's counting instructions",
        "recording": "time of a recording over that of a plain run",
        "helper": "seconds of a core that processes took which rrdbg started",
        "trace": "its size per million steps; memory: the largest of the recording process",
    },
)
