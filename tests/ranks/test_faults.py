"""Faults that are planted on purpose: each makes the comparison fail, and says where."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dist_alexnet.batch import Batch
from dist_alexnet.model import dropout, network
from dist_alexnet.parallel import connected
from dist_alexnet.parallel.exchanges import batch_to_model, exchange, gradients, overlap
from dist_alexnet.parallel.world import World
from dist_alexnet.testing import conformance
from dist_alexnet.testing.conformance import UNEVEN_BATCH, compare, configure, reference
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.verify.evidence import Evidence, Reference
from dist_alexnet.verify.verdict import TOLERANCES, judge
from strategies.ddp import sharded_update


def forget_adjoint() -> None:
    """The joined input is cut on the way back, and what the other rank made of it is forgotten."""

    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return torch.split(gradient, ctx.sizes, dim=1)[ctx.channel.rank].contiguous(), None, None, None, None

    exchange._GatherShards.backward = staticmethod(backward)


def forget_remote_half() -> None:
    """An overlapped product leaves out what has arrived."""
    whole = overlap.multiply
    overlap.multiply = lambda x, weight, bias, layer: whole(x, weight, bias, layer) * (1 if bias is not None else 0)


def average_gradients() -> None:
    """DDP as it comes: the mean over ranks, of losses that are divided by the global batch already."""
    gradients.DataParallel.register_comm_hook = lambda self, state, hook: None


def mask_by_local_row() -> None:
    """Dropout by the row within the rank instead of within the batch."""
    right = connected.Draw
    connected.Draw = lambda seed, step, rows, watch: right(seed, step, rows - rows.min(), watch)


def mask_by_local_unit() -> None:
    """Dropout by the unit within the rank instead of within the layer."""
    right = dropout.keep_mask
    dropout.keep_mask = lambda **a: right(**{**a, "units": slice(0, a["units"].stop - a["units"].start)})


def seed_by_rank() -> None:
    """Every rank draws initial weights of its own."""
    right = network.canonical_parameters
    network.canonical_parameters = lambda layer, seed: right(layer, seed + torch.distributed.get_rank())


def load_the_wrong_images() -> None:
    """Every rank loads the images of the row before."""
    right = conformance.generated_batches

    def shifted(config: Any, strategy: Any) -> Iterator[Batch]:
        for batch in right(config, strategy):
            yield replace(batch, images=batch.images.roll(1, dims=0))

    conformance.generated_batches = shifted


def keep_rows_gradient() -> None:
    """What other ranks made of a row's gradient is not added."""
    right = batch_to_model._Turn.give_back

    def give_back(self: Any, gradient: Tensor) -> Any:
        transfer, parts = right(self, gradient)
        me = self._channel.rank
        return transfer, {me: parts[me]}

    batch_to_model._Turn.give_back = give_back  # type: ignore[method-assign]


def keep_own_weights() -> None:
    """New weights are not told to the others."""
    sharded_update.ShardedUpdate.gather = lambda self: None


def send_twice() -> None:
    """Right numbers, twice the bytes."""
    right = exchange.Channel.swap

    def swap(self: Any, *arguments: Any) -> None:
        right(self, *arguments)
        right(self, *arguments)

    exchange.Channel.swap = swap


def round_on_the_way() -> None:
    """Half the bytes, and no longer the same numbers."""
    right = exchange.Channel.start
    exchange.Channel.start = lambda self, name, direction, sends, receives, wire="full": right(
        self, name, direction, sends, receives, "bfloat16" if name == "conv3" else wire
    )


def average_locally() -> None:
    """The loss divided by the rank's own rows, and the gradient by the number of ranks: right only where rows divide evenly."""
    right = connected.Connected.loss
    connected.Connected.loss = lambda self, scores, labels: right(self, scores, labels) * UNEVEN_BATCH / len(labels) / 2


FAULTS: dict[Callable[[], None], tuple[str, dict[str, Any], str]] = {
    forget_adjoint: ("channel_split", {"overlap": False}, "momentum of conv"),
    forget_remote_half: ("channel_split", {}, "loss"),
    average_gradients: ("ddp", {}, "momentum"),
    mask_by_local_row: ("ddp", {}, "part of the dropout mask of layer 6 in step 0 was never drawn"),
    mask_by_local_unit: ("channel_split", {}, "bits of dropout masks"),
    seed_by_rank: ("ddp", {}, "weights"),
    load_the_wrong_images: ("ddp", {}, "images are not those"),
    keep_rows_gradient: ("one_weird_trick", {"scheme": "b"}, "momentum of conv"),
    keep_own_weights: ("ddp", {"shard_optimizer": True}, "weights"),
    send_twice: ("channel_split", {"overlap": False}, "bytes: "),
    round_on_the_way: ("channel_split", {}, "loss"),
    average_locally: ("ddp", {}, "loss"),
}


def with_fault(world: World, plant: Callable[[], None], strategy_name: str, options: dict[str, Any], one: Reference) -> Evidence:
    from dist_alexnet import registry

    registry.load(registry.STRATEGIES, strategy_name)
    plant()
    return compare(world, [configure(strategy_name, options)], {"float64": one})[0]


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Callable[[], None]) -> None:
    name, options, told = FAULTS[plant]
    evidence = run_on_ranks(2, with_fault, plant, name, options, reference())
    verdict = judge(evidence, {5: 20, 6: 24}, UNEVEN_BATCH, TOLERANCES["float64"])
    assert any(told in fault for fault in verdict.faults), verdict.faults
