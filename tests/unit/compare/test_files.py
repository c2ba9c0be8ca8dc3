"""compare.json there and back, CSV, and comparing with an earlier one."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.compare.against import Baseline
from dist_alexnet.compare.interval import Interval
from dist_alexnet.compare.report import files
from dist_alexnet.compare.result import Comparison, Result
from dist_alexnet.config import UsageError
from tests.unit.compare.test_sentence import result

TIMES = {"single": Interval(1.5, 1.4, 1.6, 20), "ddp": Interval(1.0, 1.0, 1.0, 20)}


def one(ips: float, spread: float = 0.01, **more: object) -> Result:
    interval = Interval(ips, ips * (1 - spread), ips * (1 + spread), 20)
    return replace(result({"forward": 1.0}, {"forward": 1.0}), ips=interval, times=TIMES, **more)  # type: ignore[arg-type]


def comparison(*results: Result, **more: object) -> Comparison:
    known = {"measured": "in turn", "made": "today", "setting": {"dtype": "float32"}, "versions": {"torch": "2"}, "machine": {"cores": 2}}
    return Comparison(results=list(results), **{**known, **more})  # type: ignore[arg-type]


def test_there_and_back(tmp_path: Path) -> None:
    made = comparison(one(100, limit="said", memory_bytes=7), left_out=["x"], notes=["y"])
    files.write(tmp_path, made)
    assert files.read(tmp_path) == made == files.read(tmp_path / files.JSON)
    content = json.loads((tmp_path / files.JSON).read_text())
    content["results"][0]["of_a_later_version"] = 1
    (tmp_path / files.JSON).write_text(json.dumps(content))
    assert files.read(tmp_path) == made


def test_a_line_of_csv_for_each_contestant() -> None:
    (row,) = csv.DictReader(io.StringIO(files.to_csv(comparison(one(100, limit='a "b", c')))))
    names = ("contestant", "ranks", "images_per_second", "times_single_low", "efficiency")
    assert [row[name] for name in names] == ["ddp", "2", "100", "1.4", "0.75"]
    assert row["limit"] == 'a "b", c'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("{", "no JSON, or half of it"),
        ("[1]", "is no comparison"),
        ('{"kind": "certificate"}', "is no comparison"),
        ('{"kind": "comparison", "version": 99}', "version 99, and this dist-alexnet knows up to 1"),
        ('{"kind": "comparison", "version": 1}', "lacks 'measured'"),
        ('{"kind": "comparison"}', "lacks 'version'"),
        ("[" * 100_000, "no JSON, or half of it"),
    ],
)
def test_what_is_no_comparison_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / files.JSON).write_text(content)
    with pytest.raises(UsageError, match=said):
        files.read(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ips": {"median": "fast", "low": 1, "high": 2, "values": 9}},
        {"ips": {"median": 0, "low": 0, "high": 2, "values": 9}},
        {"ips": {"median": None, "low": 0, "high": 2, "values": 9}},
        {"ips": 3},
        {"global_batch": [4]},
    ],
)
def test_numbers_that_are_none_are_refused_before_anything_is_measured(tmp_path: Path, wrong: dict[str, object]) -> None:
    content = comparison(one(100)).as_dict()
    content["results"][0] |= wrong
    (tmp_path / files.JSON).write_text(json.dumps(content))
    with pytest.raises(UsageError, match="is not as it was written"):
        files.read(tmp_path)


def baseline(allowed: float | None, *results: Result) -> Baseline:
    return Baseline(comparison(*results), allowed)


@pytest.mark.parametrize(
    ("now", "spread", "allowed", "failed"),
    [(94, 0.01, 0.05, True), (96, 0.001, 0.05, False), (94, 0.2, 0.05, False), (50, 0.01, None, False), (120, 0.01, 0.05, False)],
)
def test_slower_than_allowed_and_surely_so(now: float, spread: float, allowed: float | None, failed: bool) -> None:
    before = baseline(allowed, one(100))
    (line,) = before.look(comparison(one(now, spread)))
    assert before.failed is failed
    assert f"{now / 100 - 1:+.1%} images/s" in line


def test_what_differs_besides_is_said() -> None:
    said = baseline(None, one(100)).look(comparison(one(100), machine={"cores": 64}, setting={"dtype": "bf16"}))
    assert said[:2] == ["not the same as before: cores was 2, and is 64", "not the same as before: dtype was float32, and is bf16"]


def test_without_a_common_contestant_there_is_nothing_to_say() -> None:
    with pytest.raises(UsageError, match="no contestant is in both comparisons; the earlier one has ddp on 2 with 8"):
        baseline(None, one(100, global_batch=8)).look(comparison(one(100)))


@pytest.mark.parametrize(("typed", "share"), [("5%", 0.05), ("0.05", 0.05), ("12.5%", 0.125)])
def test_shares_as_they_are_typed(tmp_path: Path, typed: str, share: float) -> None:
    files.write(tmp_path, comparison(one(1)))
    asked = Baseline.asked(tmp_path, typed)
    assert asked
    assert asked.allowed == pytest.approx(share)
    with pytest.raises(UsageError, match="needs a share"):
        Baseline.asked(tmp_path, "fast")
    with pytest.raises(UsageError, match="type --against"):
        Baseline.asked(None, typed)
