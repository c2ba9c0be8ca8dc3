"""Certificates of equality in the folder: which of them speak of a run, and all that one says."""

import json
from contextlib import suppress
from typing import Any

from dash import html

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.page.grids import grid, part
from dist_alexnet.dashboard.page.links import go
from dist_alexnet.dashboard.picked import Picked
from dist_alexnet.runs.browse.folder import shown


def for_run(catalog: Catalog, run: Picked) -> Any:
    """The certificates of this folder that say something of the run's strategy on as many ranks."""
    started = run.started
    if not started:
        return None
    rows = []
    for entry in catalog.entries():
        if entry.kind != "run" and (path := catalog.folder.find(entry.key)):
            content = read_certificate(catalog.folder.text(path / "certificate.json"))
            cases = [
                each
                for each in content["cases"]
                if (each.get("strategy"), each.get("world_size")) == (started.strategy, started.world_size)
            ]
            rows += [
                [go(entry.name, View(runs=(entry.key,))), str(content.get("made", "")), _verdict(each), _options(each)] for each in cases
            ]
    return part("Certificates of this strategy on as many ranks", ["certificate", "made", "verdict", "options"], rows)


def read_certificate(text: str) -> dict[str, Any]:
    """What `verify` has written, with a list of cases whatever it is."""
    content: Any = None
    with suppress(ValueError, RecursionError):
        content = json.loads(text)
    said: dict[str, Any] = content if isinstance(content, dict) else {}
    cases = said.get("cases")
    return said | {"cases": [each for each in cases if isinstance(each, dict)] if isinstance(cases, list) else []}


def whole(catalog: Catalog, key: str) -> Any:
    """A certificate that was picked: its cases."""
    path = catalog.folder.find(key)
    content = read_certificate(catalog.folder.text(path / "certificate.json")) if path else {"cases": []}
    if not path or not content["cases"]:
        return None
    head = ["strategy", "options", "ranks", "largest relative difference of the loss", "verdict"]
    rows = [[str(c.get("strategy")), _options(c), str(c.get("world_size")), _loss(c), _verdict(c)] for c in content["cases"]]
    equal = "Every strategy computes the same steps as one process." if content.get("passed") is True else "NOT every strategy is equal."
    of = (
        f"{equal} {content.get('steps', '')} steps in {content.get('dtype', '')} on {content.get('device', '')}, {content.get('made', '')}."
    )
    return html.Section([html.H2(f"Certificate {shown(path.name)}"), html.P(of), grid(head, rows)], className="card")


def _verdict(case: dict[str, Any]) -> str:
    verdict = case.get("verdict")
    if case.get("undefined"):
        return f"not defined: {case['undefined']}"
    if not isinstance(verdict, dict):
        return f"failed: {case.get('error')}"
    return "equal" if verdict.get("passed") is True else "DIFFERENT"


def _loss(case: dict[str, Any]) -> str:
    verdict = case.get("verdict")
    value = verdict.get("loss") if isinstance(verdict, dict) else None
    return f"{value:.1e}" if isinstance(value, int | float) else ""


def _options(case: dict[str, Any]) -> str:
    options = case.get("options")
    return ", ".join(f"{name}={value}" for name, value in options.items()) if isinstance(options, dict) else ""
