"""What a report says of the steps since the one before, from times that are set by hand."""

from time import process_time
from typing import Any

from dist_alexnet.config import Config, StrategyConfig, TrainConfig
from dist_alexnet.parallel.world import World
from dist_alexnet.telemetry.clock import PHASES, Clock, StepTime
from dist_alexnet.telemetry.waiting import pack
from dist_alexnet.training.meter import KEPT_STEPS, Meter
from strategies.ddp.strategy import Ddp


def time(**seconds: float) -> StepTime:
    return StepTime({**dict.fromkeys(PHASES, 0.0), **seconds}, {})


class Other:
    """A second rank, which says what it is given."""

    def __init__(self, steps: list[StepTime]) -> None:
        self.steps = steps

    def gather(self, value: Any) -> list[Any]:
        if not isinstance(value, dict):
            return [value, value + 1]
        return [value, {"steps": pack(self.steps), "traffic": {"gradients": {"backward": "7/2"}}, "cpu": 6.0, "peak": 1000}]


def meter(steps: list[StepTime], others: list[StepTime]) -> Meter:
    strategy = Ddp(Config(train=TrainConfig(global_batch=10), strategy=StrategyConfig("ddp")), World(0, 2))
    strategy.traffic.add("gradients", "backward", 3)

    class Past(Clock):
        def take(self) -> list[StepTime]:
            return steps

    strategy.clock = Past()
    return Meter(strategy, Other(others), epoch_images=100)


def test_a_report_adds_up() -> None:
    mine = [time(data_wait=1, forward=3), time(data_wait=0, forward=4)]
    measures = meter(mine, [time(data_wait=2, forward=1, rank_wait=1), time(forward=2, rank_wait=2)])
    for loss in (4.0, 2.0):
        measures.loss(loss)
    report = measures.take()
    assert (report["loss"], report["steps"], report["images"]) == (3.0, 2, 20)
    assert report["step_seconds"] == 4 == sum(report["phase_seconds"].values())
    assert [sum(rank.values()) for rank in report["phase_seconds_by_rank"]] == [4, 4]
    assert report["phase_seconds"]["data_wait"] == 0.75
    assert report["total_ips"] == 20 / 8
    assert report["compute_ips"] == 20 / (8 - 2), "the rank that waited longest for data is what everybody waited for"
    assert report["seconds_per_epoch"] == 40
    assert report["step_histogram"] == {"5.0": 2}
    assert report["exchange_bytes_per_step"] == {"gradients": {"backward": 3.25}}
    assert report["cpu_seconds_by_rank"] == [0.0, 3.0]
    assert report["peak_memory_bytes_by_rank"][1] == 1000 < report["peak_memory_bytes_by_rank"][0]
    totals = measures.totals()
    assert totals["phase_seconds"] == report["phase_seconds"]
    assert (totals["final_loss"], totals["final_loss_steps"]) == (3.0, 2)


def test_where_there_was_no_step_there_is_no_rate() -> None:
    measures = meter([], [])
    report, totals = measures.take(), measures.totals()
    for numbers in (report, totals):
        assert (numbers["total_ips"], numbers["compute_ips"], numbers["seconds_per_epoch"]) == (None, None, None)
    assert (report["loss"], report["steps"], report["step_histogram"]) == (None, 0, {})


def test_a_bound_belongs_to_what_it_bounds_and_the_rest_is_infinite() -> None:
    steps = [time(forward=seconds) for seconds in (0.25, 0.2500001, 1000.0, 0.0001)]
    assert meter(steps, steps).take()["step_histogram"] == {"0.001": 1, "0.25": 1, "0.5": 1, "inf": 1}


def test_what_a_process_does_between_two_steps_is_not_of_them() -> None:
    measures = meter([], [])
    _compute()
    measures.skip()
    measures.step()
    spared = measures._cpu
    _compute()
    measures.step()
    assert spared < measures._cpu


def _compute() -> None:
    """For 20 ms of this process's time."""
    until = process_time() + 0.02
    while process_time() < until:
        pass


def test_times_of_steps_are_told_before_they_fill_the_memory() -> None:
    steps = [time(forward=1.0)] * 3
    measures = meter(steps, steps)
    for _ in range(2 * KEPT_STEPS + 1):
        measures.step()
    assert measures._strategy.clock._steps != [], "the last one"
    report = measures.take()
    assert (report["steps"], report["step_histogram"], report["step_seconds"]) == (9, {"1.0": 9}, 1.0)
