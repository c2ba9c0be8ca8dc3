"""Requests for runs of a tiny network, as the tests of their preparation make them."""

from pathlib import Path

from dist_alexnet.training.prepare import Prepared, Request, prepare

TINY = {
    "model": {
        "image_size": 36,
        "widths": {"conv1": 8, "conv2": 12, "conv3": 16, "conv4": 16, "conv5": 12, "fc6": 20, "fc7": 24},
    },
    "data": {"store_size": 40, "synth": {"classes": 4, "train": 40, "val": 8}},
    "train": {"global_batch": 16},
    "strategy": {"name": "channel_split"},
    "launch": {"name": "local", "device": "cpu"},
}


def ask(tmp_path: Path, preset: str | None, *overrides: str, name: str | None = "x", resume: str | None = None) -> Prepared:
    return prepare(Request(preset, overrides, tmp_path / "runs", name, resume))
