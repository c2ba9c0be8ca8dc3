"""How fast do batches arrive: our loader against torchvision's transforms in a DataLoader, from the same JPEG bytes.

Both read the same prepared shards, take the same images in the same order and deliver float32 batches of random, mirrored,
normalised 224-pixel crops. The two are timed in turn (A B A B ...), so that whatever else the machine does falls on both.

    python benchmarks/input_pipeline/run.py --data PREPARED --content "what the images are" --out results/NAME.json
"""

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from dist_alexnet.config import DataConfig
from dist_alexnet.data.image_set import ImageSet, open_split
from dist_alexnet.data.loader import Loader
from dist_alexnet.data.sampler import Sampler

IMAGE_SIZE = 224  # pixels
PACKAGES = ("torch", "torchvision", "nvidia-dali-cuda130", "pillow", "pyarrow", "numpy")


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """The image set as torchvision's ImageFolder would serve it."""

    def __init__(self, images: ImageSet) -> None:
        self.images = images
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(IMAGE_SIZE),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.open(io.BytesIO(self.images.encoded(index))).convert("RGB")
        return self.transform(picture), self.images.label(index)


def ours(images: ImageSet, batch: int, threads: int) -> Iterator[Any]:
    loader = Loader(images, config(images, threads), IMAGE_SIZE, torch.device("cpu"), seed=0)
    return loader.train_batches(batch, slice(0, batch), start=0)


def config(images: ImageSet, threads: int) -> DataConfig:
    assert images.prepared_size, "--data holds photographs: run `dist-alexnet data prepare` first"
    return DataConfig(store_size=images.prepared_size, threads=threads)


def torchvision(images: ImageSet, batch: int, workers: int, num_images: int) -> Iterator[Any]:
    order = Sampler(len(images), seed=0, shuffle=True).indices(0, num_images).tolist()
    return iter(DataLoader(Pictures(images), batch, sampler=order, num_workers=workers))


def measure(start: Callable[[], Iterator[Any]], batch: int, num_batches: int) -> tuple[float, float]:
    """Images/s over num_batches, after a first one that pays for starting threads and processes; CPU microseconds per image."""
    cpu_began = cpu_seconds()
    batches = start()
    next(batches)
    began = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    seconds = time.perf_counter() - began
    del batches  # the CPU time of worker processes is known when they have ended
    return num_batches * batch / seconds, (cpu_seconds() - cpu_began) / ((num_batches + 1) * batch) * 1e6


def cpu_seconds() -> float:
    """CPU time of this process and its ended children: unlike the clock, hardly moved by what else the machine does."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def summary(values: Iterable[float]) -> dict[str, Any]:
    rounds = [round(value, 2) for value in values]
    return {"median": round(statistics.median(rounds), 2), "min": min(rounds), "max": max(rounds), "rounds": rounds}


def environment() -> dict[str, Any]:
    models = {line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")}
    return {
        "cpu": ", ".join(sorted(models)),
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that `dist-alexnet data prepare` has written")
    parser.add_argument("--content", required=True, help="what the images are, for the result file")
    parser.add_argument("--images", type=int, default=4096, help="images per round and contestant; the set is repeated as needed")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2, help="decoder threads of ours, worker processes of torchvision")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()

    images = open_split(arguments.data, "train")
    num_batches = arguments.images // arguments.batch
    contestants: dict[str, Callable[[], Iterator[Any]]] = {
        "ours": lambda: ours(images, arguments.batch, arguments.threads),
        "torchvision": lambda: torchvision(images, arguments.batch, arguments.threads, (num_batches + 1) * arguments.batch),
    }
    before = environment()
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, start in contestants.items():
            measured[name].append(measure(start, arguments.batch, num_batches))
    pairs = list(zip(measured["ours"], measured["torchvision"], strict=True))
    result = {
        "question": "images/s of our loader against torchvision transforms in a DataLoader, same JPEG bytes, same cores",
        "content": f"{arguments.content}; stored as {images.prepared_size} x {images.prepared_size} JPEG",
        "distinct_images": len(images),
        "mean_bytes": round(sum(len(images.encoded(index)) for index in range(len(images))) / len(images)),
        "images_per_round": num_batches * arguments.batch,
        "batch": arguments.batch,
        "threads": arguments.threads,
        "images_per_second": {name: summary(rate for rate, _ in each) for name, each in measured.items()},
        "cpu_microseconds_per_image": {name: summary(cpu for _, cpu in each) for name, each in measured.items()},
        "paired_ratio_of_rates": summary(a / b for (a, _), (b, _) in pairs),
        "paired_ratio_of_cpu_time": summary(b / a for (_, a), (_, b) in pairs),
        "config": asdict(config(images, arguments.threads)),
        **before,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
