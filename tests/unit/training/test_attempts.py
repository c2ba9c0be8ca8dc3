"""What is decided between two attempts, without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dist_alexnet.config import Config, LaunchConfig, StrategyConfig, UsageError
from dist_alexnet.launch.driver.driver import Driver
from dist_alexnet.launch.launcher import Capacity, Outlook
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import Record, Restarted, RunStarted, Steps
from dist_alexnet.training import room
from dist_alexnet.training.attempts import Attempts, Outgrown
from dist_alexnet.training.job import Job
from dist_alexnet.training.room import NoRoom, wait_for_room

HYBRID = StrategyConfig("hybrid")
STEPS = Steps(step=1, epoch=1.0, lr=0.1, loss=1.0, steps=1, step_seconds=1.0, phase_seconds={})
RESTARTED = Restarted(step=1, ranks=2, next_ranks=4, why="there is room for 4 ranks", failed=False)
STARTED = RunStarted(step=1, epoch=1.0, total_epochs=2.0, total_steps=2)


def elastic(least: int, most: int) -> Config:
    return Config(strategy=HYBRID, launch=LaunchConfig(workers=most, min_workers=least, device="cpu"))


def test_pairs_grow_by_pairs_on_one_node() -> None:
    outgrown = Outgrown(elastic(2, 6), 2, 0.0)
    assert outgrown(Outlook((2,))) == ""
    assert outgrown(Outlook((2, 1))) == "", "one slot on another node is no place for a pair"
    assert outgrown(Outlook((2, 3))) == "there is room for 4 ranks"
    assert outgrown(Outlook((8, 8))) == "there is room for 6 ranks"
    assert outgrown.room == 6
    assert Outgrown(elastic(2, 6), 6, 0.0)(Outlook((8, 8))) == ""


def test_room_that_does_not_last_is_not_taken() -> None:
    outgrown = Outgrown(elastic(2, 4), 2, 3600.0)
    assert outgrown(Outlook((2, 2))) == ""
    assert outgrown(Outlook((2, 2))) == ""


def test_a_node_that_is_leaving_is_left_and_a_fixed_world_does_not_grow() -> None:
    fixed = Outgrown(Config(strategy=HYBRID, launch=LaunchConfig(workers=2, device="cpu")), 2, 0.0)
    assert fixed(Outlook((8, 8))) == ""
    assert fixed(Outlook((8,), ("n1",))) == "n1 is about to be taken away"
    assert fixed.room == 2


class Place:
    """A launcher's view of a cluster that changes from look to look."""

    def __init__(self, *looks: "Capacity | UsageError") -> None:
        self._looks: Iterator[Capacity | UsageError] = iter(looks)

    def capacity(self) -> Capacity:
        look = next(self._looks)
        if isinstance(look, UsageError):
            raise look
        return look


def waited(monkeypatch: pytest.MonkeyPatch, config: Config, *looks: "Capacity | UsageError", wait_s: float = 0.0) -> tuple[int, list[str]]:
    place, said = Place(*looks), list[str]()
    monkeypatch.setattr(room, "LOOK_S", 0.0)
    monkeypatch.setattr(room, "make_launcher", lambda config: place)
    return wait_for_room(config, wait_s, said.append), said


def test_what_is_too_large_is_refused_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FREE_WAIT_S", 0.0)
    config = Config(strategy=HYBRID, launch=LaunchConfig(workers=6, device="cpu"))
    there = "6 CPU, but the Ray cluster at x has 5 CPU"
    with pytest.raises(NoRoom, match="^6 ranks need 6 CPU, but .* room for 4; type --gpus 4, --elastic 4:6, --wait 600, --launcher local"):
        waited(monkeypatch, config, Capacity((3, 2), (3, 2), there))
    with pytest.raises(NoRoom, match="room for 6, now for 2; type --gpus 2, --elastic 2:6, --wait 600"):
        waited(monkeypatch, config, Capacity((2,), (6,), there))
    with pytest.raises(NoRoom, match="^2 to 6 ranks need .* room for 0; type --wait 600, --launcher local"):
        waited(monkeypatch, elastic(2, 6), Capacity((1,), (1,), there))


def test_waiting_is_told_once_and_ends_with_the_most_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing, some = Capacity((1,), (1,), "nothing"), Capacity((4, 1), (4, 1), "some")
    ranks, said = waited(monkeypatch, elastic(2, 6), nothing, nothing, UsageError("no answer"), some, wait_s=60)
    assert ranks == 4
    assert said == ["waiting up to 60 s for room: 2 to 6 ranks need nothing, room for 0"]


def test_no_room_at_all_is_not_room_for_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FREE_WAIT_S", 0.0)
    with pytest.raises(NoRoom, match="room for 0"):
        waited(monkeypatch, elastic(2, 4), Capacity((), (), "nothing"))


@pytest.mark.parametrize(
    ("records", "trained"),
    [
        ([], False),
        ([STEPS], True),
        ([STEPS, RESTARTED], False),  # the attempt that has failed did not come as far as saying that it had begun
        ([STEPS, RESTARTED, STARTED], False),
        ([STEPS, RESTARTED, STARTED, STEPS], True),
    ],
)
def test_whether_an_attempt_has_trained(records: list[Record], trained: bool, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    file = MetricsFile(directory.metrics)
    for record in records:
        file.write(record)
    attempts = Attempts(Job(elastic(2, 4), directory, tmp_path), 4, Driver(directory, print), print)
    assert attempts._has_trained() == trained
