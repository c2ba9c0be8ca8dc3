"""What a preparation has finished, shard by shard, so that it can be cut short at any instant and taken up again."""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import Split
from dist_alexnet.data.prepare.moments import Moments
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.sets.index import ShardEntry
from dist_alexnet.data.sets.shards import shard_path
from dist_alexnet.data.sources.photographs import Source
from dist_alexnet.json_text import to_json

METHOD = 3  # of making squares of photographs: another number where the same photograph gives other pixels


@dataclass(frozen=True)
class Finished:
    """What a shard adds to the whole."""

    entry: ShardEntry
    quarantine: list[tuple[str, str]]  # file and reason, of those that were left out
    moments: Moments | None  # of a shard of training squares


class Begun:
    """A folder that a preparation is writing, alone: a context that holds its lock.

    Raises:
        UsageError: it was begun with another source or other settings, or somebody else is writing it.
    """

    def __init__(self, folder: Path, source: Source, storage: Storage, shard_images: int) -> None:
        self.folder = folder
        self.records = folder / "progress"
        self.recipe: dict[str, Any] = {**asdict(storage), "shard_images": shard_images, "method": METHOD, "source": _fingerprint(source)}
        self._lock: IO[str] | None = None

    def __enter__(self) -> "Begun":
        self.records.mkdir(parents=True, exist_ok=True)
        self._lock = (self.records / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{self.folder}: another process is writing it; wait for it, or name another folder") from None
        recipe = self.records / "recipe.json"
        try:
            earlier = json.loads(recipe.read_text())
        except (OSError, ValueError):  # none, or cut short by a kill before anything else was written
            part = recipe.with_suffix(".part")
            part.write_text(to_json(self.recipe))
            part.replace(recipe)
            return self
        if changed := [key for key, value in self.recipe.items() if earlier.get(key) != value]:
            key = changed[0]
            values = "" if key == "source" else f" {earlier.get(key)} instead of {self.recipe[key]}"
            raise UsageError(f"{self.folder}: begun with another {key}{values}; type the command that began it, or name another target")
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock:
            self._lock.close()

    def keep(self, split: Split, number: int, finished: Finished) -> None:
        """Record a shard that is written."""
        moments = finished.moments
        arrays: dict[str, Any] = {"sums": moments.sums.astype(np.uint32), "products": moments.products} if moments else {}
        text = to_json({"entry": asdict(finished.entry), "quarantine": finished.quarantine, "images": moments.images if moments else 0})
        part = self._record(split, number).with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, text=np.array(text), **arrays)
        part.replace(self._record(split, number))

    def has(self, split: Split, number: int, without_gaps: bool) -> bool:
        """Whether a shard is finished; `without_gaps`: and nothing of it was left out."""
        try:
            finished = self._read(split, number)
            written = shard_path(self.folder / split, number).stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return written == finished.entry.bytes and not (without_gaps and finished.quarantine)

    def finished(self, split: Split) -> Iterator[Finished]:
        """All shards of a split that are finished, in their order."""
        for number in range(len(list(self.records.glob(f"{split}-*.npz")))):
            yield self._read(split, number)

    def _record(self, split: Split, number: int) -> Path:
        return self.records / f"{split}-{number:05d}.npz"

    def _read(self, split: Split, number: int) -> Finished:
        with np.load(self._record(split, number)) as arrays:
            texts = json.loads(str(arrays["text"]))
            moments = Moments(texts["images"], arrays["sums"].astype(np.int64), arrays["products"]) if "sums" in arrays else None
        return Finished(ShardEntry(**texts["entry"]), [(file, reason) for file, reason in texts["quarantine"]], moments)


def _fingerprint(source: Source) -> str:
    """Of the names and classes of all photographs, in their order."""
    digest = hashlib.sha256(to_json(source.classes).encode())
    for split, photographs in source.splits.items():
        digest.update(f"\n{split}".encode())
        for index in range(len(photographs)):
            digest.update(f"\n{photographs.labels[index]} {photographs.name(index)}".encode(errors="surrogateescape"))
    return digest.hexdigest()
