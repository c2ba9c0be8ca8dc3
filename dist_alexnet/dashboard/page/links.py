"""Links from one view to another. assets/links.js follows them without loading the page again."""

from typing import Any

from dash import html

from dist_alexnet.dashboard.address import View


def go(text: Any, to: View, **attributes: Any) -> Any:
    """A link to a view; the names of attributes with _ for -."""
    return html.A(text, href=to.search(), **data(go="1"), **plain(attributes))


def data(**values: str) -> dict[str, Any]:
    """Attributes of an element that are called data-NAME."""
    return {f"data-{name}": value for name, value in values.items()}


def plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """As HTML writes them."""
    return {name.replace("_", "-") if name.startswith("aria_") else name: value for name, value in attributes.items()}
