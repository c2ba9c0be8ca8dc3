"""Of steps that were done twice, what the newest attempt says."""

from dist_alexnet.runs.browse.attempts import newest
from dist_alexnet.runs.records import Steps, Validated
from tests.made_runs import started, steps, validated


def test_where_attempts_overlap_the_newest_counts() -> None:
    first = [started(), *(steps(step, loss=1.0) for step in (2, 4, 6, 8)), validated(8, 0.9)]
    second = [started(step=4, attempt=1), *(steps(step, loss=2.0, attempt=1) for step in (6, 8)), validated(8, 0.8, attempt=1)]
    records = [*first, *second]
    assert [(record.step, record.loss) for record in newest(records, Steps)] == [(2, 1.0), (4, 1.0), (6, 2.0), (8, 2.0)]
    assert [record.top1_error for record in newest(records, Validated)] == [0.8]


def test_an_attempt_that_began_earlier_than_those_before_it_takes_their_place() -> None:
    records = [
        started(),
        steps(2),
        started(step=2, attempt=1),
        steps(4, attempt=1),
        started(step=0, attempt=2),
        steps(2, attempt=2, loss=9.0),
    ]
    assert [(record.attempt, record.step) for record in newest(records, Steps)] == [(2, 2)]


def test_where_a_sample_has_not_the_beginning_of_an_attempt_its_first_record_tells() -> None:
    records = [steps(2), steps(4), steps(6), steps(6, attempt=1), steps(8, attempt=1)]
    assert [(record.attempt, record.step) for record in newest(records, Steps)] == [(0, 2), (0, 4), (1, 6), (1, 8)]


def test_an_attempt_that_only_began_takes_nothing_away_but_what_it_repeats() -> None:
    assert [record.step for record in newest([started(), steps(2), steps(4), started(step=2, attempt=1)], Steps)] == [2]
