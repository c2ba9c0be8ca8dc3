"""Prepared images: Arrow IPC files that are mapped into memory, so that any image is read in place, in any order, by any process.

Format 1: a split is `00000.arrow`, `00001.arrow`, ...; each file holds one record batch of
    image: large_binary    the bytes of an RGB JPEG, size x size pixels
    label: int32           index into the classes
    name: string           where the image came from, `<class>/<file>`
and in its schema the metadata `format`, `classes` (JSON list), `size` (pixels), `mean` (JSON list: R, G, B of the training set).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dist_alexnet.config import UsageError

FORMAT = "1"
COLUMNS = [("image", pa.large_binary()), ("label", pa.int32()), ("name", pa.string())]


@dataclass(frozen=True)
class ShardInfo:
    """What every shard of a data set says about the whole."""

    classes: list[str]
    size: int  # pixels
    mean: tuple[float, float, float]  # grey levels

    def schema(self) -> pa.Schema:
        """Columns and metadata of a shard."""
        texts = {"format": FORMAT, "classes": json.dumps(self.classes), "size": str(self.size), "mean": json.dumps(self.mean)}
        return pa.schema(COLUMNS, metadata=texts)

    @classmethod
    def of(cls, schema: pa.Schema) -> "ShardInfo":
        """The reverse of `schema`. KeyError: the metadata of a shard is not there."""
        texts = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        if texts["format"] != FORMAT:
            raise KeyError(f"format {texts['format']}")
        red, green, blue = json.loads(texts["mean"])
        return cls(json.loads(texts["classes"]), int(texts["size"]), (red, green, blue))


def write_shard(path: Path, columns: Sequence[pa.Array], info: ShardInfo) -> None:
    """Write one shard, under a temporary name until it is whole. The same arguments give the same bytes."""
    schema = info.schema()
    unfinished = path.with_suffix(".part")
    with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(list(columns), schema=schema))
    unfinished.replace(path)


def read_shard(path: Path) -> tuple[pa.RecordBatch, ShardInfo]:
    """Map one shard into memory.

    Raises:
        UsageError: the file is cut short, is no Arrow file, or was not written by `data prepare`.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        return reader.get_batch(0), ShardInfo.of(reader.schema)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"{path}: not a complete shard ({str(error).splitlines()[0]}); prepare the data again") from error
    except KeyError as error:
        raise UsageError(f"{path}: an Arrow file, but no shard of this version (no {error}); prepare the data again") from error


class Shards:
    """The shards of one split, as an ImageSet.

    Raises:
        UsageError: a shard is incomplete or missing, or belongs to another data set.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.arrow"))
        if [path.stem for path in paths] != [f"{number:05d}" for number in range(len(paths))]:
            raise UsageError(f"{folder}: its {len(paths)} shards are not numbered from 00000 without a gap; prepare the data again")
        self._batches, infos = zip(*(read_shard(path) for path in paths), strict=True)
        for path, info in zip(paths, infos, strict=True):
            if info != infos[0]:
                raise UsageError(f"{path}: not prepared together with {paths[0].name}; prepare the data again")
        self.classes: list[str] = infos[0].classes
        self.prepared_size: int | None = infos[0].size
        self.mean: tuple[float, float, float] | None = infos[0].mean
        self.labels: npt.NDArray[np.int64] = np.concatenate([batch.column("label").to_numpy() for batch in self._batches]).astype(np.int64)
        if len(self.labels) == 0 or self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise UsageError(f"{folder}: it has no images, or labels beyond its {len(self.classes)} classes; prepare the data again")
        self._starts = np.cumsum([0, *(len(batch) for batch in self._batches)])
        self._offsets, self._bytes = zip(*(_buffers(batch) for batch in self._batches), strict=True)
        self._folder = folder

    def __len__(self) -> int:
        return len(self.labels)

    def encoded(self, index: int) -> npt.NDArray[np.uint8]:
        """The bytes of the JPEG, uint8 [bytes], as they lie in the memory map: nothing is copied."""
        shard, row = self._locate(index)
        first, last = self._offsets[shard][row : row + 2]
        image: npt.NDArray[np.uint8] = self._bytes[shard][first:last]
        return image

    def where(self, index: int) -> str:
        """Shard and original file."""
        shard, row = self._locate(index)
        return f"{self._folder}/{shard:05d}.arrow row {row} ({self._batches[shard].column('name')[row]})"

    def _locate(self, index: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        return shard, int(index - self._starts[shard])


def _buffers(batch: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where each image starts, int64 [images + 1], and the bytes of all of them."""
    _, offsets, content = batch.column("image").buffers()
    return np.frombuffer(offsets, np.int64), np.frombuffer(content, np.uint8)
