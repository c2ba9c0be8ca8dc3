"""What a rank found when it compared its testimony with the one-process run. Small and plain, so that it can be sent and written down."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dist_alexnet.json_text import to_exact_json
from dist_alexnet.verify.testimony import Mask, Testimony

TENSORS, REST = "reference.safetensors", "reference.json"


@dataclass(frozen=True)
class Reference:
    """The one-process run."""

    losses: list[float]
    samples: list[dict[int, int]]  # by step: row -> checksum
    tensors: Mapping[str, Tensor]  # canonical, whole
    masks: Mapping[tuple[int, int], Tensor]  # step and layer -> [B, U] booleans

    @staticmethod
    def of(testimony: Testimony) -> "Reference":
        """From the testimony of a world of one rank, whose masks may come in microbatches."""
        masks: dict[tuple[int, int], Tensor] = {}
        batch = max((int(mask.rows.max()) + 1 for mask in testimony.masks), default=0)
        for mask in testimony.masks:
            whole = masks.setdefault((mask.step, mask.layer), torch.zeros(batch, mask.keep.shape[1], dtype=torch.bool))
            whole[mask.rows] = mask.keep
        return Reference(testimony.losses, testimony.samples, testimony.tensors, masks)

    def save(self, folder: Path) -> None:
        """Where other processes find it."""
        folder.mkdir(parents=True, exist_ok=True)
        masks = {f"mask.{step}.{layer}": mask.to(torch.uint8) for (step, layer), mask in self.masks.items()}
        save_file({name: tensor.contiguous().cpu() for name, tensor in {**self.tensors, **masks}.items()}, folder / TENSORS)
        (folder / REST).write_text(to_exact_json({"losses": self.losses, "samples": self.samples}))

    @staticmethod
    def load(folder: Path) -> "Reference":
        """What `save` left."""
        rest = json.loads((folder / REST).read_text())
        with safe_open(folder / TENSORS, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        masks = {(int(n.split(".")[1]), int(n.split(".")[2])): tensors.pop(n).bool() for n in list(tensors) if n.startswith("mask.")}
        return Reference(rest["losses"], [{int(row): crc for row, crc in step.items()} for step in rest["samples"]], tensors, masks)


@dataclass(frozen=True)
class TensorPart:
    """Some rows of a canonical tensor, compared."""

    start: int
    stop: int
    squared_difference: float
    whole_rows: int  # of the canonical tensor
    squared_norm: float  # of the canonical tensor


@dataclass(frozen=True)
class MaskPart:
    """Some rows and units of a mask, compared."""

    step: int
    layer: int
    rows: list[int]
    units: tuple[int, int]
    differing: int  # bits


@dataclass(frozen=True)
class Evidence:
    """What one rank found."""

    loss_difference: float  # largest, relative
    tensors: dict[str, TensorPart]
    masks: list[MaskPart]
    samples: list[dict[int, bool]]  # by step: row -> whether image and label were those of the one-process run
    counted_bytes: Mapping[str, Mapping[str, float]]
    predicted_bytes: Mapping[str, Mapping[str, float]]
    wanted: list[str]  # tensors of the one-process run

    @staticmethod
    def of(testimony: Testimony, reference: Reference) -> "Evidence":
        """Compare."""
        return Evidence(
            loss_difference=max(_relative(mine, one) for mine, one in zip(testimony.losses, reference.losses, strict=True)),
            tensors={name: _part(tensor, testimony.rows[name], reference.tensors[name]) for name, tensor in testimony.tensors.items()},
            masks=[_mask_part(mask, reference.masks[mask.step, mask.layer]) for mask in testimony.masks],
            samples=[
                {row: crc == whole.get(row) for row, crc in mine.items()}
                for mine, whole in zip(testimony.samples, reference.samples, strict=True)
            ],
            counted_bytes=testimony.counted_bytes,
            predicted_bytes=testimony.predicted_bytes,
            wanted=list(reference.tensors),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Evidence":
        """What `as_dict` gave, after JSON."""
        return Evidence(
            content["loss_difference"],
            {name: TensorPart(**part) for name, part in content["tensors"].items()},
            [MaskPart(**{**part, "units": tuple(part["units"])}) for part in content["masks"]],
            [{int(row): same for row, same in step.items()} for step in content["samples"]],
            content["counted_bytes"],
            content["predicted_bytes"],
            content["wanted"],
        )


def _relative(value: float, reference: float) -> float:
    difference = abs(value - reference) / abs(reference) if reference else abs(value)
    return math.inf if math.isnan(difference) else difference  # max() would lose a nan


def _part(tensor: Tensor, rows: slice, whole: Tensor) -> TensorPart:
    same_rows, mine = whole[rows].double(), tensor.cpu().double()
    difference = float((mine - same_rows).square().sum()) if mine.shape == same_rows.shape else float("inf")
    return TensorPart(rows.start, rows.stop, difference, len(whole), float(whole.double().square().sum()))


def _mask_part(mask: Mask, whole: Tensor) -> MaskPart:
    differing = int((mask.keep != whole[mask.rows][:, mask.units]).sum())
    return MaskPart(mask.step, mask.layer, mask.rows.tolist(), (mask.units.start, mask.units.stop), differing)
