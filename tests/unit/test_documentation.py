"""Every link in the documentation leads somewhere, and every command it shows is one that exists."""

import re
from pathlib import Path

import pytest

from dist_alexnet.cli.screen.report import RunReport
from dist_alexnet.runs.records import Steps
from dist_alexnet.settings.presets import preset_names
from dist_alexnet.telemetry.clock import PHASES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md"), *ROOT.glob("cluster/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_presets_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"-c (\w+)", (ROOT / "README.md").read_text()))
    assert named <= set(preset_names())


def test_the_sample_of_the_readme_has_the_lines_that_a_run_prints(capsys: pytest.CaptureFixture[str]) -> None:
    sample = (ROOT / "README.md").read_text()
    phases = dict.fromkeys(PHASES, 0.0)
    rates = {"total_ips": 1.0, "seconds_per_epoch": 1.0, "seconds_left": 1.0}
    record = Steps(epoch=8.0, step=500, loss=1.0, lr=1.0, steps=1, step_seconds=1.0, phase_seconds=phases, **rates)
    keys = ("steps", "epoch", "images", "final_loss", "final_loss_steps", "total_ips", "compute_ips", "wall_seconds", "peak_memory_bytes")
    keys += ("seconds_per_epoch", "validation_seconds", "checkpoint_seconds")
    summary = {**dict.fromkeys(keys, 20), "strategy": "channel_split", "world_size": 2, "device": "cpu", "status": "completed"}
    summary |= {"val": {"top1_error": 0.0, "top5_error": 0.0}, "phase_seconds": phases, "exchange_bytes_per_step": {}, "bad_images": []}
    report = RunReport(as_json=False)
    report.see(record)
    report.result(summary, Path("runs/first"))
    for line in filter(str.strip, capsys.readouterr().out.splitlines()):
        label = re.sub(r"[\d.:,/%-]+", "#", line).strip()
        assert any(_same_words(label, re.sub(r"[\d.:,/%-]+", "#", other).strip()) for other in sample.splitlines()), line


def _same_words(line: str, other: str) -> bool:
    return [word for word in line.split() if word != "#"] == [word for word in other.split() if word != "#"]


def test_every_room_is_explained_and_holds_what_one_can_read_together() -> None:
    rooms = [folder for folder in (ROOT / "dist_alexnet").rglob("*") if (folder / "__init__.py").is_file()]
    explained = (ROOT / "docs" / "architecture.md").read_text()
    assert len(rooms) > 20
    for room in rooms:
        assert f"`{room.relative_to(ROOT / 'dist_alexnet')}/`" in explained, room
        assert len([file for file in room.glob("*.py") if file.name != "__init__.py"]) <= 12, room
