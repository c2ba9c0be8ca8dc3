"""Answers the browser: Dash's pages, the downloads, and nothing to anybody who came by another name."""

import ipaddress
import logging
import socket
from pathlib import Path
from typing import Any

from dash import Dash
from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from dist_alexnet.dashboard import callbacks, downloads
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.page.layout import page
from dist_alexnet.runs.browse.folder import shown

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not at all."""


def make_app(runs: Path, host: str = "127.0.0.1") -> Dash:
    """The page of a folder of runs, for people who type this host."""
    # "dist_alexnet.dashboard": where the assets lie.
    quiet: Any = None  # the title says nothing while the page asks for news
    app = Dash(
        "dist_alexnet.dashboard", title="dist-alexnet", update_title=quiet, serve_locally=True, index_string=INDEX, add_log_handler=False
    )
    catalog = Catalog(runs)
    app.layout = page(shown(str(runs)), shown(str(runs.absolute())))
    callbacks.connect(app, catalog)
    downloads.connect(app.server, catalog)
    _guard(app.server, host, " ".join(app.csp_hashes()))
    return app


def server_of(listening: socket.socket, runs: Path, host: str) -> BaseWSGIServer:
    """What answers at a socket that listens; nothing is answered before it serves."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    address = listening.getsockname()
    app = make_app(runs, host).server
    return make_server(address[0], address[1], app, threaded=True, request_handler=_Quiet, fd=listening.fileno())


def _guard(server: Flask, host: str, hashes: str) -> None:
    # style: plotly sets styles of elements. eval: plotly compiles functions. Everything comes from here, and goes nowhere else.
    policy = f"default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    policy += "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    # Other machines, if it is for them, may call this one what they like.
    @server.before_request
    def known_by_this_name() -> Response | None:  # a page of somebody else's, whose name leads here, must not read runs
        return (
            None
            if _is_ours(request.host) or not _is_ours(host)
            else Response(f"this is not {shown(request.host)}\n", 403, mimetype="text/plain")
        )

    @server.after_request
    def closed(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _is_ours(asked: str) -> bool:
    """A name that leads to this machine, whoever says so: other names may be anybody's."""
    name = asked.rpartition(":")[0] if asked.rpartition(":")[2].isdigit() and not asked.endswith("::1") else asked
    name = name.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
