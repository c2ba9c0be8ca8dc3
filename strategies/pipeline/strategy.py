"""Pipeline parallelism, by PyTorch's `torch.distributed.pipelining`: each rank has some neighbouring layers, microbatches pass through.

    rank 0   conv1 conv2     1 2 . . 1 3 2 4 3 4         (1F1B: one forward, one backward, as soon as the pipeline is full)
    rank 1   conv3 - fc8         1 1 2 2 3 3 4 4

What crosses are the activations between two stages and their gradients; weights never do. The stages are cut so that the slowest has as
few multiply-adds as possible, which leaves the fully connected layers, and with them 96 % of the weights, to the last ranks.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from dist_alexnet.batch import Batch
from dist_alexnet.config import Config, check_positive
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Network
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.parallel.exchanges.exchange import Exchange
from dist_alexnet.parallel.placement import Owner, Placement
from dist_alexnet.parallel.strategy import Strategy
from strategies.pipeline.stage import Stage


@dataclass(frozen=True)
class PipelineOptions:
    """Options of `pipeline`."""

    microbatches: int | None = None  # per step, at least as many as ranks; null: twice as many, or the rows of the batch if they are fewer

    def __post_init__(self) -> None:
        if self.microbatches is not None:
            check_positive("strategy.options", self, "microbatches")


class Pipeline(Strategy):
    """Neighbouring layers on each coordinate of `stage`; every rank sees all rows, in microbatches."""

    name = "pipeline"
    Options = PipelineOptions
    row_axes = ()

    @classmethod
    def refuses(cls, config: Config, world_size: int) -> str:
        """More ranks than layers; and 1F1B needs at least as many microbatches as stages, and a row for each."""
        options, batch, parts = cls.options_of(config), config.train.global_batch, _microbatches(config, cls.options_of(config), world_size)
        if world_size > (layers := len(describe(config.model))):
            return f"pipeline gives each rank one of {layers} layers or more, but --gpus is {world_size}; type --gpus {layers} or fewer"
        if config.launch.share_device and config.launch.device != "cpu" and world_size > 1:
            return "pipeline sends from device to device, which gloo does not; type --device cpu, or another --strategy"
        if options.microbatches and config.train.accumulation > 1:
            return (
                f"train.accumulation={config.train.accumulation} and strategy.options.microbatches={options.microbatches} both "
                "say into how many parts pipeline cuts a step; leave one of them out"
            )
        if parts < world_size:
            return (
                f"pipeline keeps {world_size} ranks busy with at least {world_size} microbatches, but has {parts}; "
                f"type strategy.options.microbatches={world_size} or more, and -b {world_size} or more"
            )
        if options.microbatches and parts > batch:
            return (
                f"pipeline cuts train.global_batch={batch} into {parts} microbatches; type -b {parts} or more, "
                f"or strategy.options.microbatches={batch} or fewer"
            )
        return ""

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """One axis, of at most as many ranks as layers."""
        return {"stage": world_size}

    @property
    def microbatches(self) -> int:
        """Into which a step is cut."""
        return _microbatches(self.config, self.options, self.world.world_size)

    @property
    def stages(self) -> list[list[Layer]]:
        """Layers by stage: the cut whose largest stage has the fewest multiply-adds, and among those the most even one."""
        layers, count = self.layers, self.world.world_size
        cuts = itertools.combinations(range(1, len(layers)), count - 1)
        stagings = ([list(layers[a:b]) for a, b in itertools.pairwise((0, *cut, len(layers)))] for cut in cuts)
        return min(stagings, key=lambda stages: sorted((sum(layer.multiply_adds for layer in stage) for stage in stages), reverse=True))

    @property
    def own_layers(self) -> list[Layer]:
        """Layers of this rank."""
        return self.stages[self.coordinate["stage"]]

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """The whole layer on its stage."""
        return {"stage": Owner(self._stage_of(layer))}

    def exchange(self, layer: Layer) -> Exchange | None:
        """From the stage before, where a stage begins."""
        begins = any(layer == stage[0] for stage in self.stages[1:])
        return Exchange("stage", reader=self._stage_of(layer)) if begins else None

    def computed_rows(self, global_batch: int) -> int:
        """With those that fill up the microbatches, which must be alike."""
        return -(-global_batch // self.microbatches) * self.microbatches

    def kept_rows(self, layer: Layer, global_batch: int) -> int:
        """Of all microbatches that are under way behind this stage: 1F1B has as many as stages from here on."""
        if self.world.world_size == 1:
            return -(-global_batch // self.config.train.accumulation)
        under_way = min(self.mesh["stage"] - self.coordinate["stage"], self.microbatches)
        return self.computed_rows(global_batch) // self.microbatches * under_way

    def build(self) -> Network:
        """The layers of this rank."""
        return Network(self.own_layers, seed=self.config.train.seed, device=self.world.device, precision=self.precision)

    def parallelize(self, network: Network) -> nn.Module:
        """The stage with its schedule."""
        stage, rows = self.coordinate["stage"], self.computed_rows(self.config.train.global_batch) // self.microbatches
        if self.world.world_size == 1:
            return network
        reader = self.stages[stage + 1][0].name if not self.speaks_for_its_rows else ""
        shapes = self.own_layers[0].input_shape, self.own_layers[-1].result_shape
        names = self.own_layers[0].name, reader
        return Stage(network, names, shapes, self.microbatches, rows, self.channel("stage"), self.draw)

    def forward_backward(self, net: nn.Module, batch: Batch, step: int) -> Tensor:
        """All microbatches through the pipeline; the loss is known to the last stage."""
        if not isinstance(net, Stage):
            return super().forward_backward(net, batch, step)
        return net.run(batch, step)

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Scores of all classes on the last stage."""
        channel, x = self.channel("stage"), images
        if channel.rank > 0:
            x = images.new_empty((len(images), *self.own_layers[0].input_shape))
            channel.swap("predict", "forward", {}, {channel.rank - 1: x})
        y: Tensor = network(x).contiguous()  # channels-last, as convolutions leave it, does not travel
        if channel.rank < channel.size - 1:
            channel.swap("predict", "forward", {channel.rank + 1: y}, {})
        return y

    def _stage_of(self, layer: Layer) -> int:
        return next(number for number, stage in enumerate(self.stages) if layer in stage)


def _microbatches(config: Config, options: PipelineOptions, world_size: int) -> int:
    return options.microbatches or max(config.train.accumulation, min(2 * world_size, config.train.global_batch))
