"""What one contestant came to, and the whole comparison: what compare.json holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from dist_alexnet.compare.interval import Interval

VERSION = 1
BASES = ("single", "ddp")  # what the others are compared with, as they come without options


@dataclass(frozen=True)
class Result:
    """One strategy, with options, on a number of ranks, with a global batch."""

    name: str  # how it is called here
    strategy: str  # with its options, as `--strategies` takes it
    ranks: int
    global_batch: int
    mesh: Mapping[str, int]
    equality: str  # "equal", or in words
    ips: Interval  # images per second
    phases: list[Mapping[str, float]]  # seconds per step, by rank; of each rank they add up to its step
    exposed: Mapping[str, float]  # seconds per step that an exchange held a rank up, mean over ranks
    sent: Mapping[str, Mapping[str, float]]  # bytes per step over all ranks, by exchange and pass
    parameters: int  # that the rank with the most keeps
    linear_share: float | None = None  # of the gradients that are exchanged: fully connected layers'; None: nobody knows, or there are none
    memory_bytes: int | None = None  # of the rank with the most
    memory_measured: bool = False  # else it is what `explain` states
    cpu_seconds_per_image: float | None = None  # of all threads of all ranks
    joules_per_image: float | None = None
    times: Mapping[str, Interval] = field(default_factory=dict)  # name of a base -> how many times faster than it
    limit: str = ""  # what limits it, in a sentence

    @property
    def label(self) -> str:
        """To tell it from the others."""
        return f"{self.name} on {self.ranks}"

    @property
    def step_seconds(self) -> float:
        """Of the rank that is done last, as a mean: the sum of its phases."""
        return max(sum(rank.values()) for rank in self.phases)

    @property
    def slowest_rank(self) -> int:
        """The one that the others wait for most."""
        return min(range(len(self.phases)), key=lambda rank: self.phases[rank]["rank_wait"])

    @property
    def sent_bytes(self) -> float:
        """Over all ranks, in a step."""
        return sum(sum(passes.values()) for passes in self.sent.values())

    @property
    def efficiency(self) -> float | None:
        """Speed-up against `single` over the number of ranks."""
        return self.times["single"].median / self.ranks if "single" in self.times else None

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Result":
        """What `asdict` gave, after JSON; what a later version has besides is passed over."""
        known = {each.name: content[each.name] for each in fields(Result) if each.name in content}
        times = {base: Interval.from_dict(interval) for base, interval in known.get("times", {}).items()}
        return Result(**{**known, "ips": Interval.from_dict(known["ips"]), "times": times})


@dataclass(frozen=True)
class Comparison:
    """All contestants, and on what they were measured."""

    measured: str  # "in turn", or "runs"
    made: str  # date and time
    results: Sequence[Result]
    setting: Mapping[str, Any]  # what all have in common: network, images, precision, device, seed, rounds
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    left_out: Sequence[str] = ()  # who was asked for and does not run, and why
    notes: Sequence[str] = ()  # what to know before any two numbers are compared

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": "comparison", "version": VERSION, **asdict(self)}

    @property
    def batches(self) -> list[int]:
        """Global batches, in their order."""
        return sorted({result.global_batch for result in self.results})

    def of(self, batch: int) -> list[Result]:
        """Contestants with one batch, between which ratios are."""
        return [result for result in self.results if result.global_batch == batch]
