"""What the ranks of a run tell each other at every step, a step late."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dist_alexnet.launch.agreement import Agreement


class LateSum:
    """Sums over the ranks that are asked for at the end of a step and known at the end of the next one: nobody waits for anybody.

    On CUDA the values of a step are looked at when the device has been given the next one, so that it always has something to do.
    """

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._late: _Late | None = None

    def begin(self, loss: Tensor, *values: float) -> list[float] | None:
        """Ask for the sums of a step; every rank calls it together. Returns those of the step before, unless they were taken already.

        Args:
            loss: a number on whatever device, which is not waited for.
            values: on the host.
        """
        before = self.take()
        self._late = _Late(self._agreement, loss, values)
        return before

    def take(self) -> list[float] | None:
        """The sums of the last step that were asked for, which every rank waits for; None: they are known already."""
        late, self._late = self._late, None
        return late.finish() if late else None


class _Late:
    """One step's values on their way."""

    def __init__(self, agreement: Agreement, loss: Tensor, values: Sequence[float]) -> None:
        self._agreement, self._values = agreement, values
        self._event: torch.cuda.Event | None = None
        self._work: Any = None
        if loss.is_cuda:
            self._loss = torch.empty((), dtype=loss.dtype, pin_memory=True).copy_(loss, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._loss = loss
            self._start()

    def _start(self) -> None:
        self._total = torch.tensor([float(self._loss), *self._values], dtype=torch.float64)
        self._work = self._agreement.start(self._total)

    def finish(self) -> list[float]:
        if self._event:
            self._event.synchronize()
            self._start()
        if self._work:
            self._work.wait()
            self._agreement.alive()
        total: list[float] = self._total.tolist()
        return total
