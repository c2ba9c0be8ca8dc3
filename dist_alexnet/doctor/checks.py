"""What a check is. Checks are entry points of the group `dist_alexnet.checks`, ours among them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dist_alexnet.config import Config


@dataclass(frozen=True)
class Asked:
    """What a person wants to run, and what is to be looked at of it."""

    config: Config  # resolved
    output_dir: Path  # where run folders go; absolute
    measure: bool = False  # checks that take a while, or keep the machine busy, are wanted, too


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str  # in words, with what was found
    trouble: str = ""  # one line: what stands in the way, and what to type instead; empty: nothing
    numbers: Mapping[str, float] = field(default_factory=dict)  # what was found, for programs; the unit is in the name


Check = Callable[[Asked], Iterable[Finding]]  # what the entry point names; a UsageError that it raises is trouble, too
Some = TypeVar("Some", bound=Check)


def measures(check: Some) -> Some:
    """Mark a check that takes a while: it runs with `--measure`, or where it is named."""
    check.measures = True  # type: ignore[attr-defined]
    return check


def in_words(size: float) -> str:
    """Bytes, as people say them."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
