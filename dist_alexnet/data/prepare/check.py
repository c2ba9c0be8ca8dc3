"""Look at every byte of a data set: shards against their checksums, images through a decoder."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import SPLITS, ImageError, ImageSet, Split, passed_over
from dist_alexnet.data.pixels.wholeness import flaw, flaw_within
from dist_alexnet.data.prepare.pool import in_order
from dist_alexnet.data.sets.open import open_data, open_split
from dist_alexnet.data.sets.shards import Shards

PART = 64  # photographs that a worker takes at a time; of shards it takes a whole one, and reads it once


@dataclass(frozen=True)
class Seen:
    """An image that can be read."""

    label: int
    digest: bytes  # of its content


@dataclass
class Verification:
    """What was found."""

    counts: dict[Split, list[int]] = field(default_factory=dict)  # sound images by class
    faults: list[str] = field(default_factory=list)  # one line each
    duplicates: list[list[str]] = field(default_factory=list)  # names of images with the same content
    passed_over: list[str] = field(default_factory=list)  # of each split, where there is anything


def check_set(path: Path, workers: int, tell: Callable[[int, int], None] = lambda done, total: None) -> Verification:
    """Check a data set, prepared or a folder of photographs.

    Raises:
        UsageError: there is no such folder.
    """
    _open.cache_clear()
    try:
        sets = dict(zip(SPLITS, open_data(path), strict=True))
    except UsageError as error:
        if not path.is_dir():
            raise
        return Verification(faults=[str(error)])
    total, done = sum(map(len, sets.values())), 0
    found, where = Verification(), defaultdict(list)
    if sets["train"].prepared_size and sets["train"].statistics is None:
        found.faults.append(f"{path}: its statistics are gone; type `dist-alexnet data stats {path} --store`")
    found.counts = {split: [0] * len(images.classes) for split, images in sets.items()}
    found.passed_over = passed_over(*sets.values())
    work = [(path, split, part) for split, images in sets.items() for part in _parts(images)]
    for (_, split, part), (fault, results) in zip(work, in_order(_look, work, workers), strict=True):
        found.faults += [fault] if fault else []
        for index, result in zip(part, results, strict=True):
            if isinstance(result, str):
                found.faults.append(f"{sets[split].where(index)}: {result}")
            else:
                found.counts[split][result.label] += 1
                where[result.digest].append((split, index))
        done += len(part)
        tell(done, total)
    empty = [name for name, count in zip(sets["train"].classes, found.counts["train"], strict=True) if not count]
    found.faults += [f"{path / 'train'}: class {name} has no sound image" for name in empty]
    found.duplicates = [[sets[split].where(index) for split, index in places] for places in where.values() if len(places) > 1]
    return found


_open = cache(open_split)  # once in a worker process


def _parts(images: ImageSet) -> list[range]:
    if isinstance(images, Shards):
        stops = list(accumulate(entry.images for entry in images.entries))
        return [range(stop - entry.images, stop) for stop, entry in zip(stops, images.entries, strict=True) if entry.images]
    return [range(start, min(start + PART, len(images))) for start in range(0, len(images), PART)]


def _look(path: Path, split: Split, part: range) -> tuple[str | None, list[Seen | str]]:
    """What is wrong with the shard that these images are; each of them, or what is wrong with it."""
    images = _open(path, split)
    fault = _wrong_checksum(images, part) if isinstance(images, Shards) else None
    return fault, [_look_at(images, index) for index in part]


def _look_at(images: ImageSet, index: int) -> Seen | str:
    try:
        content, label = images.encoded(index), images.label(index)
    except ImageError as error:
        return str(error)
    side = images.prepared_size
    if images.encoding != "raw" and (reason := flaw(content, side) or flaw_within(content, side)):
        return reason
    return Seen(label, hashlib.blake2b(content.tobytes(), digest_size=16).digest())


def _wrong_checksum(shards: Shards, part: range) -> str | None:
    shard, _ = shards.locate(part.start)
    try:
        with shards.paths[shard].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{shards.paths[shard]}: {error.strerror}"
    same = digest == shards.entries[shard].sha256
    return None if same else f"{shards.paths[shard]}: not the bytes that were written (its SHA-256 is another)"
