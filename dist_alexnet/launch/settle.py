"""What a configuration leaves open, settled before anything starts: launcher, ranks, device, options, images, classes."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.data.images import ImageSet, check_sizes
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.synth import synth
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.resolve import parse_options
from dist_alexnet.settings.typed import typed
from dist_alexnet.settings.yaml_text import Plain

OUTPUT_DIR = Path("runs")  # where nobody says another
SYNTH_FOLDER = ".data"  # in the output directory, which all nodes of a cluster see


def make_launcher(config: Config) -> Launcher:
    """The launcher that a configuration names."""
    ranks = config.launch.workers
    together = registry.load(registry.STRATEGIES, config.strategy.name).together(config, ranks) if ranks else 1
    launcher: Launcher = registry.load(registry.LAUNCHERS, config.launch.name)(config.launch, together)
    return launcher


def settle_ranks(config: Config) -> Config:
    """Settle how many ranks there are at most, and on what device ("auto": on CUDA if there is any, and then enough of it)."""
    strategy, launch = registry.load(registry.STRATEGIES, config.strategy.name), config.launch
    workers = strategy.ranks_of(config)
    if launch.min_workers is not None:
        workers = world_sizes(config)[-1]
    least = launch.min_workers or workers
    visible = make_launcher(config).cuda_devices() if launch.device != "cpu" else 0
    device = launch.device if launch.device != "auto" else ("cuda" if visible else "cpu")
    if device == "cuda" and visible < least and not (launch.share_device and visible) and not launch.wait_s:
        instead = f"--gpus {visible}, --share-device to show correctness, or " if visible else ""
        raise UsageError(
            f"{least} ranks need {least} CUDA devices, but {visible} are visible; "
            f"type {instead}--device cpu for {least} processes on the CPU"
        )
    if config.train.precision == "tf32" and device != "cuda":
        raise UsageError("train.precision=tf32 is rounding of CUDA devices, and this is on the CPU; type train.precision=fp32 or bf16")
    return replace(config, launch=replace(launch, workers=workers, device=device))


def world_sizes(config: Config) -> list[int]:
    """The numbers of ranks with which a run may go on, in order; one, unless it is elastic.

    Raises:
        UsageError: the strategy serves none of those that were asked for.
    """
    strategy = registry.load(registry.STRATEGIES, config.strategy.name)
    most: int = strategy.ranks_of(config)
    least = config.launch.min_workers
    if least is None:
        return [most]
    if sizes := strategy.world_sizes(config, least, most):
        served: list[int] = sizes
        return served
    raise UsageError(f"{config.strategy.name} can use no number of ranks from {least} to {most}: {strategy.why_not(config, most)}")


def settle_observers(config: Config) -> Config:
    """With those that are wanted, and all options of each.

    Raises:
        UsageError: one is not installed, or has not such an option.
    """
    settled = {}
    for name, given in config.observers.items():
        section = f"observers.{name}"
        if (options := typed(section, _as_typed(given), dict[str, Any] | None)) is not None:
            schema = registry.load(registry.OBSERVERS, name).Options
            settled[name] = asdict(parse_options(name, schema, {key: _as_typed(value) for key, value in options.items()}, section))
    return replace(config, observers=settled)


def _as_typed(value: Any) -> Any:
    """A word that nobody has given a meaning yet."""
    return Plain(value) if isinstance(value, str) else value


def settle_options(config: Config) -> Config:
    """With all options of the strategy, so that a run goes on as it began where a later version has other defaults."""
    chosen = config.strategy
    options = parse_options(chosen.name, registry.load(registry.STRATEGIES, chosen.name).Options, chosen.options)
    return replace(config, strategy=replace(chosen, options=asdict(options)))


def with_generated_classes(config: Config) -> Config:
    """The same, with the classes that a generated data set will have; where there are images, these will say it."""
    if config.data.path is not None or config.model.classes is not None:
        return config
    return replace(config, model=replace(config.model, classes=config.data.synth.classes))


def open_sets(
    config: Config,
    output_dir: Path,
    instead: str = "--output-dir with a folder you can write to",
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Path, ImageSet, ImageSet]:
    """Folder, training and validation images; generated under `output_dir` where the configuration names none. `tell` hears which.

    Raises:
        UsageError: they cannot be opened, or not be written; in the second case says to type `instead`.
    """
    from dist_alexnet.data.sets.open import open_data  # here: pyarrow takes a tenth of a second, in which nothing has been said yet

    if config.data.path is None:
        settings = config.data.synth
        folder = output_dir / SYNTH_FOLDER / "synth-{classes}-{train}-{val}-{seed}".format(**asdict(settings))
        try:
            if not folder.exists():
                tell(f"drawing {settings.train + settings.val:,} images")
            synth.ensure(folder, settings)
        except OSError as error:
            raise UsageError(f"cannot write {folder}: {error.strerror}; type {instead}") from None
    else:
        folder = Path(config.data.path).absolute()
        tell(f"looking for images in {config.data.path}")
    train, val = open_data(folder)
    check_sizes(train, config.data.store_size, config.model.image_size)
    Crops.of(config.data, train, config.model.image_size)  # refuses means that are not to be had
    return folder, train, val


def settle_classes(config: Config, train: ImageSet, data: Path) -> Config:
    """With as many outputs as the images have classes (UsageError: it says another number)."""
    there = len(train.classes)
    if there < 2:
        raise UsageError(
            f"{data} has {there} class ({', '.join(train.classes)}), which leaves nothing to tell apart; type --data with 2 or more"
        )
    if config.model.classes not in (None, there):
        raise UsageError(f"model.classes={config.model.classes}, but {data} has {there} classes; type model.classes=null")
    return replace(config, model=replace(config.model, classes=there))
