"""Bars with whiskers: a median and how far it can be trusted."""

from collections.abc import Sequence
from typing import Any

from dist_alexnet.charts.look import colours, frame, lying, text


def with_intervals(title: str, unit: str, names: Sequence[str], values: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """A bar for each name.

    Args:
        title: of the chart.
        unit: of the values.
        names: of the bars.
        values: median, low and high of each; no whisker where these are one.
    """
    chosen = colours(names)
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [text(name) for name in names],
        "x": [median for median, _, _ in values],
        "marker": {"color": [chosen[name] for name in names]},
        "text": [f"{median:,.4g}" for median, _, _ in values],
        "textposition": "inside",
        "insidetextanchor": "start",
        "customdata": [[low, high] for _, low, high in values],
        "hovertemplate": "%{y}<br>%{x:,.4g} (%{customdata[0]:,.4g} to %{customdata[1]:,.4g})<extra></extra>",
    }
    if any(low < high for _, low, high in values):
        bars["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [high - median for median, _, high in values],
            "arrayminus": [median - low for median, low, _ in values],
            "color": "#24292f",
            "thickness": 1.2,
        }
    return {"data": [bars], "layout": lying({**frame(title, unit), "showlegend": False})}
