"""report.html in a real browser: what it shows is what compare.json holds."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from dist_alexnet.charts.look import PHASE_COLOURS, text
from dist_alexnet.compare.interval import Interval
from dist_alexnet.compare.report import files
from dist_alexnet.compare.report.page import FILE, write_report
from dist_alexnet.compare.result import Comparison, Result
from dist_alexnet.config import ModelConfig

HOSTILE = "ddp:<img src=x onerror=alert(1)>"


def result(name: str, ranks: int, ips: float) -> Result:
    rank = {**dict.fromkeys(PHASE_COLOURS, 0.0), "forward": 0.03, "backward": 0.05, "communication": 0.01, "optimizer": 0.01}
    return Result(
        name=name,
        strategy=name,
        ranks=ranks,
        global_batch=32,
        mesh={},
        equality="equal",
        ips=Interval(ips, ips - 1, ips + 2, 20),
        phases=[rank] * ranks,
        exposed={"gradients": 0.01} if ranks > 1 else {},
        sent={"gradients": {"backward": 2e6}} if ranks > 1 else {},
        parameters=1000,
        memory_bytes=2**28,
        times={"single": Interval(ips / 40, ips / 42, ips / 39, 20)},
        limit=f"{name} on {ranks} computes",
    )


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    """A comparison, written; its compare.json."""
    setting = {"rounds": 20, "warmup": 2, "data": "drawn", "device": "cpu", "dtype": "float32", "model": asdict(ModelConfig(classes=10))}
    results = [result("single", 1, 40.123), result("ddp", 2, 61.5), result("channel_split", 2, 75.25), result(HOSTILE, 2, 12.0)]
    machine = {"processor": "<script>alert(2)</script>", "cores": 2}
    comparison = Comparison("in turn", "today", results, setting, {"torch": "2"}, machine, left_out=["hybrid on 1: <b>no</b>"])
    files.write(tmp_path, comparison)
    write_report(tmp_path, comparison)
    content: dict[str, Any] = json.loads((tmp_path / files.JSON).read_text())
    return content


def test_its_numbers_are_those_of_the_json(page: Page, made: dict[str, Any], tmp_path: Path) -> None:
    page.goto((tmp_path / FILE).as_uri())
    page.wait_for_selector("#throughput-32 .barlayer")
    rows = page.locator("#numbers-32 tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText))")
    shown = {name: cells for name, *cells in rows}
    drawn = page.evaluate("document.getElementById('throughput-32').data[0]")
    for each in made["results"]:
        assert shown[each["name"]][1] == f"{each['ips']['median']:.2f}"
        place = drawn["y"].index(text(f"{each['name']} on {each['ranks']}"))
        assert drawn["x"][place] == each["ips"]["median"]
        assert drawn["error_x"]["arrayminus"][place] == pytest.approx(each["ips"]["median"] - each["ips"]["low"])
    fastest_first = sorted(made["results"], key=lambda each: -each["ips"]["median"])
    assert page.locator("#limits-32 li").all_inner_texts() == [each["limit"] for each in fastest_first]


def test_a_click_on_the_legend_takes_a_phase_away(page: Page, made: dict[str, Any], tmp_path: Path) -> None:
    page.goto((tmp_path / FILE).as_uri())
    toggle = page.locator("#phases-32 .legendtoggle")
    toggle.first.wait_for(state="attached")
    toggle.first.click(force=True)
    page.wait_for_function("document.getElementById('phases-32').data.some(trace => trace.visible === 'legendonly')")
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert (tmp_path / "report.png").stat().st_size > 50_000


def test_figures_are_drawn_and_names_are_text(page: Page, made: dict[str, Any], tmp_path: Path) -> None:
    page.goto((tmp_path / FILE).as_uri())
    page.locator("details summary").first.click()
    assert page.locator("details svg").first.is_visible()
    assert page.locator("details").count() == 3, "of the strategies that are installed here"
    assert page.locator("img[src='x']").count() == 0
    assert HOSTILE in page.locator("#numbers-32").inner_text()
    assert "<script>alert(2)</script>" in page.locator("body").inner_text()


def test_on_a_phone_nothing_is_wider_than_the_page(page: Page, made: dict[str, Any], tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((tmp_path / FILE).as_uri())
    page.wait_for_selector("#throughput-32 .barlayer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
