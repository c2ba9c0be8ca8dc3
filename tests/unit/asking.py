"""Requests for runs of a tiny network, as the tests of their preparation make them."""

import hashlib
import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from dist_alexnet.checkpoints.files import folder_name
from dist_alexnet.checkpoints.tensor_headers import WEIGHTS_FILE, state_file
from dist_alexnet.model.layers import parameter_shapes
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.training.prepare import Prepared, Request, prepare

MOMENTUM_FILE = state_file("momentum")

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
    (checkpoint / MOMENTUM_FILE).parent.mkdir(parents=True)
    saved = yaml.safe_load(prepared.job.directory.config.read_text())
    saved = {name: {**section, **config.get(name, {})} for name, section in saved.items()}
    shapes, files = parameter_shapes(describe(prepared.job.config.model)), {}
    for kind, file in (("", WEIGHTS_FILE), ("momentum.", MOMENTUM_FILE)):
        save_file({kind + name: torch.zeros(shape) for name, shape in shapes.items()}, checkpoint / file)
        files[file] = hashlib.sha256((checkpoint / file).read_bytes()).hexdigest()
    state = {
        "step": step,
        "position": 16 * step,
        "validated_at": 0,
        "optimizer": {"last_lr": {"conv": 0.01, "linear": None}},
        "schedule": {"best_error": None, "validations_since_best": 0, "drops": 0},
        "config": saved,
        "versions": {"dist-alexnet": "0.1.0"},
        "classes": sorted(path.name for path in (prepared.job.data / "train").iterdir()),
        "format": 2,
        "files": files,
    }
    (checkpoint / "state.json").write_text(json.dumps(state))
    prepared.lock.close()
    return checkpoint


def as_format_1(checkpoint: Path) -> None:
    """The same as the first version wrote it on two ranks: each its rows of every tensor, saying from which one on; no checksums."""
    parts: list[dict[str, torch.Tensor]] = [{}, {}]
    lengths: dict[str, int] = {}
    for file in (WEIGHTS_FILE, MOMENTUM_FILE):
        for name, tensor in load_file(checkpoint / file).items():
            lengths[name] = len(tensor)
            for part, rows in zip(parts, tensor.chunk(2), strict=True):
                part[name] = rows.contiguous()
        (checkpoint / file).unlink()
    for number, part in enumerate(parts):
        offsets = {name: {"saved_offsets": [number * (lengths[name] - len(rows)), *[0] * (rows.dim() - 1)]} for name, rows in part.items()}
        metadata = {"DCP_SHARDING_INFO": json.dumps(offsets), "DCP_VERSION": "1.0", "format": "pt"}
        save_file(part, checkpoint / f"shard-{number + 1:05d}-model-00001-of-00001.safetensors", metadata)
    state = json.loads((checkpoint / "state.json").read_text())
    del state["files"]
    state.pop("sha256", None)
    (checkpoint / "state.json").write_text(json.dumps({**state, "format": 1}))
