"""Finds what is installed by name. The project's own strategies and launchers take the same path as anybody else's."""

import difflib
import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dist_alexnet.config import UsageError

STRATEGIES, LAUNCHERS = "dist_alexnet.strategies", "dist_alexnet.launchers"
_KIND = {STRATEGIES: "strategy", LAUNCHERS: "launcher"}


def names(group: str) -> list[str]:
    """Installed names of an entry-point group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """The class that is registered under a name.

    Raises:
        UsageError: no such name (says the closest), two packages claim it, nothing is installed, or the package fails to import.
    """
    kind, installed = _KIND[group], names(group)
    if not installed:
        raise UsageError(f"no {kind} is installed, not even our own: a bare checkout has no entry points; type pip install -e .")
    points: list[EntryPoint] = [point for point in entry_points(group=group) if point.name == name]
    if not points:
        close = difflib.get_close_matches(name, installed, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown {kind} {name!r}; {hint}installed: {', '.join(installed)}")
    if len({point.value for point in points}) > 1:
        raise UsageError(f"{kind} {name!r} is claimed by {' and '.join(sorted(p.value for p in points))}; uninstall one of them")
    try:
        found = points[0].load()
    except Exception as error:
        raise UsageError(f"{kind} {name!r} ({points[0].value}) does not load: {type(error).__name__}: {error}") from error
    if not inspect.isclass(found):
        raise UsageError(f"{kind} {name!r} ({points[0].value}) is no class; its author must name one")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UsageError(f"{kind} {name!r} ({points[0].value}) lacks {lacking}; its author must add it")
    return found
