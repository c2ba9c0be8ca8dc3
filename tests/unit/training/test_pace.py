"""How much of a run is left, against a run that is counted step by step; and how long that is."""

import math
from dataclasses import replace

import pytest

from dist_alexnet.config import TrainConfig
from dist_alexnet.training.pace import Pace, Work

RUN = TrainConfig(global_batch=16, epochs=3.0)
IMAGES = 100


def counted(train: TrainConfig, step: int, position: int, validated_at: int) -> Work:
    """What the loop goes on to do."""
    steps = validations = checkpoints = 0
    every = train.validate_every * IMAGES

    def finished() -> bool:
        return position / IMAGES >= train.epochs or (train.max_steps is not None and step >= train.max_steps)

    while not finished():
        step, position, steps = step + 1, position + train.global_batch, steps + 1
        due = every > 0 and position // every > validated_at // every
        if validate := finished() or due:
            validations, validated_at = validations + 1, position
        checkpoints += finished() or (step % train.checkpoint_every == 0 if train.checkpoint_every else validate)
    return Work(steps, validations, checkpoints)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_steps": 9},
        {"validate_every": 0.0},
        {"validate_every": 0.05},
        {"validate_every": 0.7, "checkpoint_every": 4},
        {"epochs": 0.1},
        {"epochs": 2.88, "checkpoint_every": 1},
        {"global_batch": 100},
    ],
)
@pytest.mark.parametrize("step", [0, 1, 5])
def test_the_rest_is_what_the_loop_goes_on_to_do(settings: dict[str, float], step: int) -> None:
    train = replace(RUN, **settings)  # type: ignore[arg-type]
    step = min(step, math.ceil(train.epochs * IMAGES / train.global_batch) - 1)
    position = step * train.global_batch
    assert Work.left(train, IMAGES, step, position, position) == counted(train, step, position, position)


def test_time_left_knows_validations_and_checkpoints_and_leaves_the_first_step_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(images_per_step=10, validation_images=60)
    assert pace.seconds_left(Work(5, 1, 1)) is None
    pace.step(30.0)
    pace.step(1.0)
    pace.step(2.0)
    assert pace.seconds_left(Work(4, 2, 1)) == 4 * 1.5 + 2 * 6 * 1.5 / 3  # a validation not measured yet: forward passes
    seconds = iter([0.0, 7.0, 10.0, 11.0])
    monkeypatch.setattr("dist_alexnet.training.pace.time.perf_counter", lambda: next(seconds))
    with pace.measured("validation"):
        pass
    with pace.measured("checkpoint"):
        pass
    assert pace.seconds_left(Work(4, 2, 3)) == 4 * 1.5 + 2 * 7.0 + 3 * 1.0
