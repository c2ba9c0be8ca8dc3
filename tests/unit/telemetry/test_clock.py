"""Phases of a step, by a clock that is moved by hand: they add up, and nothing is charged twice."""

import pytest

from dist_alexnet.telemetry.clock import PHASES, Clock, Exchanged, Span, StepTime
from dist_alexnet.telemetry.waiting import pack, split_waiting, unpack


class Hand:
    """A timer that stands still but for `pass_by`."""

    def __init__(self) -> None:
        self.now, self.waited_for = 100, list[int]()

    def mark(self) -> int:
        return self.now

    def wait(self, mark: int) -> None:
        self.waited_for.append(mark)

    def seconds(self, start: int, end: int) -> float:
        return end - start

    def pass_by(self, seconds: int) -> None:
        self.now += seconds


def phases(**seconds: float) -> dict[str, float]:
    return {**dict.fromkeys(PHASES, 0.0), **seconds}


def one_step(clock: Clock, hand: Hand) -> None:
    with clock("data_wait"):
        hand.pass_by(1)
    hand.pass_by(2)
    with clock("backward"):
        hand.pass_by(4)
        with clock("communication", "conv3", (0, 1)):
            hand.pass_by(8)
        hand.pass_by(16)
        sent = hand.mark()
        hand.pass_by(32)
        clock.charge_since(sent, "communication", "gradients", (0, 2))
    hand.pass_by(64)
    clock.end_step()


STEP = StepTime(
    phases(data_wait=1, backward=4 + 16, communication=8 + 32, other=2 + 64),
    {Exchanged("conv3", (0, 1)): 8, Exchanged("gradients", (0, 2)): 32},
)


def test_a_phase_inside_another_is_taken_out_of_it_and_all_add_up() -> None:
    hand = Hand()
    clock = Clock(timer=hand)
    one_step(clock, hand)
    assert hand.waited_for == [], "nobody waits for a device at a border"
    assert clock.take() == [STEP]
    assert sum(STEP.phases.values()) == 127
    assert hand.waited_for == [227]
    assert clock.take() == []


def test_steps_are_neighbours_and_what_is_no_training_is_in_none() -> None:
    hand = Hand()
    clock = Clock(timer=hand)
    one_step(clock, hand)
    hand.pass_by(3)  # a report, which the next step pays for
    one_step(clock, hand)
    with clock("communication", "predict"):
        hand.pass_by(1000)  # a validation
    clock.restart()
    one_step(clock, hand)
    first, second, third = clock.take()
    assert first == third == STEP
    assert second.phases == {**STEP.phases, "other": STEP.phases["other"] + 3}


def test_an_exception_closes_its_phases() -> None:
    hand = Hand()
    clock = Clock(timer=hand)
    with pytest.raises(ZeroDivisionError), clock("forward"), clock("communication", "fc6"):
        hand.pass_by(5 // (hand.pass_by(5) or 0))
    hand.pass_by(1)
    clock.end_step()
    assert clock.take() == [StepTime(phases(communication=5, other=1), {Exchanged("fc6"): 5})]


def test_spans_cover_the_step_without_gaps() -> None:
    hand = Hand()
    clock = Clock(timer=hand)
    clock.spans = []
    one_step(clock, hand)
    clock.take()
    assert clock.spans[:2] == [Span("other", "", 0, 0), Span("data_wait", "", 0, 1)]
    assert Span("communication", "conv3", 7, 8) in clock.spans
    ends = [span.start + span.seconds for span in clock.spans]
    assert ends[:-1] == [span.start for span in clock.spans[1:]]
    assert ends[-1] == 127


def step(forward: float, **exposed: float) -> StepTime:
    """Of a rank that waited for exchanges with all others; a name that ends in a digit is of the pair of that number."""
    pairs = {"0": (0, 1), "1": (2, 3)}
    named = {Exchanged(name.rstrip("01"), pairs.get(name[-1], ())): seconds for name, seconds in exposed.items()}
    return StepTime(phases(forward=forward, communication=sum(exposed.values())), named)


def test_who_comes_last_waits_for_nobody_and_the_others_for_it() -> None:
    ranks = [[step(1, fc=9, loss=2)], [step(8, fc=2, loss=2)]]
    split_waiting(ranks)
    assert [rank[0].phases for rank in ranks] == [phases(forward=1, communication=4, rank_wait=7), phases(forward=8, communication=4)]
    assert all(rank[0].exposed == {Exchanged("fc"): 2, Exchanged("loss"): 2} for rank in ranks)


def test_ranks_that_are_slow_in_turn_are_told_apart_by_step() -> None:
    ranks = [[step(1, fc=9), step(9, fc=1)], [step(9, fc=1), step(1, fc=9)]]
    split_waiting(ranks)
    assert [[each.phases["rank_wait"] for each in rank] for rank in ranks] == [[8, 0], [0, 8]]


def test_a_slow_wire_of_one_pair_is_no_waiting() -> None:
    ranks = [[step(1, fc0=50)], [step(1, fc0=50)], [step(1, fc1=3)], [step(1, fc1=2)]]
    split_waiting(ranks)
    assert [rank[0].phases["communication"] for rank in ranks] == [50, 50, 2, 2]
    assert [rank[0].phases["rank_wait"] for rank in ranks] == [0, 0, 1, 0]


def test_times_survive_being_told_to_others() -> None:
    steps = [STEP, step(3, fc0=2), step(4)]
    told = unpack(pack(steps))
    assert [each.phases for each in told] == [each.phases for each in steps]
    assert [{e: s for e, s in each.exposed.items() if s} for each in told] == [each.exposed for each in steps]
    assert unpack(pack([])) == []
