"""Loaders that deliver the same thing: float32 batches of random, mirrored, normalised 224-pixel crops, from the same bytes."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from dist_alexnet.config import DataConfig
from dist_alexnet.data.images import ImageSet
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.order.sampler import Sampler

IMAGE_SIZE, STORE_SIZE = 224, 256  # pixels
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Batches = Iterator[Any]
Start = Callable[[ImageSet, int, int, int], Batches]  # of a set: images per batch, threads or processes, images in all


def ours(images: ImageSet, batch: int, threads: int, num_images: int) -> Batches:
    """This project's."""
    return Loader(images, config(threads), IMAGE_SIZE, torch.device("cpu"), seed=0).train_batches(batch, slice(0, batch), start=0)


def config(threads: int) -> DataConfig:
    return DataConfig(store_size=STORE_SIZE, threads=threads, statistics="authors")


def pillow(images: ImageSet, batch: int, workers: int, num_images: int) -> Batches:
    """As the ImageNet example of PyTorch does it: Pillow and torchvision's first transforms in a DataLoader."""
    scale = [] if images.prepared_size else [transforms.Resize(STORE_SIZE), transforms.CenterCrop(STORE_SIZE)]
    crop = [transforms.RandomCrop(IMAGE_SIZE), transforms.RandomHorizontalFlip()]
    transform = transforms.Compose([*scale, *crop, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    decode = Image.fromarray if images.encoding == "raw" else lambda content: Image.open(io.BytesIO(content)).convert("RGB")
    return _data_loader(images, lambda content: transform(decode(content)), batch, workers, num_images)


def decode_jpeg_and_v2(images: ImageSet, batch: int, workers: int, num_images: int) -> Batches:
    """torchvision's own decoder and its second transforms, on tensors, in a DataLoader."""
    scale = [] if images.prepared_size else [v2.Resize(STORE_SIZE, antialias=True), v2.CenterCrop(STORE_SIZE)]
    crop = [v2.RandomCrop(IMAGE_SIZE), v2.RandomHorizontalFlip()]
    transform = v2.Compose([*scale, *crop, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])

    def decode(content: Any) -> Tensor:
        pixels = torch.tensor(content)  # a copy, as torch warns of arrays that must not be written to
        return pixels.permute(2, 0, 1) if images.encoding == "raw" else decode_jpeg(pixels, ImageReadMode.RGB)

    return _data_loader(images, lambda content: transform(decode(content)), batch, workers, num_images)


CONTESTANTS: dict[str, Start] = {"ours": ours, "pillow": pillow, "decode_jpeg + v2": decode_jpeg_and_v2}


def _data_loader(images: ImageSet, prepare: Callable[[Any], Tensor], batch: int, workers: int, num_images: int) -> Batches:
    order = Sampler(len(images), seed=0, shuffle=True).indices(0, num_images).tolist()
    return iter(DataLoader(_Pictures(images, prepare), batch, sampler=order, num_workers=workers))


class _Pictures(Dataset[tuple[Tensor, int]]):
    def __init__(self, images: ImageSet, prepare: Callable[[Any], Tensor]) -> None:
        self.images, self.prepare = images, prepare

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.prepare(self.images.encoded(index)), self.images.label(index)
