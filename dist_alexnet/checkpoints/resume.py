"""What a run takes over from a checkpoint or from an attempt that was cut short, and when it cannot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dist_alexnet.checkpoints.files import check_files, list_checkpoints
from dist_alexnet.checkpoints.state import STATE_FILE, Damaged, TrainingState, read_state
from dist_alexnet.checkpoints.tensor_headers import check_tensors, full_name, state_file
from dist_alexnet.config import Config, UsageError
from dist_alexnet.data.images import ImageSet
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.model.layers import buffer_shapes, parameter_shapes
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.redact import tree_without_secrets
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.settings.presets import read_preset
from dist_alexnet.update.rule import STATES, kept_states

# What was settled where the run was started, and how it is written where it has not been.
OF_THE_MACHINE: dict[str, dict[str, Any]] = {
    "launch": {"device": "auto", "address": None, "interface": None, "threads": 0, "share_device": False},
    "data": {"threads": 0},
}
SPENT = ("init",)  # settings of the model that have done their work once there are weights


def check_whole(checkpoint: Path, momentum: bool = True) -> None:
    """Check that every file of a checkpoint is there and as it was written; without `momentum` those that an evaluation reads.

    Raises:
        Damaged: one is not.
        UsageError: another version wrote it, which this one cannot follow.
    """
    state = read_state(checkpoint)
    check_files(checkpoint, without=() if momentum else [state_file(state) for state in STATES])
    layers = describe(_resolved(checkpoint, state, "model").model)
    trained, states = parameter_shapes(layers), kept_states(state.config["train"]) if momentum else ()
    kept = {full_name(name_of_state, name): shape for name_of_state in states for name, shape in trained.items()}
    check_tensors(checkpoint, trained | buffer_shapes(layers) | kept)


def newest_whole(checkpoints: Sequence[Path], momentum: bool = True) -> tuple[Path | None, list[str]]:
    """The last of these that is whole, and what is wrong with those after it."""
    faults: list[str] = []
    for checkpoint in reversed(checkpoints):
        try:
            check_whole(checkpoint, momentum)
        except Damaged as damage:
            faults.append(str(damage))
        else:
            return checkpoint, faults
    return None, faults


def check_usable(checkpoint: Path, momentum: bool = True) -> None:
    """As `check_whole`, for a checkpoint that a person named: names the one to fall back on, too (UsageError)."""
    try:
        check_whole(checkpoint, momentum)
    except Damaged as damage:
        older = [other for other in list_checkpoints(checkpoint.parent) if other.name < checkpoint.name]
        whole, _ = newest_whole(older, momentum)
        advice = f"the newest whole one before it is {whole}: type that" if whole else "and no older one beside it is whole; type another"
        raise UsageError(f"{damage}; {advice}") from None


def changes(config: Config, checkpoint: Path) -> list[str]:
    """How the settings of a run differ from those that a checkpoint was written under, a line each; but for what the machine decides."""
    defaults, now = dict(_flat(asdict(Config()))), dict(_flat(tree_without_secrets(asdict(config))))
    then = dict(_flat(read_state(checkpoint).config))
    own = {f"{section}.{key}" for section, keys in OF_THE_MACHINE.items() for key in keys}
    return [
        f"{key}: {then.get(key, defaults.get(key, 'not set'))} -> {now.get(key, 'not set')}"
        for key in (now | then)
        if key not in own and then.get(key, defaults.get(key, now.get(key))) != now.get(key)
    ]


def other_images(checkpoint: Path, train: ImageSet) -> list[str]:
    """The same of the number of training images."""
    then = read_state(checkpoint).train_images
    changed = f"training images: {then:,} -> {len(train):,}, which come in another order from here on" if then else ""
    return [changed] if then not in (None, len(train)) else []


def config_of_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """The configuration that a checkpoint was written under, but for what the machine decides (UsageError: it is unreadable)."""
    state = read_state(checkpoint)
    _resolved(checkpoint, state)
    return _for_any_machine(dict(state.config))


def config_of_run(directory: RunDirectory) -> dict[str, Any]:
    """The same of a run that was killed before its first checkpoint."""
    try:
        config = dict(read_preset(str(directory.config)))
    except UsageError:
        config = {}
    if not config:
        raise UsageError(f"{directory.config} is empty or broken; type -c with the preset of that run, or another --name for a new one")
    try:
        resolve(config, [])
    except UsageError as error:
        raise UsageError(f"{directory.config} has settings that this version does not take ({error}); type -c with a preset") from None
    return _for_any_machine(config)


def check_resume(config: Config, checkpoint: Path, train: ImageSet) -> None:
    """Refuse to go on from a checkpoint of another network, or one that is the end of its run (UsageError)."""
    state = read_state(checkpoint)
    check_same_network(config, checkpoint, train)
    if differs := other_mean(config, checkpoint, train):
        raise UsageError(f"{differs}; train on the data as they were, or type data.mean or data.subtract as it was")
    if config.train.momentum and state.config["train"].get("momentum") == 0:
        raise UsageError(
            f"train.momentum={config.train.momentum:g}, but {checkpoint.name} was written under train.momentum=0 and holds no velocities; "
            "type train.momentum=0, or start a new run"
        )
    more = _limits_reached(config, train, state.step, state.position)
    just_now = not _limits_reached(config, train, state.step - 1, state.position - config.train.global_batch)
    if more and not (just_now and state.validated_at != state.position):  # else it was stopped inside its last validation
        place = f"step {state.step}, epoch {state.position / len(train):.2f}"
        raise UsageError(f"{checkpoint.name} is the end of its run ({place}); type {' and '.join(more)} to go on")


def _limits_reached(config: Config, train: ImageSet, step: int, position: int) -> list[str]:
    """What to type for a run to go on from there, in words; nothing: it goes on."""
    epochs, steps = config.train.epochs, config.train.max_steps
    more = [f"more --epochs than {epochs:g}"] if position / len(train) >= epochs else []
    return [*more, f"more --max-steps than {steps}"] if steps is not None and step >= steps else more


def other_mean(config: Config, checkpoint: Path, train: ImageSet) -> str | None:
    """How what is subtracted from the images differs from what a checkpoint was trained with; None: it does not."""
    now, then = Crops.of(config.data, train, config.model.image_size).subtracted, read_state(checkpoint).subtracted
    return f"{checkpoint.name} was trained with {then} subtracted from the images, but now it is {now}" if then not in (None, now) else None


def check_same_network(config: Config, checkpoint: Path, train: ImageSet) -> None:
    """Refuse a checkpoint whose tensors are not those of the network that is configured (UsageError)."""
    state = read_state(checkpoint)
    wanted, saved = network_of(asdict(config.model)), network_of(asdict(_resolved(checkpoint, state, "model").model))
    if differences := ", ".join(f"model.{key}: {saved[key]} -> {value}" for key, value in wanted.items() if value != saved[key]):
        raise UsageError(f"the model section is not that of {checkpoint.name} ({differences}); leave it as it was, or start a new run")
    if state.classes != train.classes:
        raise UsageError(
            f"{checkpoint.name} was trained on other classes than those of the data set; type --data with the set it was trained on"
        )


def network_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model section that matter where there are weights already."""
    return {key: value for key, value in model.items() if key not in SPENT}


def _resolved(checkpoint: Path, state: TrainingState, *sections: str) -> Config:
    """The configuration in a checkpoint, or these sections of it alone (UsageError: it has settings that this version has not)."""
    try:
        return resolve({name: state.config[name] for name in sections or state.config}, [])
    except UsageError as error:
        raise UsageError(
            f"{checkpoint / STATE_FILE} was written by {state.written_by}, with settings that this version does not take ({error}); "
            "install that version, or type -c with a preset to set everything anew"
        ) from None


def _flat(settings: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key, value; lists as JSON has them."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", list(value) if isinstance(value, tuple) else value


def _for_any_machine(config: dict[str, Any]) -> dict[str, Any]:
    sections = {name: config.get(name) or {} for name in OF_THE_MACHINE}
    if not all(isinstance(section, dict) for section in sections.values()):
        return config  # which resolving it will refuse
    return {**config, **{name: {**section, **OF_THE_MACHINE[name]} for name, section in sections.items()}}
