"""Options that change the numbers: by as much as they should, and no more."""

from functools import cache

import pytest
import torch

from dist_alexnet.launch.rank import connect_strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.testing.conformance import STEPS, configure, verdicts
from dist_alexnet.testing.ranks import run_on_ranks
from dist_alexnet.verify.testimony import Testimony, generated_batches, train_steps
from dist_alexnet.verify.verdict import Verdict

ROUNDED = [
    ("channel_split", {"wire": "bfloat16"}),
    ("channel_split", {"wire": "float16"}),
    ("channel_split", {"wire": "float16", "overlap": False}),
    ("ddp", {"gradient_wire": "bfloat16"}),
    ("ddp", {"gradient_wire": "float16"}),
]


@cache
def rounded() -> list[Verdict]:
    return verdicts(2, [configure(name, options) for name, options in ROUNDED])


@pytest.mark.parametrize("number", range(len(ROUNDED)), ids=[str(case) for case in ROUNDED])
def test_what_is_rounded_on_the_way_is_close_and_a_quarter_of_the_bytes(number: int) -> None:
    """Of float64. Bytes are counted as they are sent."""
    verdict, exact = rounded()[number], verdicts_exact()[ROUNDED[number][0]]
    assert verdict.bytes_per_step == verdict.bytes_predicted
    unrounded = 2 * 11 * 2 * 8 if ROUNDED[number][0] == "channel_split" else 0  # the statistics of the loss
    assert (verdict.bytes_per_step - unrounded) * 4 == pytest.approx(exact.bytes_per_step - unrounded)
    assert 1e-9 < verdict.loss < 1e-2, "rounded, and no more than that"
    assert max(verdict.weights.values()) < 2e-2


@cache
def verdicts_exact() -> dict[str, Verdict]:
    found = verdicts(2, [configure("channel_split"), configure("ddp")])
    assert not any(verdict.faults for verdict in found)
    return dict(zip(("channel_split", "ddp"), found, strict=True))


def witness(world: World, options: dict[str, object], accumulation: int) -> Testimony:
    config = configure("one_weird_trick", options, accumulation=accumulation)
    strategy = connect_strategy(config, world)
    return train_steps(strategy, generated_batches(config, strategy), STEPS)


def test_the_variable_batch_size_of_the_paper() -> None:
    """It is not exact, and stays close; all ranks agree."""
    for verdict in verdicts(2, [configure("one_weird_trick", {"scheme": scheme, "fc_batch": True}) for scheme in "bc"]):
        assert verdict.bytes_per_step == verdict.bytes_predicted
        assert 1e-6 < verdict.weights["fc8.weight"] < 0.2
    for accumulation in (1, 2):
        records = run_on_ranks(2, witness, {"scheme": "b", "fc_batch": True}, accumulation)
        assert records[0].losses == records[1].losses
        assert torch.equal(records[0].tensors["conv1.weight"], records[1].tensors["conv1.weight"])
