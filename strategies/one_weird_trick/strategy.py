r"""One weird trick: convolutions data parallel, fully connected layers model parallel. Krizhevsky 2014 (arXiv 1404.5997).

    rank 0   rows 0..  conv1 - ... - conv5 - \ | / - fc6 a - fc7 a - fc8 a
    rank 1   rows 8..  conv1 - ... - conv5 - - | - - fc6 b - fc7 b - fc8 b
    rank 2   rows 16.. conv1 - ... - conv5 - / | \ - fc6 c - fc7 c - fc8 c

The convolutions have 92 % of the arithmetic and 4 % of the weights, the fully connected layers the reverse: so the former exchange their
gradients, the latter their activations. How the rows reach the fully connected layers (section 3 of the paper):

    a   all at once: one big batch; most memory, and everybody waits for the transfer
    b   in turns: one rank sends its rows, all work on them while the next one sends
    c   in turns: every rank sends a part of its rows, so that all wires are busy all the time

All three compute the same step. With `fc_batch` they do not: then the fully connected layers are updated after every turn (section 4.2).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dist_alexnet.batch import Batch
from dist_alexnet.config import Config, UsageError, check_positive
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Network, refresh
from dist_alexnet.parallel.exchanges.batch_to_model import BatchToModel, Scheme, join_rows
from dist_alexnet.parallel.exchanges.exchange import Exchange
from dist_alexnet.parallel.exchanges.gradients import BUCKET_MIB, DataParallel
from dist_alexnet.parallel.exchanges.traffic import Collective
from dist_alexnet.parallel.placement import Placement, Shard
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.optimizer import VelocitySGD
from strategies.one_weird_trick.halves import Halves


@dataclass(frozen=True)
class OneWeirdTrickOptions:
    """Options of `one_weird_trick`."""

    scheme: Scheme = "a"  # the fastest where the transfer is (benchmarks/strategies); b and c need less memory
    fc_batch: bool = False  # update the fully connected layers after every turn: the paper's variable batch size, not exact SGD
    fc_ranks: int | None = None  # ranks that share the fully connected layers, neighbours in rank; null: all. Type the ranks of a node
    bucket_mib: float = BUCKET_MIB  # gradients that travel in one message, in MiB

    def __post_init__(self) -> None:
        check_positive("strategy.options", self, "bucket_mib", *(["fc_ranks"] if self.fc_ranks is not None else []))


class OneWeirdTrick(Strategy):
    """Rows split over all ranks; fully connected layers split over `model`, and replicated over `data` where nodes form such groups."""

    name = "one_weird_trick"
    Options = OneWeirdTrickOptions
    variants = ({"scheme": "a"}, {"scheme": "b"}, {"scheme": "c"})
    row_axes = ("data", "model")
    node_axes = ("model",)

    @classmethod
    def refuses(cls, config: Config, world_size: int) -> str:
        """What does not fall into groups of `fc_ranks`, towers that are to be kept apart, and updates after turns that there are not."""
        options, mesh = cls.options_of(config), cls.axes(config, world_size)
        if world_size % (together := mesh["model"]):
            return (
                f"one_weird_trick puts ranks into groups of strategy.options.fc_ranks={together}, but --gpus is {world_size}; "
                f"type a multiple of {together}, or strategy.options.fc_ranks=null"
            )
        if config.model.connect == "none" and together > 1:
            return (
                "one_weird_trick splits fully connected layers over ranks, which model.connect=none splits into towers; "
                "type model.connect=conv3, or another --strategy"
            )
        if options.fc_batch and mesh["data"] > 1:
            return "strategy.options.fc_batch needs all ranks in one group; type strategy.options.fc_ranks=null"
        if options.fc_batch and (options.scheme == "a" or together == 1) and config.train.accumulation == 1:
            return (
                f"strategy.options.fc_batch updates after every turn, and a step on {world_size} rank(s) under "
                f"scheme={options.scheme} has one; type strategy.options.scheme=b and two ranks or more, or leave it out"
            )
        return ""

    @classmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """Groups of `fc_ranks` neighbours."""
        together = cls.options_of(config).fc_ranks or world_size
        return {"data": world_size // together, "model": together}

    def validate(self) -> None:
        """The fully connected layers should read everything within a node."""
        if where := self.world.divided_groups(self.mesh["model"]):
            raise UsageError(
                f"one_weird_trick would spread ranks that share the fully connected layers over nodes ({where}); "
                "type strategy.options.fc_ranks= with the number of ranks on a node"
            )

    @property
    def turns(self) -> int:
        """In which the rows of a microbatch reach the fully connected layers."""
        return 1 if self.options.scheme == "a" else self.mesh["model"]

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Convolutions on every rank, fully connected layers split."""
        return {"model": Shard(0)} if layer.kind == "linear" else {}

    def exchange(self, layer: Layer) -> Exchange | BatchToModel | None:
        """The first fully connected layer reads all rows, the others all channels."""
        if layer.kind == "conv":
            return None
        return BatchToModel("model") if layer is self.first_linear else Exchange("model")

    def collectives(self, global_batch: int) -> Iterator[Collective]:
        """As the tables say, but in as many messages as there are turns."""
        for collective in super().collectives(global_batch):
            turned = collective.axes == ("model",) and collective.name != "gradients"
            yield replace(collective, times=collective.times * self.turns) if turned else collective

    def kept_rows(self, layer: Layer, global_batch: int) -> int:
        """Of the convolutions a microbatch's own rows, of the rest those of the largest turn."""
        if layer.kind == "conv":
            return super().kept_rows(layer, global_batch)
        brought = [-(-rows // self.microbatches) for rows in self.rows_along("model", global_batch)]
        if self.options.scheme == "b":
            return max(brought)
        return sum(brought if self.options.scheme == "a" else [-(-rows // len(brought)) for rows in brought])

    def parallelize(self, network: Network) -> nn.Module:
        """Gradients of the convolutions are summed over all ranks, those of the rest over the groups."""
        convolutions, classifier = network.span("conv"), network.span("linear")
        several, holds_some = self.mesh["data"] > 1, any(True for _ in classifier.parameters())
        return Halves(
            self,
            DataParallel(convolutions, self.world_channel(), self.options.bucket_mib) if self.world.world_size > 1 else convolutions,
            DataParallel(classifier, self.channel("data"), self.options.bucket_mib) if several and holds_some else classifier,
            self.options.scheme,
        )

    def train_step(self, net: nn.Module, optimizer: VelocitySGD, lr: float, batch: Batch, step: int) -> Tensor:
        """One step; with `fc_batch` one of the fully connected layers per turn, at a rate in proportion to its rows (section 5)."""
        if not self.options.fc_batch:
            return super().train_step(net, optimizer, lr, batch, step)
        assert isinstance(net, Halves)

        def update(share: float) -> None:
            optimizer.step_at(lr * share, kinds=["linear"])
            refresh(net)

        net.zero_grad()
        loss = net.run(batch, step, update)
        with self.clock("optimizer"):
            optimizer.step_at(lr, kinds=["conv"])
        return loss

    def forward_backward(self, net: nn.Module, batch: Batch, step: int) -> Tensor:
        """Convolutions forward, the classifier forward and backward in turns, convolutions backward."""
        assert isinstance(net, Halves)
        return net.run(batch, step)

    def predict(self, network: Network, images: Tensor) -> Tensor:
        """Scores of all classes for this rank's rows."""
        channel = self.channel("model")
        joined, rows = join_rows(network.span("conv")(images).flatten(1), channel)
        return torch.split(self.join_classes(network.span("linear")(joined)), rows)[channel.rank]
