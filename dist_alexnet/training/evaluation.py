"""Errors on the validation set, every image counted once however many ranks share the work."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dist_alexnet.data.batch import Batch
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.training.agreement import Agreement


@dataclass(frozen=True)
class Validation:
    """Result over a validation set; errors are shares between 0 and 1."""

    top1_error: float
    top5_error: float
    loss: float  # mean cross-entropy
    images: int

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def count_errors(scores: Tensor, labels: Tensor) -> tuple[int, int]:
    """Images whose class is not the first, and not among the first five; a score that is no number is an error.

    Args:
        scores: [B, K].
        labels: [B].
    """
    true_score = scores.gather(1, labels[:, None])
    better = (~(scores <= true_score)).sum(dim=1)
    return int((better >= 1).sum()), int((better >= 5).sum())


@torch.no_grad()
def evaluate(strategy: Strategy, network: Network, batches: Iterable[Batch], agreement: Agreement) -> Validation:
    """Run the network over batches of every rank; all ranks call it and get the same result.

    Args:
        strategy: who computes which rows.
        network: this rank's share, not the wrapped module.
        batches: this rank's rows of each global batch, possibly none of one.
        agreement: to add up.
    """
    network.eval()
    top1 = top5 = images = 0
    loss = 0.0
    parameter = next(network.parameters())
    for batch in batches:
        batch = batch.to(parameter.device, parameter.dtype)
        scores = strategy.predict(network, batch.images)
        if strategy.speaks_for_its_rows:
            wrong = count_errors(scores, batch.labels)
            top1, top5, images = top1 + wrong[0], top5 + wrong[1], images + len(batch.labels)
            loss += float(functional.cross_entropy(scores, batch.labels, reduction="sum"))
    network.train()
    top1_sum, top5_sum, loss_sum, image_sum = agreement.sum(top1, top5, loss, images)
    return Validation(top1_sum / image_sum, top5_sum / image_sum, loss_sum / image_sum, int(image_sum))
