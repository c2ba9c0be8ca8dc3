"""`dist-alexnet eval`."""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dist_alexnet.cli import options


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint, or a run folder for its newest one.")],
    overrides: options.Overrides = None,
    data: options.Data = None,
    strategy: options.Strategy = "single",
    gpus: options.Workers = 1,
    device: options.Device = "auto",
    share_device: options.ShareDevice = None,
    launcher: options.LauncherName = "local",
    batch: options.Batch = None,
    as_json: options.Json = False,
) -> None:
    """Errors of a checkpoint on the validation images: centre crop, every image counted once.

    Any strategy and number of ranks may evaluate a checkpoint that any other has written. Default: the data it was trained on.
    """
    typed = options.as_overrides(locals())
    from dist_alexnet.training.driver import execute
    from dist_alexnet.training.job import RunDirectory, TrainingFailed
    from dist_alexnet.training.prepare import prepare_evaluation
    from dist_alexnet.training.worker import evaluate_rank

    with tempfile.TemporaryDirectory(prefix="dist-alexnet-eval-") as folder:
        job, ranks = prepare_evaluation(checkpoint, typed, RunDirectory(Path(folder)))
        try:
            summary, _ = execute(partial(evaluate_rank, job), job.directory, ranks, lambda record: None, _warn, saves=False)
        except TrainingFailed as error:
            print(f"{error.trace}error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
    result = summary["val"]
    if as_json:
        print(json.dumps({"checkpoint": str(job.resume), **result}, indent=2))
    else:
        print(f"{job.resume}: {result['images']:,} images")
        print(f"top-1 error {result['top1_error']:.2%}   top-5 error {result['top5_error']:.2%}   loss {result['loss']:.4f}")


def _warn(line: str) -> None:
    print(line, file=sys.stderr)
