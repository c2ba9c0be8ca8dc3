"""Write photographs once as shards of small squares: decoding full-size photographs in every epoch costs three times more.

Paper, section 2, and cuda-convnet2, make-data: shorter side 256, central 256x256, JPEG quality 95. The images keep the order of the
source; it is the sampler that shuffles. What is written depends on the source and the storage alone, not on workers, kills or restarts:

TARGET.unfinished/
    train/00000.arrow ...   as they will stay
    progress/               what each finished shard adds to the whole (progress.py); a shard is finished when its record is there
TARGET/                     the same folder, renamed when dataset.json is in it; progress/ goes away

If TARGET exists (a volume, a link, `.`), all is written in TARGET/.unfinished/ and moved up at the end, dataset.json last.
"""

import csv
import errno
import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import PassedOver, Split
from dist_alexnet.data.pixels.wholeness import MAX_SIDE
from dist_alexnet.data.prepare.finished import Begun, Finished
from dist_alexnet.data.prepare.moments import Moments
from dist_alexnet.data.prepare.photograph import Encoded, Storage, encode
from dist_alexnet.data.prepare.pool import in_order, settle_workers
from dist_alexnet.data.sets.index import FILE, Index
from dist_alexnet.data.sets.shards import Row, shard_path, write_shard
from dist_alexnet.data.sources.open import open_source
from dist_alexnet.data.sources.photographs import Part, Source
from dist_alexnet.data.statistics import write_statistics

PART = 32  # photographs that a worker takes at a time
SHARD_IMAGES = {"jpeg": 4096, "raw": 1024, "original": 1024}  # 100 to 200 MB each for ImageNet
QUARANTINE = "quarantine.csv"
INSIDE = ".unfinished"  # where the target exists: it may be a volume, which nothing can be renamed to

Tell = Callable[[int, int | None], None]


@dataclass
class Report:
    """What `prepare` has written."""

    images: dict[Split, int] = field(default_factory=lambda: {"train": 0, "val": 0})
    quarantine: list[tuple[str, str]] = field(default_factory=list)  # file and reason, of those that do not decode
    resumed: int = 0  # images that an earlier attempt had looked at
    done: int = 0  # images looked at, those included
    passed_over: PassedOver = field(default_factory=PassedOver)  # files of the source that are no images


@dataclass(frozen=True)
class Work:
    """A shard to be written."""

    split: Split
    number: int
    images: range  # of the source


def prepare(
    source: str | Path,
    target: str | Path,
    storage: Storage | None = None,
    *,
    shard_images: int | None = None,
    workers: int | None = None,
    strict: bool = False,
    tell: Tell = lambda done, total: None,
) -> Report:
    """Write `target/train/*.arrow`, `target/val/*.arrow` and `target/dataset.json`. An attempt that was cut short is taken up again.

    Files that do not decode are left out and listed in `target/quarantine.csv`. The target appears when it is complete.

    Args:
        source: photographs (sources/open.py says in what form).
        target: a folder that does not exist yet, or is empty.
        storage: how images are stored.
        shard_images: images per shard; None: SHARD_IMAGES.
        workers: processes; None: one per core.
        strict: do not complete a set with files left out.
        tell: called with the number of photographs done and of all; while the source is opened, of those found so far and None.

    Raises:
        UsageError: a number makes no sense, the source is none, the target is not empty, an attempt with other settings lies there,
            no image of a split decodes, or, if strict, any does not; a full disk.
    """
    storage, workers = storage or Storage(), settle_workers(workers)
    _check_numbers(storage)
    target = Path(target).resolve()  # a link to a folder stays one, and `.` has a name
    if (target / FILE).is_file():
        raise UsageError(f"{target}: it is complete already; look at it with `dist-alexnet data verify {target}`, or name a new folder")
    if target.exists() and (not target.is_dir() or any(entry.name not in (INSIDE, "lost+found") for entry in target.iterdir())):
        raise UsageError(f"{target}: it exists and is not empty; name a new folder")
    photographs = open_source(source, lambda found: tell(found, None))
    shard_images = shard_images or SHARD_IMAGES[storage.encoding]
    place = target / INSIDE if target.exists() else target.with_name(f"{target.name}.unfinished")
    begun = Begun(place, photographs, storage, shard_images)
    try:
        with begun:
            report = _write_missing(begun, photographs, storage, shard_images, workers, strict, tell)
            _complete(begun, photographs, storage, report, strict)
            _appear(begun, target)
    except OSError as error:
        remedy = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "mend that"
        raise UsageError(f"{begun.folder}: {error.strerror or error}; what is written stays: {remedy}, then run this again") from error
    report.passed_over = photographs.passed_over
    return report


