"""Fully sharded data parallelism, by PyTorch's `fully_shard`: rows split as in `ddp`, and every weight split too while nobody needs it.

A layer is gathered before its forward and once more before its backward, and its gradient is scattered back in shards: three times what
crosses for half of `ddp`'s all-reduce, for 1/N of the memory. Weights, gradients and momentum lie in shards of their output channels.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import LayerShare, Network
from dist_alexnet.parallel.exchanges.traffic import Collective, Direction
from dist_alexnet.parallel.placement import Placement, Shard
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.optimizer import VelocitySGD
from strategies.fsdp.sharded_weights import GatherWeights, ScatterGradients


@dataclass(frozen=True)
class FsdpOptions:
    """Options of `fsdp`."""

    keep_gathered: bool = False  # keep a layer whole from its forward to its backward: a third less traffic, and the memory of `ddp`


class Fsdp(Strategy):
    """Rows split over `data`, weights stored in shards over it and gathered layer by layer."""

    name = "fsdp"
    Options = FsdpOptions
    variants = ({}, {"keep_gathered": True})
    direction: Direction = "forward"  # the pass that is going on

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """One axis; any number of ranks."""
        return {"data": world_size}

    def stored(self, layer: Layer) -> Mapping[str, Placement]:
        """In shards; `placement` says that every rank computes all channels."""
        return {"data": Shard(0)}

    @property
    def gathered_layers(self) -> int:
        """A layer and the one that is fetched meanwhile, or all."""
        return len(self.layers) if self.options.keep_gathered else 2

    def build(self) -> Network:
        """The network whose parameters are shards already, gathered when a layer is called."""
        network = super().build()
        if self.world.world_size == 1:
            return network
        # It warns of in-place operations on what a layer returns, of which the network has none.
        warnings.filterwarnings("ignore", message=".*returned a view tensor")
        for layer in network.children():
            assert isinstance(layer, LayerShare)
            layer.copies.clear()  # shards are gathered in the type that products read
            for parameter in layer.parameters():
                parameter.data = parameter.data.contiguous()  # convolution weights are channels-last, which fully_shard does not take
            self._shard(layer)
        network.register_forward_pre_hook(self._begin("forward"))
        network.register_forward_hook(self._begin("backward"))
        fully_shard(network, mesh=self.device_mesh)
        return network

    def updated(self, network: Network) -> dict[str, nn.Parameter]:
        """This rank's shards as plain tensors: torch's fused SGD does not take DTensors (2.14)."""
        if self.world.world_size == 1:
            return super().updated(network)
        shards = {name: _local(parameter) for name, parameter in network.named_parameters()}
        self._shards = {name: nn.Parameter(shard) for name, shard in shards.items() if shard.numel()}
        return self._shards

    def update(self, net: nn.Module, optimizer: VelocitySGD, lr: float) -> None:
        """As ever, but the gradients are handed to the shards that the optimizer knows."""
        for name, parameter in net.named_parameters() if self.world.world_size > 1 else ():
            if name in self._shards and parameter.grad is not None:
                self._shards[name].grad = _local(parameter.grad)
        optimizer.step_at(lr)

    def parallelize(self, network: Network) -> nn.Module:
        """Nothing more: `build` has done it."""
        return network

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """As ever; layers that are kept for a backward pass, which does not come, become shards again."""
        scores = super().predict(network, images)
        for layer in network.children():
            if isinstance(layer, FSDPModule):
                layer.reshard()
        return scores

    @contextmanager
    def reduction(self, net: nn.Module, is_last: bool) -> Iterator[None]:
        """Gradients are scattered back with the last microbatch only."""
        if isinstance(net, FSDPModule):
            net.set_requires_gradient_sync(is_last)
        yield

    def collectives(self, global_batch: int) -> Iterator[Collective]:
        """Every layer gathered forward and, unless it is kept, backward; its gradient scattered with the last microbatch."""
        others, microbatches = self.world.world_size - 1, self.config.train.accumulation
        # All shards travel as large as the largest.
        shards = [layer.parameters // layer.out_channels * -(-layer.out_channels // (others + 1)) for layer in self.layers]
        weight, gradient = self.precision.activation.itemsize, self.precision.gradient.itemsize
        for shard in shards:
            yield Collective("weights", "all-gather", "forward", ("data",), microbatches * others * shard * weight, microbatches)
        for shard in reversed(shards):
            if not self.options.keep_gathered:
                yield Collective("weights", "all-gather", "backward", ("data",), microbatches * others * shard * weight, microbatches)
            yield Collective("gradients", "reduce-scatter", "backward", ("data",), others * shard * gradient)

    def _begin(self, direction: Direction) -> Callable[..., None]:
        """A hook of the network: from here on layers are gathered for this pass."""

        def begin(*_: object) -> None:
            self.direction = direction

        return begin

    def _shard(self, layer: nn.Module) -> None:
        policy = (
            MixedPrecisionPolicy(self.precision.activation, self.precision.gradient) if self.precision.mixed else MixedPrecisionPolicy()
        )
        unit = fully_shard(layer, mesh=self.device_mesh, reshard_after_forward=not self.options.keep_gathered, mp_policy=policy)
        unit.set_gradient_divide_factor(1.0)  # summed: the loss is divided by the global batch already
        unit.set_force_sum_reduction_for_comms(True)  # and by a plain sum, which is all that gloo has
        unit.set_custom_all_gather(GatherWeights(self.channel("data"), lambda: self.direction))
        unit.set_custom_reduce_scatter(ScatterGradients(self.channel("data")))


def _local(tensor: Tensor) -> Tensor:
    local: Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local.detach()
