"""A page of charts in one file, which needs no network: plotly's code is in it."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from plotly.io import to_html
from plotly.offline import get_plotlyjs

from dist_alexnet.charts.look import FONT

LOWEST = 320  # of charts, in pixels
CONFIG = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"format": "svg"}}
STYLE = f"""
body {{ font-family: {FONT}; color: #24292f; margin: 0 auto; max-width: 1200px; padding: 1rem; line-height: 1.45 }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #e4e8ed; padding-bottom: .3rem }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(32rem, 100%), 1fr)); gap: 1rem }}
.chart {{ border: 1px solid #e4e8ed; border-radius: 6px; min-width: 0; overflow: hidden }}
.table {{ overflow-x: auto }} table {{ border-collapse: collapse; font-size: .85rem }}
th, td {{ padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e4e8ed; white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left }} li {{ margin: .3rem 0 }} .note {{ color: #57606a; font-size: .9rem }}
details svg {{ max-width: 100%; height: auto }} summary {{ cursor: pointer; padding: .3rem 0 }}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document of parts that are HTML already."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>'
        f"<body><h1>{escape(title)}</h1>\n{''.join(parts)}</body></html>\n"
    )


def charts(figures: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Figures side by side, as many as the width takes; each with an id."""
    drawn = (f'<div class="chart">{_html(name, figure)}</div>' for name, figure in figures)
    fit = "<script>window.dispatchEvent(new Event('resize'))</script>"  # the first were drawn when they had the width for themselves
    return f'<div class="charts">{"".join(drawn)}</div>{fit}\n'


def _html(name: str, figure: dict[str, Any]) -> str:
    height = f"{max(LOWEST, 190 + 24 * len(figure['data'][0]['y']))}px" if figure["data"] else f"{LOWEST}px"
    html: str = to_html(figure, CONFIG, include_plotlyjs=False, full_html=False, div_id=name, default_height=height)
    return html


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> str:
    """Text only; the first column says what each row is."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="table"><table id="{escape(name)}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'


def heading(text: str) -> str:
    """Of a section."""
    return f"<h2>{escape(text)}</h2>\n"


def lines(texts: Iterable[str], name: str = "") -> str:
    """A list."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul id="{escape(name)}">{items}</ul>\n' if items else ""


def note(text: str) -> str:
    """Small print."""
    return f'<p class="note">{escape(text)}</p>\n'


def folded(summary: str, content: str) -> str:
    """HTML that is shown when its summary is clicked."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>\n"
