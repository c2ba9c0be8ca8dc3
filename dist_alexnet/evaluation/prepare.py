"""What can be refused of an evaluation is refused here, before a process or a minute is spent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dist_alexnet.checkpoints.files import find_checkpoint
from dist_alexnet.checkpoints.resume import check_same_network, check_usable, config_of_checkpoint, network_of, other_mean
from dist_alexnet.checkpoints.state import read_state
from dist_alexnet.config import UsageError
from dist_alexnet.data.images import check_there
from dist_alexnet.evaluation.job import EvaluationJob
from dist_alexnet.launch.launcher import Launcher
from dist_alexnet.launch.settle import OUTPUT_DIR, make_launcher, open_sets, settle_classes, settle_ranks
from dist_alexnet.resolve import resolve
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.settings.idle import IN_EVALUATION, check_idle, typed_keys

# Settings that decide what a network reads.
NUMBERS = (
    *(("data", key) for key in ("mean", "subtract", "statistics", "std", "store_size", "dtype")),
    ("train", "dtype"),
    ("train", "precision"),
)


@dataclass(frozen=True)
class EvaluationRequest:
    """What a person typed."""

    checkpoints: Sequence[Path]  # or run folders; at least one
    overrides: Sequence[str]
    views: int = 1  # of each image
    confusion: bool = False  # count who is taken for whom
    best: bool = False  # of a run folder its checkpoint with the lowest validation error, not the newest


@dataclass(frozen=True)
class PreparedEvaluation:
    """An evaluation that nothing is known to stand in the way of."""

    job: EvaluationJob
    launcher: Launcher
    classes: Sequence[str]  # names, by label
    class_names: Mapping[str, str]  # of a class, in words, where the images that are evaluated say so
    notes: Sequence[str]  # what makes its numbers others than those of the training run, a line each


def prepare_evaluation(
    request: EvaluationRequest, directory: RunDirectory, tell: Callable[[str], None] = lambda line: None
) -> PreparedEvaluation:
    """A job for `evaluate_rank`, configured as the run that wrote the first checkpoint, with overrides. `tell` hears what is being done.

    Raises:
        UsageError: it cannot be done as asked.
    """
    checkpoints = tuple(find_checkpoint(checkpoint.absolute(), request.best) for checkpoint in request.checkpoints)
    tell(f"{len(checkpoints)} checkpoint(s): loading PyTorch")  # which their strategies need to read their options
    for checkpoint in dict.fromkeys(checkpoints):
        check_usable(checkpoint, momentum=False)
    config = resolve(config_of_checkpoint(checkpoints[0]), request.overrides)
    check_idle(config, typed_keys(request.overrides), [IN_EVALUATION])
    check_averaging(checkpoints, request.overrides)
    if config.data.path is not None:
        check_there(Path(config.data.path).absolute())
    from dist_alexnet.parallel.explain.layout import lay_out  # from here on with torch, which takes seconds to import

    config = settle_ranks(config)
    launcher = make_launcher(config)
    lay_out(config)
    launcher.validate()
    in_a_run = checkpoints[0].parent.name == "checkpoints"
    folder = checkpoints[0].parent.parent.parent if in_a_run else OUTPUT_DIR.absolute()
    data, train, val = open_sets(config, folder, "--data with the set to evaluate on; `data synth` makes one anywhere", tell)
    config = settle_classes(config, train, data)
    for checkpoint in dict.fromkeys(checkpoints):
        check_same_network(config, checkpoint, train)
    directory.create()
    tell(f"evaluating on {len(val):,} images, {config.launch.ranks} rank(s)")
    job = EvaluationJob(config, directory, data, checkpoints, request.views, request.confusion)
    notes = [difference for checkpoint in dict.fromkeys(checkpoints) if (difference := other_mean(config, checkpoint, train))]
    return PreparedEvaluation(job, launcher, train.classes, val.class_names, notes)


def check_averaging(checkpoints: Sequence[Path], overrides: Sequence[str]) -> None:
    """Refuse to average networks that do not say the same kind of thing about the same images.

    Raises:
        UsageError: two of them differ in model section, classes, or settings of what they read; names both, and how they differ.
    """
    first = checkpoints[0]
    for other in dict.fromkeys(checkpoints[1:]):
        if differences := "; ".join(_differences(first, other, overrides)):
            raise UsageError(f"{first} and {other} cannot be averaged ({differences}); evaluate them one by one")


def _differences(first: Path, other: Path, overrides: Sequence[str]) -> Iterator[str]:
    states = [read_state(checkpoint) for checkpoint in (first, other)]
    models = [network_of(asdict(resolve({"model": state.config["model"]}, []).model)) for state in states]
    yield from _unlike((f"model.{key}", models[0][key], models[1][key]) for key in models[0])
    yield from _unlike([("what is subtracted from the images", *(state.subtracted for state in states))])
    classes = [state.classes for state in states]
    yield from _unlike([("the number of classes", *map(len, classes))])
    yield from list(_unlike((f"class {label}", *names) for label, names in enumerate(zip(*classes, strict=False))))[:1]
    settled = [asdict(resolve(config_of_checkpoint(checkpoint), overrides)) for checkpoint in (first, other)]
    yield from _unlike((f"{section}.{key}", *(config[section][key] for config in settled)) for section, key in NUMBERS)


def _unlike(pairs: Iterable[Sequence[object]]) -> Iterator[str]:
    """In words, those of (what, value of the first, value of the other) that differ."""
    return (f"{what}: {one} and {another}" for what, one, another in pairs if one != another)
