"""The process that runs FFCV, as a contestant."""

import io
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from dist_alexnet.data.images import ImageSet


@contextmanager
def ffcv(python: str, images: ImageSet, batch: int, threads: int, num_batches: int) -> Iterator[Callable[[], tuple[float, float]]]:
    """A function that measures one round: images/s, CPU microseconds per image. Squares only."""
    with tempfile.TemporaryDirectory() as folder:
        for index in range(len(images)):
            content = images.encoded(index)
            image = Image.fromarray(content) if images.encoding == "raw" else Image.open(io.BytesIO(content))
            image.save(Path(folder) / f"{index}.png")
        program = str(Path(__file__).with_name("ffcv_rounds.py"))
        mode = "raw" if images.encoding == "raw" else "jpg"
        numbers = ["--images", str(num_batches * batch), "--batch", str(batch), "--threads", str(threads)]
        command = [python, program, "--squares", folder, "--mode", mode, *numbers]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            while process.stdout.readline().strip() != "ready":
                assert process.poll() is None, "FFCV failed"

            def measure() -> tuple[float, float]:
                assert process.stdin
                assert process.stdout
                print("go", file=process.stdin, flush=True)
                rate, cpu = process.stdout.readline().split()
                return float(rate), float(cpu)

            yield measure
            process.stdin.close()
