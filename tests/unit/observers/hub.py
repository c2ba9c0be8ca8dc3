"""The observer of Prometheus, in a registry of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from dist_alexnet.config import Config, LaunchConfig, StrategyConfig
from dist_alexnet.observers.families import PREFIX
from dist_alexnet.observers.prometheus import Prometheus
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Record

CONFIG = Config(strategy=StrategyConfig("ddp", {}), launch=LaunchConfig(name="local"))
RUN = {"run": "run", "strategy": "ddp"}


class Hub:
    """An observer and its registry."""

    def __init__(self, directory: RunDirectory, **options: Any) -> None:
        directory.create()
        self.registry = CollectorRegistry()
        self.observer = Prometheus(CONFIG, directory, Prometheus.Options(**options), self.registry)
        self.line = self.observer.begin(Reader.from_now_on(directory.metrics).before().new())
        self.url = self.line.removeprefix("metrics: ")

    def see(self, *records: Record) -> None:
        for record in records:
            self.observer.see(record)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(PREFIX + name, RUN | labels)


@contextmanager
def hub(folder: Path, **options: Any) -> Iterator[Hub]:
    made = Hub(RunDirectory(folder / "run"), **options)
    try:
        yield made
    finally:
        made.observer.close()
