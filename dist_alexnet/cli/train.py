"""`dist-alexnet train`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen import output
from dist_alexnet.cli.screen.shown import say
from dist_alexnet.machine.surroundings import check_alone


def train(
    overrides: options.Overrides = None,
    preset: options.Preset = None,
    strategy: options.Strategy = None,
    gpus: options.Workers = None,
    device: options.Device = None,
    share_device: options.ShareDevice = None,
    launcher: options.LauncherName = None,
    elastic: options.Elastic = None,
    max_failures: options.MaxFailures = None,
    wait: options.Wait = None,
    data: options.Data = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the run folder; default: strategy and time.")] = None,
    output_dir: options.OutputDir = Path("runs"),
    resume: Annotated[
        str | None, typer.Option("--resume", help="auto (the newest checkpoint of --name), a checkpoint, a run folder, or its URI.")
    ] = None,
    storage: options.Storage = None,
    batch: options.Batch = None,
    precision: options.Precision = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Passes over the training set.")] = None,
    max_steps: Annotated[int | None, typer.Option("--max-steps", help="Stop after this many optimizer steps.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of weights, order, augmentation and dropout.")] = None,
    metrics_port: options.MetricsPort = None,
    metrics_host: options.MetricsHost = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write event files for TensorBoard to tb/ of the run folder.")] = False,
    json: options.Json = False,
) -> None:
    """Train the network under a strategy.

    Without -c: the preset quickstart on generated images, or alexnet_2012 if --data is given.
    """
    typed = options.as_overrides(locals())
    check_alone()
    output.Outlet.needed = False  # what becomes of the run is in its folder
    from dist_alexnet.training.prepare import Request, prepare

    prepared = prepare(Request(preset, typed, output_dir, name, resume), say)
    from dist_alexnet.cli.again import resume_command
    from dist_alexnet.cli.screen.report import RunReport
    from dist_alexnet.runs.failure import TrainingFailed
    from dist_alexnet.runs.observers import observed
    from dist_alexnet.runs.unstarted import taken_back_unless_started
    from dist_alexnet.training.attempts import train as run

    report = RunReport(as_json=json)
    report.header(prepared)
    job = prepared.job
    again = resume_command(job.directory.path.name, output_dir, typed)
    try:
        with report, taken_back_unless_started(job.directory, prepared.fresh), observed(job.config, job.directory, report.say):
            report.starting(prepared)
            summary, exit_code = run(job, prepared.ranks, report.say, report)
    except TrainingFailed as error:
        report.failure(error)
        if job.directory.path.exists():
            say(f"to go on: {again}")
        sys.exit(error.exit_code)
    report.result(summary, job.directory.path)
    if exit_code:
        report.say(f"to go on: {again}")
    sys.exit(exit_code)
