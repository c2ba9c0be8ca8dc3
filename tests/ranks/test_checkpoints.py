"""A checkpoint of any strategy on any number of ranks is read by any strategy on any number of ranks, bit by bit."""

from pathlib import Path

import pytest

from dist_alexnet.testing.conformance import TINY, configure, save_checkpoints, variants, wrong_tensors
from dist_alexnet.testing.ranks import run_on_ranks

STRATEGIES = ("channel_split", "ddp", "fsdp", "hybrid", "one_weird_trick", "pipeline", "single")
WORLD_SIZES = (1, 2, 3, 4, 8)


def layouts(ranks: int) -> dict[str, object]:
    """One configuration for each way in which tensors can lie on this many ranks."""
    configs = {}
    for strategy in STRATEGIES:
        for config in variants(strategy, ranks):
            options = {key: value for key, value in config.strategy.options.items() if key in ("fc8", "shard_optimizer", "keep_gathered")}
            configs[f"{ranks}-{strategy}-{'-'.join(map(str, options.values()))}"] = configure(strategy, options, model=TINY)
    return configs


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints of everything on everything."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for ranks in WORLD_SIZES:
        run_on_ranks(ranks, save_checkpoints, folder, layouts(ranks))
    return sorted(folder.glob("*/step-*"))


@pytest.mark.parametrize("ranks", WORLD_SIZES)
def test_between_all_pairs(ranks: int, saved: list[Path]) -> None:
    assert len(saved) == sum(len(layouts(n)) for n in WORLD_SIZES)
    assert run_on_ranks(ranks, wrong_tensors, saved, list(layouts(ranks).values())) == [[]] * ranks
