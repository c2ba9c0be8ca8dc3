"""Crops on the CPU: threads finish what was read or decoded, ahead of whoever takes the batches."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from dist_alexnet.data.load.cpu_crop import Cropper, Recycler
from dist_alexnet.data.load.crops import Crops
from dist_alexnet.data.order.plan import Plan

PIECE = 16  # images that a thread takes at a time: few enough to stay in its cache between being read and being cropped
DECODED = 128  # where they lie in memory already: threads that ask for the interpreter less often hinder each other less

Pixels = npt.NDArray[np.uint8]
Squares = Callable[[range], Pixels]  # at these positions of a plan, [n, H, W, 3]; good until the same thread asks again


class CpuBatches:
    """Batches of crops, finished by threads.

    Args:
        crops: what to make.
        threads: how many of them.
        ahead: batches that are begun before the first one is taken.
        piece: images that a thread takes at a time.
    """

    def __init__(self, crops: Crops, threads: int, ahead: int, piece: int = PIECE) -> None:
        self._size, self._threads, self._ahead, self._piece = crops.size, threads, ahead, piece
        self._crop, self._recycler = Cropper(crops.size, crops.mean, crops.std), Recycler()

    def run(self, plans: Iterator[tuple[Plan, Squares]]) -> Generator[tuple[Plan, list[torch.Tensor]]]:
        """Each plan with its views, [max(b, 1), S, S, 3]. Close it to release the threads."""
        waiting: deque[tuple[Plan, list[torch.Tensor], list[Future[None]]]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="crop")
        try:
            for plan, squares in plans:
                waiting.append(self._begin(pool, plan, squares))
                if len(waiting) > self._ahead:
                    yield _finish(*waiting.popleft())
            while waiting:
                yield _finish(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, plan: Plan, squares: Squares) -> tuple[Plan, list[torch.Tensor], list[Future[None]]]:
        rows = len(plan.indices)
        crops = [torch.from_numpy(self._recycler.empty((rows, self._size, self._size, 3))) for _ in plan.views]
        pieces = [range(start, min(start + self._piece, rows)) for start in range(0, rows, self._piece)]
        return plan, crops, [pool.submit(self._fill, plan, squares, piece, crops) for piece in pieces]

    def _fill(self, plan: Plan, squares: Squares, piece: range, crops: list[torch.Tensor]) -> None:
        images, part = squares(piece), slice(piece.start, piece.stop)
        for view, crop in zip(plan.views, crops, strict=True):
            self._crop(images, view.part(part), crop[part].numpy())


def _finish(plan: Plan, crops: list[torch.Tensor], pieces: list[Future[None]]) -> tuple[Plan, list[torch.Tensor]]:
    for piece in pieces:
        piece.result()
    return plan, crops


class Scratch:
    """Squares of one size that each thread fills anew for every piece: new memory costs more than the pixels in it.

    Args:
        side: pixels.
    """

    def __init__(self, side: int) -> None:
        self.side, self._own = side, threading.local()

    def fill(self, piece: range, square: Callable[[int], Pixels]) -> Pixels:
        """The squares at these positions, [n, side, side, 3]."""
        if not hasattr(self._own, "squares"):
            self._own.squares = np.empty((PIECE, self.side, self.side, 3), np.uint8)
        squares: Pixels = self._own.squares[: len(piece)]
        for place, position in zip(squares, piece, strict=True):
            place[:] = square(position)
        return squares
