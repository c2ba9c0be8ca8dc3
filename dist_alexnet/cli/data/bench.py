"""`dist-alexnet data bench`: how fast images come, and what network that can feed."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen.progress import progress_bar
from dist_alexnet.cli.screen.shown import say, shown
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.machine.cores import available_cores
from dist_alexnet.machine.surroundings import check_docstrings

if TYPE_CHECKING:
    from dist_alexnet.config import Config
    from dist_alexnet.data.images import ImageSet
    from dist_alexnet.data.load.bench import Rate

STORED = {"jpeg": "JPEG", "raw": "pixels", "original": "files as they were delivered"}
REMEDIES = {  # of what takes longest, and how images are stored
    ("decoding", "jpeg"): "; squares stored by `data prepare --encoding raw` need none",
    ("decoding", "original"): "; `data prepare` stores small squares once",
    ("scaling and cropping", "original"): "; `data prepare` scales once",
    ("reading", "original"): "; the squares that `data prepare` stores are smaller",
    ("reading", "raw"): "; a set without --encoding raw is smaller",
}


def bench(
    data: Annotated[Path, typer.Argument(help="A prepared set, or a folder of photographs.")],
    overrides: options.Overrides = None,
    batch: options.Batch = None,
    device: options.Device = None,
    threads: Annotated[str | None, typer.Option(help="As in 1,2,4: reading and decoding; default: up to all cores.")] = None,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 2.0,
    rounds: Annotated[int, typer.Option(help="Of all measurements, in turn; medians are shown.")] = 3,
    as_json: options.Json = False,
) -> None:
    """Images per second that are read, decoded, and handed to training as batches of crops, by device and threads.

    Without --device on the CPU and, where there is CUDA, on the GPU. Everything is configured as training on the set is without -c:
    preset alexnet_2012, and any setting of it may be typed.
    """
    typed = options.as_overrides(locals())
    if not 0 < seconds < float("inf") or rounds < 1:
        raise UsageError(f"--seconds {seconds:g} --rounds {rounds}: both must be positive")
    images, configs = _settle(data, typed, _threads(threads))
    check_docstrings()
    from dist_alexnet.data.images import TooManyBadImages
    from dist_alexnet.data.load.bench import measure  # from here on with torch, which takes seconds to import
    from dist_alexnet.machine.allocator import keep_freed_memory

    if any(config.launch.device == "cpu" for config in configs):
        keep_freed_memory()  # as a rank does
    with progress_bar("measuring", "measurements") as tell:
        try:
            rates = measure(images, configs, seconds, rounds, tell)
        except TooManyBadImages as error:
            raise UsageError(str(error).removesuffix(", then go on with --resume")) from None
    config = configs[0]
    result = {
        "data": str(data),
        "images": len(images),
        "encoding": images.encoding,
        "batch": config.train.global_batch,
        "image_size": config.model.image_size,
        "rates": [asdict(rate) for rate in rates],
        **_verdict(rates, config.train.global_batch, images.encoding),
    }
    print(to_json(result, indent=2) if as_json else _text(result))


def _settle(data: Path, typed: list[str], threads: list[int]) -> "tuple[ImageSet, list[Config]]":
    """The training images, and the configurations of a rank that trains on them alone, by device and threads."""
    from dataclasses import replace

    from dist_alexnet.data.images import check_sizes
    from dist_alexnet.data.sets.open import open_split
    from dist_alexnet.launch.settle import settle_ranks
    from dist_alexnet.resolve import resolve
    from dist_alexnet.settings.idle import IN_MEASUREMENT, check_idle, typed_keys
    from dist_alexnet.settings.presets import PAPER, read_preset

    if any(word.startswith("data.threads=") for word in typed):
        raise UsageError("data.threads is what is measured; type --threads, as in --threads 1,2,4")
    images = open_split(data, "train")
    config = resolve(read_preset(PAPER), [f"data.store_size={images.prepared_size or 256}", *typed])
    check_idle(config, typed_keys(typed), [IN_MEASUREMENT])
    check_sizes(images, config.data.store_size, config.model.image_size)
    say(f"{data}: loading PyTorch")  # which counts the devices
    config = settle_ranks(replace(config, launch=replace(config.launch, workers=1, name="local")))
    both = config.launch.device == "cuda" and not any(word.startswith("launch.device=") for word in typed)
    devices: list[Literal["cpu", "cuda"]] = ["cpu", "cuda"] if both else ["cuda" if config.launch.device == "cuda" else "cpu"]
    return images, [
        replace(config, launch=replace(config.launch, device=device), data=replace(config.data, threads=number))
        for device in devices
        for number in threads
    ]


def _threads(typed: str | None) -> list[int]:
    cores = available_cores()
    if typed is None:
        return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power < cores)})
    numbers = [int(word) if word.strip().isdecimal() else 0 for word in typed.split(",")]
    if min(numbers) < 1:
        raise UsageError(f"--threads {typed}: must be numbers from 1, as in --threads 1,2,4")
    return sorted(set(numbers))


def _verdict(rates: "list[Rate]", batch: int, encoding: str) -> dict[str, Any]:
    """What the fastest batches can feed, and the stage that takes most of an image's time there."""
    best = max((rate for rate in rates if rate.stage == "batches"), key=lambda rate: rate.images_per_second)
    seconds = {rate.stage: 1 / rate.images_per_second for rate in rates if (rate.device, rate.threads) == (best.device, best.threads)}
    shares = {
        "reading": seconds["read"],
        "decoding": seconds.get("decode", seconds["read"]) - seconds["read"],
        "scaling and cropping" if encoding == "original" else "cropping": seconds["batches"] - seconds.get("decode", seconds["read"]),
    }
    return {
        "feeds_images_per_second": best.images_per_second,
        "feeds_device": best.device,
        "feeds_threads": best.threads,
        "feeds_step_seconds": batch / best.images_per_second,
        "slowest": max(shares, key=lambda stage: shares[stage]),
    }


def _text(result: dict[str, Any]) -> str:
    feeds = result["feeds_images_per_second"]
    stages = list(dict.fromkeys(rate["stage"] for rate in result["rates"]))
    cells = {(rate["device"], rate["threads"], rate["stage"]): rate for rate in result["rates"]}
    lines = [
        f"{result['data']}: {result['images']:,} training images, stored as {STORED[result['encoding']]}",
        f"images/s; crops of {result['image_size']} pixels in batches of {result['batch']}; MB/s that were read",
        "",
        f"{'device':8}{'threads':>8}" + "".join(f"{stage:>12}" for stage in stages) + f"{'MB/s':>12}",
    ]
    for device, threads in dict.fromkeys(key[:2] for key in cells):
        rates = [cells[device, threads, stage]["images_per_second"] for stage in stages]
        volume = cells[device, threads, "read"]["bytes_per_second"] / 1e6
        lines.append(f"{device:8}{threads:8}" + "".join(f"{rate:12,.0f}" for rate in rates) + f"{volume:12,.0f}")
    lines += [
        "",
        f"On {result['feeds_device']} with {result['feeds_threads']} thread(s) this feeds a network of {feeds:,.0f} images/s: a step of "
        f"{result['batch']} images that takes {1000 * result['feeds_step_seconds']:.1f} ms or longer never waits.",
        f"What takes longest is {result['slowest']}{REMEDIES.get((result['slowest'], result['encoding']), '')}.",
    ]
    return "\n".join(map(shown, lines))
