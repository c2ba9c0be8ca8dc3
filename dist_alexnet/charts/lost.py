"""Throughput by number of ranks, the part that is lost against fewer, and memory: three things at one glance."""

from collections.abc import Mapping, Sequence
from typing import Any

from dist_alexnet.charts.look import colours, frame, lying, text

GREY = "#8c959f"


def lost(title: str, series: Mapping[str, Sequence[tuple[int, float, float, str]]]) -> dict[str, Any]:
    """A bar for each strategy and number of ranks; hatched is what it does less than in proportion.

    Args:
        title: of the chart.
        series: of each strategy ranks, images per second, what as many ranks would do if none were lost, and memory in words.
    """
    labels = [text(f"{name} on {ranks}") for name, points in series.items() for ranks, *_ in points]
    points = [point for of in series.values() for point in of]
    chosen = colours(series)
    reached = {
        "type": "bar",
        "orientation": "h",
        "name": "images/s",
        "y": labels,
        "x": [ips for _, ips, _, _ in points],
        "marker": {"color": [chosen[name] for name, of in series.items() for _ in of]},
        "text": [memory for *_, memory in points],
        "textposition": "inside",
        "insidetextanchor": "start",
        "hovertemplate": "%{y}<br>%{x:,.1f} images/s, %{text}<extra></extra>",
    }
    missing = {
        "type": "bar",
        "orientation": "h",
        "name": "lost against fewer ranks",
        "y": labels,
        "x": [max(0.0, ideal - ips) for _, ips, ideal, _ in points],
        "marker": {"color": "white", "line": {"color": GREY, "width": 1}, "pattern": {"shape": "/", "fgcolor": GREY}},
        "text": [f"-{1 - ips / ideal:.0%}" if ideal > ips * 1.005 else "" for _, ips, ideal, _ in points],
        "textposition": "inside",
        "hovertemplate": "%{y}<br>%{x:,.1f} images/s fewer than in proportion<extra></extra>",
    }
    return {"data": [reached, missing], "layout": lying({**frame(title, "images/s"), "barmode": "stack", "showlegend": True})}
