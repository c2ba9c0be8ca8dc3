"""A safetensors file written row by row, so that nobody needs memory for more of it than what is at hand; with its checksum."""

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dist_alexnet.json_text import to_json

DTYPES = {torch.float32: "F32", torch.float64: "F64"}


class TensorFile:
    """The library writes tensors that lie whole in memory, and its file would have to be read again for the checksum."""

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> None:
        """Open the file; what is written to it are all rows of these tensors, in this order."""
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # without which Hugging Face's loaders refuse it
        end = 0
        for name, shape in shapes.items():
            start, end = end, end + math.prod(shape) * dtype.itemsize
            header[name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": [start, end]}
        text = to_json(header).encode()
        text += b" " * (-len(text) % 8)  # data begin at a multiple of 8
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream, self._digest, self._left = path.open("wb"), hashlib.sha256(), end
        self._put(len(text).to_bytes(8, "little") + text)

    def write(self, rows: Tensor) -> None:
        """The next rows."""
        data = rows.detach().cpu().contiguous().numpy().data.cast("B")
        self._left -= data.nbytes
        self._put(data)

    def close(self) -> str:
        """Have the system write it to disk; returns its SHA-256."""
        if self._left:  # also under -O: what a plug-in forgets must not end as a checkpoint
            raise ValueError(f"{self._stream.name}: {self._left} bytes are missing")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        return self._digest.hexdigest()

    def _put(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._stream.write(data)
