"""Images per second against ranks, and what they would be had nothing been lost."""

from collections.abc import Mapping, Sequence
from typing import Any

from dist_alexnet.charts.lines import Curve, lines
from dist_alexnet.charts.look import COLOURS


def scaling(title: str, families: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, Any]:
    """A curve for each family of runs that differ in ranks only, and a dotted one from its smallest run as if each rank added as much.

    Args:
        families: by name, ranks and images per second.
    """
    curves = []
    for place, (name, points) in enumerate(families.items()):
        colour = COLOURS[place % len(COLOURS)]
        ranks, rates = zip(*sorted(points), strict=True)
        curves.append(Curve(name, ranks, rates, colour))
        curves.append(Curve(f"{name}, ideal", ranks, [rates[0] * each / ranks[0] for each in ranks], colour, "dot"))
    chart = lines(title, "ranks", "images/s", curves)
    chart["layout"]["xaxis"] |= {"tickvals": sorted({ranks for points in families.values() for ranks, _ in points})}
    return chart
