"""Options that several commands share, and how they become `key=value`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from dist_alexnet import registry
from dist_alexnet.config import UsageError
from dist_alexnet.settings.presets import preset_names

_STRATEGIES, _LAUNCHERS = (", ".join(registry.names(group)) for group in (registry.STRATEGIES, registry.LAUNCHERS))
Preset = Annotated[
    str | None, typer.Option("-c", "--config", help=f"Preset ({', '.join(preset_names())}), or YAML file.", metavar="PRESET|FILE")
]
Strategy = Annotated[str | None, typer.Option("--strategy", help=f"How to spread the network; installed: {_STRATEGIES}.")]
Workers = Annotated[int | None, typer.Option("--gpus", help="Ranks: CUDA devices, or CPU processes where there is no CUDA.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cuda or cpu.")]
ShareDevice = Annotated[
    bool | None, typer.Option("--share-device", help="Let ranks share a CUDA device, over gloo: to show correctness, not for speed.")
]
LauncherName = Annotated[str | None, typer.Option("--launcher", help=f"Who starts the ranks; installed: {_LAUNCHERS}.")]
Elastic = Annotated[
    str | None,
    typer.Option("--elastic", help="Ranks: as many as there is room for, from MIN to MAX; grows and shrinks.", metavar="MIN:MAX"),
]
MaxFailures = Annotated[int | None, typer.Option("--max-failures", help="Start again so often, from the newest checkpoint; default: 0.")]
Wait = Annotated[float | None, typer.Option("--wait", help="Wait so long for room on a cluster.", metavar="SECONDS")]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of class folders, shards from `data prepare`, ILSVRC archives or Arrow files.")
]
OutputDir = Annotated[Path, typer.Option("--output-dir", help="Where run folders go.")]
Batch = Annotated[int | None, typer.Option("-b", "--batch", help="Images per optimizer step over all ranks.")]
Precision = Annotated[str | None, typer.Option("--precision", help="fp32, tf32 (on CUDA) or bf16: of matrix products and activations.")]
Processes = Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")]
MetricsPort = Annotated[int | None, typer.Option("--metrics-port", help="Serve metrics for Prometheus there; 0: a free port.")]
MetricsHost = Annotated[
    str | None, typer.Option("--metrics-host", help="Serve them under this address of the machine; default: 127.0.0.1.")
]
Storage = Annotated[
    str | None, typer.Option("--storage", help="Copy checkpoints and records there, too: s3://BUCKET/PATH, gs://, hdfs://, file:///PATH.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout and nothing else there.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Any setting, as in train.lr=0.02; `config show` lists them.", metavar="[KEY=VALUE]...")
]

# Parameters of commands that are settings under another name.
KEYS = {
    "strategy": "strategy.name",
    "gpus": "launch.workers",
    "device": "launch.device",
    "share_device": "launch.share_device",
    "launcher": "launch.name",
    "max_failures": "launch.max_failures",
    "wait": "launch.wait_s",
    "data": "data.path",
    "batch": "train.global_batch",
    "precision": "train.precision",
    "epochs": "train.epochs",
    "max_steps": "train.max_steps",
    "seed": "train.seed",
    "storage": "observers.storage.uri",
    "metrics_port": "observers.prometheus.port",
    "metrics_host": "observers.prometheus.host",
}
SECTIONS = {"tensorboard": "observers.tensorboard"}  # that a flag asks for as they come


def as_overrides(parameters: Mapping[str, object]) -> list[str]:
    """What a command was given, as overrides: flags in KEYS first, then the overrides that were typed, which win.

    Args:
        parameters: the command's, by name: its `locals()` before it has any other.
    """
    flags = [f"{key}={_text(parameters[name])}" for name, key in KEYS.items() if parameters.get(name) is not None]
    sections = [f"{key}={{}}" for name, key in SECTIONS.items() if parameters.get(name)]
    typed = parameters["overrides"] or []
    assert isinstance(typed, list)
    return [*flags, *_elastic(parameters.get("elastic"), parameters.get("gpus")), *sections, *typed]


def _elastic(span: object, gpus: object) -> list[str]:
    """MIN:MAX as the two settings that it is."""
    if span is None:
        return []
    least, colon, most = str(span).partition(":")
    if not (colon and least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most)):
        raise UsageError(f"--elastic {span}: needs the fewest and the most ranks, as in --elastic 2:4")
    if gpus is not None:
        raise UsageError(f"--elastic {span} says how many ranks there are, and --gpus {gpus} does, too; type only one of them")
    return [f"launch.min_workers={int(least)}", f"launch.workers={int(most)}"]


def _text(value: object) -> str:
    """As it would be typed; a folder called null is no null."""
    return "./null" if value == Path("null") else str(value)
