"""Errors on the validation set: of one network or of the average of several, on one view of each image or on the average of several.

Every image counts once, however many ranks share the work. What is averaged are the probabilities (paper, section 4.1 and table 2); they
are kept as logarithms in double precision, in which no two scores of a network become equal that were not, and none becomes 0.

Letters: b own rows of a global batch, K classes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dist_alexnet.batch import Batch
from dist_alexnet.evaluation.tally import Tally
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.strategy import Strategy


@torch.no_grad()
def evaluate(
    strategy: Strategy,
    networks: Sequence[Network],
    batches: Iterable[Batch],
    agreement: Agreement,
    views: int = 1,
    confusion: bool = False,
) -> Tally:
    """Run the networks over batches of every rank; all ranks call it and get the same sums.

    Args:
        strategy: who computes which rows.
        networks: this rank's shares, not the wrapped modules. All are in memory at once; activations are of one at a time.
        batches: this rank's rows of each global batch, possibly none of one; `views` batches of the same rows, one after the other.
        agreement: to add up.
        views: of each image.
        confusion: also count who is taken for whom.
    """
    tally = Tally(strategy.layers[-1].out_channels, confusion)
    for network in networks:
        network.eval()
    for log_probabilities, labels in _averaged(strategy, networks, batches, views):
        tally.add(log_probabilities, labels)
    for network in networks:
        network.train()
    return tally.summed(agreement)


def _averaged(strategy: Strategy, networks: Sequence[Network], batches: Iterable[Batch], views: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Logarithms of the mean probabilities, [b, K], and labels, where this rank speaks for its rows; elsewhere it only takes part."""
    device, precision = strategy.world.device, networks[0].precision
    total, terms = None, 0
    for batch in batches:
        batch = batch.to(device, precision.activation)
        for network in networks:
            scores = strategy.predict(network, batch.images)
            if strategy.speaks_for_its_rows:
                term = functional.log_softmax(scores.double(), dim=1)
                total, terms = term if total is None else torch.logaddexp(total, term), terms + 1
        if total is not None and terms == views * len(networks):
            yield total - math.log(terms), batch.labels
            total, terms = None, 0
    assert total is None, f"the batches do not come in groups of {views} views"
