"""A layout as tables for a terminal, at the width that it has and for any number of ranks.

Ranks that are alike share a line; of many lines the first ones and the last are shown, for all there is JSON.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dist_alexnet.parallel.explain.layout import LayerLayout, Layout, Message, Owners, RankGroup

MIB = 2**20
MOST_SHARDS = 4  # lines of a layer
MOST_GROUPS = 8  # lines of memory
ABOUT_EXCHANGES = ("exchange of the input", "bytes per rank")
UNLIMITED = 10_000  # columns, to ask how many a table wants
DISPENSABLE = ("multiply-adds", "weight", "parameters")  # columns that a narrow terminal goes without, the first one first
ARROWS = {"forward": ">", "backward": "<"}


def print_layout(layout: Layout) -> None:
    """Layers, memory and collectives of a layout, on stdout."""
    console = Console(markup=False, emoji=False, highlight=False)
    mesh = " x ".join(f"{axis}={size}" for axis, size in layout.mesh.items()) or "one rank"
    console.print(f"{layout.strategy} ({mesh}), global batch {layout.global_batch}, in {layout.numbers}")
    console.print(_layers(layout, console))
    if any(layer.exchange for layer in layout.layers):
        console.print(f"Per image, over all ranks: {_per_image(layout)}.")
    block = "one op" if layout.fused_block else "an op each"
    console.print(f"\nA step keeps in memory, per rank in MiB (ReLU, LRN and pooling: {block})", soft_wrap=True)
    console.print(_memory(layout))
    if all(group.resident for group in layout.groups):
        console.print("\nReserve for the process of a rank, in MiB (right within about a fifth)")
        console.print(_resident(layout))
    if len(layout.rows) == 1:
        console.print("\nA step sends nothing.")
    for groups in (sequences := _same_sequence(layout.groups)):
        whose = f" on rank {ranks_text(sorted(rank for group in groups for rank in group.ranks))}" if len(sequences) > 1 else ""
        if groups[0].collectives:
            console.print(f"\nCollectives of a step{whose}, in order")
            console.print(_collectives(groups))


def _table(columns: Mapping[str, str]) -> Table:
    """A table of these headings; "right" for numbers."""
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for heading, side in columns.items():
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    return table


def _layers(layout: Layout, console: Console) -> Table:
    """The widest table that fits."""
    pointless = () if any(layer.exchange for layer in layout.layers) else ABOUT_EXCHANGES
    for left_out in range(len(DISPENSABLE) + 1):
        table = _layer_table(layout, (*pointless, *DISPENSABLE[:left_out]))
        if console.measure(table, options=console.options.update(width=UNLIMITED)).maximum <= console.width:
            break
    return table


def _layer_table(layout: Layout, left_out: Sequence[str]) -> Table:
    sides = dict.fromkeys(("layer", "rank: channels", "weight"), "left")
    sides |= {"parameters": "right", "multiply-adds": "right", "exchange of the input": "left", "bytes per rank": "right"}
    shown = {heading: side for heading, side in sides.items() if heading not in left_out}
    table = _table(shown)
    for layer in layout.layers:
        cells = _layer_cells(layer)
        table.add_row(*(cells[heading] for heading in shown))
    table.add_section()
    exchanged = [
        sum(sent) for sent in zip(*(each for layer in layout.layers for each in (layer.forward_bytes, layer.backward_bytes)), strict=True)
    ]
    sums = {
        "layer": "sum",
        "parameters": f"{sum(layer.parameters for layer in layout.layers):,}",
        "multiply-adds": f"{sum(layer.multiply_adds for layer in layout.layers):,}",
        "bytes per rank": _by_rank(dict(enumerate(exchanged))),
    }
    table.add_row(*(sums.get(heading, "") for heading in shown))
    return table


def _layer_cells(layer: LayerLayout) -> dict[str, str]:
    exchange, steps, sent = layer.exchange, [], []
    if exchange:
        over = exchange.axis + (" (rows)" if exchange.joins == "rows" else "")
        steps = [f"{ARROWS['forward']} {exchange.forward} {over}", f"{ARROWS['backward']} {exchange.backward} {over}"]
        sent = [_by_rank(dict(enumerate(each))) for each in (layer.forward_bytes, layer.backward_bytes)]
    kept = [] if layer.stored == layer.owners else [line.replace(":", " keeps") for line in _shards(layer.stored)]
    return {
        "layer": layer.layer,
        "rank: channels": "\n".join([*_shards(layer.owners), *kept]),
        "weight": "x".join(map(str, layer.weight_shape)),
        "parameters": f"{layer.parameters:,}",
        "multiply-adds": f"{layer.multiply_adds:,}",
        "exchange of the input": "\n".join(steps),
        "bytes per rank": "\n".join(sent),
    }


def _per_image(layout: Layout) -> str:
    sums = [sum(layer.forward_bytes_per_image for layer in layout.layers), sum(layer.backward_bytes_per_image for layer in layout.layers)]
    return f"> forward {sums[0]:,.0f} B, < backward {sums[1]:,.0f} B"


def _memory(layout: Layout) -> Table:
    gathers = any(group.memory.gathered for group in layout.groups)
    kinds = ["weights", *(["gathered"] if gathers else []), "gradients", "momentum", "activations", "total"]
    table = _table({"ranks": "left", **dict.fromkeys(("rows", *kinds), "right")})
    lines = {
        ranks_text(group.ranks): [f"{group.rows:,}", *(f"{getattr(group.memory, kind) / MIB:,.1f}" for kind in kinds)]
        for group in layout.groups
    }
    for ranks in _shortened(list(lines), MOST_GROUPS):
        table.add_row(ranks, *lines.get(ranks, []))
    return table


def _resident(layout: Layout) -> Table:
    headings = {"libraries": "libraries", "a step": "step", "images": "images", "working": "working"}
    headings |= {"validation, checkpoint": "validation_and_checkpoint", "copies": "copies", "total": "total"}
    table = _table({"ranks": "left", **dict.fromkeys(headings, "right")})
    lines = {
        ranks_text(group.ranks): [f"{getattr(group.resident, part) / MIB:,.0f}" for part in headings.values()] for group in layout.groups
    }
    for ranks in _shortened(list(lines), MOST_GROUPS):
        table.add_row(ranks, *lines.get(ranks, []))
    return table


def _collectives(groups: Sequence[RankGroup]) -> Table:
    """Of ranks that issue the same ones."""
    table = _table({"pass": "left", "what": "left", "kind": "left", "over": "left", "messages": "right", "bytes per rank": "right"})
    by_group = [[_merged(alike) for _, alike in itertools.groupby(group.collectives, key=_what)] for group in groups]
    for same in zip(*by_group, strict=True):
        one = same[0]
        sent = {rank: message.bytes for group, message in zip(groups, same, strict=True) for rank in group.ranks}
        table.add_row(one.direction, one.name, one.kind, " x ".join(one.axes), f"{one.messages:,}", _by_rank(sent))
    return table


def _same_sequence(groups: Iterable[RankGroup]) -> list[list[RankGroup]]:
    sequences: dict[tuple[object, ...], list[RankGroup]] = {}
    for group in groups:
        sequences.setdefault(tuple(map(_what, group.collectives)), []).append(group)
    return list(sequences.values())


def _what(message: Message) -> tuple[object, ...]:
    return message.name, message.kind, message.direction, message.axes


def _merged(alike: Iterator[Message]) -> Message:
    """Neighbours that differ in size only, as one."""
    first, *rest = alike
    sent, messages = first.bytes + sum(m.bytes for m in rest), first.messages + sum(m.messages for m in rest)
    return replace(first, bytes=sent, messages=messages)


def _by_rank(sent: Mapping[int, float]) -> str:
    """One number if all ranks send as much or nothing, else the least and the most."""
    different = sorted({value for value in sent.values() if value})
    if not different:
        return "0"
    some = sorted(rank for rank, value in sent.items() if value)
    if len(different) == 1:
        return f"{different[0]:,.0f}" if len(some) == len(sent) else f"{ranks_text(some)}: {different[0]:,.0f}"
    return f"{different[0] if len(some) == len(sent) else 0:,.0f}-{different[-1]:,.0f}"


def _shards(owners: Owners) -> list[str]:
    """Ranks that hold the same channels are named together."""
    ranks: dict[tuple[int, int], list[int]] = {}
    for rank, channels in owners.items():
        ranks.setdefault(channels, []).append(rank)
    lines = [f"{ranks_text(together)}: {start}-{stop - 1}" for (start, stop), together in ranks.items()]
    return _shortened(lines, MOST_SHARDS)


def _shortened(lines: Sequence[str], most: int) -> list[str]:
    """The lines, or of more than `most` the first ones and the last with how many are left out between them."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most - 2], f"({len(lines) - most + 1} more)", lines[-1]]


def ranks_text(ranks: Sequence[int]) -> str:
    """0-3 for neighbours, 0,2,...,62 for equal distances, else the first ones and their number."""
    if len(ranks) > 1 and ranks[-1] - ranks[0] == len(ranks) - 1:
        return f"{ranks[0]}-{ranks[-1]}"
    if len(ranks) <= 3:
        return ",".join(map(str, ranks))
    if len({after - before for before, after in itertools.pairwise(ranks)}) == 1:
        return f"{ranks[0]},{ranks[1]},...,{ranks[-1]}"
    return f"{ranks[0]},{ranks[1]},... ({len(ranks)})"
