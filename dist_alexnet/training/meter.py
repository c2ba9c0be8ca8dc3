"""Adds up what the steps of a run cost: loss, seconds per phase, bytes per exchange."""

import resource
import sys
from typing import Any, Protocol

import torch

from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.telemetry.clock import PHASES


class Gathers(Protocol):
    """Whoever can collect a value that JSON can say from all ranks."""

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, by rank, as it comes out of JSON."""


class Meter:
    """Measures since the last report (`take`) and since the start (`totals`). Every rank has one and they report together."""

    def __init__(self, strategy: Strategy, ranks: Gathers, epoch_images: int) -> None:
        """`epoch_images`: of one pass over the training set."""
        self._strategy, self._ranks, self._epoch_images = strategy, ranks, epoch_images
        self._losses: list[float] = []
        self._last_loss: float | None = None
        self._last_steps = 0
        self._steps = self._images = 0
        self._seconds = 0.0
        self._total = {"steps": 0, "images": 0, "seconds": 0.0, **dict.fromkeys(PHASES, 0.0)}
        self._bytes_per_step: dict[str, dict[str, float]] = {}

    def loss(self, loss: float) -> None:
        """Note the loss of a step."""
        self._losses.append(loss)

    def step(self, images: int, seconds: float) -> None:
        """Note that a step over this many images of the global batch took so long."""
        self._steps, self._images, self._seconds = self._steps + 1, self._images + images, self._seconds + seconds

    def take(self) -> dict[str, Any]:
        """Numbers since the last call; resets them.

        Returns:
            Mean loss; `total_ips`, images per second of the steps' wall clock, and `compute_ips`, without waiting for data;
            `seconds_per_epoch`, what the steps of an epoch take at `total_ips`; mean seconds per step and phase of rank 0; bytes per step
            and exchange, summed over the ranks.
        """
        phases = self._strategy.clock.take()
        everything = Traffic().merge(map(Traffic.from_exact, self._ranks.gather(self._strategy.traffic.exact())))
        self._strategy.traffic.clear()
        steps = max(self._steps, 1)
        self._bytes_per_step = everything.as_dict(scale=steps)
        self._last_steps = len(self._losses)
        self._last_loss = sum(self._losses) / len(self._losses) if self._losses else None
        for name, value in (("steps", self._steps), ("images", self._images), ("seconds", self._seconds), *phases.items()):
            self._total[name] += value
        report = {
            "loss": self._last_loss,
            "steps": self._steps,
            **self._rates(self._images, self._seconds, phases["data_wait"]),
            "step_seconds": self._seconds / steps,
            "phase_seconds": {phase: seconds / steps for phase, seconds in phases.items()},
            "exchange_bytes_per_step": self._bytes_per_step,
        }
        self._losses, self._steps, self._images, self._seconds = [], 0, 0, 0.0
        return report

    def forget(self) -> None:
        """Drop what was measured since the last `take`: it was no training."""
        self._strategy.clock.take()
        self._strategy.traffic.clear()

    def totals(self) -> dict[str, Any]:
        """Numbers since the start, for the summary; phases in seconds per step."""
        total = self._total
        return {
            "final_loss": self._last_loss,
            "final_loss_steps": self._last_steps,  # it is their mean
            **self._rates(total["images"], total["seconds"], total["data_wait"]),
            "phase_seconds": {phase: total[phase] / max(total["steps"], 1) for phase in PHASES},
            "exchange_bytes_per_step": self._bytes_per_step,
            "peak_memory_bytes": max(self._ranks.gather(_peak_memory_bytes(self._strategy.world.device))),
        }

    def _rates(self, images: float, seconds: float, waited: float) -> dict[str, float | None]:
        total = images / seconds if seconds > 0 else None
        compute = images / (seconds - waited) if seconds > waited else None
        return {"total_ips": total, "compute_ips": compute, "seconds_per_epoch": self._epoch_images / total if total else None}


def _peak_memory_bytes(device: torch.device) -> int:
    """Most memory that this rank ever held: of the device, or resident in the host's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
