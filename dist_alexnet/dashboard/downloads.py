"""What is no part of the page: the numbers of a chart as CSV, and reports that lie in the folder."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from typing import Any

from flask import Flask, Response, request

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.figures import CHARTS
from dist_alexnet.dashboard.picked import pick
from dist_alexnet.runs.browse.folder import cell

MOST_REPORT_BYTES = 2**26
# A report has its scripts and styles in itself. It may be anybody's: it runs apart from this page, and reaches nobody.
REPORT_POLICY = "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
REPORT_POLICY += "img-src data: blob:; font-src data:"


def connect(server: Flask, catalog: Catalog) -> None:
    """Answer these addresses, too."""

    @server.get("/csv")
    def numbers() -> Response:
        query = request.query_string.decode("ascii", "replace")
        view, chart = View.parse(query), request.args.get("chart", "")
        figure = CHARTS[chart](pick(catalog, view), view.x) if chart in CHARTS else None
        if not figure:
            return Response("there are no such numbers\n", 404, mimetype="text/plain")
        headers = {"Content-Disposition": f'attachment; filename="dist-alexnet-{chart}.csv"'}
        return Response(as_csv(figure), mimetype="text/csv", headers=headers)

    @server.get("/report")
    def report() -> Response:
        key = request.query_string.decode("ascii", "replace").removeprefix("run=")
        path = catalog.folder.find(key)
        file = catalog.folder.file(path / "report.html") if path else None
        if not file or file.stat().st_size > MOST_REPORT_BYTES:
            return Response("there is no such report\n", 404, mimetype="text/plain")
        return Response(file.read_bytes(), mimetype="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def as_csv(figure: Mapping[str, Any]) -> str:
    """The numbers of a chart, a line for each."""
    layout, text = figure["layout"], io.StringIO()
    bars = figure["data"][0]["type"] == "bar"
    axis = layout["xaxis"]["title"]["text"]
    head = ["of", "part", axis] if bars else ["curve", axis, layout["yaxis"]["title"]["text"]]
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(head)
    for trace in figure["data"]:
        rows.writerows(_rows(trace, bars))
    return text.getvalue()


def _rows(trace: Mapping[str, Any], bars: bool) -> Iterator[Sequence[object]]:
    name = cell(unescape(trace["name"]))
    for x, y in zip(trace["x"], trace["y"], strict=True):
        yield (cell(unescape(y)), name, x) if bars else (name, x, "" if y is None else y)
