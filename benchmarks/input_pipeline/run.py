"""How fast do batches arrive: our loader against torchvision's, from the same bytes, on the same cores.

All read the same sets, take the same images in the same order and deliver float32 batches of random, mirrored, normalised 224-pixel
crops. They are timed in turn (A B C A B C ...), so that whatever else the machine does falls on all of them.

    python -m benchmarks.input_pipeline.run --data SET... --content "what the images are" --out benchmarks/input_pipeline/results/NAME.json
"""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import environment, summary, write
from benchmarks.input_pipeline.contestants import CONTESTANTS, Batches
from benchmarks.input_pipeline.other_process import ffcv
from dist_alexnet.data.images import ImageSet
from dist_alexnet.data.sets.open import open_split
from dist_alexnet.machine.allocator import keep_freed_memory

SETTLE_S = 2  # in which the others fill their queues


def compare(images: ImageSet, batch: int, threads: int, num_batches: int, rounds: int, ffcv_python: str | None) -> dict[str, Any]:
    """All contestants on one set. Each is started once and waits, with its queues full, while the others are timed."""
    queued = 2 * threads + 4  # batches, more than any of them makes ahead: 2 of each worker, or 3 decoded and 1 cropped
    in_all = (rounds + 1) * (num_batches + queued) * batch
    contestants: dict[str, Callable[[], tuple[float, float]]] = {
        name: partial(measure, start(images, batch, threads, in_all), batch, num_batches, queued) for name, start in CONTESTANTS.items()
    }
    with ExitStack() as stack:
        if ffcv_python and images.prepared_size:
            contestants["FFCV"] = stack.enter_context(ffcv(ffcv_python, images, batch, threads, num_batches))
        rates = [{name: run() for name, run in contestants.items()} for _ in range(rounds)]
    measured = {name: [each[name] for each in rates] for name in contestants}
    own = measured["ours"]
    return {
        "stored": images.encoding,
        "pixels": images.prepared_size or "as delivered",
        "distinct_images": len(images),
        "mean_bytes": round(sum(images.encoded(index).nbytes for index in range(len(images))) / len(images)),
        "images_per_second": {name: summary(rate for rate, _ in each) for name, each in measured.items()},
        "cpu_microseconds_per_image": {name: summary(cpu for _, cpu in each) for name, each in measured.items()},
        "ours_times_as_fast": {
            name: summary(mine / rate for (mine, _), (rate, _) in zip(own, each, strict=True))
            for name, each in measured.items()
            if name != "ours"
        },
    }


def measure(batches: Batches, batch: int, num_batches: int, queued: int) -> tuple[float, float]:
    """Images/s over num_batches, after those that lay ready; CPU microseconds per image."""
    time.sleep(SETTLE_S)
    for _ in range(queued):
        next(batches)
    began, cpu_began = time.perf_counter(), cpu_seconds()
    for _ in range(num_batches):
        next(batches)
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu_began
    return num_batches * batch / seconds, cpu / (num_batches * batch) * 1e6


def cpu_seconds() -> float:
    """CPU time of this process and its children: unlike the clock, hardly moved by what else the machine does."""
    children = [number for task in Path("/proc/self/task").glob("*/children") for number in task.read_text().split()]
    fields = [Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split() for number in ("self", *children)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")  # of user and system, proc(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, nargs="+", help="sets: folders of photographs, or prepared with 256 pixels")
    parser.add_argument("--content", required=True, help="what the images are, for the result file")
    parser.add_argument("--images", type=int, default=4096, help="images per round and contestant; a set is repeated as needed")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2, help="decoder threads of ours, worker processes of the others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ffcv", metavar="PYTHON", help="of a virtual environment that has FFCV, to compare with it as well")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    keep_freed_memory()  # as every rank on the CPU does; worker processes, forked from this one, too

    result: dict[str, Any] = {
        "question": "images/s of our loader against torchvision in a DataLoader: same bytes, same order, same cores",
        "content": arguments.content,
        "images_per_round": arguments.images // arguments.batch * arguments.batch,
        "batch": arguments.batch,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        **environment(),
        "sets": [],
    }
    for path in arguments.data:
        images = open_split(path, "train")
        found = compare(images, arguments.batch, arguments.threads, arguments.images // arguments.batch, arguments.rounds, arguments.ffcv)
        result["sets"].append(found)
        for name, rates in found["images_per_second"].items():
            ratio = found["ours_times_as_fast"].get(name, {"median": 1, "min": 1, "max": 1})
            print(
                f"{found['stored']:9}{name:18}{rates['median']:8,.0f} images/s ({rates['min']:,.0f}-{rates['max']:,.0f})"
                f"{found['cpu_microseconds_per_image'][name]['median']:8,.0f} us of CPU; "
                f"ours is {ratio['median']:.2f} times as fast ({ratio['min']:.2f}-{ratio['max']:.2f})",
                flush=True,
            )
    write(result, arguments.out)


if __name__ == "__main__":
    main()
