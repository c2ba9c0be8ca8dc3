"""The filters of the first layer as a picture, as figure 3 of the paper has them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from dist_alexnet.checkpoints.tensor_headers import Piece, read_pieces

LAYER = "conv1.weight"
GAP, SCALE = 1, 4  # pixels of a filter between two of them; pixels of the picture for each


def filters(checkpoint: Path) -> NDArray[np.float32]:
    """[channels, 3, height, width] of a checkpoint.

    Raises:
        OSError, KeyError, UsageError, SafetensorError: it is not there any more: the run keeps the newest only.
    """
    pieces: Sequence[Piece] = read_pieces(checkpoint)[LAYER]
    parts = []
    for piece in sorted(pieces, key=lambda piece: piece.first_row):
        with safe_open(piece.file, framework="pt") as file:
            parts.append(file.get_tensor(LAYER).float().numpy())
    whole: NDArray[np.float32] = np.concatenate(parts)
    return whole


def picture(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """[3, height, width] from 0 to 1: each filter from its own least to its own greatest weight, in rows, black between them."""
    count, _, height, width = weights.shape
    low, high = (of(axis=(1, 2, 3), keepdims=True) for of in (weights.min, weights.max))
    scaled = (weights - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    columns = int(np.ceil(np.sqrt(2 * count)))  # about twice as wide as it is high
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, 3, height + GAP, width + GAP), np.float32)
    cells[:count, :, :height, :width] = scaled
    grid = cells.reshape(rows, columns, 3, height + GAP, width + GAP).transpose(2, 0, 3, 1, 4)
    flat = grid.reshape(3, rows * (height + GAP), columns * (width + GAP))
    large: NDArray[np.float32] = flat.repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    return large
