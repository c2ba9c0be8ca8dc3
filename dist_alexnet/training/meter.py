"""Adds up what the steps of a run cost on all of its ranks: loss, seconds per phase and exchange, bytes."""

import bisect
import math
import resource
import sys
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Protocol

import torch

from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.telemetry.clock import PHASES, StepTime
from dist_alexnet.telemetry.waiting import pack, split_waiting, unpack

# Upper bounds in seconds, those of Prometheus with room on both sides: a step of the paper's batch takes seconds on a CPU.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)


class Gathers(Protocol):
    """Whoever can collect a value that JSON can say from all ranks."""

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, by rank, as it comes out of JSON."""


class Meter:
    """Measures since the last report (`take`) and since the start (`totals`). Every rank has one and they report together."""

    def __init__(self, strategy: Strategy, ranks: Gathers, epoch_images: int) -> None:
        """`epoch_images`: of one pass over the training set."""
        self._strategy, self._ranks, self._epoch_images = strategy, ranks, epoch_images
        self._batch = strategy.config.train.global_batch
        self._losses: list[float] = []
        self._last_loss: float | None = None
        self._last_steps = self._steps = 0
        self._seconds = [dict.fromkeys(PHASES, 0.0) for _ in range(strategy.world.world_size)]  # since the start
        self._bytes_per_step: dict[str, dict[str, float]] = {}

    def loss(self, loss: float) -> None:
        """Note the loss of a step."""
        self._losses.append(loss)

    def take(self) -> dict[str, Any]:
        """Numbers of the steps that have ended since the last call, by the names of `Steps` in records.py, and reset them."""
        mine = {"steps": pack(self._strategy.clock.take()), "traffic": self._strategy.traffic.exact()}
        self._strategy.traffic.clear()
        with self._strategy.clock("communication", "report"):  # in the time of the next step
            told = self._ranks.gather(mine)
        ranks = [unpack(each["steps"]) for each in told]
        split_waiting(ranks)
        steps = len(ranks[0])
        everything = Traffic().merge(Traffic.from_exact(each["traffic"]) for each in told)
        self._bytes_per_step = everything.as_dict(scale=max(steps, 1))
        self._last_steps, self._losses, losses = len(self._losses), [], self._losses
        self._last_loss = fmean(losses) if losses else None
        phases = [{phase: math.fsum(step.phases[phase] for step in rank) for phase in PHASES} for rank in ranks]
        self._steps += steps
        for total, rank in zip(self._seconds, phases, strict=True):
            for phase, seconds in rank.items():
                total[phase] += seconds
        return {
            "loss": self._last_loss,
            "steps": steps,
            "images": steps * self._batch,
            **self._costs(steps, phases),
            "exposed_seconds": _exposed(ranks),
            "exchange_bytes_per_step": self._bytes_per_step,
            "step_histogram": _histogram(ranks[0]),
        }

    def forget(self) -> None:
        """Drop what has passed since the last step: it was no training."""
        self._strategy.clock.restart()
        self._strategy.traffic.clear()

    def totals(self) -> dict[str, Any]:
        """Numbers since the start, for the summary; phases in seconds per step."""
        return {
            "final_loss": self._last_loss,
            "final_loss_steps": self._last_steps,  # it is their mean
            **self._costs(self._steps, self._seconds),
            "exchange_bytes_per_step": self._bytes_per_step,
            "peak_memory_bytes": max(self._ranks.gather(_peak_memory_bytes(self._strategy.world.device))),
        }

    def _costs(self, steps: int, phases: Sequence[dict[str, float]]) -> dict[str, Any]:
        """From the seconds of so many steps, by rank."""
        images, seconds = steps * self._batch, fmean(sum(rank.values()) for rank in phases)
        computing = seconds - max(rank["data_wait"] for rank in phases)
        total = images / seconds if seconds > 0 else None
        by_rank = [{phase: of / max(steps, 1) for phase, of in rank.items()} for rank in phases]
        return {
            "total_ips": total,
            "compute_ips": images / computing if steps and computing > 0 else None,
            "seconds_per_epoch": self._epoch_images / total if total else None,
            "step_seconds": seconds / max(steps, 1),
            "phase_seconds": {phase: fmean(rank[phase] for rank in by_rank) for phase in PHASES},
            "phase_seconds_by_rank": by_rank,
        }


def _exposed(ranks: Sequence[Sequence[StepTime]]) -> dict[str, float]:
    """Mean seconds of communication by exchange, over ranks and steps."""
    seconds: dict[str, float] = {}
    for step in (step for rank in ranks for step in rank):
        for exchange, exposed in step.exposed.items():
            seconds[exchange.name] = seconds.get(exchange.name, 0.0) + exposed
    return {name: of / max(sum(map(len, ranks)), 1) for name, of in seconds.items()}


def _histogram(steps: Sequence[StepTime]) -> dict[str, int]:
    """Upper bound -> steps between it and the bound before; those without a step are left out."""
    names, counts = [*map(str, BOUNDS), "inf"], dict[str, int]()
    for place in sorted(bisect.bisect_left(BOUNDS, sum(step.phases.values())) for step in steps):
        counts[names[place]] = counts.get(names[place], 0) + 1
    return counts


def _peak_memory_bytes(device: torch.device) -> int:
    """Most memory that this rank ever held: of the device, or resident in the host's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
