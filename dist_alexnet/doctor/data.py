"""The images of a run: what lies in their folder, and whether they come as fast as the network takes them."""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dist_alexnet.config import Config, UsageError
from dist_alexnet.doctor.checks import Asked, Finding, measures
from dist_alexnet.runs.failure import TrainingFailed

if TYPE_CHECKING:
    from dist_alexnet.data.images import ImageSet

ROUNDS, WARMUP = 3, 1  # steps that are timed; the first one compiles
SECONDS = 2.0  # of decoding
STORED = {"jpeg": "squares as JPEG", "raw": "squares as pixels", "original": "files as they were delivered"}
REMEDIES = {
    "jpeg": "type data.threads with more threads, or prepare the set with --encoding raw, which needs no decoder",
    "raw": "put the set on a faster disk",
    "original": "type dist-alexnet data prepare, which scales once, and --data with its result",
}


def data(asked: Asked) -> Iterator[Finding]:
    """The layout of --data, and what the run would make of it (UsageError: it cannot be read)."""
    from dist_alexnet.data.images import check_sizes, check_there, passed_over
    from dist_alexnet.data.sets.open import open_data

    config = asked.config
    if config.data.path is None:
        said = config.data.synth
        yield Finding(f"no --data: {said.train + said.val:,} images of {said.classes} classes are generated")
        return
    folder = Path(config.data.path).absolute()
    check_there(folder)
    train, val = open_data(folder)
    stored = f"{STORED[train.encoding]}{f' of {train.prepared_size} pixels' if train.prepared_size else ''}"
    yield Finding(
        f"{folder}: {len(train):,} training and {len(val):,} validation images, {len(train.classes)} classes, {stored}",
        numbers={"train_images": len(train), "val_images": len(val), "classes": len(train.classes)},
    )
    for line in passed_over(train, val):
        yield Finding(line)
    check_sizes(train, config.data.store_size, config.model.image_size)
    batch = config.train.global_batch
    few = f"fewer than one batch of {batch}; type -b {len(train)} or less" if len(train) < batch else ""
    yield Finding(f"{len(train) // batch:,} steps of {batch} images in an epoch", few)


@measures
def decoding(asked: Asked) -> Iterator[Finding]:
    """Images per second that are read, decoded and cropped here, beside those that the network takes (UsageError: it cannot be tried)."""
    from dist_alexnet.data.load.bench import measure
    from dist_alexnet.launch.settle import open_sets, settle_classes, settle_options, settle_ranks

    with tempfile.TemporaryDirectory(prefix="dist-alexnet-doctor-") as work:
        config = settle_options(settle_ranks(asked.config))
        folder, train, _ = open_sets(config, Path(work))  # generated ones go there, too
        config = settle_classes(config, train, folder)
        here = _as_one_process(config)
        rate = next(each for each in measure(train, [here], SECONDS, 1, lambda done, all_: None) if each.stage == "batches")
        decoded = rate.images_per_second
        yield Finding(
            f"images come at {decoded:,.0f} images/s, decoded by {here.data.threads} thread(s)", numbers={"images_per_second": decoded}
        )
        step_seconds = _step_seconds(config, Path(work))
    yield _verdict(config, train, decoded, step_seconds)


def _as_one_process(config: Config) -> Config:
    """What the ranks of this machine decode together, by one rank: its threads are theirs, its batch the global one."""
    from dist_alexnet.launch.rank import settle_threads
    from dist_alexnet.parallel.world import World

    ranks = config.launch.ranks
    settled = settle_threads(config, World(0, ranks))
    threads = settled.data.threads * ranks
    return replace(config, launch=replace(config.launch, workers=1), data=replace(config.data, threads=threads))


def _step_seconds(config: Config, work: Path) -> float:
    """Of a step on images that lie ready, by the ranks and the launcher that were asked for."""
    from dist_alexnet.compare.race import Course, race, read_rounds
    from dist_alexnet.launch.settle import make_launcher
    from dist_alexnet.runs.directory import RunDirectory
    from dist_alexnet.trials.run import Trials

    course = Course(ROUNDS, WARMUP, None, work / "rounds.jsonl")
    try:
        Trials(RunDirectory(work / "ranks"), work, make_launcher).start([config], partial(race, [config], course))
    except TrainingFailed as error:
        raise UsageError(f"the ranks that were asked for do not run: {error}; type dist-alexnet train to see why") from None
    return float(statistics.median(contestant["seconds"] for (contestant,) in read_rounds(course.file)))


def _verdict(config: Config, train: "ImageSet", decoded: float, step_seconds: float) -> Finding:
    """On a CPU ranks decode with the cores that they compute with, so that what is told is the best case."""
    taken = config.train.global_batch / step_seconds
    waits = taken > decoded
    said = f"you will wait for data at {decoded:,.0f} images/s; {REMEDIES[train.encoding]}" if waits else ""
    return Finding(
        f"{config.strategy.name} on {config.launch.ranks} {config.launch.device} rank(s) takes {taken:,.0f} images/s, "
        f"{1000 * step_seconds:,.1f} ms a step of {config.train.global_batch}",
        said,
        {"images_per_second": taken, "step_seconds": step_seconds},
    )
