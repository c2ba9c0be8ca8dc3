"""From the rounds of a race to results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from dist_alexnet import registry
from dist_alexnet.compare.interval import Interval, paired
from dist_alexnet.compare.result import BASES, Result
from dist_alexnet.compare.sentence import limit
from dist_alexnet.config import Config
from dist_alexnet.parallel.explain.layout import lay_out
from dist_alexnet.parallel.placement import length
from dist_alexnet.parallel.predict import gradient_axes
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World


@dataclass(frozen=True)
class Entry:
    """A contestant."""

    name: str  # as `--strategies` takes it
    config: Config
    equality: str = ""  # what is known of it

    @property
    def label(self) -> str:
        """To tell it from the others."""
        return f"{self.name} on {self.config.launch.ranks}"

    @property
    def is_base(self) -> bool:
        """Without options, of those that others are compared with."""
        return self.name in BASES


def results(entries: Sequence[Entry], rounds: Sequence[Sequence[Mapping[str, Any]]]) -> list[Result]:
    """Of all contestants with one batch.

    Args:
        entries: contestants.
        rounds: of each round, what each of them took (`race.read_rounds`).
    """
    taken = [[each[place] for each in rounds] for place in range(len(entries))]
    found = [_result(entry, mine) for entry, mine in zip(entries, taken, strict=True)]
    with_times = []
    for result, mine in zip(found, taken, strict=True):
        times = {}
        for base, entry, theirs in ((entry.name, entry, theirs) for entry, theirs in zip(entries, taken, strict=True) if entry.is_base):
            if base == "single" or entry.config.launch.ranks == result.ranks:
                times[base] = paired([each["seconds"] for each in theirs], [each["seconds"] for each in mine])
        with_times.append(replace(result, times=times, limit=limit(result, found)))
    return with_times


def _result(entry: Entry, rounds: Sequence[Mapping[str, Any]]) -> Result:
    config, layout = entry.config, lay_out(entry.config)
    batch, typical = config.train.global_batch, _typical(rounds)
    peaks, energies = ([each[key] for each in rounds] for key in ("peak", "joules"))
    stated = max(group.memory.total for group in layout.groups)
    return Result(
        name=entry.name,
        strategy=entry.name,
        ranks=config.launch.ranks,
        global_batch=batch,
        mesh=layout.mesh,
        equality=entry.equality,
        ips=Interval.of([batch / each["seconds"] for each in rounds]),
        phases=[
            {phase: fmean(each["phases"][rank][phase] for each in typical) for phase in typical[0]["phases"][rank]}
            for rank in range(config.launch.ranks)
        ],
        exposed={name: fmean(each["exposed"].get(name, 0.0) for each in typical) for name in typical[0]["exposed"]},
        sent=layout.exchange_bytes_per_step,
        parameters=max(layout.parameters),
        linear_share=linear_share(config),
        memory_bytes=stated if None in peaks else max(peaks),
        memory_measured=None not in peaks,
        cpu_seconds_per_image=fmean(each["cpu"] for each in rounds) / batch,
        joules_per_image=None if None in energies else fmean(energies) / batch,
    )


def _typical(rounds: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The half in the middle, by duration: means over them still add up, and no hiccup of the machine is in them."""
    ordered = sorted(rounds, key=lambda each: each["seconds"])
    cut = len(ordered) // 4
    return ordered[cut : len(ordered) - cut]


def linear_share(config: Config) -> float | None:
    """Of the gradients that a strategy adds up over ranks, the share of the fully connected layers; None where it adds up none."""
    strategy: Strategy = registry.load(registry.STRATEGIES, config.strategy.name)(config, World(0, config.launch.ranks))
    held = {
        layer: layer.parameters // layer.out_channels * length(strategy.outputs(layer))
        for layer in strategy.layers
        if gradient_axes(strategy, layer)
    }
    linear = sum(elements for layer, elements in held.items() if layer.kind == "linear")
    return linear / sum(held.values()) if sum(held.values()) else None
