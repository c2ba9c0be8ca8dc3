"""Checks that are installed: entry points of the group `dist_alexnet.checks`, ours among them, each imported when its turn comes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dist_alexnet import registry
from dist_alexnet.config import UsageError
from dist_alexnet.machine.surroundings import check_folder, check_ranks, check_threads
from dist_alexnet.telemetry.environment import versions


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str  # in words, with what was found
    trouble: str = ""  # one line: what stands in the way, and what to type instead; empty: nothing


Check = Callable[[], Iterable[Finding]]  # what the entry point names; a UsageError that it raises is trouble, too


def run_checks() -> Iterator[tuple[str, Finding]]:
    """All findings, each with the name of its check, as they come; whatever a check raises is its last finding."""
    for name in registry.names(registry.CHECKS):
        try:
            check: Check = registry.load_any(registry.CHECKS, name)
            for finding in check():
                yield name, finding
        except UsageError as error:
            yield name, Finding(name, str(error))
        except Exception as error:  # somebody else's check: it must not cost the others
            yield name, Finding(name, f"the check itself failed: {type(error).__name__}: {error}")


def machine() -> Iterator[Finding]:
    """What every process here needs that starts ranks."""
    for what, look in (
        ("working directory", check_folder),
        ("threads that the environment asks for", check_threads),
        ("open files, memory, temporary folder, shared memory and loopback", check_ranks),
    ):
        try:
            look()
            yield Finding(what)
        except UsageError as error:
            yield Finding(what, str(error))


def libraries() -> Iterator[Finding]:
    """What is installed."""
    for name, version in versions().items():
        yield Finding(f"{name} {version}")
