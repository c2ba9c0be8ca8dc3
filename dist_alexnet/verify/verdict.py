"""From what the ranks found to a verdict: within tolerance, and nothing left out.

Tensors are compared by the norm of the difference over the norm of the layer: its weight and its bias together, because after a few steps
from 0 a bias is so small that rounding shows in it. Why these tolerances: docs/strategies.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dist_alexnet.verify.evidence import Evidence, TensorPart


@dataclass(frozen=True)
class Tolerance:
    """Largest relative differences that rounding explains."""

    loss: float
    weight: float
    momentum: float


# In float32 rounding decides some maxima of the pooling, and their whole gradient then goes to another pixel.
TOLERANCES = {"float64": Tolerance(1e-9, 1e-9, 1e-9), "float32": Tolerance(1e-4, 1e-4, 5e-2), "bf16": Tolerance(2e-2, 2e-2, 3e-1)}


@dataclass(frozen=True)
class Verdict:
    """On one strategy and world size."""

    loss: float  # largest relative differences
    weights: dict[str, float]  # by canonical name
    momentum: dict[str, float]
    mask_bits: int  # that differ
    samples: int  # images that are not those of the one-process run, or not in their place
    missing: list[str]  # what no rank held or saw
    bytes_per_step: float  # counted, sent by all ranks
    bytes_predicted: float
    wrong_bytes: list[str] = field(default_factory=list)  # where counted and predicted differ
    faults: list[str] = field(default_factory=list)  # in words; empty: passed

    @property
    def passed(self) -> bool:
        """Nothing was found."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"passed": self.passed, **asdict(self)}


def judge(ranks: Sequence[Evidence], units: Mapping[int, int], rows: int, tolerance: Tolerance) -> Verdict:
    """Put together what all ranks found.

    Args:
        ranks: evidence, by rank.
        units: layer index -> units of each layer with dropout.
        rows: of the global batch.
        tolerance: of relative differences.
    """
    tensors, missing = _tensors(ranks)
    weights = {name: value for name, value in tensors.items() if not name.startswith("momentum.")}
    momentum = {name.removeprefix("momentum."): value for name, value in tensors.items() if name.startswith("momentum.")}
    steps = len(ranks[0].samples)
    missing += _missing_masks(ranks, units, rows, steps) + _missing_samples(ranks, rows)
    found: dict[str, Any] = {
        "loss": max(rank.loss_difference for rank in ranks),
        "weights": weights,
        "momentum": momentum,
        "mask_bits": sum(part.differing for rank in ranks for part in rank.masks),
        "samples": sum(not same for rank in ranks for step in rank.samples for same in step.values()),
        "missing": missing,
        "bytes_per_step": sum(_total(rank.counted_bytes) for rank in ranks),
        "bytes_predicted": sum(_total(rank.predicted_bytes) for rank in ranks),
        "wrong_bytes": [f"rank {r}: {line}" for r, rank in enumerate(ranks) for line in _wrong_bytes(rank)],
    }
    return Verdict(**found, faults=_faults(found, tolerance))


def _faults(found: Mapping[str, Any], tolerance: Tolerance) -> list[str]:
    faults = []
    if not found["loss"] <= tolerance.loss:  # so that nan is a fault
        faults.append(f"loss differs by {found['loss']:.1e}")
    for kind, limit in (("weights", tolerance.weight), ("momentum", tolerance.momentum)):
        name, worst = max(found[kind].items(), key=lambda item: _or_inf(item[1]), default=("", 0.0))
        if not worst <= limit:
            faults.append(f"{kind} of {name} differ by {worst:.1e}")
    if found["mask_bits"]:
        faults.append(f"{found['mask_bits']} bits of dropout masks differ")
    if found["samples"]:
        faults.append(f"{found['samples']} images are not those of the one-process run")
    faults += found["missing"][:3]
    if found["wrong_bytes"]:
        faults.append(f"bytes: {found['wrong_bytes'][0]}")
    return faults


def _tensors(ranks: Sequence[Evidence]) -> tuple[dict[str, float], list[str]]:
    """Relative difference of each canonical tensor, and the rows that nobody has."""
    squares: dict[str, float] = {}
    norms: dict[str, float] = {}
    names = dict.fromkeys(name for rank in ranks for name in rank.tensors)
    missing = [f"no rank has {name}" for name in ranks[0].wanted if name not in names]
    for name in names:
        parts = [rank.tensors[name] for rank in ranks if name in rank.tensors]
        distinct = {(part.start, part.stop): 0.0 for part in parts}
        for part in parts:  # replicas: the one that differs most
            distinct[part.start, part.stop] = max(distinct[part.start, part.stop], _or_inf(part.squared_difference))
        squares[name], norms[name] = sum(distinct.values()), parts[0].squared_norm
        if gap := _gap(parts):
            missing.append(f"no rank has row {gap - 1} of {name}")
    layers: dict[str, float] = {}
    for name, norm in norms.items():
        layers[_layer(name)] = layers.get(_layer(name), 0.0) + norm
    return {name: _root_of_ratio(square, layers[_layer(name)]) for name, square in squares.items()}, missing


def _root_of_ratio(square: float, norm: float) -> float:
    if not square:
        return 0.0
    return math.sqrt(square / norm) if norm else math.inf


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _gap(parts: Sequence[TensorPart]) -> int:
    """1 + the first row that no part covers; 0 if there is none."""
    covered = 0
    for part in sorted(parts, key=lambda part: part.start):
        if part.start > covered:
            break
        covered = max(covered, part.stop)
    return covered + 1 if covered < parts[0].whole_rows else 0


def _missing_masks(ranks: Sequence[Evidence], units: Mapping[int, int], rows: int, steps: int) -> list[str]:
    drawn = {(step, layer): np.zeros((rows, width), dtype=bool) for step in range(steps) for layer, width in units.items()}
    for rank in ranks:
        for part in rank.masks:
            drawn[part.step, part.layer][np.array(part.rows, dtype=int), slice(*part.units)] = True
    return [
        f"part of the dropout mask of layer {layer + 1} in step {step} was never drawn"
        for (step, layer), cells in drawn.items()
        if not cells.all()
    ]


def _missing_samples(ranks: Sequence[Evidence], rows: int) -> list[str]:
    by_step = zip(*(rank.samples for rank in ranks), strict=True)
    return [f"no rank loaded all images of step {step}" for step, parts in enumerate(by_step) if len(set().union(*parts)) != rows]


def _wrong_bytes(rank: Evidence) -> list[str]:
    lines = []
    for name in {**rank.counted_bytes, **rank.predicted_bytes}:
        counted, predicted = rank.counted_bytes.get(name, {}), rank.predicted_bytes.get(name, {})
        if counted != predicted:
            lines.append(f"{name} counted {dict(counted)}, predicted {dict(predicted)}")
    return lines


def _total(table: Mapping[str, Mapping[str, float]]) -> float:
    return sum(sum(passes.values()) for passes in table.values())


def _or_inf(value: float) -> float:
    return math.inf if math.isnan(value) else value
