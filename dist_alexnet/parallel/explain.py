"""What a strategy does with each layer, read off its two tables without starting a process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dist_alexnet.config import Config
from dist_alexnet.parallel import registry
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.traffic import Traffic
from dist_alexnet.parallel.world import World


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a plan. Bytes are sums over all ranks."""

    layer: str
    owners: dict[int, tuple[int, int]]  # rank -> output channels [start, stop); ranks that hold nothing are left out
    weight_shape: tuple[int, ...]  # canonical
    parameters: int
    multiply_adds: int  # per image, forward
    forward_bytes_per_image: float  # that the exchange of the layer's input sends
    backward_bytes_per_image: float


@dataclass(frozen=True)
class Plan:
    """A strategy on a number of ranks."""

    strategy: str
    mesh: Mapping[str, int]
    global_batch: int
    rows: list[int]  # of the global batch, by rank
    parameters: list[int]  # held, by rank
    layers: list[LayerPlan]
    exchange_bytes_per_step: Mapping[str, Mapping[str, float]]  # by what is exchanged and pass, over all ranks

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def with_generated_classes(config: Config) -> Config:
    """The same, with the classes that a generated data set will have; where there are images, these will say it."""
    if config.data.path is not None or config.model.classes is not None:
        return config
    return replace(config, model=replace(config.model, classes=config.data.synth.classes))


def plan(config: Config) -> Plan:
    """The plan of a configuration, for `config.launch.workers` ranks or as many as the strategy takes by itself.

    Raises:
        UsageError: the strategy is not known, or refuses.
    """
    strategy_class = registry.load(registry.STRATEGIES, config.strategy.name)
    world_size = config.launch.workers or strategy_class.default_ranks
    ranks: list[Strategy] = [strategy_class(config, World(rank, world_size)) for rank in range(world_size)]
    batch = config.train.global_batch
    traffic = Traffic().merge(strategy.predict_traffic(batch) for strategy in ranks)
    per_image = traffic.as_dict(scale=batch)
    held = [{layer.name: strategy.outputs(layer) for layer in strategy.layers} for strategy in ranks]
    layers = [
        LayerPlan(
            layer=layer.name,
            owners={r: (h[layer.name].start, h[layer.name].stop) for r, h in enumerate(held) if h[layer.name].stop > h[layer.name].start},
            weight_shape=layer.weight_shape,
            parameters=layer.parameters,
            multiply_adds=layer.multiply_adds,
            forward_bytes_per_image=per_image.get(layer.name, {}).get("forward", 0),
            backward_bytes_per_image=per_image.get(layer.name, {}).get("backward", 0),
        )
        for layer in ranks[0].layers
    ]
    return Plan(
        strategy=config.strategy.name,
        mesh=ranks[0].mesh,
        global_batch=batch,
        rows=[strategy.rows(batch).stop - strategy.rows(batch).start for strategy in ranks],
        parameters=[
            sum(layer.parameters // layer.out_channels * (h[layer.name].stop - h[layer.name].start) for layer in ranks[0].layers)
            for h in held
        ],
        layers=layers,
        exchange_bytes_per_step=traffic.as_dict(),
    )
