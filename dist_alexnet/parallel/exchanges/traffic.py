"""How many bytes a rank sends: counted where they are sent, and predicted by the same formulas."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Direction = Literal["forward", "backward"]
Bytes = int | Fraction


def all_reduce_bytes(message_bytes: int, ranks: int) -> Fraction:
    """Bytes that each of `ranks` ranks sends to all-reduce a message: 2 (R-1)/R of it, a reduce-scatter and an all-gather (ring)."""
    return Fraction(2 * (ranks - 1) * message_bytes, ranks)


@dataclass(frozen=True)
class Collective:
    """One line of the traffic of a step, as one rank sees it."""

    name: str  # of the layer whose input it brings, or "loss", "labels", "gradients", "weights"
    kind: str  # all-gather, reduce-scatter, all-reduce, send, ...
    direction: Direction
    axes: tuple[str, ...]  # of the mesh, whose ranks take part
    sent: Bytes  # by this rank in one step
    times: int = 1  # into how many messages that is cut: microbatches, turns


class Traffic:
    """Bytes sent by this rank, by what was exchanged ("conv3", "gradients", "loss") and in which pass."""

    def __init__(self) -> None:
        self._sent: dict[tuple[str, Direction], Bytes] = defaultdict(int)

    def add(self, name: str, direction: Direction, sent: Bytes) -> None:
        """Count bytes that leave this rank."""
        if sent:
            self._sent[name, direction] += sent

    def merge(self, others: Iterable["Traffic"]) -> "Traffic":
        """The sum of this and others, as of all ranks of a world."""
        total = Traffic()
        for traffic in (self, *others):
            for (name, direction), sent in traffic._sent.items():
                total.add(name, direction, sent)
        return total

    def total(self, direction: Direction | None = None) -> Bytes:
        """Sum over all exchanges, of one pass or of both."""
        return sum(sent for (_, d), sent in self._sent.items() if direction in (None, d))

    def as_dict(self, scale: int = 1) -> dict[str, dict[str, float]]:
        """name -> pass -> bytes, divided by `scale` (the steps or images that were counted)."""
        table: dict[str, dict[str, float]] = {}
        for (name, direction), sent in self._sent.items():
            value = Fraction(sent, scale)
            table.setdefault(name, {})[direction] = int(value) if value.denominator == 1 else float(value)
        return table

    def exact(self) -> dict[str, dict[str, str]]:
        """name -> pass -> bytes as text, which may be a fraction: JSON has none."""
        table: dict[str, dict[str, str]] = {}
        for (name, direction), sent in self._sent.items():
            table.setdefault(name, {})[direction] = str(sent)
        return table

    @staticmethod
    def from_exact(table: Mapping[str, Mapping[Direction, str]]) -> "Traffic":
        """What `exact` gave, after JSON."""
        traffic = Traffic()
        for name, passes in table.items():
            for direction, sent in passes.items():
                traffic.add(name, direction, Fraction(sent))
        return traffic

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Traffic) and dict(self._sent) == dict(other._sent)

    def __repr__(self) -> str:
        return f"Traffic({self.as_dict()})"

    def clear(self) -> None:
        """Start again from nothing."""
        self._sent.clear()
