"""What a run says of itself: a line of metrics.jsonl each, typed, with a version.

A field may be added: whoever reads passes over those that they do not know, and older lines have its default. Taking one away, or giving
one another meaning, makes another version.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from dist_alexnet.config import UsageError

VERSION = 2  # 1: lines without a version, from before records were typed


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all of them say."""

    kind: ClassVar[str]
    attempt: int = 0  # to run it; the first is 0
    time: float = 0.0  # seconds since 1970, when it was written

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": self.kind, "version": VERSION, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Stage(Record):
    """Something begins that takes a while."""

    kind = "stage"
    doing: str  # "training": the first step is done | "validation" | "checkpoint" | in words, up to the first step


@dataclass(frozen=True, kw_only=True)
class RunStarted(Record):
    """The ranks are connected and have what they need."""

    kind = "start"
    step: int  # optimizer steps that earlier attempts have done
    epoch: float
    total_epochs: float  # passes over the training set, at the end
    total_steps: int
    strategy: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    mesh: Mapping[str, int] = field(default_factory=dict)
    world_size: int = 0
    nodes: list[str] = field(default_factory=list)  # of each rank
    device: str = ""
    global_batch: int = 0


@dataclass(frozen=True, kw_only=True)
class Steps(Record):
    """The optimizer steps since the record of this kind before it; all means are over these."""

    kind = "train"
    step: int  # optimizer steps done
    epoch: float
    lr: float  # of the last of them
    loss: float | None  # mean; None: not finite
    steps: int
    images: int = 0
    step_seconds: float  # mean
    phase_seconds: Mapping[str, float]  # mean over ranks and steps; they add up to step_seconds
    phase_seconds_by_rank: list[Mapping[str, float]] = field(default_factory=list)
    cpu_seconds_by_rank: list[float] = field(default_factory=list)  # of all threads; mean per step
    peak_memory_bytes_by_rank: list[int] = field(default_factory=list)  # most that each ever held
    exposed_seconds: Mapping[str, float] = field(default_factory=dict)  # of communication, by exchange; mean over ranks and steps
    exchange_bytes_per_step: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by exchange and pass, over all ranks
    step_histogram: Mapping[str, int] = field(default_factory=dict)  # upper bound in seconds -> steps that took so long; "inf": the rest
    total_ips: float | None = None  # images per second
    compute_ips: float | None = None  # had no rank waited for data
    seconds_per_epoch: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class Validated(Record):
    """A validation is done."""

    kind = "val"
    step: int
    epoch: float
    top1_error: float  # share, from 0 to 1
    top5_error: float
    loss: float | None
    images: int
    bad_images: int = 0
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Record):
    """A checkpoint is complete."""

    kind = "checkpoint"
    step: int
    path: str  # name of its folder
    seconds: float | None = None  # that writing it took, while the run went on
    bytes: int | None = None
    blocked_seconds: float | None = None  # of it, in which no step could be taken
    top1_error: float | None = None  # of these weights; None: they were not validated


@dataclass(frozen=True, kw_only=True)
class CheckpointFailed(Record):
    """A checkpoint could not be written; those before it stay, and the run goes on."""

    kind = "checkpoint_failed"
    step: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class RecordsLate(Record):
    """Records before this one could not be written when they were made, for want of room."""

    kind = "records_late"
    records: int
    lost: int = 0  # of them, for good: they were too many
    reason: str


@dataclass(frozen=True, kw_only=True)
class BadImage(Record):
    """An image could not be read or decoded, and another took its place."""

    kind = "bad_image"
    step: int
    image: str  # which, and why


@dataclass(frozen=True, kw_only=True)
class Restarted(Record):
    """An attempt has ended before the run has, and another one begins. The driver says so, between the ranks of both."""

    kind = "restart"
    step: int  # that the next attempt goes on from
    ranks: int  # of the attempt that has ended
    next_ranks: int
    why: str
    failed: bool  # counted against launch.max_failures


@dataclass(frozen=True, kw_only=True)
class Ended(Record):
    """The ranks are done, and have left a checkpoint."""

    kind = "end"
    step: int
    status: str  # "completed" or "stopped"


KINDS: Mapping[str, type[Record]] = {each.kind: each for each in Record.__subclasses__()}


def parse(content: Mapping[str, Any]) -> Record | None:
    """A line of metrics.jsonl; None if it is of no kind that is known here, or lacks what its kind says.

    Raises:
        UsageError: it is of a later version than this program knows.
    """
    kind = KINDS.get(str(content.get("kind")))
    version = content.get("version", 1)
    if kind is None or not isinstance(version, int):
        return None
    if version > VERSION:
        raise UsageError(f"a record has version {version}, and this dist-alexnet knows up to {VERSION}; install the one that wrote it")
    names = {each.name for each in fields(kind)}
    try:
        return kind(**{name: value for name, value in content.items() if name in names})
    except TypeError:
        return None
