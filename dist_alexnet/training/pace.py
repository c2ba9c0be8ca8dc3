"""How long the rest of a run will take, from how long its steps, validations and checkpoints have taken so far."""

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

from dist_alexnet.config import TrainConfig

ROUNDING = 1e-6  # of a step: epochs are no whole numbers
NEWEST = 100  # steps that count: fewer would make the time left jump, more would keep what is no longer so
FORWARD_SHARE = 1 / 3  # of a step: what a validation is taken to cost per image until there was one


@dataclass(frozen=True)
class Work:
    """What a run has still to do."""

    steps: int
    validations: int
    checkpoints: int

    @staticmethod
    def left(train: TrainConfig, images: int, step: int, position: int, validated_at: int) -> "Work":
        """Up to the end that `train.epochs` or `train.max_steps` sets, whichever comes first.

        Args:
            train: settings.
            images: of the training set.
            step: optimizer steps done.
            position: images taken from the endless stream.
            validated_at: position of the newest validation.
        """
        steps = max(0, math.ceil((train.epochs - position / images) * images / train.global_batch - ROUNDING))
        if train.max_steps is not None:
            steps = min(steps, max(0, train.max_steps - step))
        end, every = position + steps * train.global_batch, train.validate_every * images
        passed = [math.floor(at / every) if every else 0 for at in (validated_at, position, end - train.global_batch, end)]
        due = passed[3] - passed[0] + (passed[3] == passed[2])  # the last step has a validation, due or not
        validations = min(due, steps + (passed[1] > passed[0]))  # no step has two
        saves = train.checkpoint_every
        checkpoints = math.ceil((step + steps) / saves) - math.floor(step / saves) if saves else validations
        return Work(steps, validations, checkpoints)


class Pace:
    """Measures what a run does, and says how long the rest will take at that pace."""

    def __init__(self, images_per_step: int, validation_images: int) -> None:
        self._steps: deque[float] = deque(maxlen=NEWEST)
        self._first: float | None = None  # the step that compiles, and waits for the first images: no measure for the others
        self._seconds: dict[str, list[float]] = {"validation": [], "checkpoint": [], "writing": []}
        self._validation_steps = validation_images / images_per_step

    def step(self, seconds: float) -> None:
        """Note how long a step took."""
        if self._first is None:
            self._first = seconds
        else:
            self._steps.append(seconds)

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Note how long a "validation" takes."""
        started = time.perf_counter()
        yield
        self.note(what, time.perf_counter() - started)

    def note(self, what: str, seconds: float) -> None:
        """Note how long one took: a "validation", a "checkpoint" while no step could be taken, or the "writing" of one."""
        self._seconds[what].append(seconds)

    def seconds_left(self, work: Work) -> float | None:
        """For this much work; None before the first step."""
        if self._first is None:
            return None
        step = fmean(self._steps or [self._first])
        validation = self.mean("validation") or FORWARD_SHARE * step * self._validation_steps
        return work.steps * step + work.validations * validation + work.checkpoints * (self.mean("checkpoint") or 0.0)

    def newest(self, what: str) -> float:
        """Seconds of the newest one."""
        return self._seconds[what][-1]

    def mean(self, what: str) -> float | None:
        """Mean seconds of those so far; None: there was none."""
        return fmean(self._seconds[what]) if self._seconds[what] else None
