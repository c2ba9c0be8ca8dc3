"""What a person sees of a run: a header, a live line on a terminal and plain lines elsewhere, a table at the end."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from dist_alexnet.cores import available_cores, share_of_cores
from dist_alexnet.telemetry.clock import PHASES
from dist_alexnet.training.job import TrainingFailed
from dist_alexnet.training.prepare import Prepared

BAR_CELLS = 10
# Of the live line, besides the description and the numbers: bar, two times of up to 8, 4 gaps, and 3 cells at the right that stay free
# for the ^C that a terminal echoes: if it wrapped, the line would not be found again to be erased.
BESIDES_CELLS = BAR_CELLS + 2 * 8 + 4 + 3


class RunReport:
    """Follows one run. With `as_json`, stdout gets the summary alone and everything else goes to stderr."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=as_json, markup=False, emoji=False, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._epochs = 0.0

    def __enter__(self) -> "RunReport":
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=BAR_CELLS),
                TextColumn("{task.fields[numbers]}"),
                TimeElapsedColumn(table_column=Column(no_wrap=True)),
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
            )
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.add_task("starting ranks", total=None, numbers="")
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress:
            self._progress.stop()

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(line)

    def header(self, prepared: Prepared) -> None:
        """What is about to run, and on what."""
        config, plan = prepared.job.config, prepared.plan
        mesh = " x ".join(f"{axis}={size}" for axis, size in plan.mesh.items()) or "one rank"
        rows = f"{min(plan.rows)}" if min(plan.rows) == max(plan.rows) else f"{min(plan.rows)}-{max(plan.rows)}"
        table = Table.grid(padding=(0, 2))
        for label, value in (
            ("strategy", f"{plan.strategy} ({mesh})"),
            ("ranks", f"{len(plan.rows)} on {config.launch.device}, {_threads(prepared)}, started by {config.launch.name}"),
            ("batch", f"{plan.global_batch} global, {rows} rows per rank"),
            ("parameters", f"{sum(layer.parameters for layer in plan.layers):,}; per rank {', '.join(f'{n:,}' for n in plan.parameters)}"),
            ("data", f"{prepared.train_images:,} training and {prepared.val_images:,} validation images, {config.model.classes} classes"),
            *(("", line) for line in prepared.passed_over),
            ("preset", prepared.source),
            ("run", str(_relative(prepared.job.directory.path))),
        ):
            table.add_row(Text(label, style="bold"), value)
        self._console.print(table)
        for note in prepared.notes:
            self.say(note)
        if crowd := _crowd(prepared):
            self.say(crowd)
        if config.launch.share_device:
            self.say(f"{config.launch.workers} ranks may share CUDA devices, over gloo: to show correctness, not for speed")
        if config.launch.device == "cpu":
            self.say(f"no CUDA device is used: {config.launch.workers} CPU process(es) over gloo")

    def follow(self, record: dict[str, Any]) -> None:
        """Show one record of metrics.jsonl."""
        if record["kind"] == "start":
            self._epochs = record["total_epochs"]
            if record["step"]:
                self.say(f"resumed at step {record['step']}, epoch {record['epoch']:.2f}")
        elif record["kind"] == "train":
            waiting = record["phase_seconds"]["data_wait"] / record["step_seconds"] if record["step_seconds"] else 0.0
            speed = [f"{record['total_ips']:.0f} images/s"] if record["total_ips"] else []
            self._advance(record, [f"loss {record['loss']:.5g}", f"lr {record['lr']:.2g}", *speed, f"data wait {waiting:.0%}"])
        elif record["kind"] == "val":
            self.say(
                f"epoch {record['epoch']:6.2f}  step {record['step']:6d}  validation: top-1 error {record['top1_error']:.1%}, "
                f"top-5 error {record['top5_error']:.1%}, loss {record['loss']:.4f}"
            )

    def failure(self, error: TrainingFailed) -> None:
        """How it went wrong, on stderr, in one line; tracebacks are in the logs."""
        print(f"error: {error}", file=sys.stderr)

    def result(self, summary: dict[str, Any], directory: Path) -> None:
        """The table at the end, or the summary as JSON."""
        if self._as_json:
            print(json.dumps(summary, indent=2))
            return
        val, sent = summary["val"], sum(sum(passes.values()) for passes in summary["exchange_bytes_per_step"].values())
        self.say(f"{summary['strategy']} on {summary['world_size']} {summary['device']} rank(s): {summary['status']}")
        table = Table(show_header=False, box=SIMPLE)
        table.add_column("")
        table.add_column("", justify="right")
        table.add_row("steps, epochs, images", f"{summary['steps']:,}, {summary['epoch']:.2f}, {summary['images']:,}")
        table.add_row("final loss", f"{summary['final_loss']:.4f}" if summary["final_loss"] is not None else "-")
        table.add_row("validation error, top-1 / top-5", f"{val['top1_error']:.1%} / {val['top5_error']:.1%}" if val else "-")
        table.add_row("images/s, with / without data wait", f"{summary['total_ips'] or 0:.1f} / {summary['compute_ips'] or 0:.1f}")
        for phase in PHASES:
            table.add_row(f"  {phase.replace('_', ' ')}, ms per step", f"{1000 * summary['phase_seconds'][phase]:.1f}")
        table.add_row("exchanged per step, all ranks", f"{sent / 1e6:,.3f} MB")
        table.add_row("peak memory of a rank", f"{summary['peak_memory_bytes'] / 2**20:,.0f} MiB")
        table.add_row("wall time", f"{summary['wall_seconds']:.1f} s")
        self._console.print(table)
        if bad := summary["bad_images"]:
            self.say(f"{len(bad):,} images could not be read or decoded, the first: {bad[0]}; summary.json names them all")
        self.say(f"written to {_relative(directory)}")

    def _advance(self, record: dict[str, Any], numbers: list[str]) -> None:
        if self._progress:
            task = self._progress.tasks[0].id
            description = f"epoch {record['epoch']:.2f}/{self._epochs:g}  step {record['step']}"
            room = self._console.width - len(description) - BESIDES_CELLS
            fitting = _fitting(numbers, room)
            self._progress.update(task, description=description, total=self._epochs, completed=record["epoch"], numbers=fitting)
        else:
            self.say(f"epoch {record['epoch']:6.2f}  step {record['step']:6d}  {'  '.join(numbers)}")


def _threads(prepared: Prepared) -> str:
    launch = prepared.job.config.launch
    if prepared.launcher.is_local or launch.threads:
        return f"{launch.threads or share_of_cores(launch.ranks)} thread(s) each"
    return "the cores of each node shared by its ranks"


def _crowd(prepared: Prepared) -> str:
    """More threads than cores, in words; empty where there are not, or nobody knows."""
    launch, cores = prepared.job.config.launch, available_cores()
    threads = launch.ranks * (launch.threads or share_of_cores(launch.ranks))
    if not prepared.launcher.is_local or threads <= cores:
        return ""
    return f"{launch.ranks} ranks with {threads} threads share {cores} core(s) here: right, but slower than --gpus {cores} or fewer"


def _fitting(numbers: list[str], room: int) -> str:
    """As many of the numbers as there is room for, the first ones first."""
    while len(shown := "  ".join(numbers)) > room and len(numbers) > 1:
        numbers = numbers[:-1]
    return shown


def _relative(path: Path) -> Path:
    """As the person would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
