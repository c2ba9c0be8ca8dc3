"""Write a folder of photographs once as shards of small squares: decoding full-size photographs in every epoch costs three times more.

Paper, section 2, and cuda-convnet2, make-data: shorter side 256, central 256x256, JPEG quality 95. The images keep the order of the
folders; it is the sampler that shuffles.
"""

import csv
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dist_alexnet.config import UsageError
from dist_alexnet.data.image_set import open_data
from dist_alexnet.data.photograph import Square, square
from dist_alexnet.data.shards import COLUMNS, ShardInfo, read_shard, write_shard
from dist_alexnet.data.sources.class_folder import ClassFolder

JPEG_SIDE = 65_500  # pixels that the format can hold
MAX_WORKERS = 1024  # processes; more is a slip of the keyboard

Result = tuple[int, Square | str]  # an image of the folder; its square, or why there is none
Encode = Callable[[list[Path]], Iterable[Square | str]]
Progress = Callable[[int, int], None]


@dataclass
class Report:
    """What `prepare` has written so far."""

    images: dict[str, int] = field(default_factory=lambda: {"train": 0, "val": 0})
    channel_sums: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))  # R, G, B over the training set
    quarantine: list[tuple[str, str]] = field(default_factory=list)  # file and reason, of those that do not decode
    done: int = 0  # images looked at


def prepare(
    source: str | Path,
    target: str | Path,
    size: int = 256,
    quality: int = 95,
    shard_images: int = 4096,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Write `target/train/*.arrow` and `target/val/*.arrow`; the bytes do not depend on the number of workers.

    Files that do not decode are left out and listed in `target/quarantine.csv`. The target appears when it is complete.

    Args:
        source: folder with train/ and val/ of class folders.
        target: a folder that does not exist yet, or is empty.
        size: pixels, side of the stored squares.
        quality: of the JPEGs, 1 to 95.
        shard_images: images per shard; 4,096 photographs of 256 pixels make about 130 MB.
        workers: processes; None: one per core.
        progress: called after each image with the number of images done and of all images.

    Raises:
        UsageError: a number makes no sense, the source is no folder of class folders, the target is not empty, or no image of a
            split decodes.
    """
    workers = workers if workers is not None else os.cpu_count() or 1
    for option, value, high in (("size", size, JPEG_SIDE), ("quality", quality, 95), ("workers", workers, MAX_WORKERS)):
        if not 1 <= value <= high:
            raise UsageError(f"--{option} {value}: must be from 1 to {high:,}")
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target}: it exists and is not empty; name a new folder, or delete this one first")
    folders = _open_photographs(source)
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a run that was killed
    info = ShardInfo(folders["train"].classes, size, mean=(0.0, 0.0, 0.0))
    report, total = Report(), sum(map(len, folders.values()))
    with _encoder(size, quality, workers) as encode:
        for split, folder in folders.items():
            (unfinished / split).mkdir(parents=True)
            for start in range(0, len(folder), shard_images):
                chosen = range(start, min(start + shard_images, len(folder)))
                results = zip(chosen, encode([folder.path(index) for index in chosen]), strict=True)
                _write_one(unfinished / split, folder, _counted(results, report, total, progress), info, report)
            if not report.images[split]:
                raise UsageError(f"{folder.folder}: none of its images decodes, such as {' '.join(report.quarantine[-1])}")
    _finish(unfinished, info, report)
    unfinished.replace(target)
    return report


def _open_photographs(source: str | Path) -> dict[str, ClassFolder]:
    train, val = open_data(source)
    if not isinstance(train, ClassFolder) or not isinstance(val, ClassFolder):
        raise UsageError(f"{source}: it holds shards already; name the folder of the photographs")
    return {"train": train, "val": val}


@contextmanager
def _encoder(size: int, quality: int, workers: int) -> Iterator[Encode]:
    """A function from paths to squares or reasons, in the order of the paths."""
    encode = partial(square, size=size, quality=quality)
    if workers == 1:
        yield partial(map, encode)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield partial(pool.map, encode, chunksize=16)


def _counted(results: Iterable[Result], report: Report, total: int, progress: Progress) -> Iterator[Result]:
    """The same results, reported one by one as they are taken."""
    for result in results:
        yield result
        report.done += 1
        progress(report.done, total)


def _write_one(folder: Path, images: ClassFolder, results: Iterable[Result], info: ShardInfo, report: Report) -> None:
    """Write the next shard of a split from these images."""
    rows: list[tuple[bytes, int, str]] = []
    for index, result in results:
        path = images.path(index)
        if isinstance(result, str):
            report.quarantine.append((path.relative_to(images.folder.parent).as_posix(), result))
            continue
        rows.append((result.jpeg, int(images.labels[index]), path.relative_to(images.folder).as_posix()))
        if folder.name == "train":
            report.channel_sums += result.channel_sums
    if rows:
        number = len(list(folder.glob("*.arrow")))
        columns = [pa.array(values, kind) for values, (_, kind) in zip(zip(*rows, strict=True), COLUMNS, strict=True)]
        write_shard(folder / f"{number:05d}.arrow", columns, info)
        report.images[folder.name] += len(rows)


def _finish(folder: Path, info: ShardInfo, report: Report) -> None:
    """Write the mean, which is known only now, into every shard; and the list of what was left out."""
    red, green, blue = (report.channel_sums / (report.images["train"] * info.size**2)).tolist()
    for path in sorted(folder.glob("*/*.arrow")):
        batch, _ = read_shard(path)
        write_shard(path, batch.columns, replace(info, mean=(red, green, blue)))
    if report.quarantine:
        with (folder / "quarantine.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "reason"), *report.quarantine])
