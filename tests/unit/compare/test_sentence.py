"""What limits a strategy, from phases that are set by hand. Planted slowness of real ranks: tests/ranks/test_phases.py."""

from typing import Any

import pytest

from dist_alexnet.compare.interval import Interval
from dist_alexnet.compare.result import Result
from dist_alexnet.compare.sentence import limit
from dist_alexnet.telemetry.clock import PHASES


def result(*ranks: dict[str, float], **more: Any) -> Result:
    known = {
        "name": "ddp",
        "strategy": "ddp",
        "ranks": len(ranks),
        "global_batch": 4,
        "mesh": {"data": len(ranks)},
        "equality": "equal",
        "ips": Interval(1, 1, 1, 1),
        "phases": [{**dict.fromkeys(PHASES, 0.0), **rank} for rank in ranks],
        "exposed": {},
        "sent": {},
        "parameters": 60_965_224,
    }
    return Result(**{**known, **more})


def test_the_gradients_of_the_fully_connected_layers() -> None:
    rank = {"forward": 0.2, "backward": 0.39, "communication": 0.41}
    sent = {"gradients": {"backward": 2 * 243_860_896.0}}
    said = limit(result(rank, rank, exposed={"gradients": 0.41}, sent=sent, linear_share=0.962))
    assert said == "ddp on 2 waits 41% of its step for 243.9 MB of gradients a rank, 96% of them of the fully connected layers"


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        (
            [{"forward": 0.3, "backward": 0.6, "rank_wait": 0.1}, {"forward": 0.3, "backward": 0.6, "rank_wait": 0.1}],
            "ddp on 2 has ranks that wait for each other, now for one and now for another, up to 10% of its step",
        ),
        (
            [{"forward": 0.3, "rank_wait": 0.2, "backward": 0.5}, {"forward": 0.5, "backward": 0.5}],
            "ddp on 2 waits 20% of its step for rank 1, which takes 200 ms longer for the forward pass",
        ),
        (
            [{"forward": 0.3, "rank_wait": 0.3, "backward": 0.4}, {"data_wait": 0.3, "forward": 0.3, "backward": 0.4}],
            "ddp on 2 waits 30% of its step for images on rank 1, and the others for it: reading or decoding is slower than the network",
        ),
        (
            [{"forward": 0.3, "rank_wait": 0.31, "backward": 0.39}, {"data_wait": 0.3, "forward": 0.3, "backward": 0.4}],
            "ddp on 2 waits 31% of its step for images on rank 1, and the others for it: reading or decoding is slower than the network",
        ),
        (
            [{"optimizer": 0.4, "forward": 0.6}],
            "ddp on 1 takes 40% of its step for the update of 61.0 million parameters a rank, whatever the batch: "
            "more than 4 images a step would share it",
        ),
        (
            [{"forward": 0.3, "backward": 0.65, "optimizer": 0.05}],
            "ddp on 1 computes in 95% of its step (forward 30%, backward 65%): only faster arithmetic makes it faster",
        ),
        ([{"h2d": 0.4, "forward": 0.6}], "ddp on 1 takes 40% of its step to copy images to the device"),
        ([{"other": 0.4, "forward": 0.6}], "ddp on 1 spends 40% of its step between the phases: starting operations, or a busy machine"),
    ],
)
def test_the_largest_of_what_is_no_computing(ranks: list[dict[str, float]], said: str) -> None:
    assert limit(result(*ranks)) == said


def test_many_exchanges_are_counted_and_the_longest_is_named() -> None:
    rank = {"forward": 0.5, "communication": 0.5}
    exposed, sent = {"conv3": 0.2, "fc6": 0.16, "fc7": 0.14}, {"conv3": {"forward": 4e6, "backward": 4e6}}
    said = limit(result(rank, rank, exposed=exposed, sent=sent))
    assert said == "ddp on 2 waits 50% of its step for 3 exchanges, longest for the input of conv3, 4.0 MB a rank"


def test_a_backward_pass_that_shares_the_cores_with_gradients() -> None:
    slow, fast = ({"forward": 0.3, "backward": seconds} for seconds in (0.69, 0.42))
    sent = {"gradients": {"backward": 2 * 243_860_896.0}}
    ddp = result(slow, slow, exposed={"gradients": 0.01}, sent=sent, linear_share=0.962)
    split = result(fast, fast, name="channel_split", parameters=30_500_000)
    assert limit(ddp, [ddp, split]) == (
        "ddp on 2 computes in 100% of its step (forward 30%, backward 70%), 38% longer than channel_split on 2: each rank has 61.0 million "
        "parameters, not 30.5, and meanwhile sends 243.9 MB of gradients a rank, 96% of them of the fully connected layers"
    )
    assert "only faster arithmetic" in limit(split, [ddp, split])


def test_a_run_without_steps_has_a_sentence_too() -> None:
    assert limit(result({}))
