"""`dist-alexnet data`: make, prepare, check and measure data sets."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.data import bench, stats
from dist_alexnet.cli.screen.progress import progress_bar
from dist_alexnet.cli.screen.shown import say, shown
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json

app = typer.Typer(help="Make, prepare, check and measure data sets.", no_args_is_help=True)
app.command("stats")(stats.stats)
app.command("bench")(bench.bench)


@app.command()
def synth(
    target: Annotated[Path, typer.Argument(help="Folder to write; must not exist yet.")],
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    train: Annotated[int, typer.Option(help="Training images.")] = 2000,
    val: Annotated[int, typer.Option(help="Validation images.")] = 400,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Write a generated, learnable data set of JPEG files: train/CLASS/ and val/CLASS/."""
    from dist_alexnet.config import SynthConfig
    from dist_alexnet.data.synth.synth import write

    try:
        write(target, SynthConfig(classes, train, val, seed), say)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror or error}; name a folder that can be written, with room for the images") from error
    print(shown(f"{target}: {train} training and {val} validation images of {classes} classes"))


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="ILSVRC archives, a folder with train/CLASS/ and val/CLASS/, or Hugging Face files.")],
    target: Annotated[Path, typer.Argument(help="Folder to write; must not exist yet, or be empty.")],
    size: Annotated[str, typer.Option(help="Side of the stored squares in pixels; none: keep the files as they are.")] = "256",
    encoding: Annotated[Literal["jpeg", "raw"], typer.Option(help="jpeg, or raw: pixels, for GPUs that outrun any decoder.")] = "jpeg",
    quality: Annotated[int | None, typer.Option(help="Of the JPEGs, 1 to 95; default: 95.")] = None,
    workers: options.Processes = None,
    strict: Annotated[bool, typer.Option("--strict", help="Do not complete a set if a file does not decode.")] = False,
) -> None:
    """Turn photographs into Arrow shards: shorter side SIZE, central square, JPEG. Training reads them several times faster.

    Cut short, it goes on where it was when it is typed again.
    """
    if size != "none" and not size.isdecimal():
        raise UsageError(f"--size {size}: must be a number of pixels, or none")
    if quality is not None and (size == "none" or encoding == "raw"):
        raise UsageError(f"--quality {quality} would do nothing: it is of JPEGs that are made, and none are; leave it out")
    from dist_alexnet.data.sources.open import check_source

    check_source(source)
    say(f"{source}: loading PyTorch")
    from dist_alexnet.data.prepare.photograph import Storage
    from dist_alexnet.data.prepare.prepare import QUARANTINE
    from dist_alexnet.data.prepare.prepare import prepare as write

    if size == "none":
        storage = Storage("original" if encoding == "jpeg" else "raw", None)
    else:
        storage = Storage(encoding, int(size), 95 if quality is None else quality)
    with progress_bar("preparing") as tell:
        report = write(source, target, storage, workers=workers, strict=strict, tell=tell)
    taken_up = f", {report.resumed} of them looked at before" if report.resumed else ""
    print(shown(f"{target}: {report.images['train']} training and {report.images['val']} validation images{taken_up}"))
    if report.passed_over.count:
        print(shown(str(report.passed_over)))
    if report.quarantine:
        print(shown(f"{len(report.quarantine)} files did not decode and were left out; they are listed in {target / QUARANTINE}"))


@app.command()
def verify(
    data: Annotated[Path, typer.Argument(help="A prepared set, or a folder of photographs.")],
    workers: options.Processes = None,
    strict: Annotated[bool, typer.Option("--strict", help="Images with the same content are a fault, too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Check every shard against its checksum and decode every image; exit code 1 if anything is wrong."""
    from dist_alexnet.data.images import check_there

    check_there(data)
    from dist_alexnet.data.prepare.check import check_set
    from dist_alexnet.data.prepare.pool import settle_workers  # from here on with libraries that take seconds to import

    with progress_bar("verifying") as tell:
        found = check_set(data, settle_workers(workers), tell)
    if as_json:
        print(to_json(asdict(found), indent=2))
    else:
        for split, counts in found.counts.items():
            print(f"{split}: {sum(counts):,} sound images in {len(counts):,} classes, {min(counts):,} to {max(counts):,} in each")
        for line in (*found.passed_over, *found.faults):
            print(shown(line))
        for names in found.duplicates:
            print("the same content: " + ", ".join(map(shown, names)))
        print(f"{len(found.faults)} faults, {len(found.duplicates)} contents that come more than once")
    if found.faults or (strict and found.duplicates):
        raise typer.Exit(1)
