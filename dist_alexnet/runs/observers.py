"""Who looks on while a run goes on: the terminal, and whatever else is registered. None of them can end it.

They live in the driver's process, so they see a run whole, whichever ranks die or are started again.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Record

POLL_S = 0.5
CLOSE_WAIT_S = 5.0


@dataclass(frozen=True)
class NoOptions:
    """For an observer without options of its own."""


class Observer(ABC):
    """Is told each record of a run. The setting `observers.NAME` asks for the entry point NAME of the group `dist_alexnet.observers`."""

    Options: ClassVar[type] = NoOptions  # frozen dataclass: the fields of `observers.NAME`, so that typos fail

    def __init__(self, config: Config, directory: RunDirectory, options: Any) -> None:
        """Before the ranks are started (UsageError: what was asked of it cannot be had, and nothing starts). `options`: of type Options."""

    linger_s: float = 0.0  # of `close`, beyond CLOSE_WAIT_S

    def begin(self, earlier: Iterable[Record]) -> str:
        """Once, before the ranks are started (UsageError: as above). Returns a line for the person, or nothing.

        Args:
            earlier: what earlier attempts have written, for whoever goes on counting; `see` is told of all that comes after.
        """
        return ""

    @abstractmethod
    def see(self, record: Record) -> None:
        """A record that has just been written; one after the other, in their order, from a thread of this observer's own."""

    def close(self) -> None:
        """There will be no more; after a run that failed, too."""


class Guarded:
    """An observer that is switched off, with one line, when it fails."""

    def __init__(self, name: str, observer: Observer | None, say: Callable[[str], None]) -> None:
        self.name, self._say = name, say
        self._observer = observer

    def see(self, record: Record) -> None:
        """Pass it on."""
        self._call(lambda observer: observer.see(record), "is switched off, the run goes on")

    def close(self) -> None:
        """Pass it on; nothing is passed on after it."""
        self._call(lambda observer: observer.close(), "did not end well")
        self._observer = None

    def _call(self, act: Callable[[Observer], None], outcome: str) -> None:
        if self._observer:
            try:
                act(self._observer)
            except (Exception, SystemExit) as error:
                self._observer = None
                told = str(error).strip().partition("\n")[0]
                self._say(f"the observer {self.name} {outcome}: {type(error).__name__}: {told}")


class _Feed(threading.Thread):
    """Passes the records of a run on to one observer, who may take as long over each as it likes."""

    def __init__(self, observer: Guarded, reader: Reader, close_wait_s: float) -> None:
        super().__init__(name=f"observer {observer.name}", daemon=True)
        self.over, self.close_wait_s = threading.Event(), close_wait_s
        self.observer, self._reader = observer, reader

    def run(self) -> None:
        last = False
        while not last:
            last = self.over.wait(POLL_S)
            for record in self._reader.new():
                self.observer.see(record)
        self.observer.close()


@contextmanager
def observed(config: Config, directory: RunDirectory, say: Callable[[str], None]) -> Iterator[None]:
    """Feed the observers of a settled configuration with what is written from here on, until the end of the block.

    Raises:
        UsageError: one of them is not installed, or cannot start.
    """
    feeds = []
    try:
        for name in config.observers:
            reader = Reader.from_now_on(directory.metrics)
            with _starting(name):
                kind = registry.load(registry.OBSERVERS, name)
                observer: Observer = kind(config, directory, kind.Options(**config.observers[name]))
                feeds.append(_Feed(Guarded(name, observer, say), reader, CLOSE_WAIT_S + observer.linger_s))
                if line := observer.begin(reader.before().new()):
                    say(line)
            feeds[-1].start()
        yield
    finally:
        for feed in feeds:
            feed.over.set()
        _wait(feeds, say)


def _wait(feeds: Iterable[_Feed], say: Callable[[str], None]) -> None:
    begun = time.monotonic()
    for feed in feeds:
        if feed.ident is None:  # it was refused when it began
            feed.observer.close()
            continue
        feed.join(max(0.0, begun + feed.close_wait_s - time.monotonic()))
        if feed.is_alive():
            say(f"the observer {feed.observer.name} is not done after {feed.close_wait_s:.0f} s, and is left")


@contextmanager
def _starting(name: str) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise UsageError(f"the observer {name} does not start: {told}; mend that, or type observers.{name}=null") from error
