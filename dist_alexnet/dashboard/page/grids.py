"""Tables of text."""

from collections.abc import Iterable, Sequence
from typing import Any

from dash import html

MOST_ROWS = 200


def grid(head: Sequence[str], rows: Iterable[Sequence[Any]], marked: set[str] | None = None) -> Any:
    """A table of text; rows whose first cell is marked stand out."""
    body = [html.Tr([html.Td(cell) for cell in row], className="differs" if marked and row[0] in marked else "") for row in rows]
    return html.Div(html.Table([html.Thead(html.Tr([html.Th(cell) for cell in head])), html.Tbody(body)]), className="scroll")


def part(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]], is_open: bool = False, marked: set[str] | None = None) -> Any:
    """A table that folds away; None where it has no rows."""
    rows = list(rows)
    if not rows:
        return None
    more = f", the last {MOST_ROWS} of them" if len(rows) > MOST_ROWS else ""
    said = html.Summary(f"{title} ({len(rows):,}{more})")
    return html.Details([said, grid(head, rows[-MOST_ROWS:], marked)], open=is_open)
