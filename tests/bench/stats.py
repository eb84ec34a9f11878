"""Statistics of few samples: median, quartiles, percentiles, and whether two runs differ beyond noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

EXACT = 20
"""Up to so many samples on each side the rank test counts all orders; beyond, it takes the normal distribution."""


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least `share` of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(round(share * len(ordered), 9)) - 1)]


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile; with one sample, it twice."""
    if len(samples) < 2:
        return samples[0], samples[0]
    lower, _, upper = statistics.quantiles(samples, n=4, method="inclusive")
    return lower, upper


STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": statistics.median,
    "minimum": min,
    "maximum": max,
    "p95": lambda samples: percentile(samples, 0.95),
    "p99": lambda samples: percentile(samples, 0.99),
}
"""What a figure may be judged by."""


def chance_greater(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how likely samples of one distribution are to lie as far above one another as `first` above `second`.

    The one-sided rank test of Mann and Whitney (1947); nothing is assumed about the distribution. Ties count half.
    """
    m, n = len(first), len(second)
    above = sum((x > y) + (x == y) / 2 for x in first for y in second)
    if m > EXACT or n > EXACT:
        deviation = math.sqrt(m * n * (m + n + 1) / 12)
        return 0.5 * math.erfc((above - 0.5 - m * n / 2) / deviation / math.sqrt(2))
    counts = _orders(m, n)
    return sum(counts[math.ceil(above) :]) / sum(counts)


def _orders(m: int, n: int) -> list[int]:
    """Return how many orders of m and n samples have so many pairs in which the first is above, for each number."""
    table = [[[1] if not i * j else [0] * (i * j + 1) for j in range(n + 1)] for i in range(m + 1)]
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            # the largest of all is one of the first samples, above all j others, or one of the second
            for pairs in range(i * j + 1):
                if pairs >= j:
                    table[i][j][pairs] += table[i - 1][j][pairs - j]
                if pairs <= i * (j - 1):
                    table[i][j][pairs] += table[i][j - 1][pairs]
    return table[m][n]
