"""A job followed on a terminal, or by a script."""

import signal
import sys
from typing import TYPE_CHECKING

from cluster.jobs import shown
from cluster.jobs.client import Jobs
from cluster.jobs.follow import Follower
from dist_alexnet.cli.screen.shown import say

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails


def watch(jobs: Jobs, job: str, aside: bool = False) -> "JobDetails":
    """Print what a job prints until it ends. Ctrl-C ends this process, not the job, and says how to come back.

    Args:
        jobs: of the cluster.
        job: its id.
        aside: on stderr.
    """
    stream = sys.stderr if aside else sys.stdout

    def show(piece: str) -> None:
        stream.write(piece)
        stream.flush()

    try:
        return Follower(jobs, job, show, say).until_end()
    except KeyboardInterrupt:
        say(f"{job} goes on; to stop it: {shown.command(jobs.address, 'stop', job)}")
        say(f"to follow it again: {shown.command(jobs.address, 'logs', job, '--follow')}")
        sys.exit(128 + signal.SIGINT)
