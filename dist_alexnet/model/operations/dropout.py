"""Dropout as of 2012 (Krizhevsky et al. 2012, section 4.2); `model/dropout.py` draws the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dist_alexnet.model.operations.contract import Kept, Kind, Operation, Part, Place

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Dropout(Operation):
    """Units are dropped in training without rescaling the rest, and all are scaled in the test."""

    name: ClassVar[str] = "dropout"
    after: ClassVar[tuple[Kind, ...]] = ("linear",)
    probability: float  # that a unit is dropped

    def apply(self, x: Tensor, place: Place) -> Tensor:
        """[B, C]. The mask depends on the rows and units, not on who holds them.

        Raises:
            ValueError: there is no draw, and this is training.
        """
        if not place.training:
            return x * (1 - self.probability)
        if place.draw is None:
            raise ValueError(f"{place.name}: training mode needs a Draw for its dropout mask")
        from dist_alexnet.model.dropout import keep_mask

        draw = place.draw
        keep = keep_mask(seed=draw.seed, step=draw.step, layer=place.layer, rows=draw.rows, units=place.units, dropout=self.probability)
        if draw.watch:
            draw.watch(place.layer, draw.rows, place.units, keep)
        return x * keep

    def kept(self, part: Part) -> Kept:
        """Its mask, a byte per unit."""
        return Kept(beside=part.channels * part.size**2)
