"""A safetensors file written row by row, from where the rows are or from a copy of them; with its checksum."""

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

import torch
from torch import Tensor

from dist_alexnet.json_text import to_json

DTYPES = {torch.float32: "F32", torch.float64: "F64"}
CHUNK_NUMBERS = 2**20  # that are hashed and handed to the system at once, while they are in the processor's cache

Shapes = Mapping[str, tuple[int, ...]]


class Rows(Protocol):
    """What takes all rows of some tensors, in order."""

    def write(self, rows: Tensor) -> None:
        """The next rows, which the caller may change afterwards."""

    def close(self) -> str:
        """Have the system write the file to disk; returns its SHA-256 (OSError: it cannot be written)."""


class TensorFile:
    """Takes no memory but for what is at hand; the library writes tensors that lie whole there, and its file would have to be read again.

    What keeps it from being written is told when it is closed: who sends rows to a rank with a full disk must not wait for it.
    """

    def __init__(self, path: Path, shapes: Shapes, dtype: torch.dtype) -> None:
        """What is written to it are all rows of these tensors, in this order."""
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # without which Hugging Face's loaders refuse it
        end = 0
        for name, shape in shapes.items():
            start, end = end, end + math.prod(shape) * dtype.itemsize
            header[name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": [start, end]}
        text = to_json(header).encode()
        text += b" " * (-len(text) % 8)  # data begin at a multiple of 8
        self._path, self._digest, self._left = path, hashlib.sha256(), end
        self._stream: IO[bytes] | None = None
        self._failure: OSError | None = None
        self._put(len(text).to_bytes(8, "little") + text)

    def write(self, rows: Tensor) -> None:
        """The next rows."""
        data = rows.detach().cpu().contiguous().numpy().data.cast("B")
        self._left -= data.nbytes
        self._put(data)

    def close(self) -> str:
        """Have the system write it to disk; returns its SHA-256 (OSError: it cannot be written)."""
        if self._left:  # also under -O: what a plug-in forgets must not end as a checkpoint
            raise ValueError(f"{self._path}: {self._left} bytes are missing")
        if self._failure or not self._stream:
            raise self._failure or OSError(f"{self._path} was not opened")
        with self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return self._digest.hexdigest()

    def _put(self, data: bytes | memoryview) -> None:
        if self._failure:
            return
        self._digest.update(data)
        try:
            if not self._stream:
                self._path.parent.mkdir(exist_ok=True)  # and not those above, which somebody may just be deleting
                self._stream = self._path.open("wb", buffering=0)
            while data:
                data = memoryview(data)[self._stream.write(data) :]
        except OSError as error:
            self._failure = error
            if self._stream:
                self._stream.close()  # else its room would not come back when it is deleted


class HeldFile:
    """The same by way of a copy: whoever brings the rows can go on, and another thread writes the file by closing it."""

    def __init__(self, path: Path, shapes: Shapes, dtype: torch.dtype, copy: Tensor) -> None:
        """`copy`: where the rows are kept, as long as `numbers(shapes)`; nobody else may touch it until the file is closed."""
        self._path, self._shapes, self._dtype, self._copy = path, shapes, dtype, copy
        self._at = 0

    def write(self, rows: Tensor) -> None:
        """The next rows."""
        end = self._at + rows.numel()
        self._copy[self._at : end].view(rows.shape).copy_(rows.detach())
        self._at = end

    def close(self) -> str:
        """Write it, and have the system write it to disk; returns its SHA-256 (OSError: it cannot be written)."""
        file = TensorFile(self._path, self._shapes, self._dtype)
        for chunk in torch.split(self._copy[: self._at], CHUNK_NUMBERS):
            file.write(chunk)
        return file.close()


def numbers(shapes: Shapes) -> int:
    """How many numbers tensors of these shapes hold together."""
    return sum(map(math.prod, shapes.values()))
