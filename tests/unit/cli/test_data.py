"""`data stats` and `data bench` as a person types them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dist_alexnet.config import SynthConfig
from dist_alexnet.data.statistics import as_json, read_statistics, write_statistics
from dist_alexnet.data.synth.synth import write
from tests.unit.cli.calling import call

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("photographs") / "set"
    write(target, SynthConfig(classes=2, train=8, val=2))
    return target


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    return lambda *arguments: call(["data", *map(str, arguments)], capsys, monkeypatch)


def test_stats_are_shown_stored_when_asked_for_and_not_computed_twice(photographs: Path, tmp_path: Path, typed: Typed) -> None:
    photographs = shutil.copytree(photographs, tmp_path / "set")
    shown = ["stats", photographs, "--size", "40", "--workers", "1"]
    code, out, _ = typed(*shown, "--image", tmp_path / "mean.png")
    assert code == 0
    assert "8 training images as squares of 40 pixels" in out
    assert "127.30 119.72 104.91" in out
    assert out.endswith("not stored: type --store to train with them\n")
    assert not (photographs / "statistics.json").exists()
    mean = np.asarray(Image.open(tmp_path / "mean.png")).mean(axis=(0, 1))
    code, out, _ = typed(*shown, "--store", "--json")
    numbers = json.loads(out)
    assert typed("bench", photographs, "--seconds", "0.01", "--rounds", "1", "--threads", "1", "data.statistics=authors")[0] == 0
    np.testing.assert_allclose(numbers["own"]["mean"], mean, atol=0.5)
    assert numbers["authors"]["mean"] == [127.30, 119.72, 104.91]
    stored = read_statistics(photographs)
    assert stored
    assert as_json(stored) == numbers["own"]
    write_statistics(photographs, replace(stored, images=7))
    assert json.loads(typed("stats", photographs, "--json")[1])["own"] == {**numbers["own"], "images": 7}
    assert json.loads(typed(*shown, "--recompute", "--json")[1])["own"] == numbers["own"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats", "DATA", "--size", "0"], "--size 0: must be from 1 to 65,500"),
        (["stats", "DATA", "--workers", "0"], "--workers 0: must be from 1 to 1,024"),
        (["stats", "DATA", "--image", "gone/mean.png"], "--image gone/mean.png: there is no folder gone; make it first"),
        (["stats", "gone"], "data.path=gone: there is no such folder"),
        (["bench", "gone"], "data.path=gone: there is no such folder"),
        (["bench", "DATA", "--threads", "1,x"], "--threads 1,x: must be numbers from 1, as in --threads 1,2,4"),
        (["bench", "DATA", "--rounds", "0"], "--seconds 2 --rounds 0: both must be positive"),
        (["bench", "DATA", "data.threads=7"], "data.threads is what is measured; type --threads, as in --threads 1,2,4"),
        (["stats", "gone", "--store"], "data.path=gone: there is no such folder"),
        (["bench", "DATA", "--seconds", "nan"], "--seconds nan --rounds 3: both must be positive"),
        (["bench", "DATA", "model.image_size=300"], "model.image_size=300 cannot be cropped from data.store_size=256"),
        (["bench", "DATA", "train.lr=1"], "train.lr would do nothing: what is measured is how fast the images come; leave it out"),
        (["bench", "DATA", "strategy.name=ddp"], "strategy.name would do nothing"),
        (["bench", "DATA", "data.speed=3"], "data.speed: Key 'speed' not in"),
        (["synth", "/dev/null/set"], "/dev/null/set: File exists; name a folder that can be written"),
    ],
)
def test_refusals(photographs: Path, typed: Typed, arguments: list[str], message: str) -> None:
    code, out, err = typed(*(argument.replace("DATA", str(photographs)) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_bench_says_what_the_set_can_feed(photographs: Path, typed: Typed) -> None:
    given = ["bench", photographs, "--threads", "2,1", "--seconds", "0.05", "--rounds", "1", "--device", "cpu", "-b", "4"]
    code, out, _ = typed(*given, "--json")
    assert code == 0
    result = json.loads(out)
    assert [(rate["threads"], rate["stage"]) for rate in result["rates"]] == [
        (threads, stage) for threads in (1, 2) for stage in ("read", "decode", "batches")
    ]
    best = max(rate["images_per_second"] for rate in result["rates"] if rate["stage"] == "batches")
    assert result["feeds_images_per_second"] == best
    assert result["feeds_step_seconds"] == pytest.approx(4 / best)
    code, out, _ = typed(*given, "model.image_size=64")
    assert "crops of 64 pixels in batches of 4" in out
    assert out.count("\ncpu  ") == 2
    assert "this feeds a network of" in out


def test_escape_codes_in_names_are_shown(photographs: Path, tmp_path: Path, typed: Typed) -> None:
    copy = shutil.copytree(photographs, tmp_path / "set")
    (min((copy / "train").iterdir()) / "x\x1b[2J\n.jpg").touch()
    code, out, _ = typed("verify", copy, "--workers", "1")
    assert code == 1
    assert r"/x\x1b[2J\n.jpg: it does not decode" in out
    assert "\x1b" not in out
