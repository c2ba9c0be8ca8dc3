"""What is typed after `train`, read and checked here for another machine that will run it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer
from typer.exceptions import TyperException

from dist_alexnet.cli import options, train
from dist_alexnet.config import UsageError


@dataclass(frozen=True)
class TypedElsewhere:
    """What the sender has to know of a training."""

    output_dir: Path
    as_json: bool
    checked: bool  # its configuration resolves; False: a part of it lies there, and nobody has looked


def read_train(words: Sequence[str], folder: Path | None) -> TypedElsewhere:
    """Read what follows `train`, and refuse what `train` would refuse before it looks at data, devices and folders.

    Args:
        words: as typed.
        folder: what the working directory there will be a copy of; None: it will be empty.

    Raises:
        UsageError: an option that there is not, or a configuration that does not resolve.
        typer.Exit: `--help` was asked for, and given.
    """
    from dist_alexnet.training.prepare import Request, check_for_elsewhere

    try:
        typed = _train().make_context("dist-alexnet train", list(words)).params
    except TyperException as error:
        raise UsageError(f"train: {' '.join(error.format_message().split())}; type dist-alexnet train --help") from None
    request = Request(typed["preset"], options.as_overrides(typed), Path(typed["output_dir"]), typed["name"], typed["resume"])
    return TypedElsewhere(Path(typed["output_dir"]), bool(typed["json"]), check_for_elsewhere(request, folder))


@cache
def _train() -> Any:
    """Our command, apart from the others."""
    app = typer.Typer(add_completion=False)
    app.command("train", context_settings={"help_option_names": ["-h", "--help"]})(train.train)
    return typer.main.get_command(app)
