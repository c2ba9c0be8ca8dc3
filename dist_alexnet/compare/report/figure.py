"""The figure of `explain` for a contestant, from what a comparison holds."""

from collections.abc import Mapping
from typing import Any

from dist_alexnet.compare.result import Result
from dist_alexnet.figures.strategy import strategy_svg
from dist_alexnet.parallel.explain.layout import lay_out
from dist_alexnet.resolve import resolve


def drawn(result: Result, setting: Mapping[str, Any]) -> str:
    """SVG, to stand in a page. Whatever `resolve` and `lay_out` raise: the strategy is not here, or has other options."""
    name, *options = result.strategy.split(":")
    chosen = dict(option.split("=", 1) for option in options)
    base = {"model": setting["model"], "launch": {"device": setting["device"], "workers": result.ranks}}
    typed = [f"strategy.name={name}", f"train.global_batch={result.global_batch}"]
    svg = strategy_svg(lay_out(resolve(base, [*typed, *(f"strategy.options.{key}={value}" for key, value in chosen.items())])))
    return svg[svg.index("<svg") :]
