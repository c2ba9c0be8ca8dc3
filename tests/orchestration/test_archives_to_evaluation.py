"""From archives of the shape of ILSVRC 2012 to a trained network and its ten-view errors, by the commands that a person types."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.unit.data.sources.ilsvrc_archives import build_archives

CLASSES, VAL = 20, 40


@pytest.fixture(scope="module")
def prepared(workplace: Path, dist_alexnet: Command) -> Path:
    build_archives(workplace / "archives", CLASSES, train_per_class=4, val=VAL)
    done = dist_alexnet("data", "prepare", "archives", "imagenet", "--size", "40", "--workers", "2", "--strict")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "imagenet: 80 training and 40 validation images\n"
    return workplace / "imagenet"


def test_synsets_and_their_words_are_kept(prepared: Path) -> None:
    index = json.loads((prepared / "dataset.json").read_text())
    assert len(index["classes"]) == CLASSES
    assert index["classes"] == sorted(index["classes"])
    assert set(index["class_names"]) == set(index["classes"])


def test_it_verifies_and_has_statistics(prepared: Path, dist_alexnet: Command) -> None:
    verified = dist_alexnet("data", "verify", "imagenet", "--workers", "2")
    assert verified.returncode == 0, verified.stdout
    assert f"train: 80 sound images in {CLASSES} classes, 4 to 4 in each" in verified.stdout
    assert f"val: {VAL} sound images in {CLASSES} classes, 2 to 2 in each" in verified.stdout
    stored = json.loads((prepared / "statistics.json").read_text())
    shown = json.loads(dist_alexnet("data", "stats", "imagenet", "--json").stdout)
    assert shown["own"].items() <= stored.items()
    assert stored["images"] == 80
    again = json.loads(dist_alexnet("data", "stats", "imagenet", "--recompute", "--json").stdout)["own"]
    assert again["mean"] == pytest.approx(stored["mean"], abs=1)  # of the JPEGs, not of what was compressed


def test_training_and_ten_views(prepared: Path, workplace: Path, dist_alexnet: Command) -> None:
    typed = ["-c", "tiny.yaml", "--data", "imagenet", "--name", "archives", "--max-steps", "3", "-b", "32", "data.augment.crop_chunk=32"]
    trained = dist_alexnet("train", *typed, "data.augment.color=code", "data.subtract=pixel")
    assert trained.returncode == 0, trained.stderr
    files = ["--per-class", "classes.csv", "--confusion", "confusion.csv"]
    evaluated = dist_alexnet("eval", "runs/archives", "--views", "ten", "--device", "cpu", "--json", *files)
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["images"] == VAL
    with (workplace / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [len(rows), sum(int(row["images"]) for row in rows)] == [CLASSES, VAL]
    assert [row["name"] for row in rows] == [f"words of {row['class']}" for row in rows]
    with (workplace / "confusion.csv").open() as file:
        assert all(row["predicted_name"] == f"words of {row['predicted']}" for row in csv.DictReader(file))


@pytest.mark.slow  # tests/unit/data has the limit of bad images
def test_a_bad_image_is_counted_and_one_too_many_ends_the_run(prepared: Path, workplace: Path, dist_alexnet: Command) -> None:
    shard = prepared / "train" / "00000.arrow"
    whole = shard.read_bytes()
    entry = json.loads((prepared / "dataset.json").read_text())["splits"]["train"][0]
    try:
        shard.write_bytes(whole[: entry["content"]] + bytes(64) + whole[entry["content"] + 64 :])
        typed = ["-c", "tiny.yaml", "--data", "imagenet", "--max-steps", "3", "-b", "32"]
        trained = dist_alexnet("train", *typed, "--name", "rotten")
        assert trained.returncode == 0, trained.stderr
        (bad,) = json.loads((workplace / "runs" / "rotten" / "summary.json").read_text())["bad_images"]
        assert "train/00000.arrow row 0 (n" in bad
        assert bad.endswith(".JPEG): it does not decode")
        kinds = [json.loads(line)["kind"] for line in (workplace / "runs" / "rotten" / "metrics.jsonl").read_text().splitlines()]
        assert kinds.count("bad_image") == 1
        refused = dist_alexnet("train", *typed, "--name", "too-rotten", "data.max_bad=0")
        assert refused.returncode == 1
        assert "it does not decode; 1 images are bad, and data.max_bad=0" in refused.stderr
        assert "Traceback" not in refused.stderr
    finally:
        shard.write_bytes(whole)
