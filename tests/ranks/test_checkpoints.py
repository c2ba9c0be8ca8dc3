"""A checkpoint of any strategy on any number of ranks is read by any strategy on any number of ranks, and by anybody, bit by bit."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub as hub
import pytest
import torch
from safetensors.torch import load_file

from dist_alexnet import registry
from dist_alexnet.testing.conformance import TINY, configure, save_checkpoints, variants, wrong_tensors
from dist_alexnet.testing.ranks import run_on_ranks
from tests.unit.asking import as_format_1

STRATEGIES = registry.names(registry.STRATEGIES)
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


def of_two_ranks(saved: list[Path]) -> list[Path]:
    """Of each strategy, one."""
    by_strategy = {checkpoint.parent.name.split("-")[1]: checkpoint for checkpoint in saved if checkpoint.parent.name.startswith("2-")}
    assert set(by_strategy) == set(STRATEGIES) - {"single"}
    return [*by_strategy.values(), next(checkpoint for checkpoint in saved if "single" in checkpoint.parent.name)]


def same(found: dict[str, Any], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_each_strategy_leaves_what_everybody_reads(saved: list[Path]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    of_the_page: dict[str, Any] = {}
    exec(code, of_the_page)
    reference = load_file(of_two_ranks(saved)[-1] / "model.safetensors")
    assert len(reference) == 16
    for checkpoint in of_two_ranks(saved):
        looped: dict[str, torch.Tensor] = {}
        for file in checkpoint.glob("*.safetensors"):  # as everybody writes it
            looped.update(load_file(file))
        weights, momentum, state = of_the_page["load_checkpoint"](checkpoint)
        assert same(looped, reference), checkpoint
        assert same(weights, reference)
        assert {name: u.shape for name, u in momentum.items()} == {name: weight.shape for name, weight in weights.items()}
        assert {file: hashlib.sha256((checkpoint / file).read_bytes()).hexdigest() for file in state["files"]} == state["files"]
        assert set(state["files"]) == {"model.safetensors", "optimizer/momentum.safetensors"}


def test_hugging_faces_loader_reads_it(saved: list[Path]) -> None:
    for checkpoint in of_two_ranks(saved):
        reference = load_file(checkpoint / "model.safetensors")
        assert same(hub.load_state_dict_from_file(checkpoint / "model.safetensors"), reference)
        model = torch.nn.Module()
        for name, tensor in reference.items():
            layer, _, part = name.partition(".")
            model.register_module(layer, getattr(model, layer, torch.nn.Module()))
            getattr(model, layer).register_parameter(part, torch.nn.Parameter(torch.zeros_like(tensor)))
        hub.load_torch_model(model, checkpoint)
        assert same({name: parameter.detach() for name, parameter in model.named_parameters()}, reference)


def test_format_1_is_read_under_every_strategy(saved: list[Path], tmp_path: Path) -> None:
    old = tmp_path / "2-old" / "step-00000007"
    shutil.copytree(of_two_ranks(saved)[0], old)
    as_format_1(old)
    assert not (old / "model.safetensors").exists()
    assert json.loads((old / "state.json").read_text())["format"] == 1
    for ranks in (1, 3):
        assert run_on_ranks(ranks, wrong_tensors, [old], list(layouts(ranks).values())) == [[]] * ranks
