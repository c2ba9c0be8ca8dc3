"""Settings that can be typed and do nothing, because of another one: declared here, and refused.

Only what was typed in this command counts: defaults and presets may hold what this run has no use for. What depends on the machine is not
here either, so that the same command serves with a GPU and without: the JPEG engine's share, ranks that share a device.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from dist_alexnet.config import Config, UsageError


@dataclass(frozen=True)
class Idle:
    """Settings that nothing reads under some condition."""

    settings: tuple[str, ...]  # dotted; one that ends in a dot is a section
    when: Callable[[Config], bool]
    because: str  # format string over the configuration: what makes them idle, and what to type
    but: tuple[str, ...] = ()  # of a section

    def __contains__(self, key: str) -> bool:
        """A setting that was typed is one of these."""
        named = any(key == setting or (setting.endswith(".") and key.startswith(setting)) for setting in self.settings)
        return named and key not in self.but


IDLE = (
    Idle(
        ("data.synth.",),
        lambda config: config.data.path is not None,
        "images are generated only without a data set, and data.path={data.path}; leave one of them out",
    ),
    Idle(
        ("data.augment.color_std", "data.augment.until_epoch", "data.augment.divide"),
        lambda config: config.data.augment.color in ("off", "none"),
        "it is about colour noise, and data.augment.color={data.augment.color}; type data.augment.color=paper or code with it",
    ),
    Idle(
        ("data.augment.crop_chunk",),
        lambda config: not (config.data.augment.crop or config.data.augment.mirror),
        "it is about random crops and mirror images, and both are off; leave it out",
    ),
    Idle(
        ("data.subtract",),
        lambda config: config.data.mean is not None,
        "data.mean={data.mean} is what is subtracted; leave one of them out",
    ),
    Idle(
        ("data.statistics",),
        lambda config: config.data.mean is not None and config.data.augment.color in ("off", "none"),
        "its mean is not used for data.mean={data.mean}, nor are its components without colour noise; leave one of them out",
    ),
    Idle(
        ("train.schedule.factor", "train.schedule.patience", "train.schedule.min_lr"),
        lambda config: config.train.schedule.name != "plateau",
        "it is about plateau, and train.schedule.name={train.schedule.name}; type train.schedule.name=plateau with it",
    ),
    Idle(
        ("train.schedule.factor", "train.schedule.patience", "train.schedule.min_lr"),
        lambda config: config.train.validate_every == 0,
        "plateau listens to validations, and train.validate_every=0 has none before the end; type train.validate_every=1 with it",
    ),
    Idle(
        ("launch.address", "launch.interface"),
        lambda config: config.launch.name == "local",
        "it is of a Ray cluster, and the launcher is local; type --launcher ray with it",
    ),
)

# Of other commands than `train`:
ATTEMPTS = ("launch.max_failures", "launch.min_workers", "launch.grow_after_s", "launch.wait_s")
IN_EVALUATION = Idle(
    ("model.init", "data.augment.", "data.order", "train.", "observers.", *ATTEMPTS),
    lambda config: True,
    "an evaluation does not train; leave it out",
    but=("train.global_batch", "train.dtype", "train.precision"),
)
SAVING = ("checkpoint_every", "checkpoint_async", "keep_checkpoints", "keep_best")
ENDS = tuple(f"train.{name}" for name in ("epochs", "max_steps", "log_every", "validate_every", *SAVING))
IN_VERIFICATION = Idle(
    ("train.schedule.", "observers.", *ENDS, *ATTEMPTS),
    lambda config: True,
    "a verification compares --steps steps, over which the learning rate falls through its whole range, and tells nobody; leave it out",
)
IN_COMPARISON = Idle(
    ("train.schedule.", "observers.", *ENDS, *ATTEMPTS),
    lambda config: True,
    "a comparison takes the same steps again and again, --rounds of them, and tells nobody; leave it out",
)
SAID_BY_OPTIONS = Idle(
    ("train.global_batch", "launch.workers"),
    lambda config: True,
    "a comparison has several of them; type -b and --gpus with commas between",
)
IN_MEASUREMENT = Idle(
    ("data.synth.", "model.", "train.", "strategy.", "launch."),
    lambda config: True,
    "what is measured is how fast the images come; leave it out",
    but=("model.image_size", "train.global_batch", "train.seed", "launch.device"),
)


def check_idle(config: Config, given: Collection[str], idles: Collection[Idle] = IDLE) -> None:
    """Refuse settings that were typed and cannot do anything (UsageError).

    Args:
        config: as it is resolved.
        given: dotted names of what was typed.
        idles: the rules: those of every run, or those of another command.
    """
    for key in sorted(given):
        for idle in idles:
            if key in idle and idle.when(config):
                raise UsageError(f"{key} would do nothing: {idle.because.format_map(vars(config))}")


def typed_keys(overrides: Iterable[str]) -> set[str]:
    """Dotted names in `key=value`."""
    return {override.partition("=")[0] for override in overrides}
