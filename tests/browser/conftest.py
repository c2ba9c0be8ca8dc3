"""A real Chromium, and pages in it that fail their test on an error in the console or a request that leaves this machine."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

HERE = ("127.0.0.1", None, "")  # the last two: data:, blob: and files


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the PATH; install it (Debian: apt install chromium) to run the tests of pages")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all pages: what they load is loaded once."""
    made = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of its own for a test."""
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on("request", lambda asked: wrong.append(f"asked: {asked.url}") if urlsplit(asked.url).hostname not in HERE else None)
    opened.set_default_timeout(60_000)  # the machine may be busy
    expect.set_options(timeout=60_000)
    yield opened
    opened.close()
    assert wrong == []


class Stage:
    """Answers at one address for whatever a test puts on it, so that a browser knows its scripts already."""

    def __init__(self) -> None:
        self.app: Any = None
        self.server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __call__(self, environ: Any, start: Any) -> Any:
        return self.app(environ, start)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    made = Stage()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()


@pytest.fixture
def serve(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Have the dashboard show a folder, and say where."""
    from dist_alexnet.dashboard.page import layout
    from dist_alexnet.dashboard.server import make_app

    monkeypatch.setattr(layout, "LOOK_MS", 500)

    def start(runs: Path) -> str:
        stage.app = make_app(runs).server
        return stage.url

    return start
