"""The charts of picked runs, each with what saves it as a picture and as numbers."""

import math
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.figures import AXIS_TITLES, CHARTS
from dist_alexnet.dashboard.picked import Picked

LOWEST = 350  # pixels


def charts(runs: Sequence[Picked], view: View) -> list[Any]:
    """A card for each chart that has anything to show."""
    return [_card(name, figure, view) for name, draw in CHARTS.items() if (figure := draw(runs, view.x))]


def _card(name: str, figure: dict[str, Any], view: View) -> Any:
    query = View(runs=view.runs, x=view.x, zoom=view.zoom).search().removeprefix("?")
    figure["layout"]["uirevision"] = query  # which curves are hidden stays so while a run goes on
    bars = figure["data"][0]["type"] == "bar"
    if not bars:
        _zoom(figure, view)
    image = {"format": "svg", "filename": f"dist-alexnet-{name}"}
    buttons = {"displaylogo": False, "modeBarButtons": [["toImage"]], "displayModeBar": True}
    settings: Any = {**buttons, "toImageButtonOptions": image, "responsive": True}
    height = max(LOWEST, 170 + 28 * len(figure["data"][0]["y"])) if bars else LOWEST
    graph = dcc.Graph(id={"chart": name}, figure=figure, config=settings, style={"height": f"{height}px"})
    link: Any = {"href": f"/csv?chart={name}&{query}", "download": f"dist-alexnet-{name}.csv", "title": "The numbers of this chart"}
    return html.Section([graph, html.A("CSV", className="csv", **link)], id=f"card-{name}", className="card chart")


def _zoom(figure: dict[str, Any], view: View) -> None:
    """Have a chart of curves show what the view does, as high as what is there."""
    figure["layout"]["yaxis"] |= {"fixedrange": True}
    if view.zoom and figure["layout"]["xaxis"]["title"]["text"] == AXIS_TITLES[view.x]:
        low, high = view.zoom
        pairs = [pair for trace in figure["data"] for pair in zip(trace["x"], trace["y"], strict=True)]
        seen = [y for x, y in pairs if low <= x <= high and y is not None and math.isfinite(y)]
        figure["layout"]["xaxis"] |= {"range": [low, high]}
        if seen:
            room = 0.05 * (max(seen) - min(seen)) or 0.05 * abs(seen[0]) or 1.0
            figure["layout"]["yaxis"] |= {"range": [min(seen) - room, max(seen) + room]}
