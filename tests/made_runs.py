"""Folders of runs as training leaves them, made in no time: for whoever reads them."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dist_alexnet.json_text import to_json
from dist_alexnet.runs.records import Ended, Record, RunStarted, Steps, Validated
from dist_alexnet.telemetry.clock import PHASES

NOW = 1_800_000_000.0


def line(record: Record) -> bytes:
    """Of metrics.jsonl."""
    return to_json(record.as_dict()).encode() + b"\n"


def started(**more: Any) -> RunStarted:
    said: dict[str, Any] = {"strategy": "ddp", "world_size": 2, "device": "cpu", "global_batch": 64, "time": NOW, **more}
    return RunStarted(**{"step": 0, "epoch": 0.0, "total_epochs": 8.0, "total_steps": 500, **said})


def steps(step: int, ranks: int = 2, **more: Any) -> Steps:
    """A report of two steps."""
    phases = {phase: 0.01 * (place + 1) for place, phase in enumerate(PHASES)}
    said: dict[str, Any] = {
        "epoch": step / 50,
        "lr": 0.01,
        "loss": 4.0 / (1 + step),
        "steps": 2,
        "images": 128,
        "step_seconds": 0.36,
        "phase_seconds": phases,
        "phase_seconds_by_rank": [phases] * ranks,
        "cpu_seconds_by_rank": [0.3] * ranks,
        "peak_memory_bytes_by_rank": [2**30] * ranks,
        "exposed_seconds": {"gradients": 0.05},
        "exchange_bytes_per_step": {"gradients": {"gradients": 2e6}},
        "total_ips": 300.0 + step % 7,
        "time": NOW + step,
        **more,
    }
    return Steps(step=step, **said)


def validated(step: int, error: float = 0.5, **more: Any) -> Validated:
    return Validated(step=step, epoch=step / 50, top1_error=error, top5_error=error / 2, loss=1.0, images=500, time=NOW + step, **more)


def make_run(
    runs: Path, name: str, upto: int = 20, status: str = "completed", settings: Mapping[str, Any] | None = None, **more: Any
) -> Path:
    """A run of so many steps. `status` empty: it goes on; `more`: what the start says."""
    run = runs / name
    (run / "logs").mkdir(parents=True)
    begun = started(**more)
    (run / "config.yaml").write_text(to_json(settings or {"strategy": {"name": begun.strategy}, "launch": {"workers": begun.world_size}}))
    records: list[Record] = [begun, *(steps(step, begun.world_size) for step in range(2, upto + 1, 2)), validated(upto)]
    if status:
        records.append(Ended(step=upto, status=status, time=NOW + upto))
        (run / "summary.json").write_text(json.dumps({"status": status}))
    shift = 0.0 if status else time.time() - NOW - upto
    (run / "metrics.jsonl").write_bytes(b"".join(line(replace(record, time=record.time + shift)) for record in records))
    return run


def make_long(run: Path, lines: int) -> None:
    """Records of so many reports, in seconds: blocks of bytes in which the numbers of the steps alone are new."""
    run.mkdir(parents=True)
    block = 1000
    template = b"".join(line(steps(7_000_000 + place)) for place in range(block))
    with (run / "metrics.jsonl").open("wb") as file:
        file.write(line(started(total_steps=lines)))
        for first in range(0, lines, block):
            text = template.replace(b'"step": 7000', b'"step": %04d' % (first // block + 1))
            file.write(text.replace(b'"step": 0', b'"step": ').replace(b'"step": 0', b'"step": ').replace(b'"step": 0', b'"step": '))
            if first == lines // block // 2 * block:
                file.write(line(validated(first + block, 0.25)))
