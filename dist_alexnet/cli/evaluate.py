"""`dist-alexnet eval`."""

import re
import sys
from contextlib import ExitStack
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen.class_report import (
    CLASS_COLUMNS,
    CONFUSION_COLUMNS,
    check_files,
    class_rows,
    confusion_rows,
    worst_classes,
    write,
)
from dist_alexnet.cli.screen.shown import mean_loss, say, shown
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.machine.surroundings import check_alone

if TYPE_CHECKING:
    from dist_alexnet.evaluation.prepare import EvaluationRequest, PreparedEvaluation


class Views(Enum):
    """Crops of each image whose probabilities are averaged."""

    center = "center"
    ten = "ten"


def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="Checkpoints, or run folders for their newest ones: the probabilities of several are averaged. Then any setting.",
            metavar="CHECKPOINT|KEY=VALUE",
        ),
    ],
    views: Annotated[Views, typer.Option("--views", help="center: the centre crop. ten: corners, centre, and their mirror images.")] = (
        Views.center
    ),
    best: Annotated[bool, typer.Option("--best", help="Of run folders the checkpoint with the lowest validation error.")] = False,
    data: options.Data = None,
    strategy: options.Strategy = "single",
    gpus: options.Workers = 1,
    device: options.Device = "auto",
    share_device: options.ShareDevice = None,
    launcher: options.LauncherName = "local",
    batch: Annotated[int | None, typer.Option("-b", "--batch", help="Images per batch over all ranks.")] = None,
    per_class: Annotated[Path | None, typer.Option("--per-class", help="Write the errors of each class to this CSV file.")] = None,
    confusion: Annotated[Path | None, typer.Option("--confusion", help="Write which classes are taken for which to this CSV file.")] = None,
    as_json: options.Json = False,
) -> None:
    """Errors of a checkpoint, or of the average of several, on the validation images, every image counted once.

    Any strategy and number of ranks may evaluate a checkpoint that any other has written. Default: the data the first was trained on.
    """
    checkpoints, overrides = _split(arguments)
    typed = options.as_overrides(locals())
    check_alone()
    check_files({"--per-class": per_class, "--confusion": confusion})
    from dist_alexnet.evaluation.prepare import EvaluationRequest

    request = EvaluationRequest(checkpoints, typed, {Views.center: 1, Views.ten: 10}[views], confusion is not None, best)
    prepared, summary = _run(request)
    used = [str(path) for path in prepared.job.checkpoints]
    result: dict[str, Any] = {"checkpoints": used, "views": views.value, **summary["val"], "bad_image_names": summary["bad_images"]}
    if per_class:
        result["per_class"] = class_rows(prepared.classes, summary["by_class"], prepared.class_names)
    if confusion:
        result["confusion"] = confusion_rows(prepared.classes, summary["confusions"], prepared.class_names)
    print(to_json(result, indent=2) if as_json else _text(result))
    if per_class:
        write("--per-class", per_class, CLASS_COLUMNS, result["per_class"])
    if confusion:
        write("--confusion", confusion, CONFUSION_COLUMNS, result["confusion"])


def _run(request: "EvaluationRequest") -> "tuple[PreparedEvaluation, dict[str, Any]]":
    """Evaluate in a folder that is gone afterwards, unless the ranks failed and what went wrong is told by the logs in it."""
    from dist_alexnet.evaluation.prepare import prepare_evaluation
    from dist_alexnet.launch.driver.driver import execute
    from dist_alexnet.runs.directory import RunDirectory
    from dist_alexnet.runs.failure import TrainingFailed
    from dist_alexnet.runs.scratch import scratch
    from dist_alexnet.runs.unstarted import taken_back_unless_started

    with ExitStack() as stack:
        try:
            directory = RunDirectory(stack.enter_context(scratch("dist-alexnet-eval-")))
        except OSError as error:
            raise UsageError(f"no temporary folder can be made ({error.strerror}); set TMPDIR to a folder with room") from None
        try:
            with taken_back_unless_started(directory, fresh=True):
                prepared = prepare_evaluation(request, directory, say)
                for note in prepared.notes:
                    say(f"note: {note}")
                from dist_alexnet.evaluation.worker import evaluate_rank  # here, for it imports torch

                function = partial(evaluate_rank, prepared.job)
                summary, _ = execute(function, directory, prepared.launcher, say, saves=False)
        except TrainingFailed as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
    return prepared, summary


def _split(arguments: list[str]) -> tuple[list[Path], list[str]]:
    """Checkpoints and settings. What could be either is a checkpoint, if it exists."""
    settings = [argument for argument in arguments if re.match(r"[\w.]+=", argument) and not Path(argument).exists()]
    checkpoints = [Path(argument) for argument in arguments if argument not in settings]
    if not checkpoints:
        raise UsageError(f"{arguments[0]}: there is no such checkpoint; type a checkpoint or run folder before settings")
    return checkpoints, settings


def _text(result: dict[str, Any]) -> str:
    count = len(result["checkpoints"])
    of = f"average of {count} checkpoints" if count > 1 else "1 checkpoint"
    crops = "ten views" if result["views"] == Views.ten.value else "centre crop"
    lines = [*result["checkpoints"], f"{of}, {crops}, {result['images']:,} images"]
    lines.append(f"top-1 error {result['top1_error']:.2%}   top-5 error {result['top5_error']:.2%}   loss {mean_loss(result['loss'])}")
    if result["bad_images"]:
        lines.append(f"{result['bad_images']:,} images could not be decoded and are left out, the first: {result['bad_image_names'][0]}")
    return "\n".join(map(shown, [*lines, *worst_classes(result.get("per_class", []))]))
