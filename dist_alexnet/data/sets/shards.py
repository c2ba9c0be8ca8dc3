"""Prepared images: Arrow IPC files, of which any image is read in place, in any order, by any process.

A split is `00000.arrow`, `00001.arrow`, ...; each file holds one record batch of
    image: large_binary    as the index says: the bytes of an RGB JPEG, size x size pixels; uint8 [size, size, 3]; a file as delivered
    label: int32           index into the classes
    name: string           where the image came from, `<class>/<file>`
pyarrow writes them and any Arrow program reads them; training takes images from the places that `dataset.json` names (index.py) with
plain reads. Those keep a rank's memory the same however many images it has seen, and a disk that fails becomes an error of one image,
where a file mapped into memory would count as memory and end the process with a signal.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import ImageError, Split
from dist_alexnet.data.sets.index import AGAIN, ShardEntry, read_index
from dist_alexnet.data.sources.photographs import unread
from dist_alexnet.data.statistics import InFolder

COLUMNS = [("image", pa.large_binary()), ("label", pa.int32()), ("name", pa.string())]
LABEL, BOUNDS = Struct("<i"), Struct("<qq")  # as they lie in a shard; the last bound of an image is the first of the next
Row = tuple[bytes, int, str]  # image, label, name


def write_shard(path: Path, rows: Sequence[Row]) -> ShardEntry:
    """Write one shard, under a temporary name until it is whole. The same rows give the same bytes."""
    values = zip(*rows, strict=True) if rows else ([], [], [])
    images, *others = values
    columns = [_joined(images), *(pa.array(column, kind) for column, (_, kind) in zip(others, COLUMNS[1:], strict=True))]
    schema = pa.schema(COLUMNS)
    unfinished = path.with_suffix(".part")
    with pa.OSFile(os.fsencode(unfinished), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    entry = _describe(unfinished)
    unfinished.replace(path)
    return entry


def _joined(images: Sequence[bytes]) -> pa.Array:
    """As an Arrow array. Building one image by image moves those that are there already again and again: a second for a shard."""
    bounds = np.cumsum([0, *map(len, images)], dtype=np.int64)
    return pa.Array.from_buffers(pa.large_binary(), len(images), [None, pa.py_buffer(bounds), pa.py_buffer(b"".join(images))])


def _describe(path: Path) -> ShardEntry:
    with pa.memory_map(os.fsencode(path)) as source:
        file = source.read_buffer()
        batch = pa.ipc.open_file(pa.BufferReader(file)).get_batch(0)
        _, offsets, content = batch.column("image").buffers()
        _, labels = batch.column("label").buffers()
        places = [buffer.address - file.address if buffer and buffer.size else 0 for buffer in (labels, offsets, content)]
        return ShardEntry(len(batch), file.size, hashlib.sha256(file).hexdigest(), *places)


class Shards(InFolder):
    """The shards of one split, as an ImageSet.

    Raises:
        UsageError: the set is not complete, a shard is missing or of another length than it was written with, or nothing is in it.
    """

    def __init__(self, root: Path, split: Split) -> None:
        index = read_index(root)
        self.entries = index.splits[split]
        self.paths = [shard_path(root / split, number) for number in range(len(self.entries))]
        for path, entry in zip(self.paths, self.entries, strict=True):
            _check_length(path, entry)
        self.classes, self.class_names = index.classes, index.class_names
        self.encoding, self.prepared_size = index.encoding, index.size
        self.root = root
        self._starts = [0, *accumulate(entry.images for entry in self.entries)]
        if not len(self):
            raise UsageError(f"{root / split}: it holds no images; {AGAIN}")
        self.passed_over = unread([root / split], set(self.paths))
        self._files: dict[int, int] = {}
        allow_open_files(len(self.paths))

    def __len__(self) -> int:
        return self._starts[-1]

    def encoded(self, index: int) -> npt.NDArray[np.uint8]:
        """What is stored of an image, uint8 [bytes]; for raw squares uint8 [size, size, 3].

        Raises:
            ImageError: it cannot be read any more.
        """
        shard, row = self.locate(index)
        entry = self.entries[shard]
        first, last = BOUNDS.unpack(self._read(shard, entry.offsets + BOUNDS.size // 2 * row, BOUNDS.size))
        if not 0 <= first <= last <= entry.bytes - entry.content:
            raise ImageError("its shard is damaged")
        image = np.frombuffer(self._read(shard, entry.content + first, last - first), np.uint8)
        if self.encoding != "raw":
            return image
        side = self.prepared_size or 0
        if len(image) != 3 * side**2:
            raise ImageError(f"{len(image):,} bytes, but {side} x {side} pixels need {3 * side**2:,}")
        return image.reshape(side, side, 3)

    def label(self, index: int) -> int:
        """The class of an image (ImageError as of `encoded`)."""
        shard, row = self.locate(index)
        label: int = LABEL.unpack(self._read(shard, self.entries[shard].labels + LABEL.size * row, LABEL.size))[0]
        if not 0 <= label < len(self.classes):
            raise ImageError(f"its label {label} is none of the {len(self.classes)} classes")
        return label

    def where(self, index: int) -> str:
        """Shard, row and original file."""
        shard, row = self.locate(index)
        path, name = self.paths[shard], "its name cannot be read"
        with suppress(pa.ArrowException, OSError, KeyError, IndexError, ValueError):
            batch = read_batch(path)
            batch.validate(full=True)  # else a damaged shard ends the process: 13 of 400 did (pyarrow 26)
            name = batch.column("name")[row].as_py()
        return f"{path} row {row} ({name})"

    def locate(self, index: int) -> tuple[int, int]:
        """Number of the shard, row in it."""
        shard = bisect_right(self._starts, index) - 1
        return shard, index - self._starts[shard]

    def _read(self, shard: int, start: int, size: int) -> bytes:
        try:
            file = self._files.get(shard)
            if file is None:  # two threads may open it at once: the later one lets go again
                opened = os.open(self.paths[shard], os.O_RDONLY)
                if (file := self._files.setdefault(shard, opened)) != opened:
                    os.close(opened)
            content = os.pread(file, size, start)
        except OSError as error:
            raise ImageError(error.strerror) from error
        if len(content) < size:
            raise ImageError("its shard has been cut short")
        return content

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            os.close(file)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}  # open files stay with the process that opened them


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"{number:05d}.arrow"


def read_batch(path: Path) -> pa.RecordBatch:
    """The rows of a shard, mapped into memory (pyarrow's exceptions, OSError)."""
    return pa.ipc.open_file(pa.memory_map(os.fsencode(path))).get_batch(0)


def _check_length(path: Path, entry: ShardEntry) -> None:
    if not path.is_file():
        raise UsageError(f"{path}: this shard is missing; put it back, or {AGAIN}")
    if (size := path.stat().st_size) != entry.bytes:
        raise UsageError(f"{path}: {size:,} bytes, but it was written with {entry.bytes:,}; copy it again, or {AGAIN}")


def allow_open_files(count: int) -> None:
    """Raise the number of files that this process may have open, as far as it may, by that many."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft + count if soft != resource.RLIM_INFINITY else soft
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
