"""`dist-alexnet data`: make and prepare data sets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make and prepare data sets.", no_args_is_help=True)


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
    from dist_alexnet.data.synth import write

    write(target, SynthConfig(classes, train, val, seed))
    print(f"{target}: {train} training and {val} validation images of {classes} classes")


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder with train/CLASS/ and val/CLASS/.")],
    target: Annotated[Path, typer.Argument(help="Folder to write; must not exist yet, or be empty.")],
    size: Annotated[int, typer.Option(help="Side of the stored squares, in pixels.")] = 256,
    quality: Annotated[int, typer.Option(help="Of the JPEGs, 1 to 95.")] = 95,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
) -> None:
    """Turn photographs into Arrow shards: shorter side SIZE, central square, JPEG. Training reads them several times faster."""
    from dist_alexnet.data.prepare import prepare as write

    with _progress("preparing") as progress:
        report = write(source, target, size=size, quality=quality, workers=workers, progress=progress)
    print(f"{target}: {report.images['train']} training and {report.images['val']} validation images")
    if report.quarantine:
        print(f"{len(report.quarantine)} files did not decode and were left out; they are listed in {target / 'quarantine.csv'}")


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
