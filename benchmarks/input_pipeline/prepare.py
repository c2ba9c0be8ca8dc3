"""What does `data prepare` cost beyond the work itself: against a bare loop that decodes, scales and encodes, on the same cores.

The loop is what one would write with Pillow alone, each of its processes on its own share of the files, and throws the result away;
prepare also adds up the statistics, keeps the order, writes the shards with their checksums, and starts its
processes within the time that is taken. They are timed in turn.

    python -m benchmarks.input_pipeline.prepare --photographs FOLDER --out benchmarks/input_pipeline/results/prepare.json
"""

import argparse
import io
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.common import environment, summary, write
from dist_alexnet.data.prepare.prepare import prepare

SIZE, QUALITY = 256, 95


def bare(files: list[Path]) -> int:
    """Bytes of the squares of these photographs as JPEG."""
    volume = 0
    for file in files:
        with Image.open(file) as photograph:
            photograph.draft(None, (2 * SIZE, 2 * SIZE))
            image = photograph.convert("RGB")
        scale = SIZE / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        square = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + SIZE, top + SIZE))
        jpeg = io.BytesIO()
        square.save(jpeg, "JPEG", quality=QUALITY)
        volume += len(jpeg.getvalue())
    return volume


def repeat(photographs: Path, times: int, target: Path) -> list[Path]:
    """Every training photograph so many times, by links, and one of each class to validate on; returns the training files."""
    files = []
    for source in sorted(photographs.glob("train/*/*")):
        for split, numbers in {"train": range(times), "val": range(1)}.items():
            folder = target / split / source.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                (folder / f"{number}-{source.name}").symlink_to(source.absolute())
                files.append(folder / f"{number}-{source.name}")
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="folder with train/CLASS/ of photographs of full size")
    parser.add_argument("--times", type=int, default=30, help="each photograph is taken so often")
    parser.add_argument("--workers", type=int, default=2, help="processes of both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"question": "photographs/s of `data prepare` and of a bare loop of the same processes", **environment()}
    rates: dict[str, list[float]] = {"prepare": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(arguments.workers) as pool:
        files = repeat(arguments.photographs, arguments.times, Path(folder) / "photographs")
        shares = [files[first :: arguments.workers] for first in range(arguments.workers)]
        pool.map(bare, [share[:8] for share in shares])
        for number in range(arguments.rounds):
            began = time.perf_counter()
            pool.map(bare, shares)
            rates["bare"].append(len(files) / (time.perf_counter() - began))
            began = time.perf_counter()
            prepare(Path(folder) / "photographs", Path(folder) / f"set-{number}", workers=arguments.workers)
            rates["prepare"].append(len(files) / (time.perf_counter() - began))
    result |= {
        "photographs": len(files),
        "workers": arguments.workers,
        "rounds": arguments.rounds,
        "images_per_second": {name: summary(each) for name, each in rates.items()},
        "prepare_share_of_bare": summary(mine / loop for mine, loop in zip(rates["prepare"], rates["bare"], strict=True)),
    }
    print({name: result[name] for name in ("images_per_second", "prepare_share_of_bare")})
    write(result, arguments.out)


if __name__ == "__main__":
    main()
