"""An evaluation gives the same under every strategy and on any number of ranks: views, ensembles, and images that do not decode."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dist_alexnet import registry
from dist_alexnet.batch import Batch
from dist_alexnet.checkpoints.state import TrainingState
from dist_alexnet.config import Config
from dist_alexnet.evaluation.evaluation import evaluate
from dist_alexnet.evaluation.worker import load_network
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import TINY, configure, save, variants
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.update.optimizer import VelocitySGD

STRATEGIES = registry.names(registry.STRATEGIES)
IMAGES, BATCH, CLASSES = 13, 11, 7  # the last batch has 2 rows, fewer than 3 ranks
SEEDS = (3, 4)  # of the two networks
LABELS = torch.tensor([0, 1, 2, 3, 4, 5, -1, 0, 1, 2, 3, -1, 5])  # -1: could not be decoded


@dataclass(frozen=True)
class Case:
    networks: tuple[int, ...]  # indices into SEEDS
    views: int


CASES = (Case((0,), 1), Case((1,), 1), Case((0, 1), 3), Case((0, 0, 1), 1))


def view(number: int) -> Tensor:
    """[IMAGES, 3, S, S]"""
    generator = torch.Generator().manual_seed(number)
    return torch.randn(IMAGES, 3, TINY.image_size, TINY.image_size, generator=generator, dtype=torch.float64)


def batches_of(strategy: Strategy, views: int) -> Iterator[Batch]:
    for start in range(0, IMAGES, BATCH):
        n = min(BATCH, IMAGES - start)
        rows = torch.arange(n)[strategy.rows(n)]
        for number in range(views):
            images = view(number)[start + rows].contiguous(memory_format=torch.channels_last)
            yield Batch(images, LABELS[start + rows], rows, n)


def with_seed(config: Config, seed: int) -> Config:
    return replace(config, train=replace(config.train, seed=seed))


def save_networks(world: World, folder: Path) -> None:
    for seed in SEEDS:
        strategy = connect_strategy(with_seed(configure("single", model=TINY), seed), world)
        network = strategy.build()
        optimizer = VelocitySGD(strategy.updated(network), strategy.config.train)
        state = TrainingState(seed, 0, 0, optimizer.scalars(), {}, {}, {}, [], "")
        save(folder, strategy, network, optimizer, state)


def evaluate_cases(world: World, folder: Path, configs: list[Config]) -> list[list[dict[str, Any]]]:
    """For each configuration and each case: the sums."""
    found = []
    for config in configs:
        strategy = connect_strategy(config, world)
        networks = [load_network(folder / f"step-{seed:08d}", strategy) for seed in SEEDS]
        agreement, results = Agreement(world, 60), []
        for case in CASES:
            chosen = [networks[n] for n in case.networks]
            tally = evaluate(strategy, chosen, batches_of(strategy, case.views), agreement, case.views, confusion=True)
            results.append({"val": tally.validation().as_dict(), "by_class": tally.by_class(), "confusions": tally.confusions()})
            assert all(network.training for network in chosen)
        found.append(results)
    return found


@cache
def probabilities(seed: int, number: int) -> Tensor:
    """[IMAGES, CLASSES] of one network on one view, in one process."""
    network = connect_strategy(with_seed(configure("single", model=TINY), seed), World()).build().eval()
    with torch.no_grad():
        return torch.softmax(network(view(number)), dim=1)


def expected(case: Case) -> dict[str, Any]:
    """The plain way: add up probabilities, divide, sort."""
    mean = torch.stack([probabilities(SEEDS[n], number) for n in case.networks for number in range(case.views)]).mean(dim=0)
    rows = [row for row in range(IMAGES) if LABELS[row] >= 0]
    order = mean.argsort(dim=1, descending=True)
    misses = [[int(LABELS[row]) not in order[row, :places].tolist() for row in rows] for places in (1, 5)]
    return {
        "top1_error": sum(misses[0]) / len(rows),
        "top5_error": sum(misses[1]) / len(rows),
        "loss": float(-torch.stack([mean[row, LABELS[row]].log() for row in rows]).mean()),
        "images": len(rows),
        "bad_images": IMAGES - len(rows),
    }


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    run_on_ranks(1, save_networks, folder)
    return folder


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_strategy_counts_as_one_process_does(ranks: int, networks: Path) -> None:
    configs = [configure(c.strategy.name, c.strategy.options, model=TINY) for name in STRATEGIES for c in variants(name, ranks)]
    by_rank = run_on_ranks(ranks, evaluate_cases, networks, configs)
    assert all(found == by_rank[0] for found in by_rank), "all ranks get the same"
    for config, results in zip(configs, by_rank[0], strict=True):
        for case, result in zip(CASES, results, strict=True):
            assert result["val"] == pytest.approx(expected(case), rel=1e-9), f"{config.strategy}, {case}"
            assert {**result, "val": None} == {**by_rank[0][0][CASES.index(case)], "val": None}
            assert sum(images for _, _, images in result["confusions"]) == sum(result["by_class"]["images"]) == 11


def test_the_cases_differ() -> None:
    assert len({expected(case)["loss"] for case in CASES}) == len(CASES)
    assert all(0 < expected(case)["top5_error"] < expected(case)["top1_error"] for case in CASES[:2])
