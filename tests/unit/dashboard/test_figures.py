"""What the charts of runs show."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dist_alexnet.dashboard.address import View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.downloads import as_csv
from dist_alexnet.dashboard.figures import CHARTS, MOST_BARS
from dist_alexnet.dashboard.picked import Picked, pick
from dist_alexnet.dashboard.settings import differences
from tests.made_runs import line, make_run, started, steps


def picked(runs: Path, *names: str, **view: object) -> list[Picked]:
    return pick(Catalog(runs), View(runs=names, **view))  # type: ignore[arg-type]


def ys(name: str, runs: Sequence[Picked], x: str = "step") -> dict[str, list[float]]:
    figure = CHARTS[name](runs, x)
    return {trace["name"]: trace["y"] for trace in figure["data"]} if figure else {}


def test_where_a_resumed_run_repeats_steps_the_newest_attempt_is_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", upto=8)
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(line(started(step=4, attempt=1)) + line(steps(6, loss=7.0, attempt=1)))
    assert ys("loss", picked(tmp_path, "a"))["a"] == [4 / 3, 4 / 5, 7.0]


@pytest.mark.parametrize(("x", "places"), [("step", [2, 4]), ("epoch", [0.04, 0.08]), ("time", [2 / 60, 4 / 60])])
def test_curves_stand_on_the_axis_that_was_asked_for(x: str, places: list[float], tmp_path: Path) -> None:
    make_run(tmp_path, "a", upto=4)
    figure = CHARTS["throughput"](picked(tmp_path, "a", x=x), x)
    assert figure
    assert figure["data"][0]["x"] == pytest.approx(places)


def test_runs_that_differ_in_ranks_only_make_a_curve_with_its_ideal(tmp_path: Path) -> None:
    for ranks in (1, 2, 4):
        make_run(tmp_path, f"r{ranks}", upto=6, world_size=ranks, settings={"launch": {"workers": ranks}})
    make_run(tmp_path, "other", world_size=2, settings={"train": {"seed": 1}})
    found = ys("scaling", picked(tmp_path, "r4", "r1", "other", "r2"))
    assert list(found) == ["ddp, batch 64", "ddp, batch 64, ideal"]
    assert found["ddp, batch 64, ideal"] == pytest.approx([305, 610, 1220])
    assert ys("scaling", picked(tmp_path, "r4", "other")) == {}


def test_where_nothing_is_picked_or_nothing_was_said_there_is_no_chart(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "metrics.jsonl").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "metrics.jsonl").write_bytes(line(started()))
    for name, chart in CHARTS.items():
        assert chart([], "step") is None, name
        assert chart(picked(tmp_path, "empty", "bare", "none"), "step") is None, name


def test_old_records_without_ranks_or_memory_are_drawn_as_far_as_they_go(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    bare = steps(
        2, phase_seconds_by_rank=[], peak_memory_bytes_by_rank=[], exposed_seconds={}, exchange_bytes_per_step={}, total_ips=None, loss=None
    )
    (tmp_path / "a" / "metrics.jsonl").write_bytes(line(bare))
    assert [name for name, chart in CHARTS.items() if chart(picked(tmp_path, "a"), "step")] == ["phases"]


def test_of_more_ranks_than_can_be_told_apart_the_first_are_drawn_and_the_title_says_so(tmp_path: Path) -> None:
    make_run(tmp_path, "a", upto=4, world_size=64)
    figure = CHARTS["ranks"](picked(tmp_path, "a"), "step")
    assert figure
    assert len(figure["data"][0]["x"]) == MOST_BARS
    assert figure["layout"]["title"]["text"].endswith(f"the first {MOST_BARS} of 64 ranks")


def test_means_are_of_what_is_zoomed_into(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", upto=4, status="")
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"".join(line(steps(step, phase_seconds={"forward": 1.0})) for step in (6, 8)))
    assert ys("phases", picked(tmp_path, "a", zoom=(5.0, 9.0))).keys() == {"forward"}


def test_numbers_as_csv_are_those_that_are_drawn(tmp_path: Path) -> None:
    make_run(tmp_path, "a,b", upto=4)
    figure = CHARTS["errors"](picked(tmp_path, "a%2Cb", x="epoch"), "epoch")
    assert figure
    assert as_csv(figure) == 'curve,epoch,%\n"a,b, top-1",0.08,50.0\n"a,b, top-5",0.08,25.0\n'


def test_settings_that_differ_are_found_and_a_file_that_is_none_has_no_settings(tmp_path: Path) -> None:
    make_run(tmp_path, "a", settings={"train": {"lr": 0.1, "epochs": 2}, "strategy": {"options": {}}})
    make_run(tmp_path, "b", settings={"train": {"lr": 0.2, "epochs": 2}, "data": {"mean": [1, 2]}})
    (make_run(tmp_path, "c") / "config.yaml").write_text("{[")
    many = [f"a{place}: &a{place} {{{', '.join(f'{x}: *a{place - 1}' for x in range(9))}}}" for place in range(1, 40)]
    (make_run(tmp_path, "d") / "config.yaml").write_text("\n".join(["a0: &a0 {}", *many]))
    a, b, c, d = picked(tmp_path, "a", "b", "c", "d")
    assert d.settings == {}, "9**39 of them"
    assert differences([a.settings, b.settings]) == ["train.lr", "data.mean"]
    assert (b.settings["data.mean"], dict(c.settings)) == ("1, 2", {})
