"""From what a person typed to contestants that nothing is known to stand in the way of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_alexnet import registry
from dist_alexnet.config import Config, StrategyConfig, UsageError
from dist_alexnet.launch.settle import make_launcher, open_sets, settle_classes, settle_ranks, with_generated_classes
from dist_alexnet.resolve import resolve
from dist_alexnet.settings.idle import IN_COMPARISON, SAID_BY_OPTIONS, check_idle, typed_keys
from dist_alexnet.settings.lists import numbers
from dist_alexnet.settings.presets import PAPER, read_preset

if TYPE_CHECKING:
    from dist_alexnet.compare.results import Entry

BASE = "single"  # on one rank, whatever numbers of ranks are compared


@dataclass(frozen=True)
class Asked:
    """As it was typed."""

    preset: str | None
    overrides: Sequence[str]  # `key=value`
    strategies: str
    gpus: str
    batches: str
    rounds: int
    warmup: int


@dataclass(frozen=True)
class Prepared:
    """Contestants, by batch."""

    asked: Asked
    config: Config  # what they have in common
    heats: "dict[int, list[Entry]]"
    left_out: list[str]  # who does not run, and why
    data: Path | None  # None: images are drawn from the seed


def prepare(asked: Asked, output_dir: Path, inexact: bool, tell: Callable[[str], None]) -> Prepared:
    """Check everything that can be checked without a process.

    Args:
        asked: as it was typed.
        output_dir: under which runs lie.
        inexact: whoever rounds what its ranks send is let in, too.
        tell: hears what is being done.

    Raises:
        UsageError: it cannot be done as asked.
    """
    sizes, batches = numbers("--gpus", asked.gpus), numbers("-b", asked.batches)
    for option, number, least in (("--rounds", asked.rounds, 1), ("--warmup", asked.warmup, 0)):
        if number < least:
            raise UsageError(f"{option} {number}: needs at least {least}")
    if any(override.startswith("strategy.") for override in asked.overrides):
        raise UsageError("strategy.* belongs to one contestant; type it after its name, as in --strategies ddp,ddp:bucket_mib=1")
    names = _names(asked.strategies)
    preset = read_preset(asked.preset or PAPER)
    tell(f"{', '.join(names)}: loading PyTorch")
    chosen = [(name, resolve(preset, [*asked.overrides, *_as_overrides(name)])) for name in names]
    check_idle(chosen[0][1], typed_keys(asked.overrides), [IN_COMPARISON, SAID_BY_OPTIONS])
    first = chosen[0][1]
    most = replace(first, strategy=StrategyConfig(BASE), launch=replace(first.launch, workers=max(sizes)))  # ours, which does load
    config, data = settle_ranks(most), None
    make_launcher(config).validate()
    if config.data.path is not None:
        data, train, _ = open_sets(config, output_dir, "--out with a folder you can write to", tell)
        if len(train) < max(batches):
            raise UsageError(f"{data} has {len(train)} training images, fewer than one batch; type -b {len(train)} or less")
        config = settle_classes(config, train, data)
    config = with_generated_classes(config)
    heats, left_out = _heats(chosen, config, sizes, batches)
    entries = [entry for heat in heats.values() for entry in heat]
    if not inexact and (rounding := [entry.label for entry in entries if rounds_what_it_sends(entry.config)]):
        raise UsageError(
            f"{', '.join(rounding)}: rounds what ranks send, so it is not the same step; type --inexact to compare it all the same"
        )
    for batch, heat in heats.items():
        if len(heat) < 2:
            told = "; ".join(left_out) or f"only {heat[0].label} was asked for"
            raise UsageError(
                f"nothing to compare with batch {batch}: {told}; type --strategies and --gpus that give two contestants or more"
            )
    return Prepared(asked, config, heats, left_out, data)


def rounds_what_it_sends(config: Config) -> bool:
    """Some of it travels in fewer bits than it is computed in."""
    from dist_alexnet.parallel.exchanges.exchange import WIRE_DTYPES
    from dist_alexnet.parallel.world import World

    strategy = registry.load(registry.STRATEGIES, config.strategy.name)(config, World(0, config.launch.ranks))
    exchanges = [strategy.exchange(layer) for layer in strategy.layers]
    return any(wire in WIRE_DTYPES for wire in (strategy.gradient_wire, *(exchange.wire for exchange in exchanges if exchange)))


def _names(strategies: str) -> list[str]:
    """Each as it will be called: a strategy, and options after colons."""
    names = registry.names(registry.STRATEGIES) if strategies == "all" else [name.strip() for name in strategies.split(",")]
    for name in dict.fromkeys(names):
        registry.find(registry.STRATEGIES, name.partition(":")[0])
    return list(dict.fromkeys(names))


def _as_overrides(name: str) -> list[str]:
    strategy, *options = name.split(":")
    for option in options:
        if "=" not in option:
            raise UsageError(f"--strategies {name}: {option} is no option; type them as in ddp:bucket_mib=1:gradient_wire=bfloat16")
    return [f"strategy.name={strategy}", *(f"strategy.options.{option}" for option in options)]


def _heats(
    chosen: Sequence[tuple[str, Config]], config: Config, sizes: Sequence[int], batches: Sequence[int]
) -> "tuple[dict[int, list[Entry]], list[str]]":
    """By batch, those that serve the numbers of ranks."""
    from dist_alexnet.compare.results import Entry

    heats: dict[int, list[Entry]] = {batch: [] for batch in batches}
    left_out = []
    for name, own in chosen:
        try:
            strategy = registry.load(registry.STRATEGIES, own.strategy.name)
        except UsageError as error:  # one that does not load must not stand in the way of the others
            left_out.append(f"{name}: {error}")
            continue
        for ranks in [1] if own.strategy.name == BASE else sizes:
            for batch in batches:
                train, launch = replace(config.train, global_batch=batch), replace(config.launch, workers=ranks)
                case = replace(config, strategy=own.strategy, train=train, launch=launch)
                if reason := _why_not(strategy, case):
                    left_out.append(f"{name} on {ranks}: {reason}")
                else:
                    heats[batch].append(Entry(name, case))
    return heats, list(dict.fromkeys(left_out))


def _why_not(strategy: Any, case: Config) -> str:
    """Why it cannot run; empty where it can."""
    from dist_alexnet.parallel.world import World

    try:
        reason: str = strategy.why_not(case, case.launch.ranks)
        if not reason:
            strategy(case, World(0, case.launch.ranks))
        return reason
    except UsageError as error:
        return str(error)
    except Exception as error:  # tables that cannot work, or a method that fails: the author's, and no reason to stop the others
        return f"{type(error).__name__}: {error}"
