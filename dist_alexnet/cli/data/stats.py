"""`dist-alexnet data stats`: what the training images look like on average."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen.progress import progress_bar
from dist_alexnet.cli.screen.shown import say, shown
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json

if TYPE_CHECKING:
    from dist_alexnet.data.statistics import Statistics

DEFAULT_SIZE = 256  # as data.store_size


def stats(
    data: Annotated[Path, typer.Argument(help="A prepared set, or a folder of photographs.")],
    recompute: Annotated[bool, typer.Option("--recompute", help="Even if they are known already.")] = False,
    store: Annotated[bool, typer.Option("--store", help="Keep them with the set; training uses them from then on.")] = False,
    size: Annotated[int | None, typer.Option(help="Pixels, side of the squares that photographs are scaled to; default: 256.")] = None,
    image: Annotated[Path | None, typer.Option(help="Write the mean image to this PNG file.")] = None,
    workers: options.Processes = None,
    as_json: options.Json = False,
) -> None:
    """Mean image, mean colour and principal components of the colours of the training images.

    They are printed beside the authors' own of 2012, with which data.statistics=authors trains.
    `data prepare` stores them with its squares.
    """
    from dist_alexnet.data.images import check_there

    check_there(data)
    from dist_alexnet.data.prepare.pool import settle_workers  # from here on with libraries that take seconds to import
    from dist_alexnet.data.statistics import IMAGENET, write_statistics
    from dist_alexnet.data.statistics import as_json as numbers

    if store and data.is_dir() and not os.access(data, os.W_OK):
        raise UsageError(f"{data}: nothing can be written there; type it without --store")
    if image and not image.parent.is_dir():
        raise UsageError(f"--image {image}: there is no folder {image.parent}; make it first")
    own, bad, news = _statistics(data, recompute, size, settle_workers(workers))
    if store and news:
        try:
            write_statistics(data, own)
        except OSError as error:
            raise UsageError(f"{error.filename or data}: {error.strerror}; mend that, or type it without --store") from error
    if image:
        _write_image(image, own)
    if as_json:
        print(to_json({"own": numbers(own), "authors": numbers(IMAGENET), "bad_images": bad}, indent=2))
        return
    _print(own, IMAGENET)
    print(*(f"left out: {shown(line)}" for line in bad), sep="\n", end="\n" if bad else "")
    if news:
        print(shown(f"stored in {data}") if store else "not stored: type --store to train with them")


def _statistics(data: Path, recompute: bool, size: int | None, workers: int) -> "tuple[Statistics, list[str], bool]":
    """Statistics, images that were left out, and whether they had to be computed."""
    from dist_alexnet.data.pixels.wholeness import MAX_SIDE
    from dist_alexnet.data.sets.open import open_split

    if size is not None and not 1 <= size <= MAX_SIDE:
        raise UsageError(f"--size {size}: must be from 1 to {MAX_SIDE:,}")
    known = None if recompute else open_split(data, "train").statistics
    if known and known.mean_image is not None and size in (None, len(known.mean_image)):
        return known, [], False
    say(f"{data}: loading PyTorch")
    from dist_alexnet.data.prepare.averages import compute

    with progress_bar("adding up") as tell:
        return *compute(data, size or DEFAULT_SIZE, workers, tell), True


def _print(own: "Statistics", authors: "Statistics") -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    side = len(own.mean_image) if own.mean_image is not None else 0
    print(f"{own.images:,} training images as squares of {side} pixels; grey levels of R, G, B")
    table = Table(box=SIMPLE)
    table.add_column("")
    for heading in ("this set", "the authors', 2012"):
        table.add_column(heading, justify="right")
    table.add_row("mean", *(_numbers(each.mean, 2) for each in (own, authors)))
    for number in (1, 2, 3):  # the largest first
        directions = (_numbers([row[-number] for row in each.eigenvectors], 3) for each in (own, authors))
        table.add_row(f"principal component {number}", *directions)
        table.add_row("  standard deviation", *(f"{each.stdevs[-number]:.2f}" for each in (own, authors)))
    Console(markup=False, emoji=False, highlight=False).print(table)


def _numbers(values: list[float], digits: int) -> str:
    return " ".join(f"{value:{digits + 4}.{digits}f}" for value in values)


def _write_image(file: Path, statistics: "Statistics") -> None:
    from PIL import Image

    assert statistics.mean_image is not None
    try:
        Image.fromarray(statistics.mean_image.round().astype("uint8")).save(file, "PNG")
    except OSError as error:
        raise UsageError(f"--image {file}: {error.strerror or error}; name a file that can be written") from error
