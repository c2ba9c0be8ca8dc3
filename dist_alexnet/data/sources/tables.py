"""Parquet and Arrow files of images, read by groups of rows: what is asked for is read and no more.

A group is a row group of a Parquet file or a record batch of an Arrow file. `datasets` writes images in groups of 100 rows.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from dist_alexnet.data.sources.photographs import FileParts, FileSpan

UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)  # what a damaged file makes pyarrow raise
ARROW_FILE, END_OF_STREAM = b"ARROW1", b"\xff\xff\xff\xff\0\0\0\0"


class Columns(NamedTuple):
    """Names of the two that count."""

    image: str  # struct of `bytes` and `path`
    label: str


class Rows(Protocol):
    """One file."""

    schema: pa.Schema
    sizes: list[int]  # rows of each group

    def labels_and_paths(self, columns: Columns) -> pa.Table:
        """Columns `label` and `path` of all rows; the bytes of images are not read."""
        ...

    def has_bytes(self, image: str) -> bool:
        """Whether this column holds the bytes of any image, and not just paths."""
        ...

    def images(self, group: int, image: str) -> pa.ChunkedArray:
        """This column of a group: `bytes`, null where there are none, and `path`."""
        ...


class ParquetRows:
    """A Parquet file. UNREADABLE: it is cut short, or no such file."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet  # here, for who reads shards does not need it

        self._file = parquet.ParquetFile(pa.OSFile(os.fsencode(path)))
        self.schema: pa.Schema = self._file.schema_arrow
        self._groups = [self._file.metadata.row_group(group) for group in range(self._file.num_row_groups)]
        self.sizes = [group.num_rows for group in self._groups]
        self._last: tuple[int, pa.ChunkedArray] | None = None  # a worker's next images are often in the group of its last ones

    def labels_and_paths(self, columns: Columns) -> pa.Table:
        """As of Rows."""
        image, label = columns
        return _labels_and_paths(self._file.read(columns=[label, f"{image}.path"], use_threads=False), columns)

    def has_bytes(self, image: str) -> bool:
        """As of Rows."""
        chunks = [group.column(number) for group in self._groups for number in range(group.num_columns)]
        found = [chunk for chunk in chunks if chunk.path_in_schema == f"{image}.bytes"]
        return any(chunk.statistics is None or chunk.statistics.null_count < chunk.num_values for chunk in found)

    def images(self, group: int, image: str) -> pa.ChunkedArray:
        """As of Rows. The whole group is in memory until another one is asked for."""
        if not self._last or self._last[0] != group:
            self._last = None  # make room first
            self._last = (group, self._file.read_row_group(group, columns=[image], use_threads=False)[image])
        return self._last[1]


class ArrowRows:
    """An Arrow IPC file or stream, mapped into memory. UNREADABLE: it is cut short, or no such file."""

    def __init__(self, path: Path) -> None:
        source = pa.memory_map(os.fsencode(path))
        if source.read(len(ARROW_FILE)) == ARROW_FILE:
            reader = pa.ipc.open_file(source)
            self._batches = [reader.get_batch(group) for group in range(reader.num_record_batches)]
        else:
            source.seek(max(0, source.size() - len(END_OF_STREAM)))
            if source.read() != END_OF_STREAM:  # pyarrow takes a stream that was cut between two batches for complete
                raise pa.ArrowInvalid("the end of the Arrow stream is missing")
            source.seek(0)
            reader = pa.ipc.open_stream(source)
            self._batches = list(reader)
        for batch in self._batches:
            batch.validate()  # lengths and sizes of a damaged file make pyarrow abort the process
        self.schema: pa.Schema = reader.schema
        self.sizes = [len(batch) for batch in self._batches]

    def labels_and_paths(self, columns: Columns) -> pa.Table:
        """As of Rows."""
        return _labels_and_paths(pa.Table.from_batches(self._batches, self.schema), columns)

    def has_bytes(self, image: str) -> bool:
        """As of Rows."""
        return any(batch[image].field("bytes").null_count < len(batch) for batch in self._batches)

    def images(self, group: int, image: str) -> pa.ChunkedArray:
        """As of Rows."""
        found = pa.chunked_array([self._batches[group][image]])
        found.validate(full=True)
        return found


def open_rows(path: Path) -> Rows:
    """A file by its ending. UNREADABLE: it is cut short, or not what its name says."""
    return ParquetRows(path) if path.suffix == ".parquet" else ArrowRows(path)


@lru_cache(maxsize=1)  # it has a group of rows in memory
def _last_parquet(path: Path, modified: int) -> Rows:
    return open_rows(path)


@lru_cache(maxsize=1024)  # all of a set: it takes no memory of its own, and training goes from any image to any other
def _mapped(path: Path, modified: int) -> Rows:
    return open_rows(path)


def _opened(path: Path) -> Rows:
    return (_last_parquet if path.suffix == ".parquet" else _mapped)(path, path.stat().st_mtime_ns)


@dataclass(frozen=True)
class RowSpan:
    """Rows [start, stop) of a group."""

    path: Path
    group: int
    start: int
    stop: int
    image: str  # the column


@dataclass(frozen=True)
class RowParts:
    """Photographs in a column of Parquet or Arrow files, one run of rows after the other."""

    spans: Sequence[RowSpan]

    def read(self) -> Iterator[bytes | str]:
        """The bytes of each, or the reason. The process keeps open Arrow files and, with its last group, the last Parquet file."""
        for span in self.spans:
            try:
                images = _opened(span.path).images(span.group, span.image).slice(span.start, span.stop - span.start)
            except UNREADABLE as error:
                yield from [f"{span.path.name}: {' '.join(str(error).split())}"] * (span.stop - span.start)
                continue
            for content, path in zip(_field(images, "bytes"), _field(images, "path"), strict=True):
                yield content.as_py() if content.is_valid else _linked(path.as_py(), span.path.name)


def _linked(path: str | None, where: str) -> bytes | str:
    """The file that a row without bytes names; or the reason."""
    if not path or not os.path.isabs(path):  # else it is just a name
        return f"{where} holds no bytes of it"
    if not os.path.isfile(path):  # a device or a pipe is no image
        return f"{where} holds no bytes of it, and {path} is not there"
    (content,) = FileParts([FileSpan(Path(path))]).read()
    return content


def _labels_and_paths(table: pa.Table, columns: Columns) -> pa.Table:
    labels, paths = table[columns.label], _field(table[columns.image], "path")
    for column in (labels, paths):
        column.validate(full=True)  # offsets of a damaged file lead anywhere in memory
    return pa.table({"label": labels, "path": paths})


def _field(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A field of structs; null also where the whole struct is."""
    from pyarrow import compute  # here, for it takes long to import

    return compute.struct_field(column, name)
