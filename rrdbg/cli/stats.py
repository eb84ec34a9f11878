"""`rrdbg stats`: what running the guest of a trace does and costs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rrdbg.cli.terminal import count, duration, size
from rrdbg.symbols.escape import harmless

if TYPE_CHECKING:
    from rrdbg_core.machine.stats import Cost, DeviceStats
    from rrdbg_core.replay.stats import RunStats

DESCRIPTION = """\
Replay a trace from its start, compared with the recording as it goes, and say what that did and cost: speed, compiled
regions, why the guest CPU was left, devices, snapshots and digests. `rrdbg record --stats` says it of a recording."""

EPILOG = """\
examples:
  rrdbg stats run.rrt
  rrdbg stats run.rrt --to 50%
  RRDBG_TIER2=0 rrdbg stats run.rrt --json"""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "stats", help="say what replaying a trace does and costs", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file")
    parser.add_argument(
        "--to", default="end", metavar="P", help="position to end at: 1_000, 50%%, 2.5ms, @bookmark, #event (end)"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Replay, and print what it did."""
    from rrdbg_core.cpu import build
    from rrdbg_core.replay.replayer import Replayer
    from rrdbg_core.trace.reader import Trace

    from rrdbg.cli.events import position_in
    from rrdbg.cli.info import say_damage
    from rrdbg.cli.terminal import Compiling, ProgressLine

    with Trace.open(args.trace) as trace:
        until = max(position_in(trace, args.to), trace.start_icount)
        with Compiling() as compiling:
            build.load(compiling.start)
        start = trace.start_icount
        replayer = Replayer(trace)
        with ProgressLine("replaying") as line:
            replayer.poll = lambda icount: line.update(icount - start, until - start, "steps")
            replayer.advance(until)
        stats = replayer.stats()
        print(json.dumps(values(stats), indent=2) if args.json else "\n".join(lines(stats)))
        return say_damage(trace)


def values(stats: RunStats) -> dict[str, Any]:
    """Return it as values that JSON can hold; docs/stats.md has the fields."""
    from dataclasses import asdict

    run: dict[str, Any] = asdict(stats)
    machine, written = run.pop("machine"), run.pop("written")
    shares = {"region_share": stats.machine.region_share, "block_share": stats.machine.block_share}
    derived = {"mips": round(stats.machine.mips, 1), **{name: round(share, 4) for name, share in shares.items()}}
    return {**derived, **machine, "costs": run, "written": written}


def lines(stats: RunStats) -> list[str]:
    """Return it for people."""
    machine, regions = stats.machine, stats.machine.regions
    exits = sorted(machine.exits.items(), key=lambda item: -item[1])
    rows = [
        (
            "run",
            f"{count(machine.steps)} steps in {_seconds(machine.host_ns)}, {_seconds(machine.cpu_ns)} of it CPU time: "
            f"{machine.mips:.1f} MIPS",
        ),
        (
            "steps",
            f"{machine.region_share:.1%} in compiled regions, {machine.block_share:.1%} in blocks, "
            f"{1 - machine.region_share - machine.block_share:.1%} interpreted",
        ),
        (
            "regions",
            f"{count(regions.stored)} from the disk, {count(regions.compiled)} compiled in "
            f"{_seconds(regions.compiler_ns)} beside the run, {count(regions.refused)} refused",
        ),
        (
            "",
            f"{count(regions.linked)} linked, {count(regions.evicted)} evicted, {count(regions.installed)} in use; "
            f"entered {_times(regions.visits)}, left for a step {_times(regions.leaves)} "
            f"({count(regions.misses)} TLB misses)",
        ),
        ("exits", _counted(exits)),
        (
            "caches",
            f"{count(machine.tlb_misses)} TLB misses ({count(machine.tlb_resolved)} resolved in regions), "
            f"{count(machine.fetch_misses)} of fetches",
        ),
        (
            "",
            f"{count(machine.decoded)} instructions decoded, {count(machine.blocks)} blocks made, code forgotten "
            f"{_times(machine.flushes)}",
        ),
        ("events", f"{count(machine.events)}; idle time skipped {_times(machine.warps)}"),
    ]
    text = [f"{label:<10}{harmless(row)}".rstrip() for label, row in rows]
    costs = [
        ("snapshots", stats.snapshots),
        ("digests", stats.digests),
        ("check words", stats.check_words),
        ("indices", stats.indices),
        ("flushes", stats.flushes),
    ]
    total_ns = machine.host_ns
    text += ["", *_table(("device", "accesses", "events", "deadlines", "time"), _devices(machine.devices, total_ns))]
    text += ["", *_table(("cost", "count", "time"), _costs(costs, total_ns))]
    if stats.written:
        written = sorted(stats.written.items(), key=lambda item: -item[1])
        text += ["", "written   " + ", ".join(f"{size(n)} {kind}" for kind, n in written)]
    return text


def _devices(devices: Iterable[DeviceStats], total_ns: int) -> list[tuple[str, ...]]:
    return [
        (
            harmless(device.name),
            *(count(cost.count) for cost in (device.accesses, device.events, device.deadlines)),
            _time(device.ns, total_ns),
        )
        for device in devices
        if device.accesses.count or device.events.count or device.deadlines.count
    ]


def _costs(costs: Iterable[tuple[str, Cost]], total_ns: int) -> list[tuple[str, ...]]:
    return [(name, count(cost.count), _time(cost.ns, total_ns)) for name, cost in costs if cost.count]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows in columns: the first one to the left, all others to the right."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in cells)
        for cells in (enumerate(zip(row, widths, strict=True)) for row in table)
    ]


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count(n)} {name.replace('_', ' ')}" for name, n in counts if n) or "none"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{count(n)} times"


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.2f} s" if ns < 10**10 else duration(ns / 1e9)


def _time(ns: int, total_ns: int) -> str:
    """Return a host time, and its share of the run's."""
    share = f" {ns / total_ns:6.1%}" if total_ns else ""
    return f"{ns / 1e6:.1f} ms{share}"
