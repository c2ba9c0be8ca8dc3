"""`dist-alexnet explain`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen.shown import say
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json


class Format(StrEnum):
    """How to print."""

    table = "table"
    json = "json"
    svg = "svg"


def explain(
    overrides: options.Overrides = None,
    preset: options.Preset = None,
    strategy: options.Strategy = None,
    gpus: options.Workers = None,
    batch: options.Batch = None,
    precision: options.Precision = None,
    device: options.Device = None,
    format: Annotated[Format, typer.Option("--format", help="table, json or svg.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="Write SVG or JSON to this file, not to stdout.")] = None,
    as_json: options.Json = False,
) -> None:
    """Show who owns what of each layer, what a step sends and where, and the memory of each rank. Starts nothing; default: alexnet_2012."""
    typed = options.as_overrides(locals())
    if out and not as_json and format is Format.table:
        raise UsageError("--out takes a picture or JSON, not the table; type --format svg or --format json with it")
    from dist_alexnet.resolve import loads_torch, resolve
    from dist_alexnet.settings.presets import PAPER, read_preset

    if loads_torch(typed):
        say("strategy.options: loading PyTorch")
    config = resolve(read_preset(preset or PAPER), typed)
    say(f"{config.strategy.name}, {preset or PAPER}: loading PyTorch")
    from dist_alexnet.launch.settle import with_generated_classes
    from dist_alexnet.parallel.explain.layout import lay_out

    described = lay_out(with_generated_classes(config))
    if as_json or format is Format.json:
        _write(to_json(described.as_dict(), indent=2) + "\n", out)
    elif format is Format.svg:
        from dist_alexnet.figures.strategy import strategy_svg

        _write(strategy_svg(described), out)
    else:
        from dist_alexnet.cli.screen.explain_table import print_layout

        print_layout(described)


def _write(text: str, out: Path | None) -> None:
    if not out:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; type the name of a file in a folder that exists and may be written to") from None
