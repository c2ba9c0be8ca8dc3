"""How far a median can be trusted."""

import random
from statistics import median

import pytest

from dist_alexnet.compare.interval import Interval, paired


def test_it_encloses_the_median_of_a_repeat_as_often_as_is_said() -> None:
    draw = random.Random(1)

    def rounds() -> list[float]:
        return [draw.lognormvariate(0, 1) for _ in range(20)]

    hits = sum(median(rounds()) in Interval.of(rounds()) for _ in range(400))
    assert 0.94 < hits / 400 < 1.0


@pytest.mark.parametrize(("values", "low", "high"), [([3.0], 3, 3), ([1.0, 2.0, 9.0], 1, 9), (list(map(float, range(1, 21))), 4, 17)])
def test_from_few_values_it_is_as_wide_as_they_are(values: list[float], low: float, high: float) -> None:
    interval = Interval.of(values)
    assert (interval.low, interval.high, interval.values) == (low, high, len(values))
    assert interval.median == median(values)


def test_ratios_are_of_the_same_round() -> None:
    busy = [1.0, 5.0, 1.0, 7.0, 1.0]  # what else the machine did fell on both
    assert paired([2 * each for each in busy], busy) == Interval(2.0, 2.0, 2.0, 5)
