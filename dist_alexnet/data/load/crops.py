"""What becomes of decoded squares: which mean is subtracted, and how the batches are laid out in memory."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import DataConfig, UsageError
from dist_alexnet.data.images import ImageSet
from dist_alexnet.data.statistics import IMAGENET, Statistics

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Crops:
    """(pixels - mean + colour noise) / (std * divide) of the crop of an image.

    The mean of each pixel is that of the central crop, for every crop and mirrored or not, as the authors' code had it
    (convdata_jpeg.py); the noise and the division come with each image (augment.py).
    """

    size: int  # S, side of the crops, pixels
    mean: npt.NDArray[np.float32]  # [S, S, 3], or [1, 1, 3] of all pixels; grey levels
    std: float  # grey levels that one unit of the result stands for
    dtype: "torch.dtype"
    channels_last: bool  # in memory

    @classmethod
    def of(cls, config: DataConfig, images: ImageSet, size: int) -> "Crops":
        """As configured for a set.

        Raises:
            UsageError: the mean of each pixel is asked for, but not known, or that of squares of another size is.
        """
        statistics = chosen_statistics(config, images)
        image = statistics.mean_image if config.mean is None and config.subtract != "channel" else None
        if config.subtract == "pixel" and image is None:
            raise UsageError(
                "data.subtract=pixel needs the set's own mean image (data.statistics=own); compute it with "
                "`dist-alexnet data stats DATA --store`, or type data.subtract=channel"
            )
        if image is None:
            mean = np.array(config.mean or statistics.mean, np.float32).reshape(1, 1, 3)
        elif len(image) != config.store_size:
            raise UsageError(
                f"data.store_size={config.store_size}, but the mean image is of squares of {len(image)} pixels; compute it again with "
                f"`dist-alexnet data stats DATA --recompute --store --size {config.store_size}`, or type data.subtract=channel"
            )
        else:
            start = (len(image) - size) // 2
            mean = image[start : start + size, start : start + size]
        import torch  # here, for it takes seconds, and what is refused above is answered before

        return cls(size, np.ascontiguousarray(mean), config.std, getattr(torch, config.dtype), config.layout == "NHWC")

    @property
    def per_pixel(self) -> bool:
        """Whether the mean is one of each pixel."""
        return len(self.mean) > 1

    @property
    def subtracted(self) -> str:
        """What is subtracted, in words that differ where it does: a network should be shown images as it was trained on them."""
        levels = ", ".join(f"{level:.2f}" for level in self.mean.mean(axis=(0, 1)))
        checksum = hashlib.sha256(self.mean.tobytes()).hexdigest()[:8]
        return f"a mean of each {'pixel' if self.per_pixel else 'colour'} (R, G, B {levels}; checksum {checksum})"

    def batch(self, crops: "torch.Tensor") -> "torch.Tensor":
        """[b, S, S, 3] of any kind as the images of a batch, [b, 3, S, S]."""
        images = crops.to(self.dtype).permute(0, 3, 1, 2)
        return images if self.channels_last else images.contiguous()


def chosen_statistics(config: DataConfig, images: ImageSet) -> Statistics:
    """The set's own statistics where they are known and wanted, else the authors'.

    Raises:
        UsageError: they are wanted and cannot be read, or a prepared set has lost them: others would be another network's.
    """
    if config.statistics == "authors":
        return IMAGENET
    if images.statistics is None and images.prepared_size:
        raise UsageError(
            "the statistics of this prepared set are gone; compute them again with `dist-alexnet data stats DATA --store`, or "
            "type data.statistics=authors"
        )
    return images.statistics or IMAGENET
