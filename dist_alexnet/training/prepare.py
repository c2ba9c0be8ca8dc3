"""Everything that can be refused is refused here, before a process, a GPU or a minute is spent."""

import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import yaml

from dist_alexnet.config import Config, UsageError
from dist_alexnet.data import synth
from dist_alexnet.data.image_set import ImageSet, check_sizes, open_data
from dist_alexnet.model.layers import describe, parameter_shapes
from dist_alexnet.parallel import registry
from dist_alexnet.parallel.explain import Plan, plan, with_generated_classes
from dist_alexnet.resolve import PAPER, QUICKSTART, read_preset, resolve, to_yaml
from dist_alexnet.telemetry.environment import describe_machine, versions
from dist_alexnet.training.checkpoint_files import check_tensors, find_checkpoint, list_checkpoints, read_state
from dist_alexnet.training.job import Job, RunDirectory
from dist_alexnet.training.launcher import Launcher

MAX_NAME_BYTES = 255  # of a file system
SYNTH_FOLDER = ".data"  # in the output directory, which all nodes of a cluster see


@dataclass(frozen=True)
class Request:
    """What a person typed."""

    preset: str | None  # name or file
    overrides: Sequence[str]
    output_dir: Path
    name: str | None = None
    resume: str | None = None  # "auto", or a checkpoint or run folder


@dataclass(frozen=True)
class Prepared:
    """A run that nothing is known to stand in the way of."""

    job: Job
    launcher: Launcher
    plan: Plan
    source: str  # where the configuration came from, for the header
    train_images: int
    val_images: int
    lock: IO[str]  # held while the run lasts, so that nobody else writes to its folder


def prepare(request: Request) -> Prepared:
    """Turn a request into a job.

    Raises:
        UsageError: it cannot be done as asked; one line says what to type instead.
    """
    request = replace(request, output_dir=request.output_dir.absolute())
    _check_spelling(request.name)
    checkpoint = _checkpoint_to_resume(request)
    base, source = _base(request, checkpoint)
    config = resolve(base, request.overrides)
    config = _with_ranks(config)
    launcher = _launcher(config)
    name = request.name or f"{config.strategy.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    directory = RunDirectory(request.output_dir / name)
    _check_name(directory, request, checkpoint)
    plan(with_generated_classes(config))  # refuses what the strategy cannot do
    launcher.validate()
    data, train, val = _open(config, request.output_dir)
    batch = config.train.global_batch
    if len(train) < batch:
        raise UsageError(f"{data} has {len(train)} training images, fewer than one batch of {batch}; type -b {len(train)} or less")
    config = _with_classes(config, train, data)
    if checkpoint:
        _check_resume(config, checkpoint, train)
    directory.create()
    lock = _lock(directory)
    directory.config.write_text(to_yaml(config))
    directory.environment.write_text(json.dumps({"versions": versions(), **describe_machine()}, indent=2) + "\n")
    return Prepared(Job(config, directory, data, checkpoint), launcher, plan(config), source, len(train), len(val), lock)


def prepare_evaluation(checkpoint: Path, overrides: Sequence[str], directory: RunDirectory) -> tuple[Job, Launcher]:
    """A job for `evaluate_rank`, configured as the run that wrote the checkpoint, with overrides.

    Raises:
        UsageError: it cannot be done as asked.
    """
    checkpoint = find_checkpoint(checkpoint.absolute())
    state = read_state(checkpoint)
    config = resolve(state["config"], overrides)
    config = _with_ranks(config)
    launcher = _launcher(config)
    plan(config)
    launcher.validate()
    output_dir = checkpoint.parent.parent.parent
    data, train, _ = _open(config, output_dir)
    config = _with_classes(config, train, data)
    _check_same_network(config, checkpoint, state, train)
    directory.create()
    return Job(config, directory, data, checkpoint), launcher


def _checkpoint_to_resume(request: Request) -> Path | None:
    if request.resume is None:
        return None
    if request.resume != "auto":
        return find_checkpoint(Path(request.resume).absolute())
    if not request.name:
        raise UsageError("--resume auto continues a run by its name; type --name NAME, or --resume with a checkpoint or run folder")
    found = list_checkpoints(RunDirectory(request.output_dir / request.name).checkpoints)
    return found[-1] if found else None


def _base(request: Request, checkpoint: Path | None) -> tuple[Mapping[str, Any], str]:
    """The configuration that overrides are laid on: a preset that was named, the run that is resumed, or the default preset."""
    if request.preset:
        return read_preset(request.preset), request.preset
    if checkpoint:
        return read_state(checkpoint)["config"], f"of {checkpoint.parent.parent.name}, {checkpoint.name}"
    started = request.resume and request.name and RunDirectory(request.output_dir / request.name).config
    if started and started.exists():  # killed before its first checkpoint
        return yaml.safe_load(started.read_text()), f"of {request.name}"
    has_data = any(override.startswith("data.path=") and override != "data.path=null" for override in request.overrides)
    preset = PAPER if has_data else QUICKSTART
    return read_preset(preset), f"{preset} (the default {'with' if has_data else 'without'} --data)"


