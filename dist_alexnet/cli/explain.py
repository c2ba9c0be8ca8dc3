"""`dist-alexnet explain`."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dist_alexnet.cli import options

if TYPE_CHECKING:
    from dist_alexnet.parallel.explain import Plan


class Format(StrEnum):
    """How to print."""

    table = "table"
    json = "json"


def explain(
    overrides: options.Overrides = None,
    preset: options.Preset = None,
    strategy: options.Strategy = None,
    gpus: options.Workers = None,
    batch: options.Batch = None,
    format: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
    as_json: options.Json = False,
) -> None:
    """Show who owns which channels of each layer, and how many bytes a step exchanges. Starts nothing; default: alexnet_2012."""
    typed = options.as_overrides(locals())
    from dist_alexnet.parallel.explain import plan, with_generated_classes
    from dist_alexnet.resolve import PAPER, read_preset, resolve

    described = plan(with_generated_classes(resolve(read_preset(preset or PAPER), typed)))
    if as_json or format is Format.json:
        print(json.dumps(described.as_dict(), indent=2))
    else:
        _print_table(described)


def _print_table(plan: "Plan") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    mesh = " x ".join(f"{axis}={size}" for axis, size in plan.mesh.items()) or "one rank"
    print(f"{plan.strategy} ({mesh}), global batch {plan.global_batch}")
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for heading in ("layer", "rank: channels", "weight"):
        table.add_column(heading, no_wrap=True)
    for heading in ("parameters", "multiply-\nadds", "forward\nbytes", "backward\nbytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in plan.layers:
        table.add_row(
            layer.layer,
            _owners(layer.owners),
            "x".join(map(str, layer.weight_shape)),
            f"{layer.parameters:,}",
            f"{layer.multiply_adds:,}",
            f"{layer.forward_bytes_per_image:,.0f}",
            f"{layer.backward_bytes_per_image:,.0f}",
        )
    table.add_section()
    sums = [
        sum(column)
        for column in zip(
            *((w.parameters, w.multiply_adds, w.forward_bytes_per_image, w.backward_bytes_per_image) for w in plan.layers), strict=True
        )
    ]
    table.add_row("sum", "", "", *(f"{value:,.0f}" for value in sums))
    console = Console()
    console.print(table)
    console.print("Per image; bytes: sent by all ranks together to bring the layer its input, and back.")
    for name in ("loss", "gradients"):
        if passes := plan.exchange_bytes_per_step.get(name):
            console.print(f"Besides, per step: {name} {sum(passes.values()):,.0f} B.")


def _owners(owners: dict[int, tuple[int, int]]) -> str:
    """Ranks that hold the same channels are named together."""
    ranks: dict[tuple[int, int], list[int]] = {}
    for rank, channels in owners.items():
        ranks.setdefault(channels, []).append(rank)
    return "\n".join(f"{_runs(together)}: {start}-{stop - 1}" for (start, stop), together in ranks.items())


def _runs(ranks: list[int]) -> str:
    """0-3 for neighbours, 0,2,4 otherwise."""
    if len(ranks) > 1 and ranks[-1] - ranks[0] == len(ranks) - 1:
        return f"{ranks[0]}-{ranks[-1]}"
    return ",".join(map(str, ranks))
