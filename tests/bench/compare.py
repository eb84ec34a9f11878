"""Compare a report with an earlier one: what has become better or worse beyond noise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tests.bench.figures import Figure, Report
from tests.bench.stats import chance_greater

TOLERANCE = 0.03
"""Changes up to this share are nobody's concern, however sure they are."""
CHANCE = 0.05
"""A change is believed if noise alone gives one like it less often than this. Three runs a side just reach it."""
SAME_HOST = ("cpu", "clock")
"""What must agree if seconds are to be compared, rather than ratios."""


class Verdict(Enum):
    """What came of one figure."""

    SAME = "same"
    BETTER = "better"
    WORSE = "WORSE"
    UNSURE = "unsure"
    """It differs, but there are too few samples to tell it from noise."""
    ELSEWHERE = "other machine"
    """It was measured on another machine and says nothing about this one."""
    INFORMATIVE = "not judged"
    """See `Figure.informative`."""
    NEW = "new"
    """It was not measured then."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure now and then."""

    now: Figure
    """This run's."""
    then: Figure | None
    """The earlier one's."""
    verdict: Verdict
    """What came of it."""

    @property
    def factor(self) -> float | None:
        """How many times as good it is now; None: there is nothing to divide by."""
        if self.then is None or not self.then.value or not self.now.value:
            return None
        ratio = self.now.value / self.then.value
        return ratio if self.now.better == "higher" else 1 / ratio


def compared(now: Report, then: Report) -> list[Change]:
    """Return what became of each figure of `now`."""
    earlier = {figure.key: figure for figure in then.figures}
    same_host = all(now.host.get(name) == then.host.get(name) for name in SAME_HOST)
    return [_change(figure, earlier.get(figure.key), same_host) for figure in now.figures]


def _change(now: Figure, then: Figure | None, same_host: bool) -> Change:
    if then is None or then.unit != now.unit or then.statistic != now.statistic:
        return Change(now, None, Verdict.NEW)
    if not (same_host or now.relative):
        return Change(now, then, Verdict.ELSEWHERE)
    if now.informative:
        return Change(now, then, Verdict.INFORMATIVE)
    sign = 1 if now.better == "higher" else -1
    gain = sign * (now.value - then.value) / abs(then.value) if then.value else sign * (now.value - then.value)
    if abs(gain) <= TOLERANCE:
        return Change(now, then, Verdict.SAME)
    greater, smaller = (now, then) if sign * gain > 0 else (then, now)
    if chance_greater(greater.samples, smaller.samples) > CHANCE:
        return Change(now, then, Verdict.UNSURE)
    return Change(now, then, Verdict.BETTER if gain > 0 else Verdict.WORSE)
