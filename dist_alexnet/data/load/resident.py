"""All squares of a raw set in the memory of a device, where batches are cut out of them: no decoder and no bus can be slower."""

from collections.abc import Iterator

import numpy as np
import torch

from dist_alexnet.config import UsageError
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.load.healing import HealingReader
from dist_alexnet.data.order.augment import Augmentation
from dist_alexnet.data.order.plan import Plan

MARGIN = 0.5  # of the free memory that a set may take: the network, its gradients and its activations need the rest


class ResidentSet:
    """Crops of raw squares that lie on a device; each rank keeps the whole set, since any image may be the next.

    Raises:
        UsageError: the set is not raw, or does not fit.
    """

    def __init__(self, reader: HealingReader, crops: Crops, device: torch.device) -> None:
        self._crops, self._device = crops, device
        images = reader.images
        if images.encoding != "raw" or images.prepared_size is None:
            raise UsageError("data.cache=gpu keeps pixels, but this set holds files; run `dist-alexnet data prepare --encoding raw`")
        shape = (len(images), images.prepared_size, images.prepared_size, 3)
        self._check_room(int(np.prod(shape)))
        self._squares = torch.empty(shape, dtype=torch.uint8, device=device)
        for index in range(len(images)):
            alone = Plan(np.zeros(1, np.int64), 1, np.array([index]), [])
            self._squares[index] = torch.tensor(reader.read(alone, 0))  # of a bad image, which no plan will ask for, another's pixels

    def _check_room(self, needed: int) -> None:
        if self._device.type != "cuda":
            return
        free, _ = torch.cuda.mem_get_info(self._device)
        if needed > MARGIN * free:
            raise UsageError(
                f"data.cache=gpu: the set has {needed / 2**30:.1f} GiB, but of the {free / 2**30:.1f} GiB that are free on "
                f"{self._device} it may take {MARGIN:.0%}; type data.cache=none"
            )

    def run(self, reader: HealingReader, plans: Iterator[Plan]) -> Iterator[tuple[Plan, list[torch.Tensor]]]:
        """Each plan with its views, [max(b, 1), S, S, 3] on the device."""
        for plan in plans:
            for position in range(len(plan.indices)):
                reader.settle(plan, position)
            indices = torch.from_numpy(plan.indices).to(self._device)
            yield plan, [self._crop(indices, view) for view in plan.views]

    def _crop(self, indices: torch.Tensor, view: Augmentation) -> torch.Tensor:
        def there(values: object) -> torch.Tensor:
            return torch.as_tensor(values, device=self._device)

        steps = torch.arange(self._crops.size, device=self._device)
        y = there(view.crop_y)[:, None] + steps
        x = there(view.crop_x)[:, None] + torch.where(there(view.mirror)[:, None] > 0, steps.flip(0), steps)
        pixels = self._squares[indices[:, None, None], y[:, :, None], x[:, None, :]].float()
        scale = there((1 / (self._crops.std * view.divide)).astype(np.float32))
        return (pixels - there(self._crops.mean) + there(view.color)[:, None, None]) * scale[:, None, None, None]
