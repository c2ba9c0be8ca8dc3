"""Options that several commands share, and how they become `key=value`."""

import math
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
import yaml


def _installed(group: str) -> str:
    return ", ".join(sorted({point.name for point in entry_points(group=f"dist_alexnet.{group}")}))


Preset = Annotated[str | None, typer.Option("-c", "--config", help="Preset name or YAML file.", metavar="PRESET|FILE")]
Strategy = Annotated[str | None, typer.Option("--strategy", help=f"How to spread the network; installed: {_installed('strategies')}.")]
Workers = Annotated[int | None, typer.Option("--gpus", help="Ranks: CUDA devices, or CPU processes where there is no CUDA.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cuda or cpu.")]
LauncherName = Annotated[str | None, typer.Option("--launcher", help=f"Who starts the ranks; installed: {_installed('launchers')}.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder with train/ and val/: class folders, or shards from `data prepare`.")]
OutputDir = Annotated[Path, typer.Option("--output-dir", help="Where run folders go.")]
Batch = Annotated[int | None, typer.Option("-b", "--batch", help="Images per optimizer step over all ranks.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout and nothing else there.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Any setting, as in train.lr=0.02; `config show` lists them.", metavar="[KEY=VALUE]...")
]


def as_overrides(overrides: list[str] | None, **flags: object) -> list[str]:
    """Flags that were given, as overrides with `__` for the dot, then the overrides that were typed: those come last and win."""
    typed = [f"{key.replace('__', '.')}={_yaml(value)}" for key, value in flags.items() if value is not None]
    return [*typed, *(overrides or [])]


def _yaml(value: object) -> str:
    """Quoted as YAML where it is text: a path may hold anything."""
    if isinstance(value, str | Path):
        return yaml.safe_dump(str(value), default_style='"', width=math.inf).strip()
    return str(value)
