"""Worlds that nobody starts: PyTorch's fake process group runs one of their ranks, whose exchanges go nowhere but are counted."""

import sys

import pytest
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore

from dist_alexnet.checkpoints.canonical import canonical_tensors, rows_kept
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.layers import parameter_shapes
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import TINY, configure
from dist_alexnet.verify.testimony import generated_batches, train_steps

CASES = [("ddp", {}), ("ddp", {"shard_optimizer": True}), ("hybrid", {}), ("fsdp", {}), ("fsdp", {"keep_gathered": True})]
CASES += [("one_weird_trick", {"scheme": scheme, "fc_ranks": 8}) for scheme in "abc"] + [("one_weird_trick", {"scheme": "a"})]


@pytest.mark.parametrize("ranks", [8, 64, 512, 1024])
@pytest.mark.parametrize(("strategy", "options"), CASES, ids=str)
def test_placements_and_bytes(strategy: str, options: dict[str, object], ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # each process group wraps it in a prefix, for good
    for rank in (0, ranks // 2 + 1, ranks - 1):
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
        try:
            one_rank(strategy, options, World(rank, ranks))
        finally:
            dist.destroy_process_group()


def one_rank(name: str, options: dict[str, object], world: World) -> None:
    config = configure(name, options, model=TINY, batch=world.world_size + 3)
    strategy = connect_strategy(config, world)
    testimony = train_steps(strategy, generated_batches(config, strategy), 1)
    assert testimony.counted_bytes == testimony.predicted_bytes
    shapes = parameter_shapes(strategy.layers)
    network = strategy.build()
    for tensor_name, tensor in canonical_tensors(strategy, network, None).items():
        rows = rows_kept(strategy, tensor_name)
        assert tuple(tensor.shape) == (rows.stop - rows.start, *shapes[tensor_name][1:])
