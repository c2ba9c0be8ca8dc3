"""What becomes of decoded squares: which mean is subtracted, and how the batches are laid out in memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dist_alexnet.config import DataConfig, UsageError
from dist_alexnet.data.augment import IMAGENET
from dist_alexnet.data.image_set import ImageSet


@dataclass(frozen=True)
class Crops:
    """(pixels - mean + colour noise) / (std * divide) of the crop of an image.

    The mean of each pixel is that of the central crop, for every crop and mirrored or not, as the authors' code had it
    (convdata_jpeg.py); the noise and the division come with each image (augment.py).
    """

    size: int  # S, side of the crops, pixels
    mean: npt.NDArray[np.float32]  # [S, S, 3], or [1, 1, 3] of all pixels; grey levels
    std: float  # grey levels that one unit of the result stands for
    dtype: torch.dtype
    channels_last: bool  # in memory

    @classmethod
    def of(cls, config: DataConfig, images: ImageSet, size: int) -> "Crops":
        """As configured for a set.

        Raises:
            UsageError: the mean of each pixel is asked for, but not known.
        """
        own = config.statistics == "own"
        image = images.mean_image if own and config.mean is None and config.subtract != "channel" else None
        if config.subtract == "pixel" and image is None:
            raise UsageError(
                "data.subtract=pixel needs the mean image of prepared squares and data.statistics=own; prepare the data with "
                "`dist-alexnet data prepare`, or type data.subtract=channel"
            )
        if image is not None:
            start = (len(image) - size) // 2
            mean = image[start : start + size, start : start + size]
        else:
            known = images.statistics if own and images.statistics else IMAGENET
            mean = np.array(config.mean or known.mean, np.float32).reshape(1, 1, 3)
        return cls(size, np.ascontiguousarray(mean), config.std, getattr(torch, config.dtype), config.layout == "NHWC")

    @property
    def per_pixel(self) -> bool:
        """Whether the mean is one of each pixel."""
        return len(self.mean) > 1

    def batch(self, crops: torch.Tensor) -> torch.Tensor:
        """[b, S, S, 3] of any kind as the images of a batch, [b, 3, S, S]."""
        images = crops.to(self.dtype).permute(0, 3, 1, 2)
        return images if self.channels_last else images.contiguous()
