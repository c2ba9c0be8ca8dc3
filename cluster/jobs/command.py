"""`dist-alexnet jobs`, which comes in as commands of other packages do."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.jobs import options, shown
from cluster.jobs.address import dashboard_address
from cluster.jobs.request import checked_id
from cluster.jobs.summary import find_summary
from dist_alexnet.cli.screen.shown import say
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json

if TYPE_CHECKING:
    from cluster.jobs.client import Jobs

ENDED_S = 0.5  # between two looks at whether a job has ended

app = typer.Typer(help="Jobs of a Ray cluster: list, status, logs, summary, stop.", no_args_is_help=True)


@app.command("list")
def list_jobs(address: options.Address = None, json: options.Json = False) -> None:
    """Print the jobs that were submitted, a line each, the newest last."""
    found = _jobs(address).all()
    if json:
        print(to_json([shown.as_dict(job) for job in found], indent=2))
        return
    print("\n".join(shown.table(found)))


@app.command()
def status(job: options.Job, address: options.Address = None, json: options.Json = False) -> None:
    """Print where a job stands."""
    info = _jobs(address, job).info(job)
    print(to_json(shown.as_dict(info), indent=2) if json else "\n".join(shown.details(info)))


@app.command()
def logs(
    job: options.Job,
    address: options.Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends, and end with its exit code.")] = False,
) -> None:
    """Print what a job has printed."""
    jobs = _jobs(address, job)
    if not follow:
        sys.stdout.write(jobs.logs(job))
        return
    from cluster.jobs.follow import ending, exit_code
    from cluster.jobs.watch import watch

    info = watch(jobs, job)
    say(f"{job} {ending(info)}")
    sys.exit(exit_code(info))


@app.command()
def summary(job: options.Job, address: options.Address = None) -> None:
    """Print the summary of a training that has ended, as JSON."""
    jobs = _jobs(address, job)
    if (found := find_summary(jobs.logs(job))) is None:
        state = jobs.info(job).status.value.lower()
        raise UsageError(f"{job} ({state}) has printed no summary; {shown.command(jobs.address, 'logs', job)} shows what it has printed")
    print(to_json(found, indent=2))


@app.command()
def stop(
    job: options.Job,
    address: options.Address = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it has ended.")] = False,
) -> None:
    """Have a job save a checkpoint and end. It is killed after the seconds that `submit --stop-wait` gave it, 3 under `ray job submit`."""
    jobs = _jobs(address, job)
    before = jobs.info(job)
    if before.status.is_terminal() or not jobs.stop(job):
        say(f"{job} has ended already: {jobs.info(job).status.value.lower()}")
        return
    say(f"{job} is asked to save a checkpoint and end")
    if no_wait:
        return
    while not (info := jobs.info(job)).status.is_terminal():
        if info.status.value == "PENDING":  # Ray hears of it when the job starts, and gives up on those that never do
            say(f"{job} waits for room, and ends as soon as it has some, or by itself 15 minutes after it was sent")
            return
        time.sleep(ENDED_S)
    say(f"{job}: {info.status.value.lower()}")


def _jobs(address: str | None, job: str | None = None) -> "Jobs":
    """The jobs of the cluster. What can be refused before Ray is imported is."""
    where = dashboard_address(address)
    if job is not None:
        checked_id(job)
    from cluster.jobs.client import Jobs

    return Jobs(where)
