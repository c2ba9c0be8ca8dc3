"""The metrics of a run by name: what is exported, in which unit, under which labels. docs/metrics.md explains them."""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "dist_alexnet_"
LABELS = ("run", "strategy")  # of every one


@dataclass(frozen=True)
class Family:
    """What all series of one name have in common."""

    kind: str  # "counter", "gauge" or "histogram"
    help: str
    labels: tuple[str, ...] = ()  # besides LABELS


def _counter(text: str, *labels: str) -> Family:
    return Family("counter", text, labels)


def _gauge(text: str, *labels: str) -> Family:
    return Family("gauge", text, labels)


# Counters hold the work of all attempts at a run, steps that were done again after a kill included.
FAMILIES: Mapping[str, Family] = {
    "run_info": _gauge(
        "What runs; always 1", "mesh", "options", "world_size", "device", "global_batch", "launcher", "dist_alexnet", "torch", "python"
    ),
    "run_state": _gauge("1 for what the run does now, or how it ended; 0 for the rest", "state"),
    "start_timestamp_seconds": _gauge("When the ranks of this attempt were connected"),
    "last_step_timestamp_seconds": _gauge("When steps were last reported"),
    "last_record_timestamp_seconds": _gauge("When the run last said anything of itself"),
    "report_seconds": _gauge("How long the steps of the last report took together: reports come this often"),
    "restarts_total": _counter("Attempts after the first"),
    "failures_total": _counter("Attempts that failed, and were forgiven"),
    "resizes_total": _counter("Times that the run went on with another number of ranks"),
    "world_size": _gauge("Ranks of this attempt"),
    "images_total": _counter("Images trained on"),
    "steps_total": _counter("Optimizer steps done"),
    "step": _gauge("Optimizer steps that the weights have seen"),
    "steps_planned": _gauge("Optimizer steps at the end of the run"),
    "epoch": _gauge("Passes over the training set"),
    "epochs_planned": _gauge("Passes over the training set at the end of the run"),
    "time_left_seconds": _gauge("To the end of the run, by its own estimate"),
    "images_per_second": _gauge("Over the steps of the last report"),
    "compute_images_per_second": _gauge("The same, had no rank waited for data"),
    "step_duration_seconds": Family("histogram", "Of an optimizer step"),
    "phase_seconds_total": _counter("Time of the steps by phase; those of a rank add up to the time of its steps", "rank", "phase"),
    "data_wait_seconds_total": _counter("Time that a rank waited for images; also a phase", "rank"),
    "exchange_exposed_seconds_total": _counter("Time that ranks waited for an exchange, which nothing hid; mean over ranks", "exchange"),
    "exchange_bytes_total": _counter("Sent over all ranks", "exchange", "direction"),
    "cpu_seconds_total": _counter("Of all threads of a rank, in steps", "rank"),
    "memory_peak_bytes": _gauge("Most that a rank ever held: of its device, or resident", "rank"),
    "loss": _gauge("Mean over the steps of the last report; NaN: not finite"),
    "non_finite_losses_total": _counter("Reports whose loss was not finite"),
    "learning_rate": _gauge("Of the last step"),
    "error_ratio": _gauge("Share of images whose class is not among the first k", "split", "k"),
    "validation_loss": _gauge("Of the newest validation"),
    "validations_total": _counter("Validations done"),
    "validation_seconds_total": _counter("Time of validations"),
    "validation_duration_seconds": _gauge("Of the newest validation"),
    "checkpoints_total": _counter("Checkpoints written"),
    "checkpoint_failures_total": _counter("Checkpoints that could not be written"),
    "checkpoint_seconds_total": _counter("Time of checkpoints, in which the run may have gone on"),
    "checkpoint_blocked_seconds_total": _counter("Of it, in which it could not"),
    "checkpoint_duration_seconds": _gauge("Of the newest checkpoint"),
    "checkpoint_bytes": _gauge("Of the newest checkpoint"),
    "bad_images_total": _counter("Images that could not be read or decoded, each once"),
}
