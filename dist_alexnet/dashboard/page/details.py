"""What there is to read of picked runs: settings, logs, failures, checkpoints, attempts, certificates."""

from collections.abc import Sequence
from typing import Any

from dash import html

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.page.certificates import for_run
from dist_alexnet.dashboard.page.grids import MOST_ROWS, grid, part
from dist_alexnet.dashboard.page.links import data, go
from dist_alexnet.dashboard.page.table import moment, number
from dist_alexnet.dashboard.picked import Picked
from dist_alexnet.dashboard.settings import differences
from dist_alexnet.runs.browse.folder import name_of, shown
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.runs.records import BadImage, CheckpointSaved, RunStarted

LOG_BYTES, LOG_LINES = 2**14, 40


def comparison(runs: Sequence[Picked]) -> Any:
    """The settings in which runs differ."""
    if len(runs) < 2:
        return None
    names = differences([run.settings for run in runs])
    if not names:
        return html.P("The settings of these runs are the same.", className="empty")
    rows = [[name, *(run.settings.get(name, "") for run in runs)] for name in names]
    return html.Section([html.H2("What they differ in"), grid(["setting", *(run.name for run in runs)], rows)], className="card")


def details(catalog: Catalog, runs: Sequence[Picked]) -> list[Any]:
    """A card for each run."""
    different = set(differences([run.settings for run in runs])) if len(runs) > 1 else set()
    return [_card(catalog, run, different) for run in runs]


def _card(catalog: Catalog, run: Picked, different: set[str]) -> Any:
    parts = [
        _failures(catalog, run),
        part("Attempts", ["attempt", "began", "from step", "strategy", "ranks", "on"], _attempts(run), is_open=True),
        part("Checkpoints", ["step", "folder", "top-1 error", "MB", "seconds", "written"], _checkpoints(run)),
        part("Images left out", ["step", "image"], [[each.step, shown(each.image)] for each in _of(run, BadImage)]),
        for_run(catalog, run),
        part("Settings", ["setting", "value"], _settings(run, different), marked=different),
        _log(catalog, run),
    ]
    dot = html.Span("", className="dot", style={"background": run.colour})
    note = html.P(run.look.note, className="note") if run.look.note else None
    return html.Section([html.H2([dot, run.name]), note, *(part for part in parts if part)], className="card", **data(details=run.key))


def _of(run: Picked, kind: type[Any]) -> list[Any]:
    return [record for record in run.look.records if isinstance(record, kind)]


def _attempts(run: Picked) -> list[list[Any]]:
    return [[s.attempt, moment(s.time), number(s.step, ","), s.strategy, s.world_size, s.device] for s in _of(run, RunStarted)]


def _checkpoints(run: Picked) -> list[list[Any]]:
    rows = []
    for saved in _of(run, CheckpointSaved):
        there = (run.path / "checkpoints" / shown(saved.path)).is_dir() if "/" not in saved.path and "\0" not in saved.path else False
        megabytes = number(None if saved.bytes is None else saved.bytes / 1e6, ",.1f")
        name = shown(saved.path) + ("" if there else " (no longer there)")
        error = number(saved.top1_error, ".1%")
        rows.append([number(saved.step, ","), name, error, megabytes, number(saved.seconds, ".2f"), moment(saved.time)])
    return rows


def _settings(run: Picked, different: set[str]) -> list[tuple[str, str]]:
    """What is not the same in all that are picked comes first."""
    return sorted(run.settings.items(), key=lambda pair: pair[0] not in different)


def _failures(catalog: Catalog, run: Picked) -> Any:
    logs = run.path / "logs"
    if not all(catalog.folder.file(path) for path in logs.glob("rank_*.error.json")):
        return None
    failures = RankFailure.all(RunDirectory(run.path))
    if not failures:
        return None
    told = [html.P(f"rank {each.rank}: {each.kind}: {each.message}", className="failure") for each in failures[:8]]
    traces = html.Details([html.Summary("Traceback of the first"), html.Pre(str(failures[0].trace))])
    return html.Div([html.H3("Failed"), *told, traces])


def _log(catalog: Catalog, run: Picked) -> Any:
    parts = []
    for path in [*sorted((run.path / "logs").glob("rank_*.log"))[:8], run.path / "logs" / "launcher.log"]:
        if text := catalog.folder.tail(path, LOG_BYTES).strip():
            parts += [html.H4(shown(path.name)), html.Pre("\n".join(text.splitlines()[-LOG_LINES:]), className="log")]
    return html.Details([html.Summary("Last lines of the logs"), *parts]) if parts else None


def others(catalog: Catalog) -> Any:
    """Certificates and comparisons in the folder."""
    rows = []
    for entry in sorted(catalog.entries(), key=lambda each: -each.seen.time):
        if entry.kind == "comparison":
            report = html.A("report", href=f"/report?run={entry.key}", target="_blank", rel="noopener")
            rows.append([entry.name, "comparison", moment(entry.seen.time), report])
        elif entry.kind == "certificate":
            rows.append([entry.name, "certificate of equality", moment(entry.seen.time), go("show", View(runs=(entry.key,)))])
    if not rows:
        return None
    return html.Section([html.H2("Comparisons and certificates"), grid(["name", "what", "made", ""], rows[:MOST_ROWS])], className="card")


def missing(catalog: Catalog, view: View) -> list[Any]:
    """What an address asks for that is not there."""
    gone = [key for key in view.runs if catalog.folder.find(key) is None]
    return [html.P(f"There is no run {shown(name_of(key))} in this folder.", className="note") for key in gone]
