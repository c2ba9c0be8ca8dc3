"""What a run of two ranks says of itself, in a folder."""

from pathlib import Path
from typing import Any

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import BadImage, CheckpointSaved, Ended, Record, RunStarted, Stage, Steps, Validated

PHASES = ({"data_wait": 0.1, "forward": 0.3, "rank_wait": 0.0}, {"data_wait": 0.0, "forward": 0.1, "rank_wait": 0.3})


def started(step: int = 0, **more: Any) -> RunStarted:
    about: dict[str, Any] = {"strategy": "ddp", "options": {"wire": "full"}, "mesh": {"data": 2}, "world_size": 2, "device": "cpu"}
    return RunStarted(step=step, epoch=0.0, total_epochs=2.0, total_steps=20, global_batch=16, **about | more)


def steps(step: int, loss: float | None = 1.5) -> Steps:
    """Two steps of 0.4 s."""
    return Steps(
        step=step,
        epoch=step / 10,
        lr=0.01,
        loss=loss,
        steps=2,
        images=32,
        step_seconds=0.4,
        phase_seconds={phase: (PHASES[0][phase] + PHASES[1][phase]) / 2 for phase in PHASES[0]},
        phase_seconds_by_rank=list(PHASES),
        cpu_seconds_by_rank=[0.5, 0.25],
        peak_memory_bytes_by_rank=[1000, 2000],
        exposed_seconds={"gradients": 0.05},
        exchange_bytes_per_step={"gradients": {"forward": 0.0, "backward": 64.0}},
        step_histogram={"0.25": 1, "1.0": 1},
        total_ips=40.0,
        compute_ips=50.0,
        seconds_left=3.0,
    )


def validated(step: int) -> Validated:
    return Validated(step=step, epoch=1.0, top1_error=0.5, top5_error=0.25, loss=1.0, images=22, seconds=2.0)


def saved(step: int) -> CheckpointSaved:
    return CheckpointSaved(step=step, path=f"step-{step:08d}", seconds=0.5, bytes=4096)


FIRST: tuple[Record, ...] = (
    Stage(doing="building the network, opening the images"),
    started(),
    Stage(doing="training"),
    steps(2),
    BadImage(step=3, image="a.jpg: truncated"),
    steps(4),
    Stage(doing="validation"),
    validated(4),
    Stage(doing="checkpoint"),
    saved(4),
)
SECOND: tuple[Record, ...] = (started(4), BadImage(step=5, image="a.jpg: truncated"), steps(6), Ended(step=6, status="completed"))


def write(folder: Path, records: tuple[Record, ...], attempt: int = 0) -> RunDirectory:
    """As rank 0 does."""
    directory = RunDirectory(folder)
    directory.create()
    file = MetricsFile(directory.metrics, attempt)
    for record in records:
        file.write(record)
    return directory
