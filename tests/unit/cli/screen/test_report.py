"""What a person sees of a run, at the widths that terminals have."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from dist_alexnet.cli.screen.report import RunReport
from dist_alexnet.cli.screen.run_line import clock, figure, log_line
from dist_alexnet.config import Config, LaunchConfig
from dist_alexnet.launch.local import LocalLauncher
from dist_alexnet.parallel.explain.layout import lay_out
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.records import RunStarted, Stage, Steps, Validated
from dist_alexnet.telemetry.clock import PHASES

RECORD = Steps(
    epoch=12.34,
    step=12345,
    loss=0.0123456,
    lr=0.00123,
    steps=1,
    total_ips=1234.5,
    seconds_per_epoch=1037.8,
    seconds_left=80_000.0,
    step_seconds=1.0,
    phase_seconds={"data_wait": 0.125},
)
STARTED = RunStarted(total_epochs=90.0, total_steps=703_125, step=0, epoch=0.0)

PARTS = [
    "epoch 12.34/90",
    "step  12345/703125",
    "s/epoch",
    "loss 0.01235",
    "lr 0.0012",
    "1234 images/s",
    "data wait  12%",
    "elapsed 0:00:00",
]


def live_rows(width: int, monkeypatch: pytest.MonkeyPatch, record: Steps) -> list[str]:
    """What is drawn on a terminal of this many columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # which makes rich take anything for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    with RunReport(as_json=False) as report:
        report.see(STARTED)
        report.see(record)
        rows = report._console.render_lines(report._line)
    return ["".join(segment.text for segment in row).rstrip() for row in rows]


@pytest.mark.parametrize(("width", "rows"), [(200, 1), (100, 2), (80, 2), (60, 3), (24, 10)])
def test_the_live_line_takes_the_rows_that_it_needs_and_drops_nothing(width: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = live_rows(width, monkeypatch, RECORD)
    assert len(shown) == rows
    assert max(map(cell_len, shown)) <= width - 3, "room for the ^C that the terminal echoes: a row that wraps is not erased"
    text = "  ".join(shown)
    assert [part for part in PARTS if part not in text] == []
    assert re.search(r"left 22:13:\d\d  ", text)  # 80,000 s, less a moment


def test_numbers_do_not_move_when_their_digits_change(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"loss": 6.9078, "lr": 0.01, "epoch": 1.5, "step": 7, "total_ips": 9.5, "seconds_per_epoch": 34.5}
    early = replace(RECORD, **changes, seconds_left=4000.0, phase_seconds={"data_wait": 0.01})
    records = (replace(RECORD, seconds_left=5000.0), early)
    one, other = (live_rows(200, monkeypatch, record)[0] for record in records)
    for label in ("epoch ", "step ", "left ", "s/epoch", "loss ", "lr ", "images/s", "data wait", "elapsed"):
        assert one.index(label) == other.index(label), label
    one, other = map(log_line, records)
    assert [at for at, letter in enumerate(one) if letter.isalpha()] == [at for at, letter in enumerate(other) if letter.isalpha()]


@pytest.mark.parametrize("value", [0.0, 1e-40, 0.00002, 0.001, 0.019389, 6.9078, 12.3456, 123456.7, 1e6, 12345678.9])
def test_a_figure_has_seven_cells_and_the_value(value: float) -> None:
    assert len(figure(value)) == 7
    assert float(figure(value)) == pytest.approx(value, rel=0.05)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00:00"), (3661, "1:01:01"), (86_399, "23:59:59"), (1e6, " 11 d 13 h")])
def test_times_up_to_many_days(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_where_there_is_no_terminal_each_stage_before_the_first_step_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with RunReport(as_json=False) as report:
        report.see(Stage(doing="building the network, opening the images"))
        report.see(STARTED)
        report.see(Stage(doing="training"))
        report.see(RECORD)
        report.see(Stage(doing="validation"))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "... building the network, opening the images",
        "... the first step, which may have to compile",
        "... training; numbers every 1 step(s)",
        "epoch  12.34  step  12345  left 22:13:20    1038 s/epoch  loss 0.01235  lr 0.0012     1234 images/s  data wait  12%",
    ]


def test_a_loss_that_is_not_finite_comes_as_null_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with RunReport(as_json=False) as report:
        report.see(replace(RECORD, loss=None))
        report.see(Validated(epoch=1.0, step=6, top1_error=1.0, top5_error=0.5, loss=None, images=2))
    train, val = capsys.readouterr().out.splitlines()
    assert "loss -        lr" in train
    assert val.endswith("top-1 error 100.0%, top-5 error 50.0%, loss not finite")


def test_on_a_terminal_that_cannot_move_its_cursor_there_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    with RunReport(as_json=False) as report:
        report.see(RECORD)
    assert "loss 0.01235" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["[bold]x", "[/]", ":smile:", "[red]a[/red] :heart:"])
def test_names_are_shown_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(launch=LaunchConfig(name="local", workers=1, device="cpu"))
    job = SimpleNamespace(config=config, directory=SimpleNamespace(path=Path("runs") / name))
    said: dict[str, Any] = {"launcher": LocalLauncher(config.launch), "ranks": 1, "passed_over": ["2 file(s) passed over"], "notes": []}
    prepared: Any = SimpleNamespace(job=job, layout=lay_out(config), source=f"{name}.yaml", train_images=1, val_images=1, **said)
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
        **dict.fromkeys(("seconds_per_epoch", "validation_seconds", "checkpoint_seconds", "final_loss_steps"), None),
        **dict.fromkeys(("steps", "epoch", "images", "total_ips", "compute_ips", "peak_memory_bytes", "wall_seconds"), 1),
        **{"strategy": "single", "world_size": 1, "device": "cpu", "status": "completed", "val": None, "final_loss": None},
        "phase_seconds": dict.fromkeys(PHASES, 0.0),
        "exchange_bytes_per_step": {},
        "bad_images": bad,
    }
    RunReport(as_json=False).result(summary, Path("runs") / "x")
    below = capsys.readouterr().out.partition("wall time")[2].splitlines()[1:]
    assert [text for text in below if text.strip()] == [*line, "written to runs/x"]


def test_escape_codes_and_line_breaks_in_names_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    report = RunReport(as_json=False)
    report.say("bad image a\x1b[2J\nb\udcff.jpg")
    report.failure(TrainingFailed("a\x1b[2J\nb.jpg: it does not decode"))
    out, err = capsys.readouterr()
    assert out == r"bad image a\x1b[2J\nb\udcff.jpg" + "\n"
    assert err == r"error: a\x1b[2J\nb.jpg: it does not decode" + "\n"
