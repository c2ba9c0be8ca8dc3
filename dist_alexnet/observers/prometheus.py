"""Metrics of a run for Prometheus (docs/metrics.md), from the process that started it: one target, whichever ranks die."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from dist_alexnet.config import Config, UsageError, check_range
from dist_alexnet.observers.counts import BOUNDS, Counts
from dist_alexnet.observers.series import Series
from dist_alexnet.observers.server import Server
from dist_alexnet.observers.targets import Target
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import NonFiniteLoss, RankFailure
from dist_alexnet.runs.observers import Observer
from dist_alexnet.runs.records import Ended, Record, RunStarted
from dist_alexnet.telemetry.environment import versions

MAX_PORT, MAX_LINGER_S = 65535, 600.0


class Prometheus(Observer):
    """Serves what the records of a run come to."""

    @dataclass(frozen=True)
    class Options:
        """Fields of `observers.prometheus`."""

        port: int = 0  # 0: a free one
        host: str = "127.0.0.1"  # whoever reaches it reads the metrics: loopback, unless somebody says otherwise
        linger_s: float = 0.0  # after the end it still answers so long, for a last scrape

        def __post_init__(self) -> None:
            check_range("observers.prometheus", self, 0, MAX_PORT, "port")
            check_range("observers.prometheus", self, 0, MAX_LINGER_S, "linger_s")
            if not self.host.strip():  # which the system would take for all addresses
                raise UsageError("observers.prometheus.host is empty; type an address of this machine, or leave it out for 127.0.0.1")

    def __init__(self, config: Config, directory: RunDirectory, options: Options, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.linger_s, self._directory = options.linger_s, directory
        installed = versions()
        about = {"launcher": config.launch.name} | {name: installed.get(name.replace("_", "-"), "") for name in ("dist_alexnet", "torch")}
        about["python"] = installed["python"]
        self._counts = Counts(Series(BOUNDS), directory.path.name, config.strategy.name, about)
        registry.register(self._counts.series)
        self._server = Server(options.host, options.port, registry)
        self._target: Target | None = None
        self._started = self._ended = False

    def begin(self, earlier: Iterable[Record]) -> str:
        """Count what earlier attempts have done before anybody is answered: a counter that goes back looks like a restart from zero."""
        for record in earlier:
            self.see(record)
        self._ended = False
        self._counts.state("starting")
        self._server.serve()
        try:
            self._target = Target(self._directory, self._server.target)
        except OSError as error:
            raise UsageError(f"cannot write {error.filename}: {error.strerror}; leave --metrics-port out, or make it writable") from None
        return f"metrics: {self._server.url}"

    def see(self, record: Record) -> None:
        """Count one record."""
        with self._counts.series.lock:
            self._counts.see(record)
        self._started |= isinstance(record, RunStarted)
        self._ended = isinstance(record, Ended)

    def close(self) -> None:
        """Say how it ended, to whoever still asks."""
        if not self._ended:
            no_loss = any(failure.kind == NonFiniteLoss.__name__ for failure in RankFailure.all(self._directory))
            with self._counts.series.lock:
                self._counts.failed(no_loss)
        time.sleep(self.linger_s if self._target else 0)
        self._server.close()
        if self._target:
            self._target.remove(self._ended or not self._started)
