"""What is taken ahead comes as if it were not, errors included."""

import itertools
import threading
from collections.abc import Iterator

import pytest

from dist_alexnet.data.load.ahead import ahead


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_all_come_in_order(depth: int) -> None:
    assert list(ahead(iter(range(4)), depth)) == [0, 1, 2, 3]
    assert list(ahead(iter(()), depth)) == []


def test_what_is_raised_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise KeyError("third")

    taken = ahead(items(), 5)
    assert [next(taken), next(taken)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(taken)


def test_another_thread_takes_so_many_beforehand_and_ends_when_closed() -> None:
    takers, enough = list[threading.Thread](), threading.Event()

    def items() -> Iterator[int]:
        for number in itertools.count():
            takers.append(threading.current_thread())
            if number == 3:
                enough.set()
            yield number

    taken = ahead(items(), 3)
    assert next(taken) == 0
    assert enough.wait(60), "numbers 1 to 3 are taken though nobody asks"
    taken.close()
    assert len(takers) == 4
    assert set(takers).isdisjoint({threading.current_thread()})
    assert not takers[0].is_alive()
