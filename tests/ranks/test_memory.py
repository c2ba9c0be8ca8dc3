"""Is what `explain` says of activations what autograd keeps? Compared with the tensors that it saves, on ranks that train a step."""

import weakref
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from dist_alexnet import registry
from dist_alexnet.config import Config, ModelConfig, StrategyConfig, TrainConfig, Widths
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.block.choose import FUSED
from dist_alexnet.parallel.explain.memory import memory
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.verify.testimony import generated_batches
from tests.ranks.other_networks import LEAKY

SMALL = ModelConfig(image_size=64, classes=8, widths=Widths(conv1=8, conv2=12, conv3=16, conv4=16, conv5=12, fc6=24, fc7=32))
ROWS = 16
TOLERANCE_BYTES = 17 * ROWS + 8  # of the loss: labels, whose they are, the statistics over the classes, which `memory` leaves out

Case = tuple[str, int, tuple[tuple[str, object], ...]]  # strategy, ranks, options
CASES: list[Case] = [
    ("single", 1, ()),
    ("ddp", 2, ()),
    ("channel_split", 2, ()),
    ("channel_split", 2, (("fc8", "first"),)),
    ("channel_split", 2, (("overlap", True),)),
    ("fsdp", 2, ()),
    ("one_weird_trick", 2, (("scheme", "a"),)),
    ("one_weird_trick", 2, (("scheme", "b"),)),
    ("one_weird_trick", 2, (("scheme", "c"),)),
    ("pipeline", 2, ()),
    ("pipeline", 2, (("microbatches", 8),)),
]


@dataclass
class Kept:
    """A tensor that autograd keeps; forgotten by it, it goes."""

    tensor: Tensor

    __hash__ = object.__hash__


class Watch(torch.autograd.graph.saved_tensors_hooks):
    """Bytes of the memory that saved tensors lie in, each counted once, parameters never; `peak` is the most there was at a time."""

    def __init__(self, parameters: set[int]) -> None:
        super().__init__(self._pack, lambda kept: kept.tensor)
        self._parameters, self._users, self._live, self.peak = parameters, Counter[int](), 0, 0

    def _pack(self, tensor: Tensor) -> Kept:
        kept, storage = Kept(tensor), tensor.untyped_storage()
        is_parameter = storage.data_ptr() in self._parameters or isinstance(tensor if tensor._base is None else tensor._base, nn.Parameter)
        if not is_parameter:
            self._users[storage.data_ptr()] += 1
            if self._users[storage.data_ptr()] == 1:
                self._live += storage.nbytes()
                self.peak = max(self.peak, self._live)
            weakref.finalize(kept, self._release, storage.data_ptr(), storage.nbytes())
        return kept

    def _release(self, address: int, size: int) -> None:
        self._users[address] -= 1
        if not self._users[address]:
            self._live -= size


def configure(case: Case, numbers: str, accumulation: int, model: ModelConfig = SMALL) -> Config:
    strategy, _, options = case
    types: dict[str, Any] = {"dtype": numbers} if numbers.startswith("float") else {"precision": numbers}
    train = TrainConfig(global_batch=ROWS, accumulation=accumulation, **types)
    return Config(model=model, train=train, strategy=StrategyConfig(strategy, dict(options)))


def measure(world: World, cases: list[Case], model: ModelConfig) -> list[tuple[str, int, int]]:
    """Case, bytes predicted and bytes kept on this rank."""
    found = []
    for case in cases:
        for numbers, accumulation in (("float32", 1), ("float64", 1), ("bf16", 1), ("float32", 2)):
            if case[0] == "fsdp" and (numbers == "float64" or model != SMALL):
                continue  # its convolutions are not channels-last, so the plain block has a copy less of its two towers: 2 % of the whole
            if accumulation > 1 and "microbatches" in dict(case[2]):
                continue  # refused: both say into how many parts a step is cut
            config = configure(case, numbers, accumulation, model)
            strategy = connect_strategy(config, world)
            network = strategy.build()
            net = strategy.parallelize(network)
            batch = next(iter(generated_batches(config, strategy))).to(world.device, network.precision.activation)
            copies = [copy for layer in network.children() for copy in layer.copies.values()]
            held = [*copies, *(p for p in network.parameters() if not isinstance(p, DTensor))]
            watch = Watch({tensor.untyped_storage().data_ptr() for tensor in held})
            with watch:
                strategy.forward_backward(net, batch, 0)
            predicted = memory(strategy, config.train.global_batch, fused=strategy.precision.activation in FUSED).activations
            found.append((f"{case} {numbers} {accumulation}", predicted, watch.peak))
    return found


@pytest.mark.parametrize("model", [SMALL, LEAKY], ids=["2012", "leaky"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_autograd_keeps_what_explain_says(ranks: int, model: ModelConfig) -> None:
    cases = [case for case in CASES if case[1] == ranks]
    by_rank = run_on_ranks(ranks, measure, cases, model)
    for rank, found in enumerate(by_rank):
        for case, predicted, kept in found:
            assert 0 <= kept - predicted <= TOLERANCE_BYTES, f"rank {rank} {case}: {predicted} predicted, {kept} kept"


def test_momentum_takes_no_memory_where_there_is_none() -> None:
    config = configure(CASES[0], "float32", 1)
    strategy = registry.load(registry.STRATEGIES, "single")(replace(config, train=replace(config.train, momentum=0.0)), World())
    assert memory(strategy, 16, fused=True).momentum == 0
