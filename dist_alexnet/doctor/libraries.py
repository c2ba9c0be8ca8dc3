"""What is installed, against what this program says it needs: its own metadata, so that there is one list."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from dist_alexnet.doctor.checks import Asked, Finding
from dist_alexnet.machine.surroundings import check_docstrings

PACKAGE = "dist-alexnet"


def libraries(asked: Asked) -> Iterator[Finding]:
    """Python, and all packages that are required."""
    try:
        own = metadata(PACKAGE)
    except PackageNotFoundError:
        yield Finding(PACKAGE, "it is not installed, only lying there: nothing is found by name; type pip install -e .")
        return
    yield Finding(f"{PACKAGE} {own['Version']}")
    python, needed = platform.python_version(), SpecifierSet(own["Requires-Python"] or "")
    wrong = "" if needed.contains(python, prereleases=True) else f"{PACKAGE} needs {needed}; install it under another Python"
    yield Finding(f"python {python}{f' ({needed})' if needed else ''}", wrong)
    check_docstrings()
    for line in own.get_all("Requires-Dist") or []:
        yield from _package(line)


def _package(line: str) -> Iterator[Finding]:
    try:
        needed = Requirement(line)
    except InvalidRequirement:  # what pip has read, this may be too old for
        return
    if needed.marker and not needed.marker.evaluate({"extra": ""}):
        return
    extras = f"[{','.join(sorted(needed.extras))}]" if needed.extras else ""
    remedy = f"type pip install '{needed.name}{extras}{needed.specifier}'"
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        yield Finding(needed.name, f"it is not installed; {remedy}")
        return
    wrong = "" if needed.specifier.contains(found, prereleases=True) else f"{PACKAGE} needs {needed.specifier}; {remedy}"
    yield Finding(f"{needed.name} {found}{f' ({needed.specifier})' if needed.specifier else ''}", wrong)
