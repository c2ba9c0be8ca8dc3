"""Does the memory of a rank grow with the size of the set? As many batches of a small set as an epoch of one ten times its size has.

Each in a process of its own, which reports what it holds after the first batches and at the end.

    python -m benchmarks.input_pipeline.memory --data PREPARED --out benchmarks/input_pipeline/results/memory.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.common import environment, write
from benchmarks.input_pipeline.contestants import IMAGE_SIZE, config
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.index import Index, read_index
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.data.sets.shards import shard_path, write_shard
from dist_alexnet.machine.allocator import keep_freed_memory

BATCH, SHARD = 128, 4096


def repeat(data: Path, images: int, target: Path) -> Path:
    """A prepared set of so many training images: those of another one, again and again."""
    index, train = read_index(data), open_split(data, "train")
    (target / "train").mkdir(parents=True)
    entries = []
    for number, start in enumerate(range(0, images, SHARD)):
        chosen = [position % len(train) for position in range(start, min(start + SHARD, images))]
        rows = [(train.encoded(each).tobytes(), train.label(each), str(each)) for each in chosen]
        entries.append(write_shard(shard_path(target / "train", number), rows))
    (target / "val").symlink_to((data / "val").absolute())
    Index(index.classes, {}, index.encoding, index.size, {"train": entries, "val": index.splits["val"]}).write(target)
    return target


def take(data: Path, num_images: int) -> dict[str, int]:
    """Resident memory in bytes of this process while it takes so many images of a set, epoch after epoch."""
    keep_freed_memory()  # as every rank on the CPU does
    images = open_split(data, "train")
    batches = Loader(images, config(2), IMAGE_SIZE, torch.device("cpu"), seed=0).train_batches(BATCH, slice(0, BATCH), start=0)
    early = 0
    for number in range(num_images // BATCH):
        next(batches)
        if number == 8:
            early = status("VmRSS")
    return {"images": len(images), "taken": num_images, "after_8_batches": early, "at_the_end": status("VmRSS"), "peak": status("VmHWM")}


def status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a set prepared with 256 pixels, from which the two are made")
    parser.add_argument("--images", type=int, default=4096, help="of the small one")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--take", type=int, help="take so many images of --data itself and print what was held")
    arguments = parser.parse_args()
    if arguments.take:
        print(json.dumps(take(arguments.data, arguments.take)))
        return
    result = {
        "question": "resident memory of a rank, bytes, that takes as many images of a set and of one ten times its size",
        **environment(),
    }
    with tempfile.TemporaryDirectory(dir=arguments.data.parent) as folder:
        for times in (1, 10):
            data = repeat(arguments.data, times * arguments.images, Path(folder) / f"{times}x")
            command = [sys.executable, "-m", "benchmarks.input_pipeline.memory", "--data", str(data)]
            command += ["--take", str(10 * arguments.images)]
            result[f"{times}x"] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(f"{times:3}x", result[f"{times}x"])
    write(result, arguments.out)


if __name__ == "__main__":
    main()
