"""Whatever lies in the folder of a run: one line says what is wrong, or it is read. Never a traceback, never a hang.

A part of the cases by itself, all with `-m slow` (docs/security.md). Hangs end by the time limit of a test.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from dist_alexnet.compare.against import Baseline
from dist_alexnet.compare.of_runs import compare_runs
from dist_alexnet.compare.report import files
from dist_alexnet.compare.report.page import report
from dist_alexnet.config import Config
from dist_alexnet.dashboard.address import AXES, View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.downloads import as_csv
from dist_alexnet.dashboard.figures import CHARTS
from dist_alexnet.dashboard.page import certificates, charts, details, table
from dist_alexnet.dashboard.picked import pick
from dist_alexnet.runs.browse.folder import key_of
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from tests.fuzz.damage import AMOUNTS, TREES, changed, damaged, one_line, texts, try_all
from tests.made_runs import make_run
from tests.unit.asking import TINY

pytestmark = pytest.mark.parametrize("cases", AMOUNTS)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        make_run(tmp_path, name, upto=10, settings={**TINY, "strategy": {"name": "ddp"}})
    return tmp_path


def look_at(runs: Path, view: View) -> None:
    """All that the dashboard shows, and the driver reads."""
    catalog = Catalog(runs)
    table.table(catalog.entries(), view)
    picked = pick(catalog, view)
    charts.charts(picked, view)
    details.comparison(picked)
    details.details(catalog, picked)
    details.others(catalog)
    for run in picked:
        certificates.whole(catalog, run.key)
    for chart in CHARTS.values():
        if figure := chart(picked, view.x):
            as_csv(figure)
    for run in (runs / "a", runs / "b"):
        with one_line():
            list(RunDirectory(run).records())
        RankFailure.all(RunDirectory(run))


def metrics_of(file: Path) -> st.SearchStrategy[bytes]:
    """Some lines that say other things than they should, or damaged bytes."""
    whole = file.read_bytes()
    lines = [json.loads(line) for line in whole.splitlines()]
    other = st.sampled_from(range(len(lines))).flatmap(lambda at: st.tuples(st.just(at), changed(lines[at]) | TREES))

    def put(replaced: list[tuple[int, Any]]) -> bytes:
        said = [*lines]
        for at, line in replaced:
            said[at] = line
        return b"".join(json.dumps(line).encode() + b"\n" for line in said)

    return st.lists(other, min_size=1, max_size=4).map(put) | damaged(whole)


def test_metrics_files(cases: int, runs: Path) -> None:
    """Lines that say other things than they should, under any axis."""
    file = runs / "a" / "metrics.jsonl"

    def meets(case: tuple[bytes, str]) -> None:
        content, x = case
        file.write_bytes(content)
        look_at(runs, View(runs=("a", "b"), x=x))

    try_all(cases, st.tuples(metrics_of(file), st.sampled_from(AXES)), meets)


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.yaml", "env.json"])
def test_runs_that_are_compared(cases: int, name: str, runs: Path) -> None:
    file = runs / "a" / name
    tree = {**TINY, "strategy": {"name": "ddp"}} if name == "config.yaml" else {"versions": {"torch": "2"}, "cores": 2}

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            report(compare_runs([runs / "a", runs / "b"]))

    try_all(max(2, cases // 6), metrics_of(file) if name == "metrics.jsonl" else texts(tree), meets)


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "logs/rank_0.error.json", "env.json", "certificate.json"])
def test_other_files_of_a_run(cases: int, name: str, runs: Path) -> None:
    trees = {"config.yaml": asdict(Config()), "summary.json": {"status": "completed"}, "env.json": {"versions": {"torch": "2"}, "cores": 2}}
    tree = trees.get(
        name, {"rank": 0, "kind": "x", "message": "m", "trace": "t", "cases": [{"strategy": "ddp", "loss": 1.0, "options": {}}]}
    )
    file = runs / "a" / name

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        look_at(runs, View(runs=("a", "b")))

    try_all(max(5, cases // 3), texts(tree), meets)


def test_an_earlier_comparison(cases: int, runs: Path) -> None:
    """What --against reads."""
    comparison = compare_runs([runs / "a", runs / "b"])
    files.write(runs, comparison)
    file = runs / files.JSON
    tree = json.loads(file.read_bytes())

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            Baseline(files.read(runs), 0.05).look(comparison)

    try_all(cases, texts(tree), meets)


def test_addresses_and_names(cases: int, runs: Path) -> None:
    """Nothing outside of the folder of runs is found, whatever is asked for."""
    catalog, names = (
        Catalog(runs),
        st.text(max_size=20) | st.sampled_from(["..", ".", "a/../..", "/etc", "%2e%2e", "%2fetc", "a\0b", "a%00"]),
    )

    def meets(asked: str) -> None:
        for key in (asked, key_of(asked.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))):
            found = catalog.folder.find(key)
            assert found is None or found.resolve().parent == runs.resolve()
        pick(catalog, View.parse(f"?runs={asked}&zoom={asked}&x={asked}&page={asked}"))

    try_all(cases, names, meets)
