"""What is measured: figures, and the report of a run, which can be saved and read again."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from tests.bench.stats import STATISTICS, quartiles

SCHEMA = 1
"""Version of the file. A change of the meaning of anything in it is a new one."""
Better = Literal["higher", "lower"]


class BadReport(Exception):
    """A file is no report of ours; says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity."""

    part: str
    """Part of the benchmarks that measured it."""
    name: str
    """What was measured, unique within part and subject."""
    unit: str
    """Unit of the samples: s, MIPS, ratio, MB, ..."""
    samples: tuple[float, ...]
    """Every value, in the order in which they were measured."""
    better: Better = "lower"
    """Whether higher or lower values are better."""
    statistic: str = "median"
    """What the samples are judged by: see `stats.STATISTICS`."""
    goal: float | None = None
    """The value that is to be reached, at least or at most."""
    subject: str = ""
    """What it was measured on, a kernel for example: the part is shown as a table of subjects by names."""
    relative: bool = False
    """Compares two things that were measured in turn: may be held against figures of another machine."""
    informative: bool = False
    """Not judged when reports are compared: it follows from other figures, or is a means to their ends."""
    note: str = ""
    """What a reader has to know."""

    def __post_init__(self) -> None:
        if not self.samples or not all(math.isfinite(sample) for sample in self.samples):
            raise ValueError(f"{self.key}: samples {self.samples}")
        if self.statistic not in STATISTICS or self.better not in ("higher", "lower"):
            raise ValueError(f"{self.key}: {self.statistic}, {self.better}")

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it in all reports."""
        return self.part, self.subject, self.name

    @property
    def value(self) -> float:
        """The value that it is judged by."""
        return STATISTICS[self.statistic](self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """Lower and upper quartile."""
        return quartiles(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None: there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON values, what follows from the samples too."""
        lower, upper = self.spread
        derived = {"value": self.value, "lower_quartile": lower, "upper_quartile": upper, "met": self.met}
        return {**asdict(self), "samples": list(self.samples), **derived}


@dataclass(slots=True)
class Report:
    """All that a run measured, and where."""

    host: dict[str, Any]
    """The machine and the versions of everything that matters: see `host.describe`."""
    options: dict[str, Any]
    """How it was measured."""
    figures: list[Figure] = field(default_factory=list)
    """The figures, in the order in which they are shown."""
    problems: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON values."""
        figures = [figure.as_json() for figure in self.figures]
        return {
            "schema": SCHEMA,
            "host": self.host,
            "options": self.options,
            "problems": self.problems,
            "figures": figures,
        }

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Report:
    """Read a report that was saved.

    Raises:
        BadReport: The file cannot be read, or is not of this kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadReport(f"{path}: {error}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BadReport(f"{path} is no report of `make bench --save`, version {SCHEMA}")
    try:
        figures = [_figure(row) for row in content["figures"]]
        return Report(dict(content["host"]), dict(content["options"]), figures, list(content["problems"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadReport(f"{path}: {type(error).__name__}: {error}") from None


def _figure(row: dict[str, Any]) -> Figure:
    values = {each.name: row[each.name] for each in fields(Figure)}
    return Figure(**{**values, "samples": tuple(float(sample) for sample in values["samples"])})
