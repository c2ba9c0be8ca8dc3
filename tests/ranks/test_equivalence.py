"""Every strategy computes the same training run (DESIGN, idea 2): losses, weights and momentum, not the first loss alone.

Momentum, weight decay, dropout and a learning rate that changes are on. In float64 only the order of sums differs, so a wrong adjoint, a
forgotten reduction or a mask that depends on the rank cannot hide.
"""

from dataclasses import replace
from functools import cache

import pytest
import torch

from dist_alexnet.config import Config, ModelConfig, ScheduleConfig, StrategyConfig, TrainConfig, Widths
from dist_alexnet.model.layers import describe
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.testing.steps import Steps, relative_difference, train_steps

STEPS = 5
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
NARROW = Widths(conv1=8, conv2=12, conv3=16, conv4=16, conv5=12, fc6=20, fc7=24)
SMALL = ModelConfig(image_size=64, classes=7, widths=NARROW, init="fan_in")  # 7 classes: fc8 does not divide evenly

Case = tuple[str, int, int, tuple[tuple[str, object], ...]]  # strategy, ranks, accumulation, options

CASES: dict[str, Case] = {
    "ddp-2": ("ddp", 2, 1, ()),
    "ddp-2-accumulated": ("ddp", 2, 2, (("bucket_mib", 0.01),)),
    "ddp-3-uneven-rows": ("ddp", 3, 1, ()),
    "ddp-3-sharded-optimizer": ("ddp", 3, 1, (("shard_optimizer", True),)),
    "channel_split": ("channel_split", 2, 1, ()),
    "channel_split-in-the-open": ("channel_split", 2, 1, (("overlap", False),)),
    "channel_split-fc8-first": ("channel_split", 2, 1, (("fc8", "first"),)),
    "channel_split-accumulated": ("channel_split", 2, 3, ()),
    "hybrid-2": ("hybrid", 2, 1, ()),
    "hybrid-4-fc8-first": ("hybrid", 4, 1, (("fc8", "first"),)),
    "hybrid-6-uneven-rows": ("hybrid", 6, 2, ()),
    "one_weird_trick-2a": ("one_weird_trick", 2, 1, (("scheme", "a"),)),
    "one_weird_trick-2b": ("one_weird_trick", 2, 2, (("scheme", "b"),)),
    "one_weird_trick-2c": ("one_weird_trick", 2, 1, (("scheme", "c"),)),
    "one_weird_trick-3b": ("one_weird_trick", 3, 2, (("scheme", "b"),)),
    "one_weird_trick-3c": ("one_weird_trick", 3, 2, (("scheme", "c"),)),
    "one_weird_trick-4-groups": ("one_weird_trick", 4, 1, (("scheme", "b"), ("fc_ranks", 2))),
    "one_weird_trick-8": ("one_weird_trick", 8, 1, (("scheme", "c"),)),
    "fsdp-2": ("fsdp", 2, 1, ()),
    "fsdp-3-uneven-rows": ("fsdp", 3, 2, ()),
    "fsdp-2-kept": ("fsdp", 2, 1, (("keep_gathered", True),)),
    "pipeline-2": ("pipeline", 2, 1, ()),
    "pipeline-3-filled-up": ("pipeline", 3, 1, (("microbatches", 3),)),
    "pipeline-8": ("pipeline", 8, 1, ()),
}


def configure(
    strategy: str, options: dict[str, object], *, dtype: str = "float64", accumulation: int = 1, model: ModelConfig = SMALL
) -> Config:
    train = TrainConfig(global_batch=8, accumulation=accumulation, dtype=dtype, seed=3, epochs=1, schedule=ScheduleConfig(name="dexp"))
    return Config(model=model, train=train, strategy=StrategyConfig(strategy, options))


@cache
def reference(dtype: str, model: ModelConfig = SMALL) -> Steps:
    return train_steps(World(), configure("single", {}, dtype=dtype, model=model), STEPS)


def check_equal(results: list[Steps], expected: Steps, tolerance: float) -> None:
    assert set().union(*(result.tensors for result in results)) == set(expected.tensors)
    for rank, result in enumerate(results):
        assert result.losses == pytest.approx(expected.losses, rel=tolerance), f"rank {rank}"
        for name, tensor in result.tensors.items():
            assert relative_difference(tensor, expected.tensors[name]) < tolerance, f"rank {rank}: {name}"


def train_each(world: World, configs: list[Config]) -> list[Steps]:
    return [train_steps(world, config, STEPS) for config in configs]


@cache
def all_cases_on(ranks: int) -> dict[tuple[str, str], list[Steps]]:
    """Every case with this many ranks, in one spawn: starting processes takes longer than training."""
    keys, configs = [], []
    for name, (strategy, wanted, accumulation, options) in CASES.items():
        for dtype in TOLERANCE if wanted == ranks else ():
            keys.append((name, dtype))
            configs.append(configure(strategy, dict(options), dtype=dtype, accumulation=accumulation))
    by_rank = run_on_ranks(ranks, train_each, configs)
    return {key: [results[i] for results in by_rank] for i, key in enumerate(keys)}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_a_strategy_trains_as_one_process_does(case: str, dtype: str) -> None:
    results = all_cases_on(CASES[case][1])[case, dtype]
    check_equal(results, reference(dtype), TOLERANCE[dtype])
    for result in results:
        assert result.counted_bytes == result.predicted_bytes


def test_accumulation_alone_changes_nothing() -> None:
    check_equal([train_steps(World(), configure("single", {}, accumulation=3), STEPS)], reference("float64"), TOLERANCE["float64"])


def test_the_dropout_mask_and_the_seed_matter() -> None:
    """Or the comparison above would not notice them."""
    config = configure("single", {})
    undropped = replace(config, model=replace(SMALL, dropout=0.0))
    reseeded = replace(config, train=replace(config.train, seed=4))
    for other in (undropped, reseeded):
        assert train_steps(World(), other, 2).losses != pytest.approx(reference("float64").losses[:2], rel=1e-6)


FULL = ModelConfig(classes=1000)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("strategy", ["channel_split", pytest.param("ddp", marks=pytest.mark.slow)])
def test_the_full_size_network_too(strategy: str) -> None:
    results = run_on_ranks(2, train_steps, configure(strategy, {}, model=FULL), STEPS)
    check_equal(results, reference("float64", FULL), TOLERANCE["float64"])


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("strategy", ["channel_split", pytest.param("ddp", marks=pytest.mark.slow)])
def test_the_full_size_network_in_single_precision(strategy: str) -> None:
    """Losses and parameters. A layer's bias is compared together with its weights: after five steps from 0 a bias of conv1 is 1e-6.

    Momentum is not compared: with the paper's weights all units of conv2 are near its bias of 1, so that rounding decides some maxima of
    the pooling, and their gradient goes to another pixel (1e-2 of the momentum of conv1, measured 2026-11).
    """
    results = run_on_ranks(2, train_steps, configure(strategy, {}, dtype="float32", model=FULL), STEPS)
    expected = reference("float32", FULL)
    for result in results:
        assert result.losses == pytest.approx(expected.losses, rel=TOLERANCE["float32"])
        for layer in describe(FULL):
            mine, theirs = (
                torch.cat([run.tensors[f"{layer.name}.{part}"].flatten() for part in ("weight", "bias")]) for run in (result, expected)
            )
            assert relative_difference(mine, theirs) < TOLERANCE["float32"], layer.name
