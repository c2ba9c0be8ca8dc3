"""What all charts have in common: their colours, and their frame."""

from collections.abc import Iterable
from typing import Any

# Okabe and Ito's, which people who see few colours tell apart too, then their darker neighbours.
COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#7a7a00",
    "#5b4b9a",
    "#00504a",
    "#7f3c00",
    "#8c2d5e",
    "#4d4d4d",
)
PHASE_COLOURS = {
    "data_wait": "#e69f00",
    "h2d": "#f0c66d",
    "forward": "#0072b2",
    "backward": "#56b4e9",
    "optimizer": "#009e73",
    "communication": "#d55e00",
    "rank_wait": "#cc79a7",
    "other": "#b0b7c0",
}
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in their order, so that whatever has one name has one colour on a whole page."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(dict.fromkeys(names))}


def text(name: str) -> str:
    """A name as plotly shows it letter by letter: it reads tags in the texts of a chart."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def lying(layout: dict[str, Any]) -> dict[str, Any]:
    """The same for bars that lie, so that names of any length can be read, with the first on top."""
    return {**layout, "yaxis": {"autorange": "reversed", "automargin": True, "ticklabelstandoff": 6, "type": "category"}}


def frame(title: str, x: str = "", y: str = "", **more: Any) -> dict[str, Any]:
    """The layout of a chart, for plotly: title and axes with their units."""
    return {
        "title": {"text": title, "font": {"size": 14}, "x": 0, "xanchor": "left", "xref": "container", "pad": {"l": 12}},
        "font": {"family": FONT, "size": 12, "color": "#24292f"},
        "xaxis": {"title": {"text": x, "standoff": 8}, "automargin": True, "gridcolor": "#e4e8ed", "zerolinecolor": "#c4cad2"},
        "yaxis": {"title": {"text": y}, "gridcolor": "#e4e8ed", "zerolinecolor": "#c4cad2", "rangemode": "tozero"},
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "margin": {"l": 60, "r": 20, "t": 44, "b": 50},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "hoverlabel": {"namelength": -1},
        **more,
    }
