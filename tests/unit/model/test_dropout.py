"""The dropout mask is a function of (seed, step, layer, row, unit), and of nothing else."""

import pytest
import torch

from dist_alexnet.model.dropout import keep_mask

WHOLE = slice(0, 30)


def mask(*, seed: int = 1, step: int = 2, layer: int = 5, rows: range | list[int] = range(12), units: slice = WHOLE) -> torch.Tensor:
    return keep_mask(seed=seed, step=step, layer=layer, rows=torch.tensor(list(rows)), units=units, dropout=0.5)


@pytest.mark.parametrize("cut", [1, 4, 7, 15, 29])
def test_parts_put_together_are_the_whole_mask(cut: int) -> None:
    left, right = mask(units=slice(0, cut)), mask(units=slice(cut, 30))
    assert torch.equal(torch.cat([left, right], dim=1), mask())


def test_rows_may_come_in_any_order() -> None:
    assert torch.equal(mask(rows=[9, 0, 4]), mask()[[9, 0, 4]])


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 3}, {"layer": 6}, {"seed": 1 + 2**32}])
def test_everything_it_depends_on_changes_it(other: dict[str, int]) -> None:
    assert not torch.equal(mask(**other), mask())


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_share_of_units_that_survive(dropout: float) -> None:
    keep = keep_mask(seed=0, step=0, layer=5, rows=torch.arange(128), units=slice(0, 4096), dropout=dropout)
    assert float(keep.double().mean()) == pytest.approx(1 - dropout, abs=0.003)


def test_neighbours_are_independent() -> None:
    keep = keep_mask(seed=0, step=0, layer=5, rows=torch.arange(256), units=slice(0, 1024), dropout=0.5).double() * 2 - 1
    assert abs(float((keep[:, 1:] * keep[:, :-1]).mean())) < 0.01
    assert abs(float((keep[1:] * keep[:-1]).mean())) < 0.01
