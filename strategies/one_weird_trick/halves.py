"""One step of a network whose two parts work on different rows: convolutions on a rank's own, the rest on everybody's, in turns."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from dist_alexnet.batch import Batch
from dist_alexnet.parallel.exchanges.batch_to_model import Scheme, run_in_turns, turns
from dist_alexnet.parallel.exchanges.gradients import DataParallel
from dist_alexnet.parallel.placement import length
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import split_rows

Update = Callable[[float], None]  # of the classifier, after a turn with this share of the global batch


class Halves(nn.Module):
    """The two parts of the network, each wrapped for the ranks that sum its gradients."""

    def __init__(self, strategy: Strategy, convolutions: nn.Module, classifier: nn.Module, scheme: Scheme) -> None:
        super().__init__()
        self.convolutions, self.classifier = convolutions, classifier
        self._strategy, self._scheme = strategy, scheme

    def run(self, batch: Batch, step: int, update: Update | None = None) -> Tensor:
        """Forward and backward of all microbatches.

        Args:
            batch: this rank's rows.
            step: of the optimizer.
            update: what to do with the gradient of each turn, which is then that of the turn's mean loss; None: they add up.

        Returns:
            This rank's part of the loss.
        """
        losses: list[Tensor] = []
        strategy, parts = self._strategy, batch.microbatches(self._strategy.config.train.accumulation)
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            with strategy.reduction(self.convolutions, is_last):
                with strategy.clock("forward"):
                    features = self.convolutions(part.images, strategy.draw(step, part.rows))
                brought = [length(split_rows(rows, len(parts), number)) for rows in strategy.rows_along("model", batch.global_batch)]
                flat = Batch(features.detach().flatten(1), part.labels, part.rows, part.global_batch)
                work = partial(self._classify, step, update, losses, is_last)
                gradient = run_in_turns(strategy.first_linear.name, flat, turns(self._scheme, brought), strategy.channel("model"), work)
                with strategy.clock("backward"):
                    features.backward(gradient.view(features.shape))
                    if isinstance(self.convolutions, DataParallel):
                        self.convolutions.charge_exposed()
        return torch.stack(losses).sum() / strategy.mesh["model"]  # each rank of a group has computed the loss of all its rows

    def _classify(self, step: int, update: Update | None, losses: list[Tensor], last_part: bool, rows: Batch, last_turn: bool) -> None:
        """Forward and backward of the classifier over the rows of a turn; `rows.images` collects its gradient."""
        strategy, share = self._strategy, len(rows.labels) / rows.global_batch if update else 1.0
        with strategy.reduction(self.classifier, last_part and last_turn):
            with strategy.clock("forward"):
                loss = strategy.loss(self.classifier(rows.images, strategy.draw(step, rows.rows)), rows.labels) / rows.global_batch
            with strategy.clock("backward"):
                (loss / share).backward()  # type: ignore[no-untyped-call]
                if isinstance(self.classifier, DataParallel):
                    self.classifier.charge_exposed()
        losses.append(loss.detach())
        if update and rows.images.grad is not None:
            rows.images.grad *= share  # the convolutions still average over the global batch
            with strategy.clock("optimizer"):
                update(share)
            self.classifier.zero_grad()
