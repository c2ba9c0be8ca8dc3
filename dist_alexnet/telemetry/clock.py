"""Where the time of a step goes: exclusive seconds per phase."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PHASES = ("data_wait", "h2d", "forward", "backward", "communication", "optimizer")


class Clock:
    """Splits wall time into phases. A phase inside another one is taken out of it: communication is the part that nothing hides.

    On CUDA the device is waited for at the borders of a phase, so that the seconds are the device's.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self._seconds: dict[str, float] = defaultdict(float)
        self._inner = 0.0  # seconds that phases inside the current one have taken

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Charge the time inside the block to a phase."""
        outer, self._inner = self._inner, 0.0
        start = self._now()
        try:
            yield
        finally:
            elapsed = self._now() - start
            self._seconds[phase] += elapsed - self._inner
            self._inner = outer + elapsed

    def move(self, seconds: float, source: str, target: str) -> None:
        """Charge to `target` what was measured as part of `source`."""
        self._seconds[source] -= seconds
        self._seconds[target] += seconds

    def take(self) -> dict[str, float]:
        """Seconds per phase since the last call."""
        seconds = {phase: self._seconds[phase] for phase in PHASES}
        self._seconds.clear()
        return seconds

    def _now(self) -> float:
        if self._device is not None and self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
