"""Which cases there are: every variant of every strategy that was asked for, on every number of ranks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from dist_alexnet import registry
from dist_alexnet.config import Config, StrategyConfig, UsageError
from dist_alexnet.parallel.world import World


@dataclass
class Case:
    """One strategy, with options, on a number of ranks."""

    config: Config
    mesh: Mapping[str, int] = field(default_factory=dict)
    undefined: str = ""  # why the strategy does not serve this world size
    error: str = ""  # how it failed

    @property
    def name(self) -> str:
        """As a person would type it."""
        options = ",".join(f"{key}={value}" for key, value in self.config.strategy.options.items())
        return self.config.strategy.name + (f" {options}" if options else "")

    @property
    def ranks(self) -> int:
        """World size."""
        return self.config.launch.ranks


Kind = TypeVar("Kind", bound=Case)


def find_cases(config: Config, strategies: Sequence[str], world_sizes: Sequence[int], make: Callable[[Config], Kind]) -> list[Kind]:
    """Every variant of every strategy on every world size, also where the strategy says no.

    Args:
        config: what all have in common; the options of its strategy are taken instead of that strategy's variants.
        strategies: names.
        world_sizes: ranks.
        make: a case of a configuration, to be filled in.

    Raises:
        UsageError: no strategy of that name.
    """
    cases: list[Kind] = []
    for name in strategies:
        try:
            variants = registry.load(registry.STRATEGIES, name).variants
        except (UsageError, AttributeError) as error:  # one that does not load must not stand in the way of the others
            cases.append(make(with_strategy(config, name, {}, 1)))
            cases[-1].error = str(error)
            continue
        typed = config.strategy.options if len(strategies) == 1 else None
        chosen = [with_strategy(config, name, options, ranks) for options in ([typed] if typed else variants) for ranks in world_sizes]
        cases += [_looked_at(make(each)) for each in chosen]
    return cases


def with_strategy(config: Config, strategy: str, options: Mapping[str, Any], ranks: int) -> Config:
    """The same under another strategy, on so many ranks."""
    return replace(config, strategy=StrategyConfig(strategy, dict(options)), launch=replace(config.launch, workers=ranks))


def _looked_at(case: Kind) -> Kind:
    config = case.config
    try:
        case.mesh = registry.load(registry.STRATEGIES, config.strategy.name)(config, World(0, case.ranks)).mesh
    except UsageError as error:
        case.undefined = str(error)
    except Exception as error:  # tables that cannot work, or a method that fails: the author's, and no reason to stop the others
        case.error = f"{type(error).__name__}: {error}"
    return case
