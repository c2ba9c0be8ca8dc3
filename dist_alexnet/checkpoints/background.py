"""Work that goes on while something else does."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def in_background(name: str, work: Callable[[], Result]) -> "Future[Result]":
    """Do it in a thread of its own, for which the end of the process does not wait: a disk may hang."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # handed to whoever asks for the result
            future.set_exception(error)

    Thread(target=run, name=name, daemon=True).start()
    return future
