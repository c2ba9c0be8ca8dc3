"""What a person sees of a run: a header, a live line on a terminal and plain lines elsewhere, a table at the end. Imports no torch."""

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dist_alexnet.cli.screen.run_line import RunLine, log_line
from dist_alexnet.cli.screen.shown import mean_loss, shown
from dist_alexnet.json_text import to_json
from dist_alexnet.launch.room import in_words
from dist_alexnet.machine.cores import available_cores, share_of_cores
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.observers import Observer
from dist_alexnet.runs.records import CheckpointFailed, CheckpointSaved, Record, RecordsLate, RunStarted, Stage, Steps, Validated

if TYPE_CHECKING:
    from dist_alexnet.training.prepare import Prepared

LABEL_CELLS = 12  # of the header
REFRESHES = 4  # of the live line, per second
NOW = {"validation": "validating", "checkpoint": "saving a checkpoint"}  # stages of a run that trains


class RunReport(Observer):
    """The observer that the terminal is. With `as_json`, stdout gets the summary alone and everything else goes to stderr."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=as_json, markup=False, emoji=False, highlight=False, soft_wrap=True)
        self._line = RunLine("starting")
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(self._line, console=self._console, transient=True, refresh_per_second=REFRESHES)
        self._trains = False  # the first step is done
        self._log_every = 1

    def __enter__(self) -> "RunReport":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(shown(line))

    def header(self, prepared: "Prepared") -> None:
        """What is about to run, and on what."""
        config, layout = prepared.job.config, prepared.layout
        mesh = " x ".join(f"{axis}={size}" for axis, size in layout.mesh.items()) or "one rank"
        rows = f"{min(layout.rows)}" if min(layout.rows) == max(layout.rows) else f"{min(layout.rows)}-{max(layout.rows)}"
        for label, value in (
            ("strategy", f"{layout.strategy} ({mesh}), in {layout.numbers}"),
            ("ranks", f"{_ranks(prepared)} on {config.launch.device}, {_threads(prepared)}, started by {config.launch.name}"),
            ("batch", f"{layout.global_batch} global, {rows} rows per rank"),
            (
                "parameters",
                f"{sum(layer.parameters for layer in layout.layers):,}; per rank {', '.join(f'{n:,}' for n in layout.parameters)}",
            ),
            ("data", f"{prepared.train_images:,} training and {prepared.val_images:,} validation images, {config.model.classes} classes"),
            *(("", line) for line in prepared.passed_over),
            ("preset", prepared.source),
            ("run", str(_relative(prepared.job.directory.path))),
        ):
            self._console.print(Text.assemble((label.ljust(LABEL_CELLS), "bold"), shown(value)))
        for note in prepared.notes:
            self.say(note)
        if crowd := _crowd(prepared):
            self.say(crowd)
        if config.launch.share_device:
            self.say(f"{prepared.ranks} ranks may share CUDA devices, over gloo: to show correctness, not for speed")
        if config.launch.device == "cpu":
            self.say(f"no CUDA device is used: {prepared.ranks} CPU process(es) over gloo")

    def starting(self, prepared: "Prepared") -> None:
        """The ranks are being started, which takes a while."""
        launch = prepared.job.config.launch
        logs = _relative(prepared.job.directory.log(0).parent)
        self._log_every = prepared.job.config.train.log_every
        self._stage(f"starting {prepared.ranks} rank(s) by the launcher {launch.name}; logs: {logs}")

    def see(self, record: Record) -> None:
        """Show one record."""
        match record:
            case Stage(doing="training"):  # its first step is done
                self._stage(f"training; numbers every {self._log_every} step(s)")
                self._trains = True
            case Stage(doing=doing):
                self._stage(NOW.get(doing, doing))
            case RunStarted():
                self._line.begin(record.total_epochs, record.total_steps)
                if len(set(record.nodes)) > 1:
                    self.say(f"ranks {in_words(record.nodes)}")
                if record.step:
                    self.say(f"resumed at step {record.step}, epoch {record.epoch:.2f}")
                self._stage("the first step, which may have to compile")
            case Steps():
                self._line.update(record)
                if not self._live:
                    self.say(log_line(record))
            case CheckpointSaved():
                self._line.doing = ""
            case CheckpointFailed():
                self._line.doing = ""
                lost = f"the checkpoint of step {record.step} could not be written ({record.reason})"
                self.say(f"{lost}; those before it stay, and the run goes on")
            case RecordsLate():
                lost = f", {record.lost:,} of them are lost" if record.lost else ""
                self.say(f"{record.records:,} records of this run could not be written for a while ({record.reason}){lost}")
            case Validated():
                self._line.doing = ""
                self.say(
                    f"epoch {record.epoch:6.2f}  step {record.step:6d}  validation: top-1 error {record.top1_error:.1%}, "
                    f"top-5 error {record.top5_error:.1%}, loss {mean_loss(record.loss)}"
                )

    def failure(self, error: TrainingFailed) -> None:
        """How it went wrong, on stderr: the cause in one line, and what is known of it; tracebacks are in the logs."""
        print(f"error: {shown(str(error))}", file=sys.stderr)
        for line in error.details:
            print(f"       {shown(line)}", file=sys.stderr)

    def result(self, summary: dict[str, Any], directory: Path) -> None:
        """The table at the end, or the summary as JSON."""
        if self._as_json:
            print(to_json(summary, indent=2))
            return
        val, sent = summary["val"], sum(sum(passes.values()) for passes in summary["exchange_bytes_per_step"].values())
        self.say(f"{summary['strategy']} on {summary['world_size']} {summary['device']} rank(s): {summary['status']}")
        table = Table(show_header=False, box=SIMPLE)
        table.add_column("")
        table.add_column("", justify="right")
        table.add_row("steps, epochs, images", f"{summary['steps']:,}, {summary['epoch']:.2f}, {summary['images']:,}")
        loss, window = summary["final_loss"], summary["final_loss_steps"]
        table.add_row(f"loss, mean of the last {window or 0} step(s)", f"{loss:.4f}" if loss is not None else "-")
        table.add_row("validation error, top-1 / top-5", f"{val['top1_error']:.1%} / {val['top5_error']:.1%}" if val else "-")
        table.add_row("images/s, with / without data wait", f"{summary['total_ips'] or 0:.1f} / {summary['compute_ips'] or 0:.1f}")
        for phase, seconds in summary["phase_seconds"].items():
            table.add_row(f"  {phase.replace('_', ' ')}, ms per step", f"{1000 * seconds:.1f}")
        times = (summary[key] for key in ("seconds_per_epoch", "validation_seconds", "checkpoint_seconds"))
        table.add_row("an epoch's steps / a validation / a checkpoint, s", " / ".join("-" if t is None else f"{t:.1f}" for t in times))
        table.add_row("exchanged per step, all ranks", f"{sent / 1e6:,.3f} MB")
        table.add_row("peak memory of a rank", f"{summary['peak_memory_bytes'] / 2**20:,.0f} MiB")
        table.add_row("wall time", f"{summary['wall_seconds']:.1f} s")
        self._console.print(table)
        if bad := summary["bad_images"]:
            self.say(f"{len(bad):,} images could not be read or decoded, the first: {bad[0]}; summary.json names them all")
        self.say(f"written to {_relative(directory)}")

    def _stage(self, doing: str) -> None:
        """What is being done now: in the live line, and, up to the first step, in a line of its own where there is none."""
        self._line.doing = doing
        if not self._live and not self._trains:
            self.say(f"... {doing}")


def _ranks(prepared: "Prepared") -> str:
    launch = prepared.job.config.launch
    return f"{prepared.ranks}" + (f", from {launch.min_workers} to {launch.ranks}," if launch.min_workers is not None else "")


def _threads(prepared: "Prepared") -> str:
    launch = prepared.job.config.launch
    if prepared.launcher.is_local or launch.threads:
        return f"{launch.threads or share_of_cores(prepared.ranks)} thread(s) each"
    return "the cores of each node shared by its ranks"


def _crowd(prepared: "Prepared") -> str:
    """More threads than cores, in words; empty where there are not, or nobody knows."""
    launch, ranks, cores = prepared.job.config.launch, prepared.ranks, available_cores()
    threads = ranks * (launch.threads or share_of_cores(ranks))
    if not prepared.launcher.is_local or threads <= cores:
        return ""
    return f"{ranks} ranks with {threads} threads share {cores} core(s) here: right, but slower than --gpus {cores} or fewer"


def _relative(path: Path) -> Path:
    """As the person would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
