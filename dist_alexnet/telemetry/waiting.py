"""Which part of an exchange was the exchange, and which was waiting for the slowest rank: no rank can tell alone.

Whoever comes last to an exchange waits for nobody; what the others spend there beyond that they spend waiting for it. So of each exchange
of a step the least that one of its ranks was held up counts as communication, and what is above it as "rank_wait". Nothing is measured
for that, no clocks of two nodes are compared, and the phases of every rank still add up to its step.
"""

from collections.abc import Sequence
from typing import Any

from dist_alexnet.telemetry.clock import PHASES, Exchanged, StepTime


def split_waiting(ranks: Sequence[Sequence[StepTime]]) -> None:
    """Charge waiting for the slowest rank to "rank_wait", in place.

    Args:
        ranks: of each rank the same steps, in order.
    """
    for steps in zip(*ranks, strict=True):
        for exchange in {each: None for step in steps for each in step.exposed}:
            held_up = {rank: steps[rank].exposed.get(exchange, 0.0) for rank in exchange.members or range(len(steps))}
            least = min(held_up.values())
            for rank, seconds in held_up.items():
                steps[rank].exposed[exchange] = least
                steps[rank].phases["communication"] -= seconds - least
                steps[rank].phases["rank_wait"] += seconds - least


def pack(steps: Sequence[StepTime]) -> dict[str, Any]:
    """For JSON: numbers by step, and what they are said once."""
    exchanges = list({each: None for step in steps for each in step.exposed})
    return {
        "exchanges": [[exchange.name, exchange.members] for exchange in exchanges],
        "phases": [[step.phases[phase] for phase in PHASES] for step in steps],
        "exposed": [[step.exposed.get(exchange, 0.0) for exchange in exchanges] for step in steps],
    }


def unpack(packed: dict[str, Any]) -> list[StepTime]:
    """What `pack` gave, after JSON."""
    exchanges = [Exchanged(name, tuple(members)) for name, members in packed["exchanges"]]
    return [
        StepTime(dict(zip(PHASES, phases, strict=True)), dict(zip(exchanges, exposed, strict=True)))
        for phases, exposed in zip(packed["phases"], packed["exposed"], strict=True)
    ]
