"""Which tensors lie in the files of a checkpoint, and whether they are all there, from the headers alone. Needs no torch.

A safetensors file is 8 bytes of length, a header in JSON, data. Format 2 has whole tensors; in format 1, which torch's distributed
checkpoints wrote, a file holds some rows of a tensor, and its header says from which row on.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_alexnet.checkpoints.state import Damaged
from dist_alexnet.update.rule import STATES

WEIGHTS_FILE = "model.safetensors"
PARTS_OF_FORMAT_1 = "shard-*.safetensors"


@dataclass(frozen=True)
class Piece:
    """Neighbouring rows of a tensor in a file; usually all of them."""

    file: Path
    first_row: int
    shape: tuple[int, ...]

    @property
    def end_row(self) -> int:
        """The row after the last."""
        return self.first_row + self.shape[0]


def state_file(state: str) -> str:
    """Where a checkpoint has a state of the update rule; no state: the network itself."""
    return f"optimizer/{state}.safetensors" if state else WEIGHTS_FILE


def full_name(state: str, name: str) -> str:
    """Of a state of a parameter, in a checkpoint; no state: of the parameter itself."""
    return f"{state}.{name}" if state else name


def split_name(name: str) -> tuple[str, str, str]:
    """State or nothing, layer, and tensor of the layer, from a name in a checkpoint."""
    *state, layer, tensor = name.split(".")
    return ".".join(state), layer, tensor


def tensor_files(checkpoint: Path) -> list[Path]:
    """Its files with tensors; what else somebody put there does not count."""
    whole = [checkpoint / name for name in (WEIGHTS_FILE, *map(state_file, STATES)) if (checkpoint / name).exists()]
    return whole or sorted(checkpoint.glob(PARTS_OF_FORMAT_1))


def read_pieces(checkpoint: Path) -> dict[str, list[Piece]]:
    """Canonical name -> where its rows are, the first ones first; the same rows may be there several times.

    Raises:
        Damaged: a file is no safetensors file, or cut short.
    """
    pieces: dict[str, list[Piece]] = defaultdict(list)
    for file in tensor_files(checkpoint):
        for name, (first_row, shape) in _read_header(file).items():
            pieces[name].append(Piece(file, first_row, shape))
    return {name: sorted(found, key=lambda piece: piece.first_row) for name, found in pieces.items()}


def check_tensors(checkpoint: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that a checkpoint holds all of these tensors, whole and of these canonical shapes (Damaged if not)."""
    pieces = read_pieces(checkpoint)
    for name, shape in shapes.items():
        if name not in pieces:
            raise Damaged(f"checkpoint {checkpoint} lacks {name}: another network, or a file of it is missing")
        end = 0
        for piece in pieces[name]:
            if piece.first_row > end:
                break
            end = max(end, piece.end_row)
        there = (max(piece.end_row for piece in pieces[name]), *pieces[name][0].shape[1:])
        if there[1:] != shape[1:] or there[0] > shape[0]:
            raise Damaged(f"checkpoint {checkpoint} has {name} of shape {list(there)}, this run needs {list(shape)}: another model section")
        if end < shape[0]:
            raise Damaged(f"checkpoint {checkpoint} lacks rows of {name} from {end} on: a file of it is missing")


def _read_header(file: Path) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Name -> first row, shape; the length of the file must agree with its header."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header: dict[str, Any] = json.loads(stream.read(min(length, size)))
        parts = json.loads(header.pop("__metadata__", {}).get("DCP_SHARDING_INFO", "{}"))
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        found = {
            name: (int(parts[name]["saved_offsets"][0]) if name in parts else 0, tuple(int(side) for side in entry["shape"]))
            for name, entry in header.items()
        }
    except OSError as error:
        raise Damaged(f"{file} cannot be read ({error.strerror})") from None
    except (ValueError, LookupError, TypeError, AttributeError, struct.error, RecursionError):
        raise Damaged(f"{file} is not a safetensors file, or cut short") from None
    if size != end or not all(shape for _, shape in found.values()):
        raise Damaged(f"{file} has {size} bytes, its header says {end}: it is truncated")
    return found
