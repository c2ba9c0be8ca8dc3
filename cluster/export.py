"""What each rank publishes through Ray's own metrics, so that whatever looks at a cluster shows its runs without a further target.

On a cluster only: a Ray of our own ends with the run, and nobody looks there.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from ray.util.metrics import Counter, Gauge

from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import Record, RunStarted, Steps

POLL_S = 1.0
PREFIX = "dist_alexnet_"  # Ray puts its own before it
COUNTERS: Mapping[str, tuple[str, ...]] = {
    "phase_seconds_total": ("phase",),
    "cpu_seconds_total": (),
    "images_total": (),  # of the run, told by rank 0, as all that no rank has for itself
    "steps_total": (),
    "exchange_exposed_seconds_total": ("exchange",),
    "exchange_bytes_total": ("exchange", "direction"),
}
GAUGES = ("images_per_second", "memory_peak_bytes", "step", "loss", "learning_rate", "last_step_timestamp_seconds")


class RankMetrics:
    """The series of one rank."""

    def __init__(self, run: str, rank: int) -> None:
        self._rank = rank
        # Under Ray Train's names too, so that its dashboards find them.
        self._tags = {"run": run, "strategy": "", "rank": str(rank), "ray_train_run_name": run, "ray_train_worker_world_rank": str(rank)}
        self._counters = {
            name: Counter(PREFIX + name, description=f"As {PREFIX}{name} of the run", tag_keys=(*self._tags, *labels))
            for name, labels in COUNTERS.items()
        }
        self._gauges = {
            name: Gauge(PREFIX + name, description=f"As {PREFIX}{name} of the run", tag_keys=tuple(self._tags)) for name in GAUGES
        }

    def see(self, record: Record) -> None:
        """Publish this rank's share of a record."""
        if isinstance(record, RunStarted):
            self._tags["strategy"] = record.strategy
        elif isinstance(record, Steps):
            for name, amount, labels in self._amounts(record):
                if amount > 0:  # Ray refuses to add nothing
                    self._counters[name].inc(amount, self._tags | labels)
            for name, value in self._values(record):
                self._gauges[name].set(value, self._tags)

    def _amounts(self, record: Steps) -> Iterator[tuple[str, float, dict[str, str]]]:
        steps, rank = record.steps, self._rank
        if rank < len(record.phase_seconds_by_rank):
            for phase, seconds in record.phase_seconds_by_rank[rank].items():
                yield "phase_seconds_total", steps * seconds, {"phase": phase}
        if rank < len(record.cpu_seconds_by_rank):
            yield "cpu_seconds_total", steps * record.cpu_seconds_by_rank[rank], {}
        if rank == 0:
            yield "images_total", record.images, {}
            yield "steps_total", steps, {}
            for exchange, seconds in record.exposed_seconds.items():
                yield "exchange_exposed_seconds_total", steps * seconds, {"exchange": exchange}
            for exchange, directions in record.exchange_bytes_per_step.items():
                for direction, size in directions.items():
                    yield "exchange_bytes_total", steps * size, {"exchange": exchange, "direction": direction}

    def _values(self, record: Steps) -> Iterator[tuple[str, float]]:
        if self._rank < len(record.peak_memory_bytes_by_rank):
            yield "memory_peak_bytes", record.peak_memory_bytes_by_rank[self._rank]
        yield from (("step", record.step), ("last_step_timestamp_seconds", record.time))
        if self._rank == 0:
            yield from (("loss", float("nan") if record.loss is None else record.loss), ("learning_rate", record.lr))
            if record.total_ips is not None:
                yield "images_per_second", record.total_ips


class Export(threading.Thread):
    """Follows a run from beside one of its ranks. It never ends it: whatever goes wrong is a line in the rank's log."""

    def __init__(self, metrics: Path, rank: int) -> None:
        """`metrics`: the file of the run; made before the rank begins, so that no record is missed."""
        super().__init__(name="export", daemon=True)
        self._reader, self._run, self._rank = Reader.from_now_on(metrics), metrics.parent.name, rank
        self._over = threading.Event()

    def run(self) -> None:
        """Publish until the rank is done, and then what is left."""
        try:
            published, last = RankMetrics(self._run, self._rank), False
            while not last:
                last = self._over.wait(POLL_S)
                for record in self._reader.new():
                    published.see(record)
        except Exception as error:
            logging.getLogger(__name__).warning("metrics are no longer published through Ray: %s: %s", type(error).__name__, error)

    def finish(self) -> None:
        """The rank is done."""
        self._over.set()
        self.join(2 * POLL_S)
