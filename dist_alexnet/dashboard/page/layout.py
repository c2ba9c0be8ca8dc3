"""The page before anything is picked, with a place for all that may come."""

from dataclasses import replace
from typing import Any

from dash import dcc, html

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.figures import CHARTS
from dist_alexnet.dashboard.page.links import go

LOOK_MS = 2000  # between two looks at the folder
AXES = (("step", "step"), ("epoch", "epoch"), ("time", "wall clock"))


def page(folder: str) -> Any:
    """All of it."""
    return html.Div(
        [
            dcc.Location(id="address", refresh=False),
            dcc.Interval(id="tick", interval=LOOK_MS),
            dcc.Store(id="list-mark"),
            dcc.Store(id="picked-mark"),
            html.Header(
                [
                    html.H1(go("dist-alexnet", View())),
                    html.Span(folder, className="folder"),
                    html.Span("", id="count"),
                ]
            ),
            html.Main(
                [
                    html.Section([_bar(), html.Div(id="list")], className="card"),
                    html.Div(id="missing"),
                    html.Div(id="axes"),
                    html.Div([_chart(name) for name in CHARTS], className="charts"),
                    html.Div(id="details"),
                    html.Div(id="others"),
                ]
            ),
        ]
    )


def _bar() -> Any:
    words = dcc.Input(id="filter", type="search", placeholder="filter: name, state, strategy", debounce=0.4, value="")
    return html.Div([html.H2("Runs"), words, html.Span(id="picked-count")], className="bar")


def _chart(name: str) -> Any:
    config: dict[str, Any] = {"displaylogo": False, "modeBarButtons": [["toImage"]], "displayModeBar": True}
    image = {"format": "svg", "filename": f"dist-alexnet-{name}"}
    settings: Any = {**config, "toImageButtonOptions": image, "responsive": True}
    graph = dcc.Graph(
        id=f"chart-{name}",
        figure={"data": [], "layout": {}},
        config=settings,
        className="graph",
    )
    link = html.A("CSV", id=f"csv-{name}", href="", download=f"dist-alexnet-{name}.csv", className="csv", title="The numbers of this chart")
    return html.Section([graph, link], id=f"card-{name}", className="card chart", hidden=True)


def axes(view: View) -> Any:
    """The choice of what goes from left to right."""
    links = [
        go(word, replace(view, x=x, zoom=()), className="chosen" if view.x == x else "", aria_current=str(view.x == x).lower())
        for x, word in AXES
    ]
    whole = [go("show all again", replace(view, zoom=()))] if view.zoom else []
    return html.Nav(["against ", *links, *whole], className="axes")
