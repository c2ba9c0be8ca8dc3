"""The little of SVG that our pictures need."""

from xml.sax.saxutils import escape, quoteattr

Value = str | float


def element(tag: str, *children: str, **attributes: Value) -> str:
    """An element; `_` in the name of an attribute becomes `-`, numbers keep one decimal. Children are XML already."""
    written = "".join(f" {name.rstrip('_').replace('_', '-')}={quoteattr(_text(value))}" for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(children)}</{tag}>" if children else f"<{tag}{written}/>"


def text(words: str, x: float, y: float, **attributes: Value) -> str:
    """A line of text; y is its base line."""
    return element("text", escape(words), x=x, y=y, **attributes)


def document(width: float, height: float, style: str, *children: str) -> str:
    """A standalone picture on white."""
    ground = element("rect", width=width, height=height, fill="#ffffff")
    root = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {_text(width)} {_text(height)}"}
    return element("svg", element("style", escape(style)), ground, *children, **root, width=width, height=height) + "\n"


def _text(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
