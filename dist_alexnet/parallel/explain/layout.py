"""What a strategy does with each layer, on each rank and in each step, read off its tables without starting a process."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dist_alexnet import registry
from dist_alexnet.config import Config
from dist_alexnet.model.block.choose import FUSED
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchanges.exchange import Exchange
from dist_alexnet.parallel.exchanges.traffic import Bytes, Collective, Direction, Traffic
from dist_alexnet.parallel.explain.memory import Memory, memory
from dist_alexnet.parallel.explain.resident import Resident, resident
from dist_alexnet.parallel.placement import interval, length
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World

Owners = dict[int, tuple[int, int]]  # rank -> output channels [start, stop); ranks that hold nothing are left out


@dataclass(frozen=True)
class InputExchange:
    """How the ranks of a mesh axis bring a layer its input."""

    joins: Literal["channels", "rows"]
    axis: str
    reader: int | None  # the only coordinate of the axis that gets the input; None: all
    forward: str  # in torch.distributed's words
    backward: str


@dataclass(frozen=True)
class LayerLayout:
    """One layer of a layout. Bytes per image are sums over all ranks, bytes per step are lists by rank."""

    layer: str
    owners: Owners  # who computes what
    stored: Owners  # who keeps the weights of what between steps
    weight_shape: tuple[int, ...]  # canonical
    output_size: int  # side of the map that the first of `then` reads; 1 of a linear layer
    stride: int
    then: list[str]  # the operations that follow the linear map: "ReLU", "LRN", "max-pool", "dropout", ...
    parameters: int
    multiply_adds: int  # per image, forward
    exchange: InputExchange | None  # None: the input is where it is read
    forward_bytes_per_image: float  # that the exchange of the layer's input sends
    backward_bytes_per_image: float
    forward_bytes: list[float]  # that each rank sends for it in a step
    backward_bytes: list[float]


@dataclass(frozen=True)
class Message:
    """One line of a step's traffic, as one rank sees it; see `Collective`."""

    name: str
    kind: str
    direction: Direction
    axes: tuple[str, ...]
    bytes: float  # sent by this rank in a step
    messages: int  # into which they are cut


@dataclass(frozen=True)
class RankGroup:
    """Ranks that are alike but for which channels and rows they have."""

    ranks: list[int]
    rows: int
    parameters: int  # kept
    memory: Memory  # during a step
    resident: Resident | None  # of the whole process; None on a CUDA device, where it has not been measured
    collectives: list[Message]  # of a step, in order


@dataclass(frozen=True)
class Layout:
    """A strategy on a number of ranks."""

    strategy: str
    mesh: Mapping[str, int]
    global_batch: int
    numbers: str  # in which a step computes: float64, float32, tf32 or bf16; bytes and memory follow
    fused_block: bool  # ReLU, LRN and pooling are one op; decides what is kept for the backward pass
    rows: list[int]  # of the global batch, by rank
    parameters: list[int]  # kept, by rank
    layers: list[LayerLayout]
    groups: list[RankGroup]
    exchange_bytes_per_step: Mapping[str, Mapping[str, float]]  # by what is exchanged and pass, over all ranks

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        described = asdict(self)
        for group, shown in zip(self.groups, described["groups"], strict=True):
            shown["memory"]["total"] = group.memory.total
            if group.resident:
                shown["resident"]["total"] = group.resident.total
        return described


