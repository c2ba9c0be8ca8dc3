"""What a run takes over from a checkpoint or from an attempt that was cut short, and when it cannot."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from dist_alexnet.config import Config, UsageError
from dist_alexnet.data.crops import Crops
from dist_alexnet.data.image_set import ImageSet
from dist_alexnet.model.layers import describe, parameter_shapes
from dist_alexnet.resolve import resolve
from dist_alexnet.training.checkpoint_files import check_tensors, read_state
from dist_alexnet.training.job import RunDirectory

# What was settled where the run was started, and how it is written where it has not been.
OF_THE_MACHINE: dict[str, dict[str, Any]] = {
    "launch": {"device": "auto", "address": None, "threads": 0, "share_device": False},
    "data": {"threads": 0},
}


def config_of_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """The configuration that a checkpoint was written under, but for what the machine decides (UsageError: it is unreadable)."""
    return _for_any_machine(read_state(checkpoint)["config"])


def config_of_run(directory: RunDirectory) -> dict[str, Any]:
    """The same of a run that was killed before its first checkpoint."""
    try:
        config = yaml.safe_load(directory.config.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        config = None
    if not isinstance(config, dict):
        raise UsageError(f"{directory.config} is empty or broken; type -c with the preset of that run, or another --name for a new one")
    return _for_any_machine(config)


def check_resume(config: Config, checkpoint: Path, train: ImageSet) -> None:
    """Refuse to go on from a checkpoint of another network, or one that is the end of its run (UsageError)."""
    state = read_state(checkpoint)
    check_same_network(config, checkpoint, train)
    if differs := other_mean(config, checkpoint, train):
        raise UsageError(f"{differs}; train on the data as they were, or type data.mean or data.subtract as it was")
    if config.train.momentum:
        _check_momentum(config, checkpoint, state["config"])
    epoch, steps = state["position"] / len(train), config.train.max_steps
    more = [f"more --epochs than {config.train.epochs:g}"] if epoch >= config.train.epochs else []
    if steps is not None and state["step"] >= steps:
        more.append(f"more --max-steps than {steps}")
    if more:
        place = f"step {state['step']}, epoch {epoch:.2f}"
        raise UsageError(f"{checkpoint.name} is the end of its run ({place}); type {' and '.join(more)} to go on")


def other_mean(config: Config, checkpoint: Path, train: ImageSet) -> str | None:
    """How what is subtracted from the images differs from what a checkpoint was trained with; None: it does not."""
    now, then = Crops.of(config.data, train, config.model.image_size).subtracted, read_state(checkpoint).get("subtracted")
    return f"{checkpoint.name} was trained with {then} subtracted from the images, but now it is {now}" if then not in (None, now) else None


def check_same_network(config: Config, checkpoint: Path, train: ImageSet) -> None:
    """Refuse a checkpoint whose tensors are not those of the network that is configured (UsageError)."""
    state = read_state(checkpoint)
    wanted, saved = asdict(config.model), asdict(resolve({"model": state["config"]["model"]}, []).model)
    if changes := ", ".join(f"model.{key}: {saved[key]} -> {value}" for key, value in wanted.items() if value != saved[key]):
        raise UsageError(f"the model section is not that of {checkpoint.name} ({changes}); leave it as it was, or start a new run")
    if state["classes"] != train.classes:
        raise UsageError(
            f"{checkpoint.name} was trained on other classes than those of the data set; type --data with the set it was trained on"
        )
    check_tensors(checkpoint, parameter_shapes(describe(config.model)))


def _check_momentum(config: Config, checkpoint: Path, saved: Mapping[str, Any]) -> None:
    train = saved.get("train")
    if isinstance(train, dict) and train.get("momentum") == 0:
        raise UsageError(
            f"train.momentum={config.train.momentum:g}, but {checkpoint.name} was written under train.momentum=0 and holds no velocities; "
            "type train.momentum=0, or start a new run"
        )
    check_tensors(checkpoint, {f"momentum.{name}": shape for name, shape in parameter_shapes(describe(config.model)).items()})


def _for_any_machine(config: dict[str, Any]) -> dict[str, Any]:
    sections = {name: config.get(name) or {} for name in OF_THE_MACHINE}
    if not all(isinstance(section, dict) for section in sections.values()):
        return config  # which resolving it will refuse
    return {**config, **{name: {**section, **OF_THE_MACHINE[name]} for name, section in sections.items()}}
