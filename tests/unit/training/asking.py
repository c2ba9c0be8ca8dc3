"""Requests for runs of a tiny network, as the tests of their preparation make them."""

import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from dist_alexnet.model.layers import describe, parameter_shapes
from dist_alexnet.training.checkpoint_files import folder_name
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


def write_checkpoint(prepared: Prepared, step: int = 1, **config: dict[str, object]) -> Path:
    """A checkpoint of a run that has just been prepared, its network whole, with sections of its configuration changed."""
    checkpoint = prepared.job.directory.checkpoints / folder_name(step)
    checkpoint.mkdir(parents=True)
    saved = yaml.safe_load(prepared.job.directory.config.read_text())
    saved = {name: {**section, **config.get(name, {})} for name, section in saved.items()}
    classes = sorted(path.name for path in (prepared.job.data / "train").iterdir())
    state = {"step": step, "position": 16 * step, "config": saved, "classes": classes}
    (checkpoint / "state.json").write_text(json.dumps(state))
    shapes = parameter_shapes(describe(prepared.job.config.model))
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, checkpoint / "shard-0.safetensors")
    prepared.lock.close()
    return checkpoint