def lay_out(config: Config) -> Layout:
    """The layout of a configuration, for `config.launch.workers` ranks or as many as the strategy takes by itself.

    Raises:
        UsageError: the strategy is not known, or refuses.
    """
    strategy_class = registry.load(registry.STRATEGIES, config.strategy.name)
    world_size = strategy_class.ranks_of(config)
    first: Strategy = strategy_class(config, World(0, world_size))
    ranks, batch = [first.at(rank) for rank in range(world_size)], config.train.global_batch
    sent = [list(strategy.collectives(batch)) for strategy in ranks]
    kept = [{layer.name: _stored(strategy, layer) for layer in first.layers} for strategy in ranks]
    rows = [length(strategy.rows(batch)) for strategy in ranks]
    parameters = [sum(layer.parameters // layer.out_channels * length(k[layer.name]) for layer in first.layers) for k in kept]
    on_cpu = config.launch.device != "cuda"
    fused = on_cpu and first.precision.activation in FUSED
    memories = [memory(strategy, batch, fused) for strategy in ranks]
    residents = [resident(strategy, batch, kept) if on_cpu else None for strategy, kept in zip(ranks, memories, strict=True)]
    traffic = _traffic(sent)
    per_image = traffic.as_dict(scale=batch)
    return Layout(
        strategy=config.strategy.name,
        mesh=first.mesh,
        global_batch=batch,
        numbers=config.train.numbers,
        fused_block=fused,
        rows=rows,
        parameters=parameters,
        layers=[_layer_layout(layer, ranks, sent, per_image.get(layer.name, {})) for layer in first.layers],
        groups=_groups(rows, parameters, memories, residents, sent),
        exchange_bytes_per_step=traffic.as_dict(),
    )


def _layer_layout(layer: Layer, ranks: Sequence[Strategy], sent: Sequence[list[Collective]], per_image: Mapping[str, float]) -> LayerLayout:
    return LayerLayout(
        layer=layer.name,
        owners=_owners([strategy.outputs(layer) for strategy in ranks]),
        stored=_owners([_stored(strategy, layer) for strategy in ranks]),
        weight_shape=layer.weight_shape,
        output_size=layer.output_size,
        stride=layer.stride,
        then=[operation.name for operation in layer.then],
        parameters=layer.parameters,
        multiply_adds=layer.multiply_adds,
        exchange=_exchange(layer, ranks[0]),
        forward_bytes_per_image=per_image.get("forward", 0),
        backward_bytes_per_image=per_image.get("backward", 0),
        forward_bytes=[_sum(messages, layer.name, "forward") for messages in sent],
        backward_bytes=[_sum(messages, layer.name, "backward") for messages in sent],
    )


def _exchange(layer: Layer, strategy: Strategy) -> InputExchange | None:
    exchange = strategy.exchange(layer) if layer.index else None
    if exchange is None or strategy.mesh[exchange.axis] == 1:
        return None
    kinds = exchange.kind(strategy.shard_sizes(strategy.layers[layer.index - 1], exchange.axis))
    if isinstance(exchange, Exchange):
        return InputExchange("channels", exchange.axis, exchange.reader, *kinds)
    return InputExchange("rows", exchange.axis, None, *kinds)


def _groups(
    rows: list[int], parameters: list[int], memories: list[Memory], residents: list[Resident | None], sent: Sequence[list[Collective]]
) -> list[RankGroup]:
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for rank, messages in enumerate(sent):
        alike[rows[rank], parameters[rank], memories[rank], residents[rank], tuple(messages)].append(rank)
    groups = []
    for ranks in alike.values():
        one = ranks[0]
        described = [Message(m.name, m.kind, m.direction, m.axes, _number(m.sent), m.times) for m in sent[one]]
        groups.append(RankGroup(ranks, rows[one], parameters[one], memories[one], residents[one], described))
    return groups


def _stored(strategy: Strategy, layer: Layer) -> slice:
    return interval(layer.out_channels, strategy.stored(layer), strategy.mesh, strategy.coordinate)


def _owners(held: Sequence[slice]) -> Owners:
    return {rank: (part.start, part.stop) for rank, part in enumerate(held) if length(part)}


def _traffic(sent: Sequence[list[Collective]]) -> Traffic:
    traffic = Traffic()
    for message in (message for messages in sent for message in messages):
        traffic.add(message.name, message.direction, message.sent)
    return traffic


def _sum(messages: Sequence[Collective], name: str, direction: Direction) -> float:
    return _number(sum(message.sent for message in messages if (message.name, message.direction) == (name, direction)))


def _number(sent: Bytes) -> float:
    return float(sent) if sent.denominator > 1 else int(sent)
