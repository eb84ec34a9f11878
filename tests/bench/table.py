"""Reports as text: one table of subjects for each part that has them, one list of figures, the host, the problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.bench.compare import Change, Verdict
from tests.bench.context import Part
from tests.bench.figures import Figure, Report

NAME_WIDTH = 52
CELL_WIDTH = 10


def number(value: float) -> str:
    """Return a value with three digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.{2 if abs(value) >= 1 else 3}f}"


def spread(figure: Figure) -> str:
    """Return how far the quartiles lie from the value, in percent; nothing for a single sample."""
    if len(figure.samples) < 2 or not figure.value:
        return ""
    lower, upper = figure.spread
    return f"±{max(figure.value - lower, upper - figure.value) / abs(figure.value):.0%}"


def heading(report: Report) -> Iterator[str]:
    """Return what was measured on what."""
    host = report.host
    pinned = host["pinned"]
    packages = ", ".join(f"{name} {version}" for name, version in host["packages"].items())
    place = (
        f"core {pinned['guest']}, helpers on core {pinned['helper']}" if pinned["guest"] is not None else "not pinned"
    )
    yield f"{host['cpu']}, {host['cores']} cores; {place}; governor {host['governor'] or 'unknown'}; {host['system']}"
    yield f"Python {host['python']}; {packages}; revision {host['revision']}"
    yield host["qemu"] or "QEMU IS MISSING: only rrdbg is measured"
    loads = [host["load_before"], host.get("load_after")]
    yield f"{CLOCKS[host['clock']]}; load before and after: {', '.join(map(str, filter(None, loads)))}"


CLOCKS = {"cpu": "CPU time, user and system, of the process that runs the guest", "wall": "time that passed"}


def part_rows(part: Part, figures: Sequence[Figure]) -> Iterator[str]:
    """Return the tables of a part."""
    yield ""
    yield f"{part.name}: {part.title}"
    yield from matrices([figure for figure in figures if figure.subject])
    rows = [figure for figure in figures if not figure.subject]
    if rows:
        if len(rows) < len(figures):
            yield ""
        yield f"{'':<{NAME_WIDTH}} {'min':>9} {'value':>9} {'max':>9}"
        yield from map(row, rows)
    for name, text in part.extra.items():
        yield f"  {name}: {text}"
    yield from (f"  note: {note}" for note in dict.fromkeys(figure.note for figure in figures if figure.note))


def matrices(figures: Sequence[Figure]) -> Iterator[str]:
    """Return a table for each of the units that most figures have, and one for the others."""
    units = list(dict.fromkeys(figure.unit for figure in figures))
    counts = {unit: len({figure.name for figure in figures if figure.unit == unit}) for unit in units}
    common = [unit for unit in units if counts[unit] > 4]
    for unit in common:
        yield from matrix([figure for figure in figures if figure.unit == unit], unit)
    yield from matrix([figure for figure in figures if figure.unit not in common], "")


def matrix(figures: Sequence[Figure], unit: str) -> Iterator[str]:
    """Return a table of subjects by names, each value with its spread; without a unit of all, each name has its own."""
    if not figures:
        return
    yield ""
    names = list(dict.fromkeys(figure.name for figure in figures))
    titles = {figure.name: figure.name if unit else f"{figure.name} {figure.unit}" for figure in figures}
    cells = {(figure.subject, figure.name): (number(figure.value), spread(figure)) for figure in figures}
    subjects = list(dict.fromkeys(figure.subject for figure in figures))
    wide = max(len(text) for text in (unit, *subjects))
    widths = [max(len(titles[name]), CELL_WIDTH) for name in names]
    yield "  ".join([f"{unit:<{wide}}", *(f"{titles[n]:>{width}}" for n, width in zip(names, widths, strict=True))])
    for subject in subjects:
        texts = []
        for name, width in zip(names, widths, strict=True):
            value, around = cells.get((subject, name), ("-", ""))
            texts.append(f"{f'{value} {around:<4}':>{width}}")
        yield "  ".join([f"{subject:<{wide}}", *texts]).rstrip()


def row(figure: Figure) -> str:
    """Return one line: name, least, what it is judged by, most, goal."""
    low, value, high = (number(x) for x in (min(figure.samples), figure.value, max(figure.samples)))
    name = figure.name if figure.statistic == "median" or figure.informative else f"{figure.name}, {figure.statistic}"
    goal = ""
    if figure.goal is not None:
        words = "at least" if figure.better == "higher" else "at most"
        goal = f"{words} {number(figure.goal)}: {'ok' if figure.met else 'MISSED'}"
    return f"{name:<{NAME_WIDTH}} {low:>9} {value:>9} {high:>9} {figure.unit:<6} {goal}".rstrip()


def comparison(changes: Iterable[Change], then: dict[str, Any]) -> Iterator[str]:
    """Return what has changed beyond noise, the worst first, and how many figures have not."""
    changes = list(changes)
    yield ""
    yield f"compared with {then.get('revision')} of {then.get('started')} (factors above 1 are better)"
    told = [change for change in changes if change.verdict in (Verdict.WORSE, Verdict.BETTER, Verdict.UNSURE)]
    for change in sorted(told, key=lambda change: (change.verdict.name != "WORSE", change.factor or 0)):
        assert change.then is not None
        figure = change.now
        name = " ".join(filter(None, (figure.part, figure.subject, figure.name)))
        factor = f"x{change.factor:.2f}" if change.factor else ""
        values = f"{number(change.then.value):>9} -> {number(figure.value):>9} {figure.unit:<6}"
        yield f"  {change.verdict.value:<7} {name:<{NAME_WIDTH}} {values} {factor}"
    for verdict in Verdict:
        count = sum(change.verdict is verdict for change in changes)
        if count and verdict not in (Verdict.WORSE, Verdict.BETTER, Verdict.INFORMATIVE):
            yield f"  {count} {_COUNTED[verdict]}"


_COUNTED = {
    Verdict.SAME: "are the same",
    Verdict.UNSURE: "differ, but too little or in too few runs to tell it from noise",
    Verdict.ELSEWHERE: "were measured on another machine, and are no ratios",
    Verdict.NEW: "were not measured then",
}
