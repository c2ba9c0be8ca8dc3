"""The dashboard as a person sees it: in a browser."""

import csv
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dist_alexnet.runs.browse.folder import key_of
from tests.made_runs import line, make_long, make_run, steps

Serve = Callable[[Path], str]


def row(page: Page, name: str) -> str:
    """What the list says of a run."""
    return page.locator(f'[data-run="{key_of(name)}"]').inner_text()


def points(page: Page, chart: str) -> dict[str, list[float]]:
    """The curves of a chart as they are drawn: y by name."""
    found: dict[str, list[float]] = page.evaluate(
        f"Object.fromEntries(document.querySelector('#card-{chart} .js-plotly-plot').data.map(trace => [trace.name, trace.y]))"
    )
    return found


def wait_for(page: Page, chart: str) -> None:
    page.wait_for_selector(f"#card-{chart} .main-svg")


def test_a_run_that_goes_on_moves_without_loading_the_page_again(tmp_path: Path, serve: Serve, page: Page) -> None:
    run = make_run(tmp_path, "goes-on", upto=10, status="")
    page.goto(f"{serve(tmp_path)}/?runs=goes-on")
    wait_for(page, "loss")
    expect(page.locator("#list")).to_contain_text("10 / 500")
    expect(page.locator("#count")).to_have_text("1 runs, 1 live")
    page.evaluate("window.loaded = 1")
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(line(replace(steps(12, loss=9.0), time=time.time())))
    expect(page.locator("#list")).to_contain_text("12 / 500")
    expect(page.locator("#list")).to_contain_text("9.0000")
    page.wait_for_function("document.querySelector('#card-loss .js-plotly-plot').data[0].y.at(-1) === 9")
    (run / "summary.json").write_text('{"status": "completed"}')
    expect(page.locator("#count")).to_have_text("1 runs, 0 live")
    assert page.evaluate("window.loaded") == 1
    make_run(tmp_path, "another")
    expect(page.locator("#list")).to_contain_text("another")


def test_four_runs_side_by_side_their_addresses_and_the_way_back(tmp_path: Path, serve: Serve, page: Page) -> None:
    for ranks in (1, 2, 4):
        make_run(tmp_path, f"ddp-{ranks}", world_size=ranks, settings={"train": {"lr": 0.01}, "launch": {"workers": ranks}})
    make_run(tmp_path, "split", strategy="channel_split", settings={"train": {"lr": 0.05}})
    page.goto(serve(tmp_path))
    for name in ("ddp-1", "ddp-2", "ddp-4", "split"):
        page.get_by_label(f"Pick {name}").click()
        expect(page.get_by_label(f"Remove {name}")).to_be_visible()
    assert page.url.endswith("/?runs=ddp-1,ddp-2,ddp-4,split")
    for chart in ("throughput", "loss", "errors", "phases", "ranks", "exposed", "bytes", "memory", "scaling"):
        wait_for(page, chart)
    page.wait_for_function("document.querySelector('#card-throughput .js-plotly-plot').data.length === 4")
    assert list(points(page, "throughput")) == ["ddp-1", "ddp-2", "ddp-4", "split"]
    assert list(points(page, "scaling")) == ["ddp, batch 64", "ddp, batch 64, ideal"]
    assert len(points(page, "ranks")["forward"]) == 1 + 2 + 4 + 2
    expect(page.locator("#details")).to_contain_text("train.lr")
    page.locator("#axes").get_by_role("link", name="epoch").click()
    page.wait_for_function("document.querySelector('#card-loss .js-plotly-plot').data[0].x[0] < 1")
    page.go_back()
    page.wait_for_function("document.querySelector('#card-loss .js-plotly-plot').data[0].x[0] === 2")
    page.go_back()
    expect(page.get_by_label("Pick split")).to_be_visible()
    page.go_forward()
    expect(page.get_by_label("Remove split")).to_be_visible()


def test_a_thousand_runs_are_listed_sorted_and_filtered(tmp_path: Path, serve: Serve, page: Page) -> None:
    first = make_run(tmp_path, "run-0000", upto=10)
    for number in range(1, 1000):
        copy = tmp_path / f"run-{number:04}"
        copy.mkdir()
        for name in ("metrics.jsonl", "summary.json", "config.yaml"):
            (copy / name).write_bytes((first / name).read_bytes())
    page.goto(f"{serve(tmp_path)}/?sort=name")
    expect(page.locator("#count")).to_have_text("1,000 runs, 0 live")
    expect(page.locator("#list tbody tr")).to_have_count(25)
    expect(page.locator("#list tbody tr").first).to_contain_text("run-0000")
    page.get_by_role("link", name="next").click()
    expect(page.locator("#list tbody tr").first).to_contain_text("run-0025")
    page.locator("#filter").fill("run-07 completed")
    expect(page.locator("#list")).to_contain_text("page 1 of 4")
    page.get_by_role("link", name="run \u2191").click()
    expect(page.locator("#list tbody tr").first).to_contain_text("run-0799")
    page.locator("#filter").fill("no such")
    expect(page.locator("#list")).to_have_text("No run matches the filter.")


def open_long(tmp_path: Path, lines: int, serve: Serve, page: Page) -> str:
    make_long(tmp_path / "long", lines)
    page.goto(f"{serve(tmp_path)}/?runs=long")
    wait_for(page, "errors")  # whose one record is in the middle of the file
    expect(page.locator("#details .note")).not_to_contain_text("looked for")
    return page.locator("#details .note").first.inner_text()


