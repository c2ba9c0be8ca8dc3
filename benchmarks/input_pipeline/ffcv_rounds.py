"""FFCV in a process and a virtual environment of its own, for run.py --ffcv: it needs other versions, OpenCV and a compiler.

It stores the squares of a set once in FFCV's format and then runs a round for each line on stdin. A round goes to the end of an epoch of
the images it was told of: random resized crops, mirrored and normalised, float32, which is how FFCV's own ImageNet example loads.
"""

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, Squeeze, ToTensor, ToTorchImage
from ffcv.writer import DatasetWriter
from PIL import Image

MEAN, STD = np.array([124, 116, 104], np.float32), np.array([58, 57, 57], np.float32)


class Squares:
    """The squares in a folder, as files, so many times that there are enough."""

    def __init__(self, folder: Path, images: int) -> None:
        self.files, self.images = sorted(folder.iterdir()), images

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        content = self.files[index % len(self.files)].read_bytes()
        return Image.open(io.BytesIO(content)).convert("RGB"), index % 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--squares", type=Path, required=True, help="folder of image files")
    parser.add_argument("--images", type=int, required=True, help="of a round; a first batch besides is not counted")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--mode", choices=["jpg", "raw"], required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "set.beton"
        fields = {"image": RGBImageField(write_mode=arguments.mode, jpeg_quality=95), "label": IntField()}
        squares = Squares(arguments.squares, arguments.images + arguments.batch)
        DatasetWriter(str(file), fields, num_workers=arguments.threads).from_indexed_dataset(squares)
        crop = [RandomResizedCropRGBImageDecoder((224, 224)), RandomHorizontalFlip(), NormalizeImage(MEAN, STD, np.float32)]
        pipelines = {"image": [*crop, ToTensor(), ToTorchImage()], "label": [IntDecoder(), ToTensor(), Squeeze()]}
        settings = {"batch_size": arguments.batch, "num_workers": arguments.threads, "order": OrderOption.RANDOM, "os_cache": True}
        loader = Loader(str(file), pipelines=pipelines, **settings)
        for _ in loader:  # compiles
            pass
        print("ready", flush=True)
        for _ in sys.stdin:
            count, cpu_began = 0, time.process_time()
            batches = iter(loader)
            next(batches)
            began = time.perf_counter()
            for images, _ in batches:
                count += len(images)
            seconds = time.perf_counter() - began
            print(count / seconds, (time.process_time() - cpu_began) / (count + arguments.batch) * 1e6, flush=True)


if __name__ == "__main__":
    main()
