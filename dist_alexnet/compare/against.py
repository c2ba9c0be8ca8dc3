"""Is any contestant slower than it was? For continuous integration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dist_alexnet.compare.report import files
from dist_alexnet.compare.result import Comparison
from dist_alexnet.config import UsageError

MACHINE = ("processor", "cores", "cuda_devices")
SETTING = ("device", "dtype", "model", "data", "launcher")


@dataclass
class Baseline:
    """An earlier comparison."""

    old: Comparison
    allowed: float | None  # share by which a contestant may be slower; None: any
    failed: bool = field(default=False, init=False)

    @staticmethod
    def asked(against: Path | None, fail_if_slower: str | None) -> "Baseline | None":
        """As typed (UsageError: it cannot be)."""
        if against is None:
            if fail_if_slower:
                raise UsageError("--fail-if-slower says by how much, but not than what; type --against compare.json with it")
            return None
        return Baseline(files.read(against), None if fail_if_slower is None else _share(fail_if_slower))

    def look(self, new: Comparison) -> list[str]:
        """Lines on what differs; sets `failed`. A contestant is slower only where the intervals do not overlap either.

        Raises:
            UsageError: not one contestant is in both.
        """
        before = {(result.label, result.global_batch): result for result in self.old.results}
        pairs = [(before[key], result) for result in new.results if (key := (result.label, result.global_batch)) in before]
        if not pairs:
            there = ", ".join(f"{label} with {batch}" for label, batch in before)
            raise UsageError(f"--against: no contestant is in both comparisons; the earlier one has {there}")
        lines = [f"not the same as before: {line}" for line in differences(self.old, new)]
        for old, mine in pairs:
            change, sure = mine.ips.median / old.ips.median - 1, mine.ips.high < old.ips.low or mine.ips.low > old.ips.high
            lines.append(f"{mine.label}, batch {mine.global_batch}: {change:+.1%} images/s{'' if sure else ', which may be chance'}")
            if self.allowed is not None and change < -self.allowed and sure:
                self.failed = True
                lines[-1] += f": slower than before by more than {self.allowed:.1%}"
        return lines


def differences(one: Comparison, other: Comparison) -> list[str]:
    """What makes numbers of the two not comparable."""
    found = [_differ(name, one.machine, other.machine) for name in MACHINE]
    found += [_differ(name, one.versions, other.versions) for name in dict.fromkeys([*one.versions, *other.versions])]
    found += [_differ(name, one.setting, other.setting) for name in SETTING]
    return [line for line in found if line]


def _differ(name: str, one: Mapping[str, object], other: Mapping[str, object]) -> str:
    before, now = one.get(name), other.get(name)
    return "" if before == now else f"{name} was {before}, and is {now}"


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"--fail-if-slower {text}: needs a share from 0 to 1, as in 5% or 0.05")
    return share
