"""What a strategy may say is what docs/adding_a_strategy.md lists; it says which world sizes it serves without being made."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_origin, get_type_hints

import pytest

from dist_alexnet import registry
from dist_alexnet.config import Config, LaunchConfig, ModelConfig, StrategyConfig, TrainConfig, UsageError
from dist_alexnet.parallel.connected import Connected
from dist_alexnet.parallel.statement import Statement, is_final
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.tables import Tables
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import refusal_when_made

PAGE = (Path(__file__).parents[3] / "docs" / "adding_a_strategy.md").read_text()
BETWEEN = (Statement, Tables, Connected, Strategy)


def members(one: type) -> dict[str, object]:
    """What a class has of its own, without Python's."""
    named = {name: None for name, hint in get_type_hints(one).items() if get_origin(hint) is ClassVar}
    own = {name: member for name, member in vars(one).items() if not name.startswith("__") and name != "_abc_impl"}
    return {name: member for name, member in {**named, **own}.items() if one is Statement or name not in members(Statement)}


def test_the_page_lists_what_may_be_said_and_nothing_else() -> None:
    said = {name for one in BETWEEN for name, member in members(one).items() if not is_final(member)}
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == sorted(said)


def test_what_may_be_read_is_on_the_page() -> None:
    for name, hint in get_type_hints(Statement).items():
        assert get_origin(hint) is ClassVar or f"`self.{name}`" in PAGE


@pytest.mark.parametrize("one", [Tables, Connected])
def test_what_follows_is_all_final(one: type) -> None:
    assert [name for name, member in members(one).items() if not is_final(member)] == []


@pytest.mark.parametrize("name", registry.names(registry.STRATEGIES))
def test_a_strategy_that_says_what_follows_is_refused_when_it_is_defined(name: str) -> None:
    strategy = registry.load(registry.STRATEGIES, name)
    for what in ("rows", "speaks_for_its_rows", "why_not", "loss", "predict_traffic"):
        with pytest.raises(TypeError, match=f"^Mine defines {what}, which follows from what a strategy says; docs/adding_a_strategy.md"):
            type("Mine", (strategy,), {what: None})


def test_what_is_asked_of_the_class_must_be_of_the_class() -> None:
    with pytest.raises(TypeError, match=r"^Mine.axes is asked before there are ranks; write @classmethod above it"):

        class Mine(Strategy):
            def axes(self, config: Config, world_size: int) -> Mapping[str, int]:  # type: ignore[override]
                return {}


@pytest.mark.parametrize(
    ("strategy", "options", "served"),
    [
        ("single", {}, [1]),
        ("ddp", {}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("channel_split", {}, [2]),
        ("hybrid", {}, [2, 4, 6, 8, 10, 12]),
        ("one_weird_trick", {"fc_ranks": 3}, [3, 6]),
        ("one_weird_trick", {"fc_batch": True, "scheme": "b"}, [2, 3, 4, 5, 6, 7, 8]),
        ("pipeline", {}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("pipeline", {"microbatches": 5}, [1, 2, 3, 4, 5]),
    ],
)
def test_world_sizes_of_a_batch_of_8(strategy: str, options: dict[str, object], served: list[int]) -> None:
    config = Config(train=TrainConfig(global_batch=8), strategy=StrategyConfig(strategy, options))
    assert registry.load(registry.STRATEGIES, strategy).world_sizes(config, 1, 12) == served
    assert registry.load(registry.STRATEGIES, strategy).world_sizes(config, 3, 5) == [ranks for ranks in served if 3 <= ranks <= 5]


@pytest.mark.parametrize("name", registry.names(registry.STRATEGIES))
@pytest.mark.parametrize(
    "config",
    [
        Config(model=ModelConfig(towers=1)),
        Config(model=ModelConfig(connect="none")),
        Config(train=TrainConfig(global_batch=3, accumulation=2)),
        Config(launch=LaunchConfig(share_device=True)),
    ],
    ids=["one tower", "apart", "few rows", "one device"],
)
def test_what_it_says_is_what_becomes_of_it(name: str, config: Config) -> None:
    config = replace(config, strategy=StrategyConfig(name))
    said = {ranks: registry.load(registry.STRATEGIES, name).why_not(config, ranks) for ranks in range(1, 9)}
    assert said == {ranks: refusal_when_made(config, ranks) for ranks in range(1, 9)}


def test_options_that_are_not_there_are_a_reason_too() -> None:
    config = Config(strategy=StrategyConfig("ddp", {"bucket": 1}))
    assert "strategy.options of ddp: Key 'bucket'" in registry.load(registry.STRATEGIES, "ddp").why_not(config, 2)


def test_ranks_where_nobody_says_how_many() -> None:
    """The strategy's own number, or the next larger one that it serves; where there is none, its own is refused with the reason."""

    def ranks(options: dict[str, object], batch: int = 128, workers: int | None = None) -> int:
        config = Config(
            train=TrainConfig(global_batch=batch), strategy=StrategyConfig("one_weird_trick", options), launch=LaunchConfig(workers=workers)
        )
        found: int = registry.load(registry.STRATEGIES, "one_weird_trick").ranks_of(config)
        return found

    assert [ranks({}), ranks({"fc_ranks": 4}), ranks({}, workers=3), ranks({}, batch=1)] == [2, 4, 3, 2]


def test_layers_are_known_by_what_they_are() -> None:
    strategy = registry.load(registry.STRATEGIES, "single")(Config(), World())
    assert [layer.name for layer in (strategy.first, strategy.first_linear, strategy.last)] == ["conv1", "fc6", "fc8"]


def test_a_batch_without_rows_for_all_is_refused_in_the_same_words() -> None:
    config = Config(train=TrainConfig(global_batch=4), strategy=StrategyConfig("ddp"))
    ddp = registry.load(registry.STRATEGIES, "ddp")
    with pytest.raises(UsageError) as error:
        ddp(config, World(0, 5))
    assert (
        str(error.value)
        == ddp.why_not(config, 5)
        == ("train.global_batch=4 leaves nothing for some of the 5 ranks that share its rows; type -b 5 or more, or fewer --gpus")
    )
