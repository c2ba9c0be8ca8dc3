"""Marks in time: of the host, or of what a CUDA device has been given to do."""

import time
from typing import Any, Protocol

import torch


class Timer(Protocol):
    """Makes marks, and says later how far they are apart."""

    def mark(self) -> Any:
        """Now."""

    def wait(self, mark: Any) -> None:
        """Return when the mark, and with it all before it, has been reached."""

    def seconds(self, start: Any, end: Any) -> float:
        """From one mark to another, both of which have been reached."""


class HostTimer:
    """The wall clock of this process."""

    def mark(self) -> float:
        """Now."""
        return time.perf_counter()

    def wait(self, mark: float) -> None:
        """It has been reached."""

    def seconds(self, start: float, end: float) -> float:
        """Between two marks."""
        return end - start


class CudaTimer:
    """Events on the current stream of a device: when it gets there, not when the host has asked it to."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> torch.cuda.Event:
        """Behind all that the stream has been given so far."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def wait(self, mark: torch.cuda.Event) -> None:
        """Until the device gets there."""
        mark.synchronize()

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Between two marks."""
        return float(start.elapsed_time(end)) / 1e3
