"""What lies in a folder of runs, listed again and again."""

from pathlib import Path

import pytest

from dist_alexnet.dashboard import catalog
from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.page.table import COLUMNS, ordered
from tests.made_runs import NOW, line, make_run, started, steps


@pytest.fixture(name="listed")
def fixture_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.setattr(catalog, "FRESH_S", -1.0)
    return Catalog(tmp_path)


def test_runs_certificates_and_comparisons_are_told_apart(tmp_path: Path, listed: Catalog) -> None:
    make_run(tmp_path, "run")
    for name, files in (
        ("verify", ["certificate.json"]),
        ("compare", ["compare.json", "report.html", "certificate.json"]),
        ("half", ["compare.json"]),
        ("x", []),
    ):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
    (tmp_path / "file").touch()
    assert [(entry.name, entry.kind) for entry in listed.entries()] == [
        ("compare", "comparison"),
        ("run", "run"),
        ("verify", "certificate"),
    ]


def test_what_changes_is_seen_at_the_next_look(tmp_path: Path, listed: Catalog) -> None:
    assert listed.entries() == []
    run = make_run(tmp_path, "run", upto=4, status="")
    assert [(entry.seen.state, entry.seen.steps.step) for entry in listed.entries() if entry.seen.steps] == [("live", 4)]
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(line(steps(6)))
    assert [entry.seen.steps.step for entry in listed.entries() if entry.seen.steps] == [6]
    (run / "summary.json").write_text('{"status": "stopped"}')
    assert [entry.seen.state for entry in listed.entries()] == ["stopped"]
    run.rename(tmp_path / "other")
    assert [entry.name for entry in listed.entries()] == ["other"]


def test_a_folder_that_is_gone_has_nothing(tmp_path: Path) -> None:
    assert Catalog(tmp_path / "none").entries() == []


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_any_column_sorts_and_what_has_no_value_comes_last(column: str, tmp_path: Path, listed: Catalog) -> None:
    make_run(tmp_path, "a", upto=10)
    make_run(tmp_path, "b", upto=20, strategy="single", world_size=1)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.yaml").touch()
    up, down = ([entry.name for entry in ordered(listed.entries(), View(sort=sort))] for sort in (column, f"-{column}"))
    assert set(up) == set(down) == {"a", "b", "c"}
    if column not in ("name", "state", "when"):
        assert up[-1] == down[-1] == "c"
    if column in ("step", "epoch", "strategy", "ranks"):
        assert up[:2] == down[:2][::-1]


def test_a_filter_wants_all_of_its_words(tmp_path: Path, listed: Catalog) -> None:
    make_run(tmp_path, "one")
    make_run(tmp_path, "two", strategy="single", status="stopped")
    for words, names in (("STOPPED", ["two"]), ("ddp one", ["one"]), ("ddp two", []), ("  ", ["one", "two"])):
        assert sorted(entry.name for entry in ordered(listed.entries(), View(filter=words))) == names


def test_numbers_that_no_calendar_has_are_shown_as_nothing(tmp_path: Path, listed: Catalog) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.jsonl").write_bytes(line(started(time=1e300)) + line(steps(2, time=1e300, total_ips=1e999)))
    entry = listed.entries()[0]
    assert {column.name: column.text(entry) for column in COLUMNS}["when"] == ""
    assert entry.seen.time > NOW
