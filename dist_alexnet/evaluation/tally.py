"""What an evaluation counts, by class: images, what they score among the first and the first five, loss, and who is taken for whom.

Letters: b images of a group on this rank, K classes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from dist_alexnet.config import UsageError
from dist_alexnet.launch.agreement import Agreement

PLACES = (1, 5)  # top-1 and top-5
NO_LABEL = -1  # of an image that could not be decoded


@dataclass(frozen=True)
class Validation:
    """Result over a validation set; errors are shares between 0 and 1."""

    top1_error: float
    top5_error: float
    loss: float  # mean cross-entropy
    images: int  # that were counted
    bad_images: int = 0  # that could not be decoded and were left out; checkpoints from before this was counted do not say

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Validation":
        """What `as_dict` gave, after JSON, which has null for a loss that is not finite."""
        return Validation(**{**content, "loss": math.nan if content["loss"] is None else content["loss"]})


def credit(scores: Tensor, labels: Tensor, places: int) -> Tensor:
    """How far each image's class is among the first `places`: 1 yes, 0 no, between them where it ties; float64 [b].

    Classes that tie share the places that are left for them, which is the average over all orders in which they could be listed: a network
    that says the same of every class is neither lucky nor unlucky. A score of the image's class that is not finite earns nothing, and a
    score of another that is no number counts as better. The authors' code shared credit, too: `kMultiSoftmaxCost` in src/layer_kernels.cu.

    Args:
        scores: [b, K]; or anything that orders the classes alike.
        labels: [b], from 0 to K - 1.
        places: at least 1.
    """
    true_score = scores.gather(1, labels[:, None])
    better = (~(scores <= true_score)).sum(dim=1)
    equal = (scores == true_score).sum(dim=1).clamp(min=1)  # 0 where the score is no number
    share = ((places - better).double() / equal).clamp(0, 1)
    return share * true_score.squeeze(1).isfinite()


class Tally:
    """Sums over images. Each rank keeps its own until `summed`."""

    def __init__(self, classes: int, confusion: bool = False) -> None:
        """All zero. `confusion`: also count who is taken for whom, for which K x (K + 1) numbers are kept."""
        self.images = torch.zeros(classes, dtype=torch.float64)  # by class, as are the credits
        self.credits = [torch.zeros(classes, dtype=torch.float64) for _ in PLACES]
        self.loss, self.bad_images = 0.0, 0
        # [true, first of the most probable]; the last column: scores that are no numbers
        self.confusion = torch.zeros(classes, classes + 1, dtype=torch.int64) if confusion else None

    def add(self, log_probabilities: Tensor, labels: Tensor) -> None:
        """Count b images.

        Args:
            log_probabilities: [b, K].
            labels: [b]; an image of label -1 counts as bad and nowhere else.
        """
        good = labels != NO_LABEL
        self.bad_images += len(labels) - int(good.sum())
        log_probabilities, labels = log_probabilities[good], labels[good]
        self.loss -= float(log_probabilities.gather(1, labels[:, None]).sum())
        at = labels.cpu()
        self.images.index_add_(0, at, torch.ones(len(at), dtype=torch.float64))
        for sums, places in zip(self.credits, PLACES, strict=True):
            sums.index_add_(0, at, credit(log_probabilities, labels, places).cpu())
        if self.confusion is not None:
            predicted = log_probabilities.argmax(dim=1)  # the first where several are
            predicted[log_probabilities.isnan().any(dim=1)] = len(self.images)
            self.confusion.index_put_((at, predicted.cpu()), torch.ones_like(at), accumulate=True)

    def summed(self, agreement: Agreement) -> "Tally":
        """Over all ranks, each of which calls it and gets the same."""
        everywhere = Tally(len(self.images))
        everywhere.images, *everywhere.credits = agreement.sum_tensor(torch.stack([self.images, *self.credits]))
        everywhere.loss, bad_images = agreement.sum(self.loss, self.bad_images)
        everywhere.bad_images = int(bad_images)
        if self.confusion is not None:
            everywhere.confusion = agreement.sum_tensor(self.confusion)
        return everywhere

    def validation(self) -> Validation:
        """Means over all images.

        Raises:
            UsageError: there is none.
        """
        images = int(self.images.sum())
        if not images:
            raise UsageError(f"none of the {self.bad_images} validation images could be decoded; type --data with a set that is whole")
        top1, top5 = ((images - float(credits.sum())) / images for credits in self.credits)
        return Validation(top1, top5, self.loss / images, images, self.bad_images)

    def by_class(self) -> Mapping[str, list[Any]]:
        """`images`, `top1_error` and `top5_error` of each class; the error of a class without images is None."""
        images = [int(n) for n in self.images]
        errors = [[(n - earned) / n if n else None for earned, n in zip(c.tolist(), images, strict=True)] for c in self.credits]
        return {"images": images, "top1_error": errors[0], "top5_error": errors[1]}

    def confusions(self) -> list[tuple[int, int | None, int]]:
        """True class, the first of the most probable (None: the scores are no numbers) and how many images, where there are any."""
        assert self.confusion is not None
        cells = self.confusion.nonzero().tolist()
        return [(true, taken if taken < len(self.images) else None, int(self.confusion[true, taken])) for true, taken in cells]
