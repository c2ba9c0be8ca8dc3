"""From what a person typed to cases that can be run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.launch.settle import make_launcher, open_sets, settle_classes, settle_ranks
from dist_alexnet.resolve import loads_torch, resolve
from dist_alexnet.settings.idle import IN_VERIFICATION, check_idle, typed_keys
from dist_alexnet.settings.lists import numbers
from dist_alexnet.settings.presets import QUICKSTART, read_preset

if TYPE_CHECKING:
    from dist_alexnet.verify.run import Case


@dataclass(frozen=True)
class PreparedVerification:
    """Cases that nothing is known to stand in the way of."""

    config: Config
    cases: "list[Case]"
    data: Path
    launch: Callable[[Config], Launcher]


def prepare_verification(
    preset: str | None,
    overrides: Sequence[str],
    strategies: str,
    gpus: str,
    steps: int,
    output_dir: Path,
    tell: Callable[[str], None] = lambda line: None,
) -> PreparedVerification:
    """Check everything that can be checked without a process.

    Args:
        preset: name or file; None: quickstart.
        overrides: `key=value`.
        strategies: "all", or names with commas between.
        gpus: world sizes, with commas between.
        steps: of the optimizer.
        output_dir: under which images are generated where none are named.
        tell: hears what is being done.

    Raises:
        UsageError: it cannot be done as asked.
    """
    sizes = numbers("--gpus", gpus)
    if steps < 1:
        raise UsageError(f"--steps {steps}: needs at least 1; type --steps 5")
    names = _names(strategies)
    if len(names) == 1:
        overrides = [f"strategy.name={names[0]}", *overrides]
    elif any(override.startswith("strategy.") for override in overrides):
        raise UsageError("strategy.options belong to one strategy; type --strategies with one name")
    if loads_torch(overrides):
        tell("strategy.options: loading PyTorch")
    config = resolve(read_preset(preset or QUICKSTART), overrides)
    check_idle(config, typed_keys(overrides), [IN_VERIFICATION])
    tell(f"{', '.join(names)}: loading PyTorch")
    from dist_alexnet.trials.case import find_cases
    from dist_alexnet.verify.run import Case, steps_config  # from here on with torch, which takes seconds to import

    config = settle_ranks(replace(config, launch=replace(config.launch, workers=max(sizes))))
    make_launcher(config).validate()
    data, train, _ = open_sets(config, output_dir, "--out with a folder you can write to", tell)
    if len(train) < config.train.global_batch:
        raise UsageError(f"{data} has {len(train)} training images, fewer than one batch; type -b {len(train)} or less")
    config = steps_config(settle_classes(config, train, data))
    cases = find_cases(config, names, sizes, Case)
    if all(case.undefined for case in cases):
        raise UsageError(f"nothing to verify: {cases[0].undefined}")
    tell(f"comparing {sum(not case.undefined for case in cases)} case(s) with one process, {steps} step(s) each")
    return PreparedVerification(config, cases, data, make_launcher)


def _names(strategies: str) -> list[str]:
    installed = registry.names(registry.STRATEGIES)
    names = installed if strategies == "all" else [name.strip() for name in strategies.split(",")]
    for name in names:
        if name not in installed:
            registry.find(registry.STRATEGIES, name)  # says the closest
    return names
