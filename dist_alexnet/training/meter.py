"""Adds up what the steps of a run cost on all of its ranks: loss, seconds per phase and exchange, bytes."""

import bisect
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Protocol

import torch

from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.telemetry.clock import PHASES, StepTime
from dist_alexnet.telemetry.waiting import pack, split_waiting, unpack

# Upper bounds in seconds, those of Prometheus with room on both sides: a step of the paper's batch takes seconds on a CPU.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)
KEPT_STEPS = 200  # times of steps that a rank keeps before it tells them: however rare reports are, it takes no more memory


class Gathers(Protocol):
    """Whoever can collect a value that JSON can say from all ranks."""

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, by rank, as it comes out of JSON."""


@dataclass
class _Sums:
    """Of some steps, on all ranks."""

    phases: list[dict[str, float]]  # seconds by rank
    steps: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    exposed: dict[str, float] = field(default_factory=dict)  # seconds by exchange, over ranks
    histogram: dict[int, int] = field(default_factory=dict)  # place among the bounds -> steps
    cpu: list[float] = field(default_factory=list)  # seconds by rank, of all threads

    @staticmethod
    def none(ranks: int) -> "_Sums":
        return _Sums([dict.fromkeys(PHASES, 0.0) for _ in range(ranks)], cpu=[0.0] * ranks)

    def add(self, ranks: Sequence[Sequence[StepTime]], traffics: Iterable[Traffic], cpu: Sequence[float]) -> None:
        """More steps, the same on each rank."""
        self.steps += len(ranks[0])
        self.cpu = [sum(both) for both in zip(self.cpu, cpu, strict=True)]
        self.traffic = self.traffic.merge(traffics)
        for phases, steps in zip(self.phases, ranks, strict=True):
            for step in steps:
                for phase, seconds in step.phases.items():
                    phases[phase] += seconds
                for exchange, seconds in step.exposed.items():
                    self.exposed[exchange.name] = self.exposed.get(exchange.name, 0.0) + seconds
        for step in ranks[0]:
            place = bisect.bisect_left(BOUNDS, sum(step.phases.values()))
            self.histogram[place] = self.histogram.get(place, 0) + 1


class Meter:
    """Measures since the last report (`take`) and since the start (`totals`). Every rank has one and they report together."""

    def __init__(self, strategy: Strategy, ranks: Gathers, epoch_images: int) -> None:
        """`epoch_images`: of one pass over the training set."""
        self._strategy, self._ranks, self._epoch_images = strategy, ranks, epoch_images
        self._batch = strategy.config.train.global_batch
        self._losses: list[float] = []
        self._last_loss: float | None = None
        self._last_steps = self._pending = 0
        self._since, self._total = (_Sums.none(strategy.world.world_size) for _ in range(2))
        self._bytes_per_step: dict[str, dict[str, float]] = {}
        self._cpu, self._cpu_mark = 0.0, time.process_time()
        self._peaks: list[int] = []  # by rank

    def loss(self, loss: float) -> None:
        """Note the loss of a step."""
        self._losses.append(loss)

    def step(self) -> None:
        """Note the end of a step."""
        self._strategy.clock.end_step()
        now = time.process_time()
        self._cpu, self._cpu_mark = self._cpu + now - self._cpu_mark, now
        self._pending += 1
        if self._pending >= KEPT_STEPS:
            self._collect()

    def take(self) -> dict[str, Any]:
        """Numbers of the steps since the last call, by the names of `Steps` in records.py, and reset them."""
        self._collect()
        since, self._since = self._since, _Sums.none(len(self._since.phases))
        self._bytes_per_step = since.traffic.as_dict(scale=max(since.steps, 1))
        self._last_steps, self._losses, losses = len(self._losses), [], self._losses
        self._last_loss = fmean(losses) if losses else None
        names = [*map(str, BOUNDS), "inf"]
        return {
            "loss": self._last_loss,
            "steps": since.steps,
            "images": since.steps * self._batch,
            **self._costs(since),
            "cpu_seconds_by_rank": [seconds / max(since.steps, 1) for seconds in since.cpu],
            "peak_memory_bytes_by_rank": self._peaks,
            "exposed_seconds": {name: of / max(since.steps * len(since.phases), 1) for name, of in since.exposed.items()},
            "exchange_bytes_per_step": self._bytes_per_step,
            "step_histogram": {names[place]: steps for place, steps in sorted(since.histogram.items())},
        }

    def skip(self) -> None:
        """Drop the time since the last step: it was no training."""
        self._strategy.clock.restart()
        self._cpu_mark = time.process_time()

    def forget(self) -> None:
        """Drop the time since the last step, and what was sent."""
        self.skip()
        self._strategy.traffic.clear()

    def totals(self) -> dict[str, Any]:
        """Numbers since the start, for the summary; phases in seconds per step."""
        return {
            "final_loss": self._last_loss,
            "final_loss_steps": self._last_steps,  # it is their mean
            **self._costs(self._total),
            "exchange_bytes_per_step": self._bytes_per_step,
            "peak_memory_bytes": max(self._ranks.gather(peak_memory_bytes(self._strategy.world.device))),
        }

    def _collect(self) -> None:
        """Hear from all ranks of the steps that have ended since the last time."""
        mine = {
            "steps": pack(self._strategy.clock.take()),
            "traffic": self._strategy.traffic.exact(),
            "cpu": self._cpu,
            "peak": peak_memory_bytes(self._strategy.world.device),
        }
        self._strategy.traffic.clear()
        self._pending, self._cpu = 0, 0.0
        with self._strategy.clock("communication", "report"):  # in the time of the next step
            told = self._ranks.gather(mine)
        ranks = [unpack(each["steps"]) for each in told]
        split_waiting(ranks)
        for sums in (self._since, self._total):
            sums.add(ranks, [Traffic.from_exact(each["traffic"]) for each in told], [each["cpu"] for each in told])
        self._peaks = [each["peak"] for each in told]

    def _costs(self, sums: _Sums) -> dict[str, Any]:
        steps, images = max(sums.steps, 1), sums.steps * self._batch
        seconds = fmean(sum(rank.values()) for rank in sums.phases)
        computing = seconds - max(rank["data_wait"] for rank in sums.phases)
        total = images / seconds if seconds > 0 else None
        by_rank = [{phase: of / steps for phase, of in rank.items()} for rank in sums.phases]
        return {
            "total_ips": total,
            "compute_ips": images / computing if images and computing > 0 else None,
            "seconds_per_epoch": self._epoch_images / total if total else None,
            "step_seconds": seconds / steps,
            "phase_seconds": {phase: fmean(rank[phase] for rank in by_rank) for phase in PHASES},
            "phase_seconds_by_rank": by_rank,
        }


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory that this rank ever held: of the device, or resident in the host's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
