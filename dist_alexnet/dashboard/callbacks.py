"""What moves the page: its address, the clock, and the filter. Whatever has not changed is not sent again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.page import certificates, details, table
from dist_alexnet.dashboard.page.charts import charts
from dist_alexnet.dashboard.page.layout import axes
from dist_alexnet.dashboard.page.links import go
from dist_alexnet.dashboard.picked import Picked, mark, pick


def connect(app: Dash, catalog: Catalog) -> None:
    """Have a page show a catalog."""
    _connect_list(app, catalog)
    _connect_picked(app, catalog)
    _connect_filter(app)
    _connect_zoom(app)


def _connect_list(app: Dash, catalog: Catalog) -> None:
    @app.callback(
        Output("list", "children"),
        Output("others", "children"),
        Output("count", "children"),
        Output("picked-count", "children"),
        Output("list-mark", "data"),
        Input("address", "search"),
        Input("tick", "n_intervals"),
        State("list-mark", "data"),
    )
    def show_list(search: object, _: object, shown: object) -> Any:
        view, entries = View.parse(search), catalog.entries()
        now = str(hash((view, tuple(entries_mark(entries)))))
        if now == shown:
            raise PreventUpdate
        runs = table.ordered((entry for entry in entries if entry.kind == "run"), view)
        live = sum(entry.seen.state == "live" for entry in entries if entry.kind == "run")
        count = f"{sum(entry.kind == 'run' for entry in entries):,} runs, {live:,} live"
        return table.table(runs, view), details.others(catalog), count, _picked_count(view), now


def entries_mark(entries: Sequence[Any]) -> list[object]:
    """What changes when the list does."""
    return [(entry.key, entry.kind, entry.seen.state, entry.seen.time) for entry in entries]


def _picked_count(view: View) -> Any:
    if not view.runs:
        return "tick runs to compare them"
    clear = go("clear", replace(view, runs=()))
    return [f"{len(view.runs)} picked, ", clear]


def _connect_picked(app: Dash, catalog: Catalog) -> None:
    @app.callback(
        Output("missing", "children"),
        Output("axes", "children"),
        Output("charts", "children"),
        Output("details", "children"),
        Output("picked-mark", "data"),
        Input("address", "search"),
        Input("tick", "n_intervals"),
        State("picked-mark", "data"),
    )
    def show_picked(search: object, _: object, shown: object) -> Any:
        view = View.parse(search)
        now = mark(catalog, view)
        if now == shown:
            raise PreventUpdate
        runs = pick(catalog, view)
        told = [details.comparison(runs), *details.details(catalog, _trained(runs))]
        told += [certificates.whole(catalog, run.key) for run in runs]
        choice = axes(view) if any(run.steps for run in runs) else None
        return details.missing(catalog, view), choice, charts(runs, view), told, now


def _trained(runs: Sequence[Picked]) -> list[Picked]:
    return [run for run in runs if run.look.records or run.settings or run.look.later]


def _connect_filter(app: Dash) -> None:
    @app.callback(
        Output("address", "search"),
        Output("filter", "value"),
        Input("filter", "value"),
        Input("address", "search"),
    )
    def follow(words: object, search: object) -> Any:
        view = View.parse(search)
        if ctx.triggered_id != "filter":  # an address was opened, or the browser went back
            return no_update, view.filter
        if (words or "") == view.filter:
            raise PreventUpdate
        return replace(view, filter=str(words or ""), page=1).search(), no_update


def _connect_zoom(app: Dash) -> None:
    @app.callback(
        Output("address", "search", allow_duplicate=True),
        Input({"chart": ALL}, "relayoutData"),
        State("address", "search"),
        prevent_initial_call=True,
    )
    def zoom(_: object, search: object) -> Any:
        told, view = ctx.triggered[0]["value"], View.parse(search)
        if not isinstance(told, dict):
            raise PreventUpdate
        if "xaxis.autorange" in told and view.zoom:
            return replace(view, zoom=()).search()
        low, high = told.get("xaxis.range[0]"), told.get("xaxis.range[1]")
        if isinstance(low, int | float) and isinstance(high, int | float):
            return View.parse(replace(view, zoom=(low, high)).search()).search()
        raise PreventUpdate
