"""The observer that docs/adding_an_observer.md shows, in a run by the program."""

import csv
from pathlib import Path

import pytest

from dist_alexnet.launch.settle import settle_observers
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Steps
from dist_alexnet.settings.presets import read_preset
from tests.unit.cli.calling import call
from tests.unit.cli.test_plug_ins import install

PAGE = Path(__file__).parents[3] / "docs" / "adding_an_observer.md"


def test_the_observer_of_the_page(tmp_path: Path, preset: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text()
    points = page.split("```toml\n")[1].split("```")[0].splitlines()
    assert points[0] == '[project.entry-points."dist_alexnet.observers"]'
    install(tmp_path, "my_observers", page.split("```python\n")[1].split("```")[0], points[1].replace('"', ""), monkeypatch, "observers")
    monkeypatch.chdir(tmp_path)
    typed = ["-c", preset, "--launcher", "local", "--gpus", "1", "--strategy", "single", "--name", "run", "observers.losses.file=all.csv"]
    code, out, err = call(["train", *typed, "--max-steps", "4"], capsys, monkeypatch)
    assert (code, "switched off" in out + err) == (0, False), err
    with (tmp_path / "runs" / "run" / "all.csv").open(newline="") as file:
        rows = [tuple(map(float, row)) for row in csv.reader(file)]
    steps = [record for record in RunDirectory(tmp_path / "runs" / "run").records() if isinstance(record, Steps)]
    assert rows == [(record.step, record.loss, record.total_ips) for record in steps]
    assert [step for step, *_ in rows] == [3, 4], "after a validation, and at the end"
    assert read_preset(str(tmp_path / "runs" / "run" / "config.yaml"))["observers"] == {"losses": {"file": "all.csv"}}
    for override, said in (
        ("observers.loses={}", "unknown observer 'loses'; did you mean 'losses'? installed: losses, prometheus, storage, tensorboard"),
        ("observers.losses=on", "observers.losses=on: it is a section; set what is in it, as in observers.losses.NAME=..., or null"),
        (
            "observers.losses.flie=x",
            "observers.losses of losses: Key 'flie' not in 'Options'. Did you mean: 'file'? (its options: file)",
        ),
    ):
        code, _, err = call(["train", *typed[:-1], "--name", "other", override], capsys, monkeypatch)
        assert (code, said in err.splitlines()[-1]) == (2, True), err
    stored = read_preset(str(tmp_path / "runs" / "run" / "config.yaml"))
    assert settle_observers(resolve(stored, ["observers.losses=null"])).observers == {}, "a resumed run may leave one behind"
