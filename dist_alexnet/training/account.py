"""What a run says of itself when it starts and when it ends."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from dist_alexnet.runs.records import Record, Restarted, RunStarted
from dist_alexnet.training.loop import Training


def started(training: Training) -> RunStarted:
    """Where a run begins, and what is going to run."""
    strategy, config, step = training.strategy, training.config, training.progress.step
    return RunStarted(
        step=step,
        epoch=training.epoch,
        total_epochs=config.train.epochs,
        total_steps=step + training.work_left().steps,
        strategy=strategy.name,
        options=asdict(strategy.options),
        mesh=strategy.mesh,
        world_size=strategy.world.world_size,
        nodes=list(strategy.world.nodes),
        device=strategy.world.device.type,
        global_batch=config.train.global_batch,
    )


def resizes(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Where a run went on with another number of ranks, and why."""
    return [
        {"step": record.step, "from": record.ranks, "to": record.next_ranks, "why": record.why}
        for record in records
        if isinstance(record, Restarted) and record.ranks != record.next_ranks
    ]


def summary(training: Training, status: str, wall_seconds: float) -> Mapping[str, Any]:
    """What a run came to. Every rank calls it; the keys are part of the contract with whoever reads summary.json."""
    config, progress, strategy = training.config, training.progress, training.strategy
    return {
        "status": status,
        "strategy": strategy.name,
        "mesh": strategy.mesh,
        "world_size": strategy.world.world_size,
        "device": strategy.world.device.type,
        "numbers": config.train.numbers,
        "global_batch_size": config.train.global_batch,
        "steps": progress.step,
        "epoch": training.epoch,
        "images": progress.position,
        "wall_seconds": wall_seconds,
        "val": progress.validation.as_dict() if progress.validation else None,
        "bad_images": training.bad_images.known,
        "parameters": sum(layer.parameters for layer in strategy.layers),
        **training.meter.totals(),
        "validation_seconds": training.pace.mean("validation"),
        "checkpoint_seconds": training.pace.mean("writing"),
        "checkpoint_blocked_seconds": training.pace.mean("checkpoint"),
        "checkpoints_failed": training.keeper.failed,
    }
