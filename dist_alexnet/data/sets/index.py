"""`dataset.json`: what a prepared data set holds, and where in its shards.

One small file says it all, so that a set of any size opens at once: an image is then read where it lies, without parsing its shard.
It is written last: a folder without it is not complete.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import SPLITS, Encoding, Split
from dist_alexnet.data.sealed import read_sealed, write_sealed
from dist_alexnet.settings.typed import typed

FORMAT = 3
FILE = "dataset.json"
MOST_BYTES, MOST_PIXELS = 2**60, 2**16  # of a shard, and a side of a square: more is no number that this program wrote
AGAIN = "run `dist-alexnet data prepare` again"


@dataclass(frozen=True)
class ShardEntry:
    """One Arrow file."""

    images: int
    bytes: int  # of the whole file
    sha256: str
    labels: int  # where the labels begin, int32 each, in bytes from the start of the file
    offsets: int  # where the bounds of the images begin, int64 each
    content: int  # where the bytes of the images begin; the bounds count from here


@dataclass(frozen=True)
class Index:
    """All of it."""

    classes: list[str]
    class_names: dict[str, str]  # of a class, in words, where they are known
    encoding: Encoding
    size: int | None  # pixels, side of the stored squares; None: as delivered
    splits: dict[Split, list[ShardEntry]]
    recipe: dict[str, Any] = field(default_factory=dict)  # what it was prepared from and with

    def write(self, folder: Path) -> None:
        """Write or replace dataset.json."""
        write_sealed(folder / FILE, FORMAT, asdict(self))


def read_index(folder: Path) -> Index:
    """dataset.json of a folder.

    Raises:
        UsageError: it is not there, of another version, broken, or not what was written.
    """
    file = folder / FILE
    if not file.is_file():
        raise UsageError(f"{folder}: shards, but no {FILE}: of an earlier version, or not all there; {AGAIN}")
    content = read_sealed(file, FORMAT, AGAIN)
    try:
        content = typed(FILE, content, Index)
        shards = content.pop("splits")
        splits: dict[Split, list[ShardEntry]] = {split: [ShardEntry(**entry) for entry in shards[split]] for split in SPLITS}
        if not all(_fits(entry) for split in splits.values() for entry in split) or not 0 < (content["size"] or 1) <= MOST_PIXELS:
            raise ValueError("a shard would end before it begins")
        return Index(**content, splits=splits)
    except (UsageError, ValueError, LookupError, TypeError) as error:  # whoever wrote it was not this program
        raise UsageError(f"{file}: broken ({error}); {AGAIN}") from None


def _fits(entry: ShardEntry) -> bool:
    """Each number is of a place or a count in the file."""
    return all(0 <= each <= entry.bytes for each in (entry.images, entry.labels, entry.offsets, entry.content)) and entry.bytes < MOST_BYTES