def _launcher(config: Config) -> Launcher:
    launcher: Launcher = registry.load(registry.LAUNCHERS, config.launch.name)(config.launch)
    return launcher


def _with_ranks(config: Config) -> Config:
    """Settle how many ranks there are, on what device ("auto": on CUDA if there is any, and then enough of it), with how many threads."""
    launch = config.launch
    workers = launch.workers or registry.load(registry.STRATEGIES, config.strategy.name).default_ranks
    visible = _launcher(config).cuda_devices() if launch.device != "cpu" else 0
    device = launch.device if launch.device != "auto" else ("cuda" if visible else "cpu")
    if device == "cuda" and visible < workers:
        instead = f"--gpus {visible}, or " if visible else ""
        raise UsageError(
            f"{workers} ranks need {workers} CUDA devices, but {visible} are visible; "
            f"type {instead}--device cpu for {workers} processes on the CPU"
        )
    threads = launch.threads or max(1, (os.cpu_count() or 1) // workers)
    return replace(config, launch=replace(launch, workers=workers, device=device, threads=threads))


def _check_spelling(name: str | None) -> None:
    if name is None:
        return
    if "/" in name or not name.isprintable() or name.startswith((".", "-")) or not 0 < len(os.fsencode(name)) <= MAX_NAME_BYTES:
        shown = name if name.isprintable() and len(name) < 80 else f"{name[:40]!r}..."
        raise UsageError(
            f"--name {shown}: must be the name of a folder, without slashes and control characters, of at most {MAX_NAME_BYTES} bytes, "
            "and not begin with . or -; type --output-dir for where it goes"
        )


def _check_name(directory: RunDirectory, request: Request, checkpoint: Path | None) -> None:
    if not directory.path.exists():
        return
    if checkpoint and checkpoint.parent.parent == directory.path and checkpoint != list_checkpoints(directory.checkpoints)[-1]:
        raise UsageError(f"{directory.path.name} has newer checkpoints than {checkpoint.name}; type another --name to branch off there")
    continues = request.resume == "auto" or (checkpoint and checkpoint.parent.parent == directory.path)
    if not continues:
        raise UsageError(f"{directory.path} exists and nothing is overwritten; type another --name, or --resume auto to continue that run")


def _open(config: Config, output_dir: Path) -> tuple[Path, ImageSet, ImageSet]:
    if config.data.path is None:
        settings = config.data.synth
        folder = output_dir / SYNTH_FOLDER / "synth-{classes}-{train}-{val}-{seed}".format(**asdict(settings))
        try:
            synth.ensure(folder, settings)
        except OSError as error:
            raise UsageError(f"cannot write {folder}: {error.strerror}; type --output-dir with a folder you can write to") from None
    else:
        folder = Path(config.data.path).absolute()
    train, val = open_data(folder)
    check_sizes(train, config.data.store_size, config.model.image_size)
    return folder, train, val


def _with_classes(config: Config, train: ImageSet, data: Path) -> Config:
    there = len(train.classes)
    if there < 2:
        raise UsageError(f"{data} has one class only, {train.classes[0]}; add another, for there is nothing to tell apart")
    if config.model.classes not in (None, there):
        raise UsageError(f"model.classes={config.model.classes}, but {data} has {there} classes; type model.classes=null")
    return replace(config, model=replace(config.model, classes=there))


def _check_resume(config: Config, checkpoint: Path, train: ImageSet) -> None:
    state = read_state(checkpoint)
    _check_same_network(config, checkpoint, state, train)
    if config.train.momentum:
        check_tensors(checkpoint, {f"momentum.{name}": shape for name, shape in parameter_shapes(describe(config.model)).items()})
    epoch, steps = state["position"] / len(train), config.train.max_steps
    if epoch >= config.train.epochs or (steps is not None and state["step"] >= steps):
        raise UsageError(
            f"{checkpoint.name} is the end of its run (step {state['step']}, epoch {epoch:.2f}); "
            f"type more --epochs than {config.train.epochs:g}" + (f" and more --max-steps than {steps}" if steps else "") + " to go on"
        )


def _check_same_network(config: Config, checkpoint: Path, state: Mapping[str, Any], train: ImageSet) -> None:
    wanted, saved = asdict(config.model), asdict(resolve({"model": state["config"]["model"]}, []).model)
    if changes := ", ".join(f"model.{key}: {saved[key]} -> {value}" for key, value in wanted.items() if value != saved[key]):
        raise UsageError(f"the model section is not that of {checkpoint.name} ({changes}); leave it as it was, or start a new run")
    if state["classes"] != train.classes:
        raise UsageError(
            f"{checkpoint.name} was trained on other classes than those of the data set; type --data with the set it was trained on"
        )
    check_tensors(checkpoint, parameter_shapes(describe(config.model)))


def _lock(directory: RunDirectory) -> IO[str]:
    lock = (directory.path / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(f"another process is training in {directory.path}; wait for it, or type another --name") from None
    return lock