def _appear(begun: Begun, target: Path) -> None:
    """The folder becomes the target, or what is in it moves up to where it lies in that, dataset.json last."""
    if begun.folder.parent != target:
        begun.folder.replace(target)
        shutil.rmtree(target / begun.records.name)
        return
    for entry in sorted(begun.folder.iterdir(), key=lambda entry: (entry.name == FILE, entry.name)):
        if entry != begun.records:
            entry.replace(target / entry.name)
    shutil.rmtree(begun.folder)


def _check_numbers(storage: Storage) -> None:
    if (storage.size is None) != (storage.encoding == "original"):
        raise UsageError("--size none keeps the files as they are, which --encoding raw cannot; type --size with a number of pixels")
    numbers = [
        ("quality", storage.quality, 95),
        ("size", 1 if storage.size is None else storage.size, MAX_SIDE),
    ]
    for option, value, high in numbers:
        if not 1 <= value <= high:
            raise UsageError(f"--{option} {value}: must be from 1 to {high:,}")


def _write_missing(begun: Begun, source: Source, storage: Storage, shard_images: int, workers: int, strict: bool, tell: Tell) -> Report:
    """Write the shards that are not there yet; the report counts those that are."""
    report = Report()
    todo: list[Work] = []
    total = sum(map(len, source.splits.values()))
    for split, photographs in source.splits.items():
        (begun.folder / split).mkdir(exist_ok=True)
        for number, start in enumerate(range(0, len(photographs), shard_images)):
            work = Work(split, number, range(start, min(start + shard_images, len(photographs))))
            if begun.has(split, number, strict):
                report.resumed += len(work.images)
            else:
                todo.append(work)
    report.done = report.resumed
    tell(report.done, total)
    results = in_order(encode, ((part, storage, work.split == "train") for work, part in _parts(todo, source)), workers)
    for work in todo:
        parts = islice(results, math.ceil(len(work.images) / PART))
        begun.keep(work.split, work.number, _write(begun.folder, work, parts, source, lambda n: tell(report.done + n, total)))
        report.done += len(work.images)
    return report


def _parts(todo: list[Work], source: Source) -> Iterator[tuple[Work, Part]]:
    for work in todo:
        for start in range(work.images.start, work.images.stop, PART):
            yield work, source.splits[work.split].part(start, min(start + PART, work.images.stop))


def _write(folder: Path, work: Work, parts: Iterable[Encoded], source: Source, tell: Callable[[int], None]) -> Finished:
    """Write one shard from its parts, which are taken one by one."""
    photographs, indices = source.splits[work.split], iter(work.images)
    rows: list[Row] = []
    quarantine: list[tuple[str, str]] = []
    moments: Moments | None = None
    for part in parts:
        for content, index in zip(part.images, indices, strict=False):
            name = photographs.name(index)
            if isinstance(content, str):
                quarantine.append((f"{work.split}/{name}", content))
            else:
                rows.append((content, int(photographs.labels[index]), name))
        moments = part.moments.plus(moments) if part.moments else None
        tell(len(rows) + len(quarantine))
    return Finished(write_shard(shard_path(folder / work.split, work.number), rows), quarantine, moments)


def _complete(begun: Begun, source: Source, storage: Storage, report: Report, strict: bool) -> None:
    """Put together what the shards add to the whole, and write dataset.json."""
    finished = {split: list(begun.finished(split)) for split in source.splits}
    for split, shards in finished.items():
        report.quarantine += [line for shard in shards for line in shard.quarantine]
        report.images[split] = sum(shard.entry.images for shard in shards)
        if not report.images[split]:
            raise UsageError(f"{split}: none of its images decodes, such as {' '.join(report.quarantine[-1])}")
    if report.quarantine:
        with (begun.folder / QUARANTINE).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            csv.writer(file).writerows([("file", "reason"), *report.quarantine])
    if report.quarantine and strict:
        raise UsageError(
            f"{len(report.quarantine)} files do not decode, such as {' '.join(report.quarantine[0])}; all are in "
            f"{begun.folder / QUARANTINE}: mend them and run this again (the rest is kept), or type it without --strict"
        )
    moments: Moments | None = None
    for shard in finished["train"]:
        moments = shard.moments.plus(moments) if shard.moments else None
    if moments:
        write_statistics(begun.folder, moments.statistics())
    entries = {split: [shard.entry for shard in shards] for split, shards in finished.items()}
    names = dict(source.class_names)
    Index(source.classes, names, storage.encoding, storage.size, entries, begun.recipe).write(begun.folder)
