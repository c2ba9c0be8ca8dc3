"""Bars made of parts: where the time of a step went, what was sent for which exchange."""

from collections.abc import Mapping, Sequence
from typing import Any

from dist_alexnet.charts.look import PHASE_COLOURS, colours, frame, lying, text


def stacked(
    title: str, x: str, labels: Sequence[str], parts: Mapping[str, Sequence[float | None]], shades: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A bar for each label, lying, so that labels of any length can be read, with the first on top.

    Args:
        x: what the length of a bar is, with its unit.
        parts: by name, of each bar its length.
        shades: colours by name; by themselves the next of them.
    """
    shades = shades or colours(parts)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": text(name),
            "y": [text(label) for label in labels],
            "x": list(values),
            "marker": {"color": shades.get(name, "#b0b7c0")},
        }
        for name, values in parts.items()
    ]
    layout = lying({**frame(title, x), "barmode": "stack", "showlegend": True, "bargap": 0.35})
    layout["legend"] |= {"traceorder": "normal"}
    return {"data": data, "layout": layout}


def phases(title: str, labels: Sequence[str], seconds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Where the time of a step went, a bar for each label; in milliseconds."""
    names = [name for name in PHASE_COLOURS if any(each.get(name) for each in seconds)]
    names += sorted({name for each in seconds for name in each} - set(PHASE_COLOURS))
    parts = {name.replace("_", " "): [1e3 * each.get(name, 0.0) for each in seconds] for name in names}
    shades = {name.replace("_", " "): PHASE_COLOURS.get(name, "#b0b7c0") for name in names}
    return stacked(title, "ms per step", labels, parts, shades)
