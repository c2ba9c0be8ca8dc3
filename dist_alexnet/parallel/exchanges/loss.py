"""Cross-entropy of class scores that lie on several ranks, without gathering them.

Letters: B images, K classes in all, k classes on this rank, R ranks.
"""

from typing import Any

import torch
from torch import Tensor

from dist_alexnet.parallel.exchanges.exchange import Channel

STATISTICS = 2  # numbers per image that each rank tells every other: log-sum-exp of its scores, score of the true class


def sharded_cross_entropy(scores: Tensor, labels: Tensor, first_class: int, channel: Channel) -> Tensor:
    """Cross-entropy summed over the images, when each rank of a group has the scores of some classes.

    Every rank returns the same number; its gradient with respect to this rank's scores needs no second exchange.

    Args:
        scores: [B, k]; k may differ between ranks and be 0.
        labels: [B], classes 0 to K-1.
        first_class: the class of scores[:, 0].
        channel: the group that has all K classes together.
    """
    loss: Tensor = _ShardedCrossEntropy.apply(scores, labels, first_class, channel)
    return loss


class _ShardedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor, first_class: int, channel: Channel) -> Tensor:
        local = labels - first_class
        here = (local >= 0) & (local < scores.shape[1])
        local = torch.where(here, local, 0)
        true_score = scores.new_zeros(len(scores))
        true_score[here] = scores[here, local[here]]
        everywhere = [torch.empty(len(scores), STATISTICS, dtype=scores.dtype, device=scores.device) for _ in range(channel.size)]
        everywhere[channel.rank] = torch.stack([torch.logsumexp(scores, dim=1), true_score], dim=1)
        peers = [r for r in range(channel.size) if r != channel.rank]
        own = everywhere[channel.rank]
        channel.swap("loss", "forward", dict.fromkeys(peers, own), {r: everywhere[r] for r in peers})
        statistics = torch.stack(everywhere)  # [R, B, 2]
        log_sum = torch.logsumexp(statistics[..., 0], dim=0)
        ctx.save_for_backward(scores, local, here, log_sum)
        return (log_sum - statistics[..., 1].sum(dim=0)).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scores, local, here, log_sum = ctx.saved_tensors
        probability = torch.exp(scores - log_sum[:, None])
        probability[here, local[here]] -= 1
        return probability * gradients[0], None, None, None
