"""A resumed run repeats steps: of each step, what the newest attempt says of it."""

from collections.abc import Sequence
from typing import TypeVar

from dist_alexnet.runs.records import Record, RunStarted, Steps, Validated

R = TypeVar("R", Steps, Validated)


def newest(records: Sequence[Record], kind: type[R]) -> list[R]:
    """Records of a kind, but for those of steps that a later attempt has done again."""
    begins = sorted(_begins(records).items(), reverse=True)
    ends: dict[int, float] = {}  # the last step of each attempt that counts
    end = float("inf")
    for attempt, begin in begins:
        ends[attempt], end = end, min(end, begin)
    return [record for record in records if isinstance(record, kind) and record.step <= ends.get(record.attempt, end)]


def _begins(records: Sequence[Record]) -> dict[int, int]:
    """Steps that were done before each attempt; from its first record where a sample has not its beginning."""
    begins: dict[int, int] = {}
    for record in records:
        if isinstance(record, RunStarted):
            begins[record.attempt] = record.step
        elif isinstance(record, Steps):
            begins.setdefault(record.attempt, record.step - record.steps)
    return begins
