"""A strategy as a picture after figure 2 of Krizhevsky et al. 2012: a column per rank, a row per layer, lines where something is sent.

Every box is the part of a layer that a rank computes; lines cross exactly where the layout has an exchange. Below the layers stand the
collectives that belong to no layer's input: loss, gradients, gathered weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dist_alexnet.figures.svg import document, element, text
from dist_alexnet.parallel.explain.layout import LayerLayout, Layout, Message
from dist_alexnet.parallel.world import coordinates

MOST_RANKS, SHOWN_OF_MANY = 8, 4  # columns; of more ranks than the former the latter are drawn
LEFT, RIGHT, TOP, COLUMN = 194.0, 300.0, 148.0, 176.0
GAP, EXCHANGE_GAP, BAR = 24.0, 62.0, 15.0
SHARDS = ("#cfe1f5", "#fbdcc0", "#cdeadb", "#e2d6f3", "#f9e6a8", "#f6cfd8", "#cfe9ee", "#dfe5c3")
WHOLE = "#e7ebf0"
STYLE = """
text { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: 12px; fill: #24292f }
.title { font-size: 19px; font-weight: bold } .head { font-size: 14px; font-weight: bold }
.note { font-size: 11px; fill: #57606a } .sent { font-weight: bold; fill: #b3261e }
.lane { fill: #f8f9fb; stroke: #e4e8ed } .box { stroke: #57606a; stroke-width: 1.2 } .kept { fill: #24292f; opacity: 0.55 }
.own { fill: none; stroke: #8c959f; stroke-width: 1.4 } .crossing { fill: none; stroke: #b3261e; stroke-width: 1.3; opacity: 0.8 }
.beyond { fill: none; stroke: #b3261e; stroke-width: 1; stroke-dasharray: 3 3; opacity: 0.6 }
.bar { stroke: #b3261e; stroke-width: 2 } .stop { fill: #b3261e }
"""


def strategy_svg(layout: Layout) -> str:
    """The picture of a layout, as the text of a standalone SVG file."""
    drawing = _Drawing(layout)
    parts = [*drawing.heading(), *drawing.layers(), *drawing.besides(), *drawing.legend()]
    return document(drawing.width, drawing.y + 20, STYLE, *drawing.lanes(), *parts)


@dataclass(frozen=True)
class _Box:
    x: float  # of the centre
    top: float
    bottom: float


class _Drawing:
    """Goes down the page: `y` is where the next row begins."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.y = layout, TOP
        self.size = len(layout.rows)
        self.shown = range(self.size if self.size <= MOST_RANKS else SHOWN_OF_MANY)
        self.hidden = self.size - len(self.shown)
        columns = len(self.shown) + bool(self.hidden)
        self.width = LEFT + RIGHT + columns * COLUMN
        self.place = {rank: coordinates(rank, layout.mesh) for rank in range(self.size)}
        self.notes = self.width - RIGHT + 14

    def heading(self) -> Iterator[str]:
        """What it is, and who is there."""
        layout = self.layout
        mesh = " x ".join(f"{axis}={size}" for axis, size in layout.mesh.items()) or "one rank"
        yield text(f"{layout.strategy} ({mesh})", 24, 38, class_="title")
        yield text(
            f"global batch {layout.global_batch}; sizes are of the maps before pooling, bytes are sent by a rank in a step",
            24,
            60,
            class_="note",
        )
        memory = {rank: group.memory.total for group in layout.groups for rank in group.ranks}
        for rank in self.shown:
            where = ", ".join(f"{axis} {at}" for axis, at in self.place[rank].items() if layout.mesh[axis] > 1)
            yield text(f"rank {rank}", self._x(rank), 98, class_="head", text_anchor="middle")
            if where:
                yield text(where, self._x(rank), 114, class_="note", text_anchor="middle")
            amount = f"{layout.rows[rank]:,} images, {memory[rank] / 2**20:,.0f} MiB"
            yield text(amount, self._x(rank), 130, class_="note", text_anchor="middle")
        if self.hidden:
            yield text(f"... {self.hidden:,} more ranks", self._beyond(), 98, class_="head", text_anchor="middle")

    def lanes(self) -> Iterator[str]:
        """The background of each column; to be called when it is known how far down they go."""
        for rank in self.shown:
            yield element("rect", x=self._x(rank) - COLUMN / 2 + 5, y=80, width=COLUMN - 10, height=self.bottom - 80, rx=8, class_="lane")

    def layers(self) -> Iterator[str]:
        """From the images to the scores."""
        before: dict[int, _Box] = {}
        for layer in self.layout.layers:
            self.y += (EXCHANGE_GAP if layer.exchange else GAP) if before else 0
            boxes = {rank: _Box(self._x(rank), self.y, self.y + _height(layer)) for rank in self.shown if rank in layer.owners}
            yield element("g", *self._lines(layer, before, boxes), class_="exchange" if layer.exchange else "flow", data_layer=layer.layer)
            yield from (part for rank, box in boxes.items() for part in self._box(layer, rank, box))
            yield from self._names(layer)
            self.y += _height(layer)
            before = boxes

    def besides(self) -> Iterator[str]:
        """Collectives that bring no layer its input: a bar with a stop at each rank that takes part."""
        self.y += 34
        for message, groups, sent in self._other_collectives():
            lines = [self._bar(ranks, message.axes, self.y + number * BAR) for number, ranks in enumerate(groups)]
            yield element("g", *lines, class_="besides", data_name=message.name)
            yield text(f"{message.name}: {message.kind} over {' x '.join(message.axes)}", self.notes, self.y + 1, class_="sent")
            yield text(f"{sent} {message.direction}", self.notes, self.y + 16, class_="note")
            self.y += max(40.0, len(groups) * BAR + 22)
        self.bottom = self.y - 14

    def legend(self) -> Iterator[str]:
        """How to read it."""
        self.y += 12
        lines = ["Box: what a rank computes. Its height grows with the side of the map, its width with the root of the channels."]
        if self.size > 1:
            lines.append("Red lines: what ranks send each other. Grey lines: what stays on its rank.")
        if any(layer.stored != layer.owners for layer in self.layout.layers):
            lines.append("Dark strip: the part whose weights the rank keeps; the rest is gathered when it is needed.")
        for line in lines:
            yield text(line, 24, self.y, class_="note")
            self.y += 16

    def _box(self, layer: LayerLayout, rank: int, box: _Box) -> Iterator[str]:
        (start, stop), side = layer.owners[rank], layer.output_size
        width, cuts = _width(stop - start), sorted(set(layer.owners.values()))
        fill = SHARDS[cuts.index((start, stop)) % len(SHARDS)] if len(cuts) > 1 else WHOLE
        left, height = box.x - width / 2, box.bottom - box.top
        label = f"{side}x{side}x{stop - start}" if len(layer.weight_shape) > 2 else f"{stop - start}"
        yield element("rect", x=left, y=box.top, width=width, height=height, rx=3, fill=fill, class_="box")
        yield text(label, box.x, box.top + height / 2 + 4, text_anchor="middle")
        if layer.stored != layer.owners and rank in layer.stored:
            first, last = (width * channel / layer.weight_shape[0] for channel in layer.stored[rank])
            yield element("rect", x=left + first, y=box.bottom - 4, width=last - first, height=4, class_="kept")

    def _names(self, layer: LayerLayout) -> Iterator[str]:
        shape, middle = layer.weight_shape, self.y + _height(layer) / 2
        kernel = f"{shape[2]}x{shape[3]}" + (f" stride {layer.stride}" if layer.stride > 1 else "") if len(shape) > 2 else "dense"
        after = [name for name in layer.then if name != "ReLU"]
        yield text(layer.layer, 24, middle - 2, class_="head")
        yield text(", ".join([kernel, *after]), 24, middle + 12, class_="note")

    def _lines(self, layer: LayerLayout, before: dict[int, _Box], boxes: dict[int, _Box]) -> Iterator[str]:
        for reader, box in boxes.items():
            for source, above in before.items():
                if source == reader:
                    yield element("path", d=_curve(above, box), class_="own")
                elif layer.exchange and self._together(source, reader, (layer.exchange.axis,)):
                    yield element("path", d=_curve(above, box), class_="crossing", data_from=str(source), data_to=str(reader))
            if layer.exchange and self._reaches_beyond(reader, (layer.exchange.axis,)):
                yield element("path", d=_curve(_Box(self._beyond(), 0, self.y - EXCHANGE_GAP), box), class_="beyond")
        if layer.exchange:
            exchange, middle = layer.exchange, self.y - EXCHANGE_GAP / 2
            what = " of rows" if exchange.joins == "rows" else ""
            yield text(f"{exchange.forward}{what} over {exchange.axis}", self.notes, middle - 2, class_="sent")
            sent = f"{_amount(layer.forward_bytes)} forward, {_amount(layer.backward_bytes)} back"
            yield text(sent, self.notes, middle + 13, class_="note")

    def _other_collectives(self) -> Iterator[tuple[Message, list[list[int]], str]]:
        """Each once, with the groups of drawn ranks that take part in it together, and what it sends."""
        inputs = {layer.layer for layer in self.layout.layers}
        sent: dict[tuple[object, ...], tuple[Message, dict[int, float]]] = {}
        for group in self.layout.groups:
            for message in (m for m in group.collectives if m.name not in inputs):
                _, by_rank = sent.setdefault((message.name, message.kind, message.direction, message.axes), (message, {}))
                for rank in group.ranks:
                    by_rank[rank] = by_rank.get(rank, 0) + message.bytes
        for message, by_rank in sent.values():
            groups: list[list[int]] = []
            for rank in (rank for rank in self.shown if rank in by_rank):
                joined = next((group for group in groups if self._together(group[0], rank, message.axes)), None)
                if joined:
                    joined.append(rank)
                else:
                    groups.append([rank])
            yield message, groups, _amount(list(by_rank.values()))

    def _bar(self, ranks: Sequence[int], axes: Sequence[str], y: float) -> str:
        end = self._beyond() if self._reaches_beyond(ranks[0], axes) else self._x(ranks[-1])
        line = element("line", x1=self._x(ranks[0]), x2=end, y1=y, y2=y, class_="bar")
        return line + "".join(element("circle", cx=self._x(rank), cy=y, r=4, class_="stop") for rank in ranks)

    def _together(self, one: int, other: int, axes: Sequence[str]) -> bool:
        """Do two ranks differ on these axes only?"""
        return all(at == self.place[other][axis] for axis, at in self.place[one].items() if axis not in axes)

    def _reaches_beyond(self, rank: int, axes: Sequence[str]) -> bool:
        return any(self._together(rank, other, axes) for other in range(len(self.shown), self.size))

    def _x(self, rank: int) -> float:
        return LEFT + (rank + 0.5) * COLUMN

    def _beyond(self) -> float:
        return self._x(len(self.shown))


def _width(channels: int) -> float:
    return 60 + 1.4 * float(channels**0.5)


def _height(layer: LayerLayout) -> float:
    return 23 + 0.45 * layer.output_size


def _curve(above: _Box, below: _Box) -> str:
    middle = (above.bottom + below.top) / 2
    points = ((above.x, middle), (below.x, middle), (below.x, below.top))
    return f"M{above.x:.1f} {above.bottom:.1f} C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _amount(by_rank: Sequence[float]) -> str:
    """What ranks send; of different amounts the largest."""
    most = max(by_rank)
    value = next((f"{most / size:,.2f} {unit}" for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if most >= size), f"{most:,.0f} B")
    return f"up to {value}" if min(value for value in by_rank if value or not most) != most else value
