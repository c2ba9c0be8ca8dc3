"""A network that nobody's strategy knows of trains as in one process under all of them, and its checkpoints go everywhere."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from dist_alexnet import registry
from dist_alexnet.config import Config, ModelConfig
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.model.layers import own_tensors
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import configure, refusal, save_checkpoints, verdicts, wrong_tensors
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.update.optimizer import VelocitySGD
from dist_alexnet.verify.testimony import generated_batches
from dist_alexnet.verify.verdict import Verdict
from tests.ranks.other_networks import LEAKY, SCALED

WORLD_SIZES = (1, 2, 4)


def cases(model: ModelConfig, ranks: int) -> list[Config]:
    """Every variant of every strategy that serves this many ranks."""
    strategies = [registry.load(registry.STRATEGIES, strategy) for strategy in registry.names(registry.STRATEGIES)]
    configs = [configure(strategy.name, options, model=model) for strategy in strategies for options in strategy.variants]
    return [config for config in configs if not refusal(config, ranks)]


def name(config: Config) -> str:
    return f"{config.strategy.name}[{','.join(f'{key}={value}' for key, value in config.strategy.options.items())}]"


@cache
def judged(ranks: int) -> dict[str, Verdict]:
    configs = cases(LEAKY, ranks)
    return {name(config): verdict for config, verdict in zip(configs, verdicts(ranks, configs), strict=True)}


@pytest.mark.parametrize(("ranks", "case"), [(ranks, name(config)) for ranks in WORLD_SIZES for config in cases(LEAKY, ranks)])
def test_a_strategy_trains_it_as_one_process_does(ranks: int, case: str) -> None:
    verdict = judged(ranks)[case]
    assert verdict.faults == []
    assert verdict.bytes_per_step == verdict.bytes_predicted


def test_every_strategy_was_asked() -> None:
    served = {config.strategy.name for ranks in WORLD_SIZES for config in cases(LEAKY, ranks)}
    assert served == set(registry.names(registry.STRATEGIES))


def test_the_normalisation_counts() -> None:
    """Or the comparison above would not notice that it was lost."""
    strategy = connect_strategy(configure("single", model=LEAKY), World())
    batch = next(iter(generated_batches(strategy.config, strategy))).to(torch.device("cpu"), torch.float64)
    with_it = strategy.build()
    strategy.layers = tuple(replace(layer, then=layer.then[:1]) if layer.name == "conv3" else layer for layer in strategy.layers)
    without = strategy.build()
    losses = [float(strategy.forward_backward(network, batch, 0)) for network in (with_it, without)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_checkpoints_have_what_an_operation_brings(tmp_path: Path) -> None:
    single = {"single": configure("single", model=SCALED)}
    run_on_ranks(1, save_checkpoints, tmp_path, single)
    named = {f"2-{number}": config for number, config in enumerate(cases(SCALED, 2))}
    run_on_ranks(2, save_checkpoints, tmp_path, named)
    assert not any(run_on_ranks(2, wrong_tensors, [tmp_path / "single" / "step-00000007"], list(named.values())))
    folders = [tmp_path / each / "step-00000007" for each in named]
    assert run_on_ranks(1, wrong_tensors, folders, list(single.values())) == [[]]
    assert (tmp_path / "2-0" / "step-00000007").is_dir()


def test_what_an_operation_brings_learns_at_its_own_rate() -> None:
    strategy = connect_strategy(configure("single", model=SCALED), World())
    network = strategy.build()
    train = strategy.config.train
    with pytest.raises(ValueError, match="conv1.scale is neither a weight nor a bias"):
        VelocitySGD(strategy.updated(network), train)
    optimizer = VelocitySGD(strategy.updated(network), train, own_tensors(strategy.layers))
    batch = next(iter(generated_batches(strategy.config, strategy))).to(torch.device("cpu"), network.precision.activation)
    before, shift = network.conv1.scale.detach().clone(), network.conv1.shift.clone()
    strategy.train_step(network, optimizer, 0.1, batch, 0)
    expected = before - 0.1 * 0.5 * (network.conv1.scale.grad + train.weight_decay * before)
    torch.testing.assert_close(network.conv1.scale.detach(), expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(network.conv1.shift, shift)
    assert set(optimizer.buffers()) == set(VelocitySGD.states) == {"momentum"}
    assert optimizer.buffers()["momentum"]["conv1.scale"].shape == (8,)
    assert "conv1.shift" not in optimizer.buffers()["momentum"]
