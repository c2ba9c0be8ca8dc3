"""The one typed schema of a run: defaults, then one preset, then `key=value`.

Every number here is the 2012 paper's unless its comment says otherwise, so that an empty preset is the paper's network. Presets
(`configs/*.yaml`) hold differences only. Nothing changes a configuration after `resolve` has returned it.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


class UsageError(ValueError):
    """What a person asked for cannot be done as asked; one line says what to type instead (exit code 2)."""


MAX_SEED = 2**32  # one word of the counter-based generators; the other keeps their purposes apart
MAX_SYNTH_CLASSES = 1000  # that synth_drawing.py can tell apart
MAX_THREADS, MAX_PREFETCH = 1024, 64  # of a rank: more ends in a crash of the decoder, or of the machine for want of memory
WEEK_S = 7 * 24 * 3600
PATH = {"is": "path"}  # metadata of settings in which a leading ~ is the home folder


def check_positive(section: str, settings: object, *names: str) -> None:
    """Refuse settings that are not positive and finite (UsageError); not a number is neither."""
    _check(section, settings, names, lambda value: 0 < value < math.inf, "positive and finite")


def check_not_negative(section: str, settings: object, *names: str) -> None:
    """Refuse settings that are negative, infinite or not a number (UsageError)."""
    _check(section, settings, names, lambda value: 0 <= value < math.inf, "finite and not negative")


def check_range(section: str, settings: object, low: float, high: float, *names: str) -> None:
    """Refuse settings outside of [low, high] (UsageError)."""
    _check(section, settings, names, lambda value: low <= value <= high, f"from {low:,} to {high:,}")


def _check(section: str, settings: object, names: tuple[str, ...], sound: Callable[[float], bool], need: str) -> None:
    for name in names:
        if not sound(value := getattr(settings, name)):
            raise UsageError(f"{section}.{name}={value}: must be {need}")


@dataclass(frozen=True)
class Widths:
    """Output channels of each layer but the last, over all towers."""

    conv1: int = 96
    conv2: int = 256
    conv3: int = 384
    conv4: int = 384
    conv5: int = 256
    fc6: int = 4096
    fc7: int = 4096


@dataclass(frozen=True)
class ModelConfig:
    """What function is computed. No strategy changes any of it."""

    towers: int = 2  # channel groups that the normalisation and most layers keep apart: 2 as in 2012, or 1
    # Which layer before fc6 reads both towers, as in the authors' experiments: conv3 as published | none, and of the fully connected
    # layers fc8 alone | conv4 in its place | all of them
    connect: Literal["conv3", "none", "conv4", "all"] = "conv3"
    classes: int | None = None  # outputs of fc8; null: as many as the data set has
    image_size: int = 224  # pixels, the side of the square crop
    widths: Widths = field(default_factory=Widths)
    lrn: Literal["paper", "code", "none"] = "paper"  # alpha 1e-4 on the raw sum | alpha / 5, as the authors' code ran | no LRN
    dropout: float = 0.5  # probability that a unit of fc6 and fc7 is dropped
    # Standard deviations: 0.01 everywhere | 0.03 in conv3-5, as the code | sqrt(2 / fan_in), for narrow networks
    init: Literal["paper", "code", "fan_in"] = "paper"

    def __post_init__(self) -> None:
        if self.towers not in (1, 2):
            raise UsageError(f"model.towers={self.towers}: the network has 1 or 2 towers")
        if self.towers == 1 and self.connect != "conv3":
            raise UsageError(f"model.connect={self.connect} says where two towers meet, but model.towers=1; type model.towers=2")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"model.dropout={self.dropout}: needs 0 <= dropout < 1")
        if self.classes is not None and self.classes < 2:
            raise UsageError(f"model.classes={self.classes}: needs at least 2, or null for as many as the data set has")
        if self.image_size < 36:
            raise UsageError(f"model.image_size={self.image_size}: three poolings need at least 36 pixels")
        for name, width in asdict(self.widths).items():
            if width < self.towers or width % self.towers:
                raise UsageError(f"model.widths.{name}={width}: must be a positive multiple of model.towers={self.towers}")


@dataclass(frozen=True)
class AugmentConfig:
    """What happens to a training image between decoding and conv1 (paper, section 4.1)."""

    crop: bool = True  # a random crop of model.image_size; false: the centre
    mirror: bool = True  # left-right with probability one half
    color: Literal["paper", "code", "off", "none"] = "off"  # PCA noise: by eigenvalues | by standard deviations | off | off, as of old
    color_std: float = 0.1  # standard deviation of the random multipliers of the colour noise
    until_epoch: float | None = None  # colour noise before this epoch only, as the authors' last stages were trained; null: always
    divide: float | None = None  # of images with noise, after it; null: 1.1 with color=code, as the code did, else 1
    crop_chunk: int = 1  # this many images in a row share one crop and mirror: 32 in the authors' code

    def __post_init__(self) -> None:
        check_not_negative("data.augment", self, "color_std")
        check_positive("data.augment", self, "crop_chunk", *([] if self.divide is None else ["divide"]))
        if self.until_epoch is not None:
            check_not_negative("data.augment", self, "until_epoch")


@dataclass(frozen=True)
class SynthConfig:
    """The generated data set that is used when data.path is null."""

    classes: int = 10
    train: int = 2000  # images
    val: int = 400  # images
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("data.synth", self, 2, MAX_SYNTH_CLASSES, "classes")
        check_positive("data.synth", self, "train", "val")
        check_range("data.synth", self, 0, MAX_SEED - 1, "seed")
        if self.train < self.classes:
            raise UsageError(f"data.synth.train={self.train}: needs an image for each of data.synth.classes={self.classes}")


@dataclass(frozen=True)
class DataConfig:
    """Where the images are and how they reach the network."""

    path: str | None = field(default=None, metadata=PATH)  # class folders, shards, archives or Arrow files; null: generate `data.synth`
    store_size: int = 256  # pixels, the shorter side that a photograph is scaled to before the crop
    mean: list[float] | None = None  # R, G, B grey levels (0-255) to subtract; null: what the next two lines say
    # The mean of each pixel, the central crop of it from every crop, as the authors' code | of each colour | the first where it is known
    subtract: Literal["auto", "pixel", "channel"] = "auto"
    # Whose means and principal components: the data set's where they are known, else the authors' | always the authors'
    statistics: Literal["own", "authors"] = "own"
    std: float = 1.0  # grey levels that one unit of the network's input stands for; the paper feeds raw grey levels
    order: Literal["shuffle", "file"] = "shuffle"  # a new order each epoch | always as stored, as the authors' code did
    threads: int = 0  # decoder threads per rank; 0: those of launch.threads on a GPU, 1 beside a network on the CPU
    prefetch: int = 2  # batches decoded ahead of the network
    cache: Literal["none", "gpu"] = "none"  # gpu: keep all images of a raw set in the memory of the device
    hw_decoder_load: float = 0.65  # share of the images that the JPEG engine of a GPU takes, where it has one; the rest is its cores'
    decoder_padding_mib: int = 0  # memory of the device that the decoder takes at once, so that larger images need no more of it later
    max_bad: int = 10  # images that cannot be read or decoded, over which a run stops instead of going on without them
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"  # of the batches
    layout: Literal["NHWC", "NCHW"] = "NHWC"  # of the batches in memory
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    synth: SynthConfig = field(default_factory=SynthConfig)

    def __post_init__(self) -> None:
        if self.mean is not None and (len(self.mean) != 3 or not all(map(math.isfinite, self.mean))):
            raise UsageError(f"data.mean={self.mean}: needs three grey levels, as in data.mean=[127.3,119.7,104.9]")
        check_positive("data", self, "store_size", "std")
        check_range("data", self, 0, MAX_THREADS, "threads")
        check_range("data", self, 1, MAX_PREFETCH, "prefetch")
        check_range("data", self, 0, 1, "hw_decoder_load")
        check_not_negative("data", self, "decoder_padding_mib", "max_bad")
        if self.mean is not None and self.subtract == "pixel":
            raise UsageError("data.mean gives a level for each colour, but data.subtract=pixel; type only one of them")


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate moves."""

    name: Literal["plateau", "dexp", "cosine", "constant"] = "plateau"
    factor: float = 10.0  # plateau: divide by this when the validation error has stopped falling
    patience: int = 5  # plateau: validations without an improvement before it divides (ours: the authors judged by eye)
    min_lr: float = 1e-5  # plateau: not below this
    warmup_epochs: float = 0.0  # of linear rise; cosine falls from its end on

    def __post_init__(self) -> None:
        if not 1 < self.factor < math.inf:
            raise UsageError(f"train.schedule.factor={self.factor}: must be above 1 and finite; the rate is divided by it")
        check_positive("train.schedule", self, "patience", "min_lr")
        check_not_negative("train.schedule", self, "warmup_epochs")


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation (paper, section 5)."""

    global_batch: int = 128  # images per optimizer step over all ranks
    accumulation: int = 1  # microbatches that a rank's rows of one step are cut into, to save memory
    epochs: float = 90.0  # passes over the training set
    max_steps: int | None = None  # stop after this many steps; the schedule still follows train.epochs
    seed: int = 0  # weights, order, augmentation and dropout depend on it and on nothing else
    dtype: Literal["float32", "float64"] = "float32"  # of parameters, and of all else where train.precision does not say otherwise
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"  # of products: as train.dtype | float32, rounded on CUDA | bfloat16, as activations
    lr: float = 0.01
    bias_lr_factor: float = 2.0  # biases learn at lr * this, without decay (the authors' code)
    momentum: float = 0.9
    weight_decay: float = 0.0005
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    log_every: int = 20  # steps between two lines of metrics.jsonl
    validate_every: float = 1.0  # epochs between two passes over the validation set; 0: only at the end
    checkpoint_every: int = 0  # steps between two checkpoints; 0: at each validation
    checkpoint_async: bool = True  # written while the next steps are taken; false: before them, and in less memory
    keep_checkpoints: int = 3  # newest checkpoints kept; 0: all
    keep_best: bool = False  # keep the checkpoint with the lowest top-1 validation error besides, and write one for each that is the lowest

    def __post_init__(self) -> None:
        check_positive("train", self, "global_batch", "accumulation", "epochs", "lr", "log_every", "bias_lr_factor")
        check_not_negative("train", self, "momentum", "weight_decay", "validate_every", "checkpoint_every", "keep_checkpoints")
        check_range("train", self, 0, MAX_SEED - 1, "seed")
        if self.precision != "fp32" and self.dtype != "float32":
            raise UsageError(f"train.precision={self.precision} keeps parameters in float32; leave train.dtype={self.dtype} out, or it")
        if self.momentum >= 1:
            raise UsageError(f"train.momentum={self.momentum}: must be below 1")
        if self.max_steps is not None and self.max_steps < 1:
            raise UsageError(f"train.max_steps={self.max_steps}: must be at least 1, or null")

    @property
    def numbers(self) -> str:
        """In which numbers a step computes: float64, float32, tf32 or bf16."""
        return self.dtype if self.precision == "fp32" else self.precision


@dataclass(frozen=True)
class StrategyConfig:
    """How the network is spread over ranks."""

    name: str = "single"
    options: dict[str, Any] = field(default_factory=dict)  # fields of that strategy's Options


@dataclass(frozen=True)
class LaunchConfig:
    """Where the ranks run."""

    name: str = "ray"  # an entry point of the group dist_alexnet.launchers
    workers: int | None = None  # ranks; null: as many as the strategy takes by itself
    device: Literal["auto", "cuda", "cpu"] = "auto"
    share_device: bool = False  # let several ranks use one CUDA device, talking over gloo: to show correctness, not for speed
    address: str | None = None  # ray: an existing cluster; null: RAY_ADDRESS if set, else a Ray of its own
    interface: str | None = None  # ray: the network of each node that ranks talk through, as eth0; null: the one that reaches the cluster
    threads: int = 0  # CPU threads per rank; 0: the cores of its node that a rank may use, shared evenly
    timeout_s: int = 600  # a collective that waits longer than this has failed
    max_failures: int = 0  # so often a run that has failed is started again, from its newest checkpoint
    min_workers: int | None = None  # elastic: go on with as few ranks as these where there is no room for `workers`; null: with all or none
    grow_after_s: float = 30.0  # elastic: room for more ranks that has lasted this long is taken
    wait_s: float = 0.0  # for room to start in, where there is none yet

    @property
    def ranks(self) -> int:
        """Workers, in a configuration in which their number is settled."""
        assert self.workers is not None
        return self.workers

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"launch.workers={self.workers}: needs at least 1; type --gpus 1 or more")
        check_range("launch", self, 0, MAX_THREADS, "threads")
        check_range("launch", self, 1, WEEK_S, "timeout_s")
        check_range("launch", self, 0, WEEK_S, "grow_after_s", "wait_s")
        check_not_negative("launch", self, "max_failures")
        if self.min_workers is not None and not 1 <= self.min_workers <= (self.workers or self.min_workers):
            raise UsageError(f"launch.min_workers={self.min_workers}: must be 1 or more, and not above launch.workers={self.workers}")


@dataclass(frozen=True)
class Config:
    """One run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    # Who is told how the run goes: an entry point of the group dist_alexnet.observers -> fields of its Options; null: not this one
    observers: dict[str, Any] = field(default_factory=dict)
