"""Takes from an iterator before anybody asks, so that who asks does not wait for a file."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item], depth: int) -> Generator[Item]:
    """The items in their order, up to `depth` of them taken beforehand, by a thread that lives until the generator is closed.

    What taking one raises is raised where that one would have come.
    """
    end: list[Item] = []
    taken: deque[Future[Item | list[Item]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        while True:
            while len(taken) <= depth:
                taken.append(pool.submit(next, items, end))
            item = taken.popleft().result()
            if item is end:
                return
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)
