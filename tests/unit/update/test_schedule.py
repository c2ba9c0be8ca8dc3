"""Learning rates by epoch."""

import json

import pytest

from dist_alexnet.config import ScheduleConfig, TrainConfig
from dist_alexnet.update.schedule import Schedule


def schedule(name: str, **options: float) -> Schedule:
    return Schedule(TrainConfig(lr=0.01, epochs=90, schedule=ScheduleConfig(name=name, **options)))


def test_dexp_takes_the_four_rates_of_the_authors() -> None:
    """0.01, 0.001587, 0.000252, 0.00004 in the four quarters of a run."""
    rates = [schedule("dexp").lr(epoch) for epoch in (0, 22.4, 22.5, 45, 67.5, 90)]
    assert rates == pytest.approx([0.01, 0.01, 0.001587, 0.000252, 0.00004, 0.00004], rel=2e-3)


def test_plateau_divides_when_the_error_has_stopped_falling() -> None:
    plateau = schedule("plateau", patience=2, min_lr=1e-5)
    rates = []
    for error in (0.9, 0.8, 0.8, 0.81, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7):
        plateau.validated(error)
        rates.append(plateau.lr(1))
    assert rates == pytest.approx([0.01] * 3 + [1e-3] * 3 + [1e-4] * 2 + [1e-5] * 3)


def test_plateau_remembers_through_json() -> None:
    before, after = schedule("plateau", patience=2), schedule("plateau", patience=2)
    after.load(json.loads(json.dumps(before.state())))
    assert after.state() == before.state()
    for error in (0.5, 0.6):
        before.validated(error)
    after.load(json.loads(json.dumps(before.state())))
    for one in (before, after):
        one.validated(0.6)
        assert one.lr(3) == pytest.approx(1e-3)


def test_cosine_rises_falls_and_never_is_zero() -> None:
    cosine = schedule("cosine", warmup_epochs=10)
    assert [cosine.lr(epoch) for epoch in (5, 10, 50)] == pytest.approx([0.005, 0.01, 0.005])
    assert cosine.lr(0) == cosine.lr(90) == cosine.lr(95) == pytest.approx(1e-5)


def test_constant_is_constant() -> None:
    assert schedule("constant").lr(0) == schedule("constant").lr(89) == 0.01


@pytest.mark.parametrize("name", ["plateau", "dexp", "cosine", "constant"])
def test_every_schedule_rises_first_if_it_is_asked_to(name: str) -> None:
    """Once the setting was read by cosine alone, and did nothing with the others."""
    rising, plain = schedule(name, warmup_epochs=10), schedule(name)
    assert [rising.lr(epoch) for epoch in (0, 1, 5)] == pytest.approx([1e-5, 1e-3, 5e-3])
    assert rising.lr(10) == pytest.approx(0.01)
    if name != "cosine":  # which falls from the end of the rise on
        assert [rising.lr(epoch) for epoch in (10, 30, 89)] == [plain.lr(epoch) for epoch in (10, 30, 89)]


def test_a_plateau_that_lasts_for_thousands_of_validations_stays_at_its_floor() -> None:
    schedule = Schedule(TrainConfig(lr=0.01, schedule=ScheduleConfig(name="plateau", patience=1)))
    for _ in range(2000):
        schedule.validated(0.5)
    assert schedule.lr(0.0) == 1e-5
