"""The thread beside a rank of a cluster: it never ends a run, and says what is wrong once."""

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dist_alexnet.runs.records import Record
from tests.unit.observers.records import started, steps, validated, write


class Series:
    """Takes what Ray's counters and gauges take, and refuses what they refuse."""

    made: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}  # noqa: RUF012 - of one test

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.keys, self.values = set(tag_keys), self.made.setdefault(name, {})

    def inc(self, value: float, tags: dict[str, str]) -> None:
        if value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        self.set(self.values.get(tuple(sorted(tags.items())), 0.0) + value, tags)

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert set(tags) == self.keys
        assert all(isinstance(each, str) for each in tags.values())
        self.values[tuple(sorted(tags.items()))] = value


@pytest.fixture(name="export")
def fixture_export(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module without Ray, which other tests import when they have set what it reads then."""
    metrics = ModuleType("ray.util.metrics")
    monkeypatch.setattr(Series, "made", {})
    monkeypatch.setitem(sys.modules, metrics.__name__, metrics)
    for name in ("Counter", "Gauge"):
        setattr(metrics, name, Series)
    monkeypatch.delitem(sys.modules, "cluster.export", raising=False)
    yield importlib.import_module("cluster.export")
    del sys.modules["cluster.export"]


def follow(export: Any, folder: Path, rank: int, *records: Record) -> None:
    directory = write(folder / "run", (started(), steps(2)))  # of an attempt before
    thread = export.Export(directory.metrics, rank)
    thread.start()
    write(folder / "run", records)
    thread.finish()
    assert not thread.is_alive()


def values(name: str, **tags: str) -> list[float]:
    return [value for key, value in Series.made["dist_alexnet_" + name].items() if tags.items() <= dict(key).items()]


def test_a_rank_publishes_its_own_and_the_first_what_no_rank_has_for_itself(export: Any, tmp_path: Path) -> None:
    follow(export, tmp_path, 1, started(4), steps(6), validated(6), steps(8, loss=None))
    assert values("phase_seconds_total", rank="1", phase="rank_wait") == [pytest.approx(1.2)]
    assert values("phase_seconds_total", phase="data_wait") == [], "nothing, which Ray refuses to add"
    assert (values("images_total"), values("loss"), values("memory_peak_bytes")) == ([], [], [2000])
    follow(export, tmp_path / "first", 0, started(4), steps(6))
    assert values("images_total", run="run", strategy="ddp", ray_train_run_name="run", ray_train_worker_world_rank="0") == [32]
    assert values("exchange_bytes_total", exchange="gradients", direction="backward") == [128]


def test_what_goes_wrong_is_one_line(
    export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Series, value: float, tags: dict[str, str]) -> None:
        raise ConnectionError("no agent")

    monkeypatch.setattr(Series, "inc", refuse)
    with caplog.at_level(logging.WARNING):
        follow(export, tmp_path, 0, started(4), steps(6), steps(8))
    assert [record.message for record in caplog.records] == ["metrics are no longer published through Ray: ConnectionError: no agent"]
