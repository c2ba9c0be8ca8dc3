"""The list of runs. Each row, heading and page is a link to an address that shows it so."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from dash import html

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Entry
from dist_alexnet.dashboard.page.links import data, go, plain

PAGE = 25
MOST_NOTES = 3


@dataclass(frozen=True)
class Column:
    """A column of the list."""

    name: str  # in addresses
    title: str
    value: Callable[[Entry], Any]  # to sort by; None: there is none
    text: Callable[[Entry], str]
    css: str = "number"


def number(value: float | None, how: str) -> str:
    """A number for people; empty where there is none."""
    return "" if value is None else format(value, how) if math.isfinite(value) else "not finite"


def moment(seconds: float) -> str:
    """A time, in the zone of this machine."""
    with suppress(ValueError, OverflowError, OSError):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    return ""


def _started(entry: Entry, name: str) -> Any:
    return getattr(entry.seen.started, name, None)


def _steps(entry: Entry, name: str) -> Any:
    return getattr(entry.seen.steps, name, None)


def _error(entry: Entry, name: str) -> Any:
    return getattr(entry.seen.validated, name, None)


def _step(entry: Entry) -> str:
    total, done = _started(entry, "total_steps"), number(_steps(entry, "step"), ",")
    return f"{done} / {total:,}" if done and total else done


COLUMNS = (
    Column("name", "run", lambda e: e.name.lower(), lambda e: e.name, "name"),
    Column("state", "state", lambda e: e.seen.state, lambda e: e.seen.state, "state"),
    Column("strategy", "strategy", lambda e: _started(e, "strategy"), lambda e: _started(e, "strategy") or "", "word"),
    Column("ranks", "ranks", lambda e: _started(e, "world_size"), lambda e: number(_started(e, "world_size"), ",")),
    Column("batch", "batch", lambda e: _started(e, "global_batch"), lambda e: number(_started(e, "global_batch"), ",")),
    Column("step", "step", lambda e: _steps(e, "step"), _step),
    Column("epoch", "epoch", lambda e: _steps(e, "epoch"), lambda e: number(_steps(e, "epoch"), ",.2f")),
    Column("loss", "loss", lambda e: _steps(e, "loss"), lambda e: number(_steps(e, "loss"), ".4f")),
    Column("top1", "top-1 err.", lambda e: _error(e, "top1_error"), lambda e: number(_error(e, "top1_error"), ".1%")),
    Column("top5", "top-5 err.", lambda e: _error(e, "top5_error"), lambda e: number(_error(e, "top5_error"), ".1%")),
    Column("ips", "images/s", lambda e: _steps(e, "total_ips"), lambda e: number(_steps(e, "total_ips"), ",.0f")),
    Column("when", "last record", lambda e: e.seen.time, lambda e: moment(e.seen.time), "when"),
)


def ordered(entries: Iterable[Entry], view: View) -> list[Entry]:
    """Those that all words of the filter are in, sorted; what has no value comes last."""
    words = view.filter.lower().split()
    kept = [
        entry
        for entry in entries
        if all(word in f"{entry.name} {entry.seen.state} {_started(entry, 'strategy')}".lower() for word in words)
    ]
    column = next((each for each in COLUMNS if each.name == view.sort.lstrip("-")), COLUMNS[-1])
    known = [(value, entry) for entry in kept if (value := column.value(entry)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=view.sort.startswith("-"))
    return [entry for _, entry in known] + [entry for entry in kept if column.value(entry) is None]


def table(entries: Sequence[Entry], view: View) -> Any:
    """One page of the runs, and the way to the others."""
    if not entries:
        told = "No run matches the filter." if view.filter else "There are no runs in this folder yet; the first will appear here."
        return html.P(told, className="empty")
    pages = math.ceil(len(entries) / PAGE)
    page = min(max(view.page, 1), pages)
    body = [_row(entry, view) for entry in entries[(page - 1) * PAGE : page * PAGE]]
    head = html.Tr([html.Th("", className="pick"), *(_heading(column, view) for column in COLUMNS)])
    later = [html.P(f"{entry.name}: {entry.seen.later}", className="note") for entry in entries if entry.seen.later][:MOST_NOTES]
    return [html.Div(html.Table([html.Thead(head), html.Tbody(body)]), className="scroll"), _pages(page, pages, view), *later]


def _heading(column: Column, view: View) -> Any:
    mark = {column.name: " \u2191", f"-{column.name}": " \u2193"}.get(view.sort, "")
    link = go(column.title + mark, view.sorted_by(column.name))
    sort = {" \u2191": "ascending", " \u2193": "descending"}.get(mark, "none")
    return html.Th(link, className=f"{column.css} {column.name}", **plain({"aria_sort": sort}))


def _row(entry: Entry, view: View) -> Any:
    picked = entry.key in view.runs
    says = f"{'Remove' if picked else 'Pick'} {entry.name}"
    state = {"role": "checkbox", "aria_checked": str(picked).lower(), "aria_label": says}
    box = go("\u2713" if picked else "", view.toggled(entry.key), className="box", **state)
    cells = [html.Td(box, className="pick")]
    for column in COLUMNS:
        shown: Any = column.text(entry)
        if column.name == "name":
            shown = go(shown, replace(view, runs=(entry.key,)), title=entry.name)
        if column.name == "state":
            shown = html.Span(shown, className=f"state {shown}")
        cells.append(html.Td(shown, className=f"{column.css} {column.name}"))
    return html.Tr(cells, className="picked" if picked else "", **data(run=entry.key))


def _pages(page: int, pages: int, view: View) -> Any:
    if pages == 1:
        return None
    links = [
        go(word, replace(view, page=to)) for word, to in (("\u2190 previous", page - 1), ("next \u2192", page + 1)) if 1 <= to <= pages
    ]
    return html.P([f"page {page} of {pages} ", *links], className="pages")
