"""Curves, for whatever goes on: losses, rates, memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dist_alexnet.charts.look import COLOURS, frame, text

MOST_MARKED = 40  # points of a curve that are drawn as such


@dataclass(frozen=True)
class Curve:
    """Points in the order of their x; a y of None is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: str = ""  # by itself the next of them
    dash: str = "solid"  # or "dot", "dash"


def lines(title: str, x: str, y: str, curves: Sequence[Curve], **layout: Any) -> dict[str, Any]:
    """A chart of curves, for plotly.

    Args:
        x, y: what the axes say, with units.
    """
    data = [_trace(curve, COLOURS[place % len(COLOURS)]) for place, curve in enumerate(curves)]
    return {"data": data, "layout": {**frame(title, x, y), "hovermode": "x unified", "showlegend": True, **layout}}


def _trace(curve: Curve, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(curve.x) <= MOST_MARKED else "lines",
        "name": text(curve.name),
        "x": list(curve.x),
        "y": list(curve.y),
        "line": {"color": curve.colour or colour, "width": 1.8, "dash": curve.dash},
        "marker": {"size": 5},
    }
