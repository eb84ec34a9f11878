"""`make bench`: measure on pinned cores beside QEMU, print tables, keep them as JSON, compare with an earlier run."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import host, table
from tests.bench.compare import Verdict, compared
from tests.bench.context import Context, Part
from tests.bench.figures import BadReport, Figure, Report, load
from tests.bench.host import Failed
from tests.bench.kernels import kernel, manifest
from tests.bench.linux import LINUX
from tests.bench.progress import Progress
from tests.bench.speed import SPEED
from tests.bench.startup import STARTUP
from tests.bench.travel import LONG, TRAVEL

PARTS = {part.name: part for part in (STARTUP, SPEED, TRAVEL, LONG, LINUX)}
WARM_UP_S = 12.0
NO_QEMU = "QEMU IS MISSING: only rrdbg is measured, without ratios (Debian: apt-get install qemu-system-misc)"
EPILOG = "exit codes: 0 measured; 1 with --strict, a goal was missed or something has become worse; 2 something failed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks."""
    parser = build_parser()
    args = parser.parse_args(arguments)
    unknown = [name for name in args.parts if name not in PARTS]
    kernels = [name for name in args.kernels.split(",") if name]
    unknown += [name for name in kernels if name not in manifest() and f"bench/{name}" not in manifest()]
    if unknown:
        parser.error(f"there is no part or kernel {', '.join(unknown)}")
    try:
        then = load(Path(args.compare)) if args.compare else None
    except BadReport as error:
        parser.error(str(error))
    where = host.cores(args.core, args.core if args.one_core else args.helper_core)
    with tempfile.TemporaryDirectory(prefix="rrdbg-bench-") as folder:
        context = Context(
            runs=args.runs or (1 if args.quick else 5),
            quick=args.quick,
            kernels=tuple(kernel(name).name for name in kernels) or None,
            clock=args.clock,
            cores=where,
            folder=Path(folder),
            qemu=host.qemu() is not None and not args.no_qemu,
            progress=Progress(),
        )
        report = run([PARTS[name] for name in args.parts or PARTS], context, show=not args.json)
    if args.save:
        report.save(Path(args.save))
    changes = compared(report, then) if then is not None else []
    if args.json:
        print(json.dumps(report.as_json(), indent=1))
    elif then is not None:
        print(*table.comparison(changes, then.host), sep="\n")
    if report.problems:
        return 2
    worse = any(change.verdict is Verdict.WORSE for change in changes)
    missed = any(figure.met is False for figure in report.figures)
    return int(args.strict and (worse or missed))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__, epilog=EPILOG)
    parts = "; ".join(f"{part.name}: {part.title}" for part in PARTS.values())
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"what to measure (all). {parts}")
    add("--kernels", default="", metavar="A,B", help="the guests to measure with")
    add("--runs", type=_runs, metavar="N", help="runs of each (5)")
    add("--quick", action="store_true", help="a first look: one run, six kernels; nothing to judge by")
    add("--clock", choices=("cpu", "wall"), default="cpu", help="time of the measured process, or that passes (cpu)")
    add("--core", type=int, metavar="N", help="core of what is measured (the last)")
    add("--helper-core", type=int, metavar="N", help="core of the processes that it starts (the first)")
    add("--one-core", action="store_true", help="these share its core")
    add("--no-qemu", action="store_true", help="rrdbg alone")
    add("--json", action="store_true", help="the report on stdout as JSON, instead of tables")
    add("--save", metavar="FILE", help="write the report to a file, as JSON")
    add("--compare", metavar="FILE", help="show what has changed beyond noise since a report was saved")
    add("--strict", action="store_true", help="exit with 1 if a goal was missed or something has become worse")
    return parser


def _runs(text: str) -> int:
    if not text.isdecimal() or text == "0":
        raise argparse.ArgumentTypeError(f"{text} is no number of runs")
    return int(text)


def run(parts: Sequence[Part], context: Context, *, show: bool) -> Report:
    """Measure parts one after another, and show each when it is done. What was measured before Ctrl-C stays."""
    report = Report(host.describe(context.cores, context.clock), _options(parts, context), problems=context.problems)
    if show:
        print(*table.heading(report), sep="\n", flush=True)
    if not host.qemu():
        print(NO_QEMU, file=sys.stderr)
    context.progress.total = WARM_UP_S + sum(part.work(context) for part in parts)
    with context.cores.aside():
        try:
            context.progress.begin("compiling the guest CPU", WARM_UP_S)
            command = [sys.executable, "-m", "tests.bench.guest", "plain", str(manifest()["hello"].elf)]
            host.run(command, context.cores, env=context.environment)
            for part in parts:
                _measure(part, context, report, show)
        except Failed as error:
            context.problems.append(str(error))
        except KeyboardInterrupt:
            context.problems.append("interrupted")
    report.host["load_after"] = host.load()
    context.progress.clear()
    if show:
        print(f"\nload afterwards: {report.host['load_after']}")
    for problem in context.problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return report


def _measure(part: Part, context: Context, report: Report, show: bool) -> None:
    figures: list[Figure] = []
    try:
        for figure in part.measure(context):
            figures.append(figure)
    except Failed as error:
        context.problems.append(f"{part.name}: {error}")
    finally:
        report.figures += figures
        context.progress.clear()
        if show:
            print(*table.part_rows(part, figures), sep="\n", flush=True)


def _options(parts: Sequence[Part], context: Context) -> dict[str, object]:
    names = [part.name for part in parts]
    kernels = list(context.kernels) if context.kernels else None
    return {"parts": names, "kernels": kernels, "runs": context.runs, "quick": context.quick, "qemu": context.qemu}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was measured stays, no process is left
    sys.exit(main())
