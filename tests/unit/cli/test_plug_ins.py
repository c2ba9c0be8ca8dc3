"""Commands of other packages; the first is the one that docs/adding_a_command.md shows."""

from pathlib import Path

import pytest

from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import Stage, Steps
from tests.unit.cli.calling import call

PAGE = Path(__file__).parents[3] / "docs" / "adding_a_command.md"
THEIRS = """
import typer

app, number = typer.Typer(help="Two of theirs."), 3


@app.command()
def one(): print("one")


@app.command()
def two(): print("two")


def odd(x: int | str = 0): pass
"""


def install(folder: Path, module: str, content: str, points: str, patch: pytest.MonkeyPatch, group: str = "commands") -> None:
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (folder / f"{module}.py").write_text(content)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dist_alexnet.{group}]\n{points}\n")
    patch.syspath_prepend(folder)


def test_the_command_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text()
    points = page.split("```toml\n")[1].split("```")[0].splitlines()
    assert points[0] == '[project.entry-points."dist_alexnet.commands"]'
    install(tmp_path, "my_commands", page.split("```python\n")[1].split("```")[0], points[1].replace('"', ""), monkeypatch)
    run = tmp_path / "run"
    run.mkdir()
    code, out, err = call(["losses", str(run)], capsys, monkeypatch)
    assert (code, out, err) == (2, "", f"error: {run} has no losses yet; type the folder of a run that has begun\n")
    metrics = MetricsFile(run / "metrics.jsonl")
    metrics.write(Stage(doing="training"))
    for step, loss in ((20, 2.5), (40, 1.5)):
        metrics.write(Steps(step=step, loss=loss, epoch=1.0, lr=0.01, steps=20, step_seconds=1.0, phase_seconds={}))
    assert call(["losses", str(run)], capsys, monkeypatch) == (0, "20 2.5\n40 1.5\n", "")
    assert "Print the losses of a run" in call(["--help"], capsys, monkeypatch)[1]


def test_one_that_does_not_load_costs_nobody_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    points = "broken = no_such_module:x\nnumber = theirs:number\nboth = theirs:app\nconfig = theirs:app\nodd = theirs:odd\nscript = ends:x"
    (tmp_path / "ends.py").write_text("raise SystemExit(3)")
    install(tmp_path, "theirs", THEIRS, points, monkeypatch)
    broken = "command 'broken' (no_such_module:x) does not load: ModuleNotFoundError: No module named 'no_such_module'"
    number = "command 'number' is no function and no typer.Typer; its author must name one"
    odd = "command 'odd' cannot be read by typer: "
    script = "command 'script' (ends:x) does not load: SystemExit: 3"
    said = call(["--help"], capsys, monkeypatch)[1]
    assert all(text in said for text in (broken, number, odd, script, "Two of theirs.", "The configuration of a run."))
    assert call(["both", "two"], capsys, monkeypatch) == (0, "two\n", "")
    assert call(["broken", "x", "--loud"], capsys, monkeypatch) == (2, "", f"error: {broken}\n")
    assert call(["number"], capsys, monkeypatch) == (2, "", f"error: {number}\n")
    assert call(["config", "show"], capsys, monkeypatch)[0] == 0
