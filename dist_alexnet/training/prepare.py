"""Everything that can be refused is refused here, before a process, a GPU or a minute is spent."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.resume import changes, check_resume, config_of_checkpoint, config_of_run, other_images
from dist_alexnet.checkpoints.where_to_resume import where_to_resume
from dist_alexnet.config import Config, UsageError
from dist_alexnet.data.images import check_there, passed_over
from dist_alexnet.json_text import to_json
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.launch.settle import (
    make_launcher,
    open_sets,
    settle_classes,
    settle_observers,
    settle_options,
    settle_ranks,
    with_generated_classes,
)
from dist_alexnet.redact import hidden
from dist_alexnet.resolve import loads_torch, resolve, to_yaml
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.settings.presets import PAPER, QUICKSTART, preset_names, read_preset
from dist_alexnet.telemetry.environment import describe_machine, versions
from dist_alexnet.training.from_storage import from_storage
from dist_alexnet.training.job import Job
from dist_alexnet.training.room import wait_for_room, with_ranks

if TYPE_CHECKING:
    from dist_alexnet.parallel.explain.layout import Layout

MAX_NAME_BYTES = 255  # of a file system


@dataclass(frozen=True)
class Request:
    """What a person typed."""

    preset: str | None  # name or file
    overrides: Sequence[str]
    output_dir: Path
    name: str | None = None
    resume: str | None = None  # "auto", a checkpoint or run folder, or the URI of a run folder


@dataclass(frozen=True)
class Prepared:
    """A run that nothing is known to stand in the way of."""

    job: Job
    launcher: Launcher  # of as many ranks as there may be
    ranks: int  # of the first attempt
    layout: "Layout"  # of these
    source: str  # where the configuration came from, for the header
    train_images: int
    val_images: int
    passed_over: list[str]  # files of the set that are not read, a line per split
    notes: Sequence[str]  # what it takes over from an earlier attempt and what not, a line each
    lock: IO[str]  # held while the run lasts, so that nobody else writes to its folder
    fresh: bool  # that folder is of this attempt, and was not there before


def prepare(request: Request, tell: Callable[[str], None] = lambda line: None) -> Prepared:
    """Turn a request into a job.

    Args:
        request: what was typed.
        tell: hears what is about to be trained, before torch is imported; what can be refused without torch is refused before that.

    Raises:
        UsageError: it cannot be done as asked; one line says what to type instead.
    """
    request = replace(request, output_dir=request.output_dir.absolute())
    _check_spelling(request.name)
    resume, name = from_storage(request.resume, request.name, request.output_dir, request.overrides, tell)
    request = replace(request, resume=resume, name=name)
    _check_spelling(name)
    checkpoint, notes = where_to_resume(request.resume, request.output_dir, request.name, tell)
    base, source = _base(request, checkpoint)
    if loads_torch(request.overrides):
        tell("strategy.options: loading PyTorch")
    config = resolve(base, request.overrides)
    if request.resume and (secret := next(hidden(asdict(config)), None)):
        raise UsageError(f"{secret} holds a secret, which no file of the run has; type it again, as in {secret}=...")
    name = request.name or f"{config.strategy.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    directory = RunDirectory(request.output_dir / name)
    if request.name:
        _check_name(directory, request, checkpoint)
    if config.data.path is not None:
        check_there(Path(config.data.path).absolute())
    tell(f"{config.strategy.name}, {source}: loading PyTorch")
    from dist_alexnet.parallel.explain.layout import lay_out

    config = settle_observers(settle_options(settle_ranks(config)))
    lay_out(with_generated_classes(config))  # refuses what the strategy cannot do
    launcher = make_launcher(config)
    launcher.check()
    ranks = wait_for_room(config, config.launch.wait_s, tell)
    data, train, val = open_sets(config, request.output_dir, tell=tell)
    batch = config.train.global_batch
    if len(train) < batch:
        raise UsageError(f"{data} has {len(train)} training images, fewer than one batch of {batch}; type -b {len(train)} or less")
    config = settle_classes(config, train, data)
    if config.data.path is not None:
        config = replace(config, data=replace(config.data, path=str(data)))  # for whoever resumes or evaluates it from elsewhere
    if checkpoint:
        check_resume(config, checkpoint, train)
        notes += [f"not as in {checkpoint.name}: {change}" for change in [*changes(config, checkpoint), *other_images(checkpoint, train)]]
    if not request.name:
        directory = RunDirectory(make_free(directory.path))
    fresh = not request.name or not directory.path.exists()
    lock = _begin(directory, config, fresh)
    counts, unread = (len(train), len(val)), passed_over(train, val)
    layout = lay_out(with_ranks(config, ranks))
    return Prepared(Job(config, directory, data, checkpoint), launcher, ranks, layout, source, *counts, unread, notes, lock, fresh)


def check_for_elsewhere(request: Request, folder: Path | None) -> bool:
    """Refuse what can be refused of a request that another machine will run: its spelling, and a configuration that does not resolve.

    Args:
        request: what was typed.
        folder: what its working directory there will be a copy of; None: it will be empty.

    Returns:
        Whether the configuration was looked at; one that lies there, beside a checkpoint or as a file, was not.

    Raises:
        UsageError: as of `prepare`.
    """
    _check_spelling(request.name)
    preset = request.preset
    if preset and preset not in preset_names():
        file = os.path.expanduser(preset)
        sent = os.path.join(folder, file) if folder else ""
        if os.path.isabs(file) and not os.path.exists(file):
            return False
        if os.path.exists(sent):
            preset = sent
        elif os.path.exists(file):
            raise UsageError(
                f"-c {preset}: that file is not sent along; type a --working-dir that holds it, or a path that the cluster has"
            )
    if request.resume and not preset:
        return False
    resolve(_base(replace(request, preset=preset, resume=None), None)[0], request.overrides)
    return True


def _base(request: Request, checkpoint: Path | None) -> tuple[Mapping[str, Any], str]:
    """The configuration that overrides are laid on: a preset that was named, the run that is resumed, or the default preset."""
    if request.preset:
        return read_preset(request.preset), request.preset
    if checkpoint:
        return config_of_checkpoint(checkpoint), f"of {checkpoint.parent.parent.name}, {checkpoint.name}"
    started = RunDirectory(request.output_dir / request.name) if request.resume and request.name else None
    if started and started.config.exists():  # killed before its first checkpoint
        return config_of_run(started), f"of {request.name}"
    has_data = any(override.startswith("data.path=") and override != "data.path=null" for override in request.overrides)
    preset = PAPER if has_data else QUICKSTART
    return read_preset(preset), f"{preset} (the default {'with' if has_data else 'without'} --data)"


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
    own = checkpoint is not None and checkpoint.parent.parent.resolve() == directory.path.resolve()
    if checkpoint and own and request.resume != "auto" and checkpoint.resolve() != list_checkpoints(directory.checkpoints)[-1].resolve():
        raise UsageError(f"{directory.path.name} has newer checkpoints than {checkpoint.name}; type another --name to branch off there")
    if request.resume != "auto" and not own:
        raise UsageError(f"{directory.path} exists and nothing is overwritten; type another --name, or --resume auto to continue that run")


def make_free(path: Path) -> Path:
    """Make this folder, or, where somebody has in the same second, the first of PATH-2, PATH-3, ... that nobody has.

    Raises:
        UsageError: it cannot be written.
    """
    with RunDirectory(path).writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in chain([path.name], (f"{path.name}-{number}" for number in count(2))):
            with suppress(FileExistsError):
                path.with_name(name).mkdir()
                break
    return path.with_name(name)


def _begin(directory: RunDirectory, config: Config, fresh: bool) -> IO[str]:
    """Take the folder and write into it what is known beforehand; returns its lock. One that cannot be begun is not left behind."""
    directory.create()
    lock = _lock(directory)  # first of all: what lies there may be of a run that goes on
    try:
        directory.begin(to_yaml(config, secrets=False), to_json({"versions": versions(), **describe_machine()}, indent=2) + "\n")
    except UsageError:
        if fresh:
            shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return lock


def _lock(directory: RunDirectory) -> IO[str]:
    with directory.writing():
        lock = (directory.path / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(f"another process is training in {directory.path}; wait for it, or type another --name") from None
    return lock
