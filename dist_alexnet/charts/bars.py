"""Bars that lie, so that long names can be read: with intervals, stacked, and by number of ranks."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dist_alexnet.charts.look import colours, frame


def with_intervals(title: str, unit: str, names: Sequence[str], values: Sequence[tuple[float, float, float]]) -> go.Figure:
    """A bar for each name, and whiskers.

    Args:
        title: of the chart.
        unit: of the values.
        names: of the bars.
        values: median, low and high of each.
    """
    chosen = colours(names)
    bars = go.Bar(
        y=list(names),
        x=[median for median, _, _ in values],
        orientation="h",
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - median for median, _, high in values],
            "arrayminus": [median - low for median, low, _ in values],
            "color": "#24292f",
            "thickness": 1.2,
        },
        marker_color=[chosen[name] for name in names],
        text=[f"{median:,.4g}" for median, _, _ in values],
        textposition="inside",
        insidetextanchor="start",
        customdata=[[low, high] for _, low, high in values],
        hovertemplate="%{y}<br>%{x:,.4g} (%{customdata[0]:,.4g} to %{customdata[1]:,.4g})<extra></extra>",
    )
    return go.Figure(bars, _lying(title, unit, len(names), showlegend=False))


def stacked(
    title: str, unit: str, names: Sequence[str], parts: Mapping[str, Sequence[float]], part_colours: Mapping[str, str] | None = None
) -> go.Figure:
    """Bars that lie on each other; a click on the legend takes a part away.

    Args:
        title: of the chart.
        unit: of the values.
        names: of the bars.
        parts: of each part its value in every bar.
        part_colours: of each part; else one after the other.
    """
    chosen = {**colours(parts), **(part_colours or {})}
    traces = [
        go.Bar(
            name=part.replace("_", " "),
            y=list(names),
            x=list(values),
            orientation="h",
            marker_color=chosen[part],
            hovertemplate="%{y}<br>%{x:,.4g}",
        )
        for part, values in parts.items()
        if any(values)
    ]
    return go.Figure(traces, _lying(title, unit, len(names), barmode="stack", showlegend=True))


def scaling(title: str, series: Mapping[str, Sequence[tuple[int, float, float, str]]]) -> go.Figure:
    """Throughput by number of ranks, the part that is lost, and memory, at one glance.

    Args:
        title: of the chart.
        series: of each strategy ranks, images per second, what as many ranks would do if none were lost, and memory in words.
    """
    ticks = [f"{name} on {ranks}" for name, points in series.items() for ranks, *_ in points]
    points = [point for of in series.values() for point in of]
    chosen = colours(series)
    reached = go.Bar(
        name="images/s",
        orientation="h",
        y=ticks,
        x=[ips for _, ips, _, _ in points],
        marker_color=[chosen[name] for name, of in series.items() for _ in of],
        text=[memory for *_, memory in points],
        textposition="inside",
        insidetextanchor="start",
        hovertemplate="%{y}<br>%{x:,.1f} images/s, %{text}<extra></extra>",
    )
    lost = go.Bar(
        name="lost against fewer ranks",
        orientation="h",
        y=ticks,
        x=[max(0.0, ideal - ips) for _, ips, ideal, _ in points],
        marker={"color": "white", "line": {"color": "#8c959f", "width": 1}, "pattern": {"shape": "/", "fgcolor": "#8c959f"}},
        text=[f"-{1 - ips / ideal:.0%}" if ideal > ips * 1.005 else "" for _, ips, ideal, _ in points],
        textposition="inside",
        hovertemplate="%{y}<br>%{x:,.1f} images/s fewer than in proportion<extra></extra>",
    )
    return go.Figure([reached, lost], _lying(title, "images/s", len(ticks), barmode="stack", showlegend=True))


def _lying(title: str, unit: str, bars: int, **more: Any) -> dict[str, Any]:
    """The layout of bars that lie, the first on top, as high as they are many."""
    layout = frame(title, x=unit, height=max(300, 170 + 24 * bars), **more)
    layout["yaxis"] = {"autorange": "reversed", "automargin": True}
    layout["legend"] = {"orientation": "h", "y": -60 / (60 + 24 * bars), "yanchor": "top"}
    return layout
