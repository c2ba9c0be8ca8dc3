"""What each record of a run adds to its metrics."""

import math
from collections.abc import Mapping

from dist_alexnet.json_text import to_json
from dist_alexnet.observers.series import Series
from dist_alexnet.runs.records import (
    BadImage,
    CheckpointFailed,
    CheckpointSaved,
    Ended,
    Record,
    Restarted,
    RunStarted,
    Stage,
    Steps,
    Validated,
)

STATES = ("starting", "training", "validation", "checkpoint", "completed", "stopped", "failed")
NOW = {"training": "training", "validation": "validation", "checkpoint": "checkpoint"}  # stages; others come before the first step
# Those of training/meter.py, which this room does not import: steps of other bounds are counted under the next one of these.
BOUNDS = ("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "25.0", "50.0", "100.0")
FROM_ZERO = (
    "restarts_total", "failures_total", "resizes_total", "bad_images_total", "non_finite_losses_total", "checkpoint_failures_total",
)  # fmt: skip
MEAN = "mean"  # instead of a rank, of records from before each rank had its own


class Counts:
    """Keeps the series of a run up to date with its records."""

    def __init__(self, series: Series, run: str, strategy: str, about: Mapping[str, str]) -> None:
        """`strategy`: of records that do not say it. `about`: labels of run_info that no record has."""
        self.series, self._about = series, about
        self._run, self._strategy = run, strategy
        self._attempts, self._bad = 0, set[str]()
        self.series.labels = (run, strategy)
        for name in FROM_ZERO:
            self.series.add(name, 0.0)  # an alert on their growth needs the zero before it
        self.state("starting")

    def state(self, state: str) -> None:
        """What the run does now."""
        for each in STATES:
            self.series.put("run_state", float(each == state), each)

    def failed(self, no_loss: bool) -> None:
        """The run has ended without saying so. `no_loss`: because its loss was not finite, of which there is no record to count."""
        self.state("failed")
        if no_loss:
            self.series.put("loss", math.nan)

    def see(self, record: Record) -> None:
        """Count one record."""
        self.series.put("last_record_timestamp_seconds", record.time)
        match record:
            case Stage():
                self.state(NOW.get(record.doing, "starting"))
            case RunStarted():
                self._started(record)
            case Steps():
                self._steps(record)
            case Validated():
                self._validated(record)
            case CheckpointSaved():
                self._saved(record)
            case CheckpointFailed():
                self.state("training")
                self.series.add("checkpoint_failures_total", 1)
            case BadImage() if record.image not in self._bad:  # each attempt says it again
                self._bad.add(record.image)
                self.series.add("bad_images_total", 1)
            case Restarted():
                self.series.add("failures_total", float(record.failed))
                self.series.add("resizes_total", float(record.ranks != record.next_ranks))
            case Ended():
                self.state(record.status)

    def _started(self, record: RunStarted) -> None:
        series = self.series
        series.forget_gauges()
        series.labels = (self._run, record.strategy or self._strategy)
        for name in (*FROM_ZERO, "images_total", "steps_total"):
            series.add(name, 0.0)
        if self._attempts:
            series.add("restarts_total", 1)
        self._attempts += 1
        self.state("starting")
        mesh = ",".join(f"{axis}={size}" for axis, size in record.mesh.items())
        about = {
            "mesh": mesh, "options": to_json(record.options), "world_size": str(record.world_size), "device": record.device,
            "global_batch": str(record.global_batch), **self._about,
        }  # fmt: skip
        series.put("run_info", 1.0, *about.values())
        series.put("world_size", record.world_size)
        series.put("start_timestamp_seconds", record.time)
        series.put("last_record_timestamp_seconds", record.time)
        series.put("step", record.step)
        series.put("epoch", record.epoch)
        series.put("steps_planned", record.total_steps)
        series.put("epochs_planned", record.total_epochs)

    def _steps(self, record: Steps) -> None:
        series, steps = self.series, record.steps
        series.add("images_total", record.images)
        series.add("steps_total", steps)
        series.put("step", record.step)
        series.put("epoch", record.epoch)
        series.put("learning_rate", record.lr)
        series.put("loss", math.nan if record.loss is None else record.loss)
        series.add("non_finite_losses_total", record.loss is None)
        series.put("last_step_timestamp_seconds", record.time)
        series.put("report_seconds", steps * record.step_seconds)
        series.put("images_per_second", record.total_ips)
        series.put("compute_images_per_second", record.compute_ips)
        series.put("time_left_seconds", record.seconds_left)
        series.observe("step_duration_seconds", steps * record.step_seconds, record.step_histogram)
        self._costs(record)

    def _costs(self, record: Steps) -> None:
        series, steps = self.series, record.steps
        by_rank = dict(zip(map(str, range(len(record.phase_seconds_by_rank))), record.phase_seconds_by_rank, strict=True))
        for rank, phases in (by_rank or {MEAN: record.phase_seconds}).items():
            for phase, seconds in phases.items():
                series.add("phase_seconds_total", steps * seconds, rank, phase)
            series.add("data_wait_seconds_total", steps * phases.get("data_wait", 0.0), rank)
        for number, of in enumerate(record.cpu_seconds_by_rank):
            series.add("cpu_seconds_total", steps * of, str(number))
        for number, held in enumerate(record.peak_memory_bytes_by_rank):
            series.put("memory_peak_bytes", held, str(number))
        for exchange, seconds in record.exposed_seconds.items():
            series.add("exchange_exposed_seconds_total", steps * seconds, exchange)
        for exchange, directions in record.exchange_bytes_per_step.items():
            for direction, size in directions.items():
                series.add("exchange_bytes_total", steps * size, exchange, direction)

    def _validated(self, record: Validated) -> None:
        self.state("training")
        self.series.put("error_ratio", record.top1_error, "val", "1")
        self.series.put("error_ratio", record.top5_error, "val", "5")
        self.series.put("validation_loss", math.nan if record.loss is None else record.loss)
        self.series.put("validation_duration_seconds", record.seconds)
        self.series.add("validations_total", 1)
        self.series.add("validation_seconds_total", record.seconds or 0.0)

    def _saved(self, record: CheckpointSaved) -> None:
        self.state("training")
        self.series.put("checkpoint_duration_seconds", record.seconds)
        self.series.put("checkpoint_bytes", record.bytes)
        self.series.add("checkpoints_total", 1)
        self.series.add("checkpoint_seconds_total", record.seconds or 0.0)
        self.series.add("checkpoint_blocked_seconds_total", record.blocked_seconds or 0.0)
