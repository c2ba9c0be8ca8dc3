"""What the loader hands to a rank."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """One rank's rows of one global batch: b own rows of S x S pixels. b may be 0, so that all ranks stay in step."""

    images: torch.Tensor  # [b, 3, S, S] float32, channels_last in memory, on the loader's device
    labels: torch.Tensor  # [b] int64, same device
    rows: torch.Tensor  # [b] int64, same device: row numbers within the global batch
    global_batch: int  # images of this batch over all ranks; in the last batch of an evaluation fewer than asked for

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """The same batch where, and in the precision that, a network computes; nothing is copied that is there already."""
        images = self.images.to(device, dtype)
        return Batch(images, self.labels.to(device), self.rows.to(device), self.global_batch)

    def microbatches(self, parts: int) -> list["Batch"]:
        """Cut into this many runs of rows, as even as can be."""
        pieces = zip(*(tensor.tensor_split(parts) for tensor in (self.images, self.labels, self.rows)), strict=True)
        return [Batch(images, labels, rows, self.global_batch) for images, labels, rows in pieces]
