"""Finds what is installed by name. The project's own strategies and launchers take the same path as anybody else's."""

import difflib
import inspect
import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import dist_alexnet
from dist_alexnet.config import UsageError

STRATEGIES, LAUNCHERS = "dist_alexnet.strategies", "dist_alexnet.launchers"
OBSERVERS, COMMANDS, CHECKS = "dist_alexnet.observers", "dist_alexnet.commands", "dist_alexnet.checks"
_KIND = {STRATEGIES: "strategy", LAUNCHERS: "launcher", OBSERVERS: "observer", COMMANDS: "command", CHECKS: "check"}
ROOT = Path(dist_alexnet.__file__).parents[1]  # where our other packages lie, too
OURS = ("strategies", "cluster")  # names that a folder or package of somebody else may have


@cache
def _installed(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Of all packages on `sys.path`. Their metadata are files, which are read once: a command asks for many names."""
    return entry_points(group=group)


def installed(group: str) -> EntryPoints:
    """What packages bring for an entry-point group."""
    return _installed(group, tuple(sys.path))


def names(group: str) -> list[str]:
    """Installed names of an entry-point group, sorted."""
    return sorted(installed(group).names)


def find(group: str, name: str) -> EntryPoint:
    """What is registered under a name, without importing it.

    Raises:
        UsageError: no such name (says the closest), two packages claim it, or nothing is installed.
    """
    kind, points = _KIND[group], installed(group)
    if not points:
        ours = ", not even our own: a bare checkout has no entry points; type pip install -e ." if group in (STRATEGIES, LAUNCHERS) else ""
        raise UsageError(f"no {kind} is installed{ours or f', but {name!r} was asked for'}")
    found: list[EntryPoint] = [point for point in points if point.name == name]
    if not found:
        known = names(group)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown {kind} {name!r}; {hint}installed: {', '.join(known)}")
    if len({point.value for point in found}) > 1:
        raise UsageError(f"{kind} {name!r} is claimed by {' and '.join(sorted(p.value for p in found))}; uninstall one of them")
    return found[0]


def load_any(group: str, name: str) -> Any:
    """Whatever is registered under a name.

    Raises:
        UsageError: as of `find`, or the package fails to import.
    """
    point = find(group, name)
    try:
        if (package := point.module.partition(".")[0]) in OURS and point.dist and point.dist.name == "dist-alexnet":
            import_own(package)
        return point.load()
    except (Exception, SystemExit) as error:  # a module may be a script that ends the process
        raise UsageError(f"{_KIND[group]} {name!r} ({point.value}) does not load: {type(error).__name__}: {error}") from error


def load(group: str, name: str) -> Any:
    """The class that is registered under a name.

    Raises:
        UsageError: as of `load_any`, or it is something else than a class that can be made.
    """
    kind, point, found = _KIND[group], find(group, name), load_any(group, name)
    if not inspect.isclass(found):
        raise UsageError(f"{kind} {name!r} ({point.value}) is no class; its author must name one")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UsageError(f"{kind} {name!r} ({point.value}) lacks {lacking}; its author must add it")
    return found


def import_own(package: str) -> None:
    """Import our package of this name, though `sys.path` may hold another one before: the working directory, say (`python -m`).

    Raises:
        ImportError: another one is imported already, or ours is not where it should be.
    """
    if package in sys.modules:
        if ROOT / package not in map(Path, sys.modules[package].__path__):
            raise ImportError(f"a package {package} of {sys.modules[package].__file__} is in use, and ours has the same name")
        return
    spec = PathFinder.find_spec(package, [str(ROOT)])
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no package {package} in {ROOT}; install dist-alexnet again")
    sys.modules[package] = module = module_from_spec(spec)
    spec.loader.exec_module(module)


def search_own_first(path: list[str]) -> None:
    """Put the working directory last, which `python -m` has put first in `sys.path`; so do the processes that we start.

    Nothing changes where it is the working directory that we come from.
    """
    here = path[0]
    if not sys.flags.safe_path and Path(here).resolve() != ROOT.resolve():
        path[:] = [*path[1:], *([] if str(ROOT) in path else [str(ROOT)]), here]
