"""Credit for ties, and that whatever is counted adds up."""

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dist_alexnet.config import UsageError
from dist_alexnet.evaluation.tally import Tally, Validation, credit
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.parallel.world import World

NAN, INF = math.nan, math.inf


def share_of_orders(scores: list[int], label: int, places: int) -> float:
    """In how many of the orders in which the classes may be listed, best first, the label is among the first."""
    orders = [order for order in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in zip(order, order[1:]))]  # noqa: B905, RUF007
    return sum(label in order[:places] for order in orders) / len(orders)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.data())
def test_credit_is_the_average_over_all_orders_of_the_tied(scores: list[int], data: st.DataObject) -> None:
    label, places = data.draw(st.integers(0, len(scores) - 1)), data.draw(st.integers(1, 6))
    (found,) = credit(torch.tensor([scores], dtype=torch.float32), torch.tensor([label]), places).tolist()
    assert found == pytest.approx(share_of_orders(scores, label, places), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=8), st.integers(1, 8))
def test_classes_share_exactly_the_places_there_are(scores: list[int], places: int) -> None:
    labels = torch.arange(len(scores))
    everybody = credit(torch.tensor([scores] * len(scores), dtype=torch.float64), labels, places)
    assert float(everybody.sum()) == pytest.approx(min(places, len(scores)))


@pytest.mark.parametrize(
    ("scores", "credits"),
    [
        ([NAN, 1.0], (0, 0)),
        ([NAN, NAN], (0, 0)),
        ([INF, 1.0], (0, 0)),
        ([-INF, -INF], (0, 0)),
        ([1.0, NAN], (0, 1)),  # as before: the other is taken to be better
        ([1.0, INF], (0, 1)),
        ([1.0, -INF], (1, 1)),
    ],
)
def test_what_is_not_finite_earns_nothing(scores: list[float], credits: tuple[float, float]) -> None:
    found = [float(credit(torch.tensor([scores]), torch.tensor([0]), places)) for places in (1, 5)]
    assert tuple(found) == credits


def test_five_classes_or_fewer_have_no_top5_error() -> None:
    scores = torch.randint(0, 2, (20, 5)).float()
    assert credit(scores, torch.randint(0, 5, (20,)), 5).tolist() == [1.0] * 20


def some_images() -> tuple[Tensor, Tensor]:
    """Log probabilities of 40 images over 7 classes, many of them tied, one row of no numbers; labels, some of which are missing."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randint(0, 3, (40, 7), generator=generator).double()
    scores[3] = NAN
    labels = torch.randint(-1, 6, (40,), generator=generator)  # class 6 has no images
    labels[3] = 2
    return torch.log_softmax(scores, dim=1), labels


def test_classes_and_confusions_add_up_to_the_totals() -> None:
    logs, labels = some_images()
    tally, good = Tally(7, confusion=True), labels >= 0
    for part in (slice(0, 13), slice(13, 13), slice(13, 40)):
        tally.add(logs[part], labels[part])
    total, classes = tally.summed(Agreement(World(), 1)).validation(), tally.by_class()
    assert (total.images, total.bad_images) == (int(good.sum()), int((~good).sum())) == (sum(classes["images"]), 40 - total.images)
    for places, error, by_class in ((1, total.top1_error, classes["top1_error"]), (5, total.top5_error, classes["top5_error"])):
        mean = float(credit(logs[good], labels[good], places).mean())
        assert error == pytest.approx(1 - mean)
        weighted = [n * e for n, e in zip(classes["images"], by_class, strict=True) if n]
        assert sum(weighted) == pytest.approx(error * total.images)
        assert by_class[6] is None
    cells = tally.confusions()
    assert sum(images for _, _, images in cells) == total.images
    assert (2, None, 1) in cells, "the row of no numbers"
    for true, n in enumerate(classes["images"]):
        assert sum(images for row, _, images in cells if row == true) == n
    rows = [row for row in range(40) if good[row] and row != 3]
    assert (expected := sum(int(logs[row].argmax()) == labels[row] == 1 for row in rows)) > 0
    assert (1, 1, expected) in cells


def test_the_loss_is_the_mean_over_the_images_that_were_counted() -> None:
    logs, labels = some_images()
    labels[3] = -1  # else it is no number either
    tally, good = Tally(7), labels >= 0
    tally.add(logs, labels)
    assert tally.validation().loss == pytest.approx(float(torch.nn.functional.nll_loss(logs[good], labels[good])))
    assert tally.confusion is None


def test_the_error_is_a_plain_quotient() -> None:
    """Training's schedule compares it with that of earlier validations, which resumed runs have read from JSON."""
    tally = Tally(2)
    tally.add(torch.log(torch.tensor([[0.9, 0.1]] * 22)), torch.tensor([0] * 19 + [1] * 3))
    assert tally.validation().top1_error == 3 / 22


def test_no_image_at_all_is_refused() -> None:
    tally = Tally(2)
    tally.add(torch.zeros(3, 2), torch.full((3,), -1))
    with pytest.raises(UsageError, match="none of the 3 validation images could be decoded; type --data"):
        tally.validation()


def test_a_result_from_before_bad_images_were_counted() -> None:
    assert Validation(**{"top1_error": 0.5, "top5_error": 0.1, "loss": 1.0, "images": 4}).bad_images == 0
