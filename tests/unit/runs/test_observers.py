"""Whoever looks on at a run cannot end it, however badly they do."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.runs import observers
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.observers import Observer, observed
from dist_alexnet.runs.records import BadImage, Record, Stage


class Keeps(Observer):
    """Keeps what it sees."""

    seen: list[object] = []  # noqa: RUF012 - of the one that is made in a test

    def see(self, record: Record) -> None:
        self.seen.append(replace(record, time=0.0))

    def close(self) -> None:
        self.seen.append("closed")


class Breaks(Keeps):
    def see(self, record: Record) -> None:
        super().see(record)
        raise SystemExit("it had\nenough")


class Hangs(Keeps):
    def see(self, record: Record) -> None:
        threading.Event().wait()


class Starts(Keeps):
    def __init__(self, config: Config, directory: RunDirectory, options: object) -> None:
        raise OSError("no room")


@pytest.fixture(name="watch")
def fixture_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[object], list[str]]]:
    """Write three records, one of them before, under the eyes of an observer; what it has seen, and what a person was told."""

    def watch(*kinds: type[Observer]) -> tuple[list[object], list[str]]:
        monkeypatch.setattr(Keeps, "seen", [])
        installed: dict[str, Any] = {kind.__name__.lower(): kind for kind in kinds}
        monkeypatch.setattr(registry, "load", lambda group, name: installed[name] if group == registry.OBSERVERS else None)
        directory, told = RunDirectory(tmp_path), list[str]()
        metrics = MetricsFile(directory.metrics)
        metrics.write(Stage(doing="of an earlier attempt"))
        with observed(Config(observers={name: {} for name in installed}), directory, told.append):
            metrics.write(Stage(doing="training"))
            metrics.write(BadImage(step=1, image="a"))
        return Keeps.seen, told

    return watch


SEEN = [Stage(doing="training"), BadImage(step=1, image="a"), "closed"]


def test_it_sees_each_record_of_its_run_once_and_then_the_end(watch: Callable[..., Any]) -> None:
    assert watch(Keeps) == (SEEN, [])


def test_one_that_fails_is_switched_off_with_one_line(watch: Callable[..., Any]) -> None:
    seen, told = watch(Breaks)
    assert seen == SEEN[:1]
    assert told == ["the observer breaks is switched off, the run goes on: SystemExit: it had"]


def test_one_that_fails_costs_no_other_anything(watch: Callable[..., Any]) -> None:
    seen, told = watch(Breaks, Keeps)
    assert sorted(map(str, seen)) == sorted(map(str, [*SEEN, SEEN[0]]))
    assert len(told) == 1


def test_one_that_hangs_is_left(watch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers, "CLOSE_WAIT_S", 1.0)
    assert watch(Hangs) == ([], ["the observer hangs is not done after 1 s, and is left"])


def test_one_that_cannot_start_is_refused_before_anything_does(watch: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="the observer starts does not start: OSError: no room; mend that, or type observers.starts=null"):
        watch(Starts)


def test_one_that_is_not_installed_is_named() -> None:
    with pytest.raises(UsageError, match="unknown observer 'promethius'; did you mean 'prometheus'"):
        registry.load(registry.OBSERVERS, "promethius")


class Recalls(Keeps):
    """Is told what was before, and says so."""

    def begin(self, earlier: Iterable[Record]) -> str:
        self.seen.append([replace(record, time=0.0) for record in earlier])
        return "it knows"


class Refuses(Keeps):
    def begin(self, earlier: Iterable[Record]) -> str:
        raise UsageError("not here")


def test_one_that_asks_hears_of_earlier_attempts_and_then_of_this_one(watch: Callable[..., Any]) -> None:
    assert watch(Recalls) == ([[Stage(doing="of an earlier attempt")], *SEEN], ["it knows"])


def test_one_that_refuses_when_it_begins_is_closed(watch: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="^not here$"):
        watch(Refuses)
    assert Keeps.seen == ["closed"]


def test_one_may_have_longer_to_close(watch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers, "CLOSE_WAIT_S", 0.5)
    monkeypatch.setattr(Hangs, "linger_s", 0.5)
    assert watch(Hangs) == ([], ["the observer hangs is not done after 1 s, and is left"])
