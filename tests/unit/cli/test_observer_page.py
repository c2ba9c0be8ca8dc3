"""The observer that docs/adding_an_observer.md shows, in a run by the program."""

import csv
from pathlib import Path

import pytest

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Steps
from tests.unit.cli.calling import call
from tests.unit.cli.test_plug_ins import install

PAGE = Path(__file__).parents[3] / "docs" / "adding_an_observer.md"


def test_the_observer_of_the_page(tmp_path: Path, preset: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text()
    points = page.split("```toml\n")[1].split("```")[0].splitlines()
    assert points[0] == '[project.entry-points."dist_alexnet.observers"]'
    install(tmp_path, "my_observers", page.split("```python\n")[1].split("```")[0], points[1].replace('"', ""), monkeypatch, "observers")
    monkeypatch.chdir(tmp_path)
    typed = ["-c", preset, "--launcher", "local", "--gpus", "1", "--strategy", "single", "--name", "run", "launch.observers=[losses]"]
    code, out, err = call(["train", *typed, "--max-steps", "4"], capsys, monkeypatch)
    assert (code, "switched off" in out + err) == (0, False), err
    with (tmp_path / "runs" / "run" / "losses.csv").open(newline="") as file:
        rows = [tuple(map(float, row)) for row in csv.reader(file)]
    steps = [record for record in RunDirectory(tmp_path / "runs" / "run").records() if isinstance(record, Steps)]
    assert rows == [(record.step, record.loss, record.total_ips) for record in steps]
    assert [step for step, *_ in rows] == [3, 4], "after a validation, and at the end"
    code, _, err = call(["train", "-c", preset, "launch.observers=[loses]"], capsys, monkeypatch)
    assert (code, err.splitlines()[-1]) == (2, "error: unknown observer 'loses'; did you mean 'losses'? installed: losses")
