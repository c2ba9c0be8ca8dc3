"""`dist-alexnet compare`."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen.shown import say, shown
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.machine.surroundings import check_alone

if TYPE_CHECKING:
    from dist_alexnet.compare.result import Comparison

WITH_RUNS = ("overrides", "runs", "against", "fail_if_slower", "out", "as_json")  # parameters that a comparison of runs reads


def compare(
    context: typer.Context,
    overrides: options.Overrides = None,
    preset: options.Preset = None,
    strategies: Annotated[
        str,
        typer.Option("--strategies", help="all, or names with commas between; options after colons: single,ddp,ddp:bucket_mib=1."),
    ] = "all",
    gpus: Annotated[str, typer.Option("--gpus", help="Ranks, with commas between.")] = "1,2",
    batches: Annotated[str, typer.Option("-b", "--batch", help="Images per step over all ranks, with commas between.")] = "128",
    rounds: Annotated[int, typer.Option("--rounds", help="In each, every contestant takes one step that is timed.")] = 20,
    warmup: Annotated[int, typer.Option("--warmup", help="Rounds before them that do not count.")] = 2,
    inexact: Annotated[bool, typer.Option("--inexact", help="Let in who rounds what its ranks send, and say so.")] = False,
    against: Annotated[
        Path | None, typer.Option("--against", help="An earlier comparison: compare.json, or its folder.", metavar="compare.json")
    ] = None,
    fail_if_slower: Annotated[
        str | None,
        typer.Option("--fail-if-slower", help="With --against: exit code 1 if any is slower by more, as in 5%.", metavar="SHARE"),
    ] = None,
    runs: Annotated[bool, typer.Option("--runs", help="Compare finished runs, whose folders are typed instead of settings.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the comparison in --out that was stopped.")] = False,
    precision: options.Precision = None,
    device: options.Device = None,
    share_device: options.ShareDevice = None,
    launcher: options.LauncherName = "local",
    data: options.Data = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the report; default: runs/compare-TIME.")] = None,
    as_json: options.Json = False,
) -> None:
    """Run strategies side by side on these machines, and show why one is faster: a table, compare.json, CSV and report.html.

    First all must compute the same step (exit code 1 if one does not); then each takes a step in turn, in the same processes. Default: the
    network of 2012, on images that are drawn from the seed.
    """
    typed = options.as_overrides(locals() | {"strategies": None, "gpus": None})
    from dist_alexnet.compare.against import Baseline

    baseline = Baseline.asked(against, fail_if_slower)
    folder = (out or Path("runs") / f"compare-{time.strftime('%Y%m%d-%H%M%S')}").absolute()
    if runs:
        _check_read(context)
        from dist_alexnet.compare.of_runs import compare_runs
        from dist_alexnet.compare.run import check_empty

        check_empty(folder)
        comparison = compare_runs([Path(each) for each in overrides or ()])
    else:
        check_alone()
        if resume and not out:
            raise UsageError("--resume goes on with the comparison in a folder; type --out with it")
        comparison = _run(typed, preset, strategies, gpus, batches, rounds, warmup, inexact, resume, folder)
    if not as_json:
        say("writing the report")
    from dist_alexnet.cli.screen.compare_table import print_comparison
    from dist_alexnet.compare.report import files
    from dist_alexnet.compare.report.page import write_report
    from dist_alexnet.compare.run import writing

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        files.write(folder, comparison)
        write_report(folder, comparison)
    found = baseline.look(comparison) if baseline else []
    if as_json:
        print(to_json(comparison.as_dict(), indent=2))
    else:
        print_comparison(comparison, folder)
    for line in found:
        say(line)
    sys.exit(1 if baseline and baseline.failed else 0)


def _check_read(context: typer.Context) -> None:
    """Refuse what would do nothing beside --runs (UsageError)."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source and source.name == "COMMANDLINE" and parameter.name not in WITH_RUNS:
            raise UsageError(f"{parameter.opts[-1]} would do nothing: --runs reads what runs have left; leave it out")


def _run(
    typed: list[str],
    preset: str | None,
    strategies: str,
    gpus: str,
    batches: str,
    rounds: int,
    warmup: int,
    inexact: bool,
    resume: bool,
    folder: Path,
) -> "Comparison":
    from dist_alexnet.compare.request import Asked, prepare
    from dist_alexnet.launch.settle import make_launcher
    from dist_alexnet.runs.failure import TrainingFailed

    prepared = prepare(Asked(preset, typed, strategies, gpus, batches, rounds, warmup), folder.parent, inexact, say)
    from dist_alexnet.compare.equality import Unequal
    from dist_alexnet.compare.run import begin, run, writing

    begin(prepared, folder, resume)
    for line in prepared.left_out:
        say(f"left out: {line}")
    try:
        with writing(folder):
            return run(prepared, folder, make_launcher, say)
    except Unequal as found:
        for line in str(found).splitlines():
            print(f"not equal: {shown(line)}", file=sys.stderr)
        print("error: these do not compute the same step, or failed in it, so nothing is compared", file=sys.stderr)
        sys.exit(1)
    except TrainingFailed as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        say(f"to go on: the same command with --out {shlex.quote(str(folder))} --resume")
        sys.exit(error.exit_code)
