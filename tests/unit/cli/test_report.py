"""What a person sees of a run, at the widths that terminals have."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from dist_alexnet.cli.report import RunReport
from dist_alexnet.config import Config, LaunchConfig
from dist_alexnet.parallel.explain import plan
from dist_alexnet.telemetry.clock import PHASES
from dist_alexnet.training.local_launcher import LocalLauncher

RECORD = {
    "kind": "train",
    "epoch": 12.34,
    "step": 12345,
    "loss": 0.0123456,
    "lr": 0.00123,
    "total_ips": 1234.5,
    "step_seconds": 1.0,
    "phase_seconds": {"data_wait": 0.125},
}


def live_line(width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The line on a terminal of this many columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # which makes rich take anything for a terminal
    monkeypatch.setenv("COLUMNS", str(width))
    with RunReport(as_json=False) as report:
        report.follow({"kind": "start", "total_epochs": 90.0, "step": 0})
        report.follow(RECORD)
        assert report._progress
        lines = report._console.render_lines(report._progress.get_renderable())
    shown = ["".join(segment.text for segment in line).rstrip() for line in lines]
    assert len(shown) == 1
    return shown[0]


@pytest.mark.parametrize(
    ("width", "shown", "dropped"),
    [
        (80, ["loss 0.012346"], ["lr", "images/s", "data wait"]),
        (90, ["loss 0.012346  lr 0.0012"], ["images/s", "data wait"]),
        (105, ["loss 0.012346  lr 0.0012  1234 images/s"], ["data wait"]),
        (120, ["loss 0.012346  lr 0.0012  1234 images/s  data wait 12%"], []),
    ],
)
def test_the_live_line_loses_whole_numbers_and_never_the_times(
    width: int, shown: list[str], dropped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = live_line(width, monkeypatch)
    assert line.startswith("epoch 12.34/90  step 12345 ")
    assert line.endswith("0:00:00 -:--:--")
    assert all(part in line for part in shown)
    assert not any(part in line for part in dropped)
    assert cell_len(line) <= width - 3, "room for the ^C that the terminal echoes: a line that wraps is not erased"


@pytest.mark.parametrize("name", ["[bold]x", "[/]", ":smile:", "[red]a[/red] :heart:"])
def test_names_are_shown_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(launch=LaunchConfig(name="local", workers=1, device="cpu"))
    job = SimpleNamespace(config=config, directory=SimpleNamespace(path=Path("runs") / name))
    said: dict[str, Any] = {"launcher": LocalLauncher(config.launch), "passed_over": ["2 file(s) passed over"], "notes": []}
    prepared: Any = SimpleNamespace(job=job, plan=plan(config), source=f"{name}.yaml", train_images=1, val_images=1, **said)
    report = RunReport(as_json=False)
    report.header(prepared)
    report.say(f"written to {name}")
    out = capsys.readouterr().out
    assert f"preset      {name}.yaml" in out
    assert f"run         {Path('runs') / name}" in out
    assert f"written to {name}" in out
    assert "2 file(s) passed over" in out


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ([], []),
        (["a.jpg: gone", "b.jpg: gone"], ["2 images could not be read or decoded, the first: a.jpg: gone; summary.json names them all"]),
    ],
)
def test_images_that_went_bad_have_a_line_below_the_table(bad: list[str], line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    summary = {
        **dict.fromkeys(("steps", "epoch", "images", "total_ips", "compute_ips", "peak_memory_bytes", "wall_seconds"), 1),
        **{"strategy": "single", "world_size": 1, "device": "cpu", "status": "completed", "val": None, "final_loss": None},
        "phase_seconds": dict.fromkeys(PHASES, 0.0),
        "exchange_bytes_per_step": {},
        "bad_images": bad,
    }
    RunReport(as_json=False).result(summary, Path("runs") / "x")
    below = capsys.readouterr().out.partition("wall time")[2].splitlines()[1:]
    assert [text for text in below if text.strip()] == [*line, "written to runs/x"]
