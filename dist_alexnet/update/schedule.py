"""How the learning rate moves: functions of the epoch, and `plateau`, which also listens to the validation error."""

import math
from collections.abc import Mapping
from typing import Any

from dist_alexnet.config import TrainConfig

DEXP_FACTOR, DEXP_STEPS = 250.0, 4  # the authors' schedule from December 2012 on
MOST_DECADES = 300  # by which a rate is divided: far below any floor, and within what a float holds
RATE_FLOOR = 1e-3  # of the rate, at the start of the rise and at the end of cosine: a rate of 0 has no velocity (optimizer.py)


class Schedule:
    """Learning rate by epoch, so that it does not depend on the batch size."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._best_error, self._validations_since_best, self._drops = math.inf, 0, 0

    def lr(self, epoch: float) -> float:
        """Learning rate, positive, of a step that starts after `epoch` passes over the training set."""
        rise = self._config.schedule.warmup_epochs
        return self._rate(epoch) * (max(epoch / rise, RATE_FLOOR) if epoch < rise else 1.0)

    def _rate(self, epoch: float) -> float:
        """The same without the linear rise at the start."""
        base, schedule = self._config.lr, self._config.schedule
        if schedule.name == "plateau":
            # Never below min_lr, and never lifted to it where the run starts lower.
            drops = min(self._drops, int(MOST_DECADES / math.log10(schedule.factor)))
            return max(base / schedule.factor**drops, min(schedule.min_lr, base))
        if schedule.name == "dexp":
            progress = min(epoch / self._config.epochs, 1.0)
            return float(base * DEXP_FACTOR ** (-min(int(progress * DEXP_STEPS), DEXP_STEPS - 1) / (DEXP_STEPS - 1)))
        if schedule.name == "cosine":  # from the end of the rise on
            phase = (epoch - schedule.warmup_epochs) / max(self._config.epochs - schedule.warmup_epochs, 1e-9)
            return base * max(0.5 * (1 + math.cos(math.pi * min(max(phase, 0.0), 1.0))), RATE_FLOOR)
        return base

    def validated(self, error: float) -> bool:
        """Hear of a validation error: "divided by 10 when the validation error rate stopped improving" (paper, section 5).

        Returns:
            Whether it is the lowest so far.
        """
        if error < self._best_error:
            self._best_error, self._validations_since_best = error, 0
            return True
        self._validations_since_best += 1
        if self._validations_since_best >= self._config.schedule.patience:
            self._validations_since_best, self._drops = 0, self._drops + 1
        return False

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold; JSON has no infinity, so an error that is not known yet is null."""
        best = None if math.isinf(self._best_error) else self._best_error
        return {"best_error": best, "validations_since_best": self._validations_since_best, "drops": self._drops}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self._best_error = math.inf if state["best_error"] is None else state["best_error"]
        self._validations_since_best, self._drops = state["validations_since_best"], state["drops"]
