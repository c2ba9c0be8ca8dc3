"""Every strategy computes the same training run (DESIGN, idea 2): losses, weights and momentum, not the first loss alone.

Momentum, weight decay, dropout and a learning rate that changes are on. In float64 only the order of sums differs, so a wrong adjoint, a
forgotten reduction or a mask that depends on the rank cannot hide. One spawn per world size: starting processes takes longer than training.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet import registry
from dist_alexnet.config import Config, ModelConfig
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import SMALL, STEPS, configure, reference, variants, verdicts
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.verify.evidence import Evidence, Reference
from dist_alexnet.verify.testimony import generated_batches, train_steps
from dist_alexnet.verify.verdict import TOLERANCES, Verdict, judge

STRATEGIES = registry.names(registry.STRATEGIES)
WORLD_SIZES = (1, 2, 3, 4, 8)

# strategy, ranks, microbatches, options: what the variants of the strategies leave out
MORE: list[tuple[str, int, int, dict[str, Any]]] = [
    ("single", 1, 3, {}),
    ("ddp", 2, 2, {"bucket_mib": 0.01}),
    ("ddp", 3, 2, {"shard_optimizer": True}),
    ("channel_split", 2, 3, {}),
    ("hybrid", 4, 2, {"bucket_mib": 0.01}),
    ("hybrid", 4, 1, {"overlap": False}),
    ("one_weird_trick", 2, 2, {"scheme": "b"}),
    ("one_weird_trick", 3, 2, {"scheme": "c"}),
    ("one_weird_trick", 4, 1, {"scheme": "b", "fc_ranks": 2}),
    ("one_weird_trick", 8, 1, {"scheme": "c", "fc_ranks": 4}),
    ("fsdp", 3, 2, {}),
    ("pipeline", 3, 1, {"microbatches": 3}),
]


def cases(ranks: int) -> list[Config]:
    doubles = [config for strategy in STRATEGIES for config in variants(strategy, ranks)]
    others = [configure(c.strategy.name, c.strategy.options, numbers=numbers) for c in doubles for numbers in ("float32", "bf16")]
    return doubles + others + [configure(s, options, accumulation=parts) for s, wanted, parts, options in MORE if wanted == ranks]


def name(config: Config) -> str:
    options = ",".join(f"{key}={value}" for key, value in config.strategy.options.items())
    return f"{config.strategy.name}[{options}]-{config.train.numbers}-{config.train.accumulation}"


@cache
def judged(ranks: int) -> dict[str, Verdict]:
    return {name(config): verdict for config, verdict in zip(cases(ranks), verdicts(ranks, cases(ranks)), strict=True)}


@pytest.mark.parametrize(("ranks", "case"), [(ranks, name(config)) for ranks in WORLD_SIZES for config in cases(ranks)])
def test_a_strategy_trains_as_one_process_does(ranks: int, case: str) -> None:
    verdict = judged(ranks)[case]
    assert verdict.passed, "; ".join(verdict.faults)
    assert verdict.bytes_per_step == verdict.bytes_predicted


@pytest.mark.parametrize("connect", ["none", "conv4", "all"])
def test_wherever_the_towers_meet(connect: str) -> None:
    for strategy in ("channel_split", "ddp"):
        config = configure(strategy, model=replace(SMALL, connect=connect))  # type: ignore[arg-type]
        assert verdicts(2, [config])[0].faults == []


def test_one_tower_too() -> None:
    assert [verdict.faults for verdict in verdicts(2, [configure("one_weird_trick", model=replace(SMALL, towers=1))])] == [[]]


def test_what_matters_is_noticed() -> None:
    """Or the comparison above would not notice it: the dropout mask, and the seed."""
    config, one = configure("single"), reference()
    undropped = replace(config, model=replace(SMALL, dropout=0.0))
    reseeded = replace(config, train=replace(config.train, seed=4))
    for other in (undropped, reseeded):
        strategy = connect_strategy(other, World())
        assert train_steps(strategy, generated_batches(other, strategy), 2).losses != pytest.approx(one.losses[:2], rel=1e-6)


FULL = ModelConfig(classes=1000)
FULL_CASES = [("channel_split", "float32"), *[(s, d) for s in STRATEGIES if s != "single" for d in TOLERANCES]]


def against(world: World, config: Config, folder: Path) -> Evidence:
    """Evidence against a reference that is too large to be sent."""
    strategy = connect_strategy(config, world)
    return Evidence.of(train_steps(strategy, generated_batches(config, strategy), STEPS), Reference.load(folder))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("strategy", "numbers"), [FULL_CASES[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in FULL_CASES[1:])]
)
def test_the_full_size_network_too(strategy: str, numbers: str, tmp_path: Path) -> None:
    reference(numbers, FULL, batch=7).save(tmp_path)
    evidence = run_on_ranks(2, against, configure(strategy, numbers=numbers, model=FULL, batch=7), tmp_path)
    units = {layer.index: layer.out_channels for layer in describe(FULL) if layer.dropout}
    assert judge(evidence, units, 7, TOLERANCES[numbers]).faults == []
