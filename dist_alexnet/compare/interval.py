"""A median, and how far it can be trusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

CONFIDENCE = 0.99  # of the median that repeats would settle on; that of one repeat is uncertain itself, and lies within with about 95 %
MIN_ROUNDS = 8  # with fewer not even the smallest and the largest value enclose it so surely


@dataclass(frozen=True)
class Interval:
    """The median of some values, and between which two of them the median of all that could be measured lies."""

    median: float
    low: float
    high: float
    values: int

    @staticmethod
    def of(values: Sequence[float]) -> "Interval":
        """By the order of the values alone, whatever their distribution: the sign test turned round.

        From fewer than MIN_ROUNDS it is as wide as the values, and surer than nothing.
        """
        from scipy.stats import quantile_test  # here, for it takes half a second

        bounds = quantile_test(values, p=0.5).confidence_interval(CONFIDENCE)
        low, high = (
            extreme if math.isnan(bound) else float(bound) for bound, extreme in zip(bounds, (min(values), max(values)), strict=True)
        )
        return Interval(median(values), low, high, len(values))

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Interval":
        """What `asdict` gave (KeyError, TypeError, ValueError: it is something else)."""
        return Interval(float(content["median"]), float(content["low"]), float(content["high"]), int(content["values"]))


def paired(base: Sequence[float], mine: Sequence[float]) -> Interval:
    """How many times faster: of each round the seconds of one over those of the other."""
    return Interval.of([of_base / of_mine for of_base, of_mine in zip(base, mine, strict=True)])
