"""Where the time of a step goes: seconds per phase that add up to the step's, and what of them was waiting for which exchange."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from dist_alexnet.telemetry.timer import CudaTimer, HostTimer, Timer

# rank_wait: for the slowest rank, which is known when all have told (waiting.py). other: of a step, and of none of the other phases.
PHASES = ("data_wait", "h2d", "forward", "backward", "communication", "rank_wait", "optimizer", "other")


@dataclass(frozen=True)
class Exchanged:
    """What a rank may wait for."""

    name: str  # of the exchange: a layer, "gradients", ...
    members: tuple[int, ...] = ()  # ranks that take part


NOTHING = Exchanged("")


@dataclass
class StepTime:
    """Where the time of one step went on one rank, in seconds."""

    phases: dict[str, float]  # every one of PHASES
    exposed: dict[Exchanged, float]  # of "communication", by exchange


@dataclass(frozen=True)
class Span:
    """A stretch of time that belongs to one phase."""

    phase: str
    exchange: str  # empty: none
    start: float  # seconds since the clock was made
    seconds: float


@dataclass(frozen=True)
class _Lap:
    phase: str
    exchange: Exchanged
    start: Any  # marks of the timer
    end: Any


class Clock:
    """Splits the time of steps into phases. A phase inside another one is taken out of it: communication is what nothing hides.

    On CUDA the borders are events on the device's stream, for which nobody waits before `take`: a phase has the device's time, and what
    the host does while the device still works costs nothing.
    """

    def __init__(self, device: torch.device | None = None, timer: Timer | None = None) -> None:
        """`timer`: by itself that of the device."""
        self.timer: Timer = timer or (CudaTimer(device) if device is not None and device.type == "cuda" else HostTimer())
        self.spans: list[Span] | None = None  # a list that is put here takes the spans of each step that is taken
        self._stack = [("other", NOTHING)]
        self._laps: list[_Lap] = []  # of the step that goes on
        self._steps: list[list[_Lap]] = []  # that have ended
        self._made = self._last = self.timer.mark()

    @contextmanager
    def __call__(self, phase: str, exchange: str = "", members: tuple[int, ...] = ()) -> Iterator[None]:
        """Charge the time inside the block to a phase, and if that is communication to an exchange between these ranks."""
        self._lap(*self._stack[-1], self.timer.mark())
        self._stack.append((phase, Exchanged(exchange, members)))
        try:
            yield
        finally:
            self._lap(*self._stack.pop(), self.timer.mark())

    def charge_since(self, mark: Any, phase: str, exchange: str = "", members: tuple[int, ...] = ()) -> None:
        """Charge the time since a mark of the timer, all of which belongs to the present phase so far, to another one."""
        self._lap(*self._stack[-1], mark)
        self._lap(phase, Exchanged(exchange, members), self.timer.mark())

    def end_step(self) -> None:
        """What follows belongs to the next step."""
        self._lap(*self._stack[-1], self.timer.mark())
        self._steps.append(self._laps)
        self._laps = []

    def restart(self) -> None:
        """The next step begins now: what has passed since the last one was no training."""
        self._laps, self._last = [], self.timer.mark()

    def take(self) -> list[StepTime]:
        """Of each step that has ended since the last call, in order. Waits for the device to get there."""
        steps, self._steps = self._steps, []
        if steps:
            self.timer.wait(steps[-1][-1].end)
        return [self._time(laps) for laps in steps]

    def _lap(self, phase: str, exchange: Exchanged, end: Any) -> None:
        self._laps.append(_Lap(phase, exchange, self._last, end))
        self._last = end

    def _time(self, laps: list[_Lap]) -> StepTime:
        step = StepTime(dict.fromkeys(PHASES, 0.0), {})
        for lap in laps:
            seconds = self.timer.seconds(lap.start, lap.end)
            step.phases[lap.phase] += seconds
            if lap.phase == "communication":
                step.exposed[lap.exchange] = step.exposed.get(lap.exchange, 0.0) + seconds
            if self.spans is not None:
                self.spans.append(Span(lap.phase, lap.exchange.name, self.timer.seconds(self._made, lap.start), seconds))
        return step