def test_a_long_run_says_that_it_is_a_sample(tmp_path: Path, serve: Serve, page: Page) -> None:
    note = open_long(tmp_path, 20_000, serve, page)
    assert note.endswith(" of 20,002 records are shown")
    drawn = points(page, "throughput")["long"]
    assert 1000 <= len(drawn) < 2000
    box = page.locator("#card-throughput .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_function(f"document.querySelector('#card-loss .js-plotly-plot').data[0].y.length > {len(drawn) + 100}")
    assert "&zoom=" in page.url
    page.get_by_role("link", name="show all again").click()
    page.wait_for_function(f"document.querySelector('#card-loss .js-plotly-plot').data[0].y.length === {len(drawn)}")


@pytest.mark.slow
def test_a_run_of_a_million_records_opens(tmp_path: Path, serve: Serve, page: Page) -> None:
    note = open_long(tmp_path, 1_000_000, serve, page)
    assert note.endswith(" of 1,000,002 records are shown")


NAMES = ["<script>alert(1)", "<img src=x onerror=alert(1)>", "100% a&b=c,d", "q\"'`", "\u00e9\u4e2d", "$x^2$", "{{7*7}}"]


def test_names_are_text(tmp_path: Path, serve: Serve, page: Page) -> None:
    for name in NAMES:
        make_run(tmp_path, name, settings={"train": {"note": "<b>bold</b>"}})
    page.on("dialog", lambda dialog: pytest.fail(f"a name was obeyed: {dialog.message}"))
    page.goto(f"{serve(tmp_path)}/?runs={','.join(map(key_of, NAMES))}")
    wait_for(page, "throughput")
    page.wait_for_function(f"document.querySelectorAll('#card-throughput .legendtext').length === {len(NAMES)}")
    legend = page.locator("#card-throughput .legendtext").all_text_contents()
    assert legend == NAMES
    for name in NAMES:
        assert name in row(page, name)
    assert page.locator("#list script, #list img, #details b").count() == 0
    page.get_by_label(f"Remove {NAMES[0]}").click()
    page.wait_for_function(f"document.querySelectorAll('#card-throughput .legendtext').length === {len(NAMES) - 1}")


def test_a_narrow_screen_shows_all_without_scrolling_sideways(tmp_path: Path, serve: Serve, page: Page) -> None:
    make_run(tmp_path, "a-run-with-quite-a-long-name-20261126-101112")
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{serve(tmp_path)}/?runs=a-run-with-quite-a-long-name-20261126-101112")
    wait_for(page, "loss")
    expect(page.get_by_label("Remove a-run")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#card-loss").bounding_box()["width"] <= 360  # type: ignore[index]


def test_every_chart_is_saved_as_svg_and_as_csv(tmp_path: Path, serve: Serve, page: Page) -> None:
    make_run(tmp_path, "=a<b>", upto=6)
    page.goto(f"{serve(tmp_path)}/?runs={key_of('=a<b>')}")
    wait_for(page, "loss")
    with page.expect_download() as saved:
        page.locator("#card-loss .modebar-btn").first.click()
    assert saved.value.suggested_filename == "dist-alexnet-loss.svg"
    assert Path(saved.value.path()).read_text().startswith("<svg")
    with page.expect_download() as saved:
        page.locator("#card-loss .csv").click()
    rows = list(csv.reader(Path(saved.value.path()).read_text().splitlines()))
    assert rows[:2] == [["curve", "step", "loss, mean over the report"], ["'=a<b>", "2", str(4 / 3)]]
    assert [row[1] for row in rows[1:4]] == ["2", "4", "6"]
    with page.expect_download() as saved:
        page.locator("#card-phases .csv").click()
    rows = list(csv.reader(Path(saved.value.path()).read_text().splitlines()))
    assert rows[0] == ["of", "part", "ms per step"]
    assert rows[1][:2] == ["'=a<b>", "data wait"]


def test_what_there_is_to_read_of_a_run(tmp_path: Path, serve: Serve, page: Page) -> None:
    run = make_run(tmp_path, "broken", status="")
    (run / "logs" / "rank_1.log").write_text("the last words\n")
    error = {"rank": 1, "kind": "ValueError", "message": "<b>it broke</b>", "trace": "Traceback"}
    (run / "logs" / "rank_1.error.json").write_text(json.dumps(error))
    (tmp_path / "verify-1").mkdir()
    case = {"strategy": "ddp", "world_size": 2, "options": {}, "verdict": {"passed": True, "loss": 1e-16}}
    (tmp_path / "verify-1" / "certificate.json").write_text(json.dumps({"passed": True, "cases": [case, 3, {}]}))
    (tmp_path / "compare-1").mkdir()
    (tmp_path / "compare-1" / "compare.json").write_text("{}")
    (tmp_path / "compare-1" / "report.html").write_text("<h1>the report</h1><script>document.body.append('ran')</script>")
    page.goto(f"{serve(tmp_path)}/?runs=broken")
    details = page.locator("#details")
    expect(details).to_contain_text("rank 1: ValueError: <b>it broke</b>")
    page.get_by_text("Last lines of the logs").click()
    expect(details).to_contain_text("the last words")
    page.get_by_text("Certificates of this strategy").click()
    page.locator("#details").get_by_role("link", name="verify-1").click()
    expect(details).to_contain_text("Every strategy computes the same steps as one process.")
    expect(page.locator("#list span.state")).to_have_text("failed")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="report").click()
    expect(opened.value.locator("body")).to_contain_text("ran")
    opened.value.close()
