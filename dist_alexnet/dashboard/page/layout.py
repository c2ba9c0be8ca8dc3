"""The page before anything is picked, with a place for all that may come."""

from dataclasses import replace
from typing import Any

from dash import dcc, html

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.page.links import go

LOOK_MS = 2000  # between two looks at the folder
AXIS_WORDS = {"step": "step", "epoch": "epoch", "time": "wall clock"}


def page(folder: str, whole: str) -> Any:
    """All of it.

    Args:
        folder: of the runs, as it was typed.
        whole: its path from the root.
    """
    return html.Div(
        [
            dcc.Location(id="address", refresh=False),
            dcc.Interval(id="tick", interval=LOOK_MS),
            dcc.Store(id="list-mark"),
            dcc.Store(id="picked-mark"),
            html.Header(
                [
                    html.H1(go("dist-alexnet", View())),
                    html.Span(folder, className="folder", title=whole),
                    html.Span("", id="count"),
                ]
            ),
            html.Main(
                [
                    html.Section([_bar(), html.Div(id="list")], className="card"),
                    html.Div(id="missing"),
                    html.Div(id="axes"),
                    html.Div(id="charts", className="charts"),
                    html.Div(id="details"),
                    html.Div(id="others"),
                ]
            ),
        ]
    )


def _bar() -> Any:
    words = dcc.Input(id="filter", type="search", placeholder="filter: name, state, strategy", debounce=0.4, value="")
    return html.Div([html.H2("Runs"), words, html.Span(id="picked-count")], className="bar")


def axes(view: View) -> Any:
    """The choice of what goes from left to right."""
    links = [
        go(word, replace(view, x=x, zoom=()), className="chosen" if view.x == x else "", aria_current=str(view.x == x).lower())
        for x, word in AXIS_WORDS.items()
    ]
    whole = [go("show all again", replace(view, zoom=()))] if view.zoom else []
    return html.Nav(["against ", *links, *whole], className="axes")
