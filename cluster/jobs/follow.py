"""A job until its end: its logs as they come, and what its end means for whoever has waited."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster.jobs.client import Jobs
from dist_alexnet.config import UsageError
from dist_alexnet.redact import without_secrets

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails

AGAIN_S = 1.0
SILENT_S = 60.0  # then the connection is made again: one that was cut off may never say so
GIVE_UP_S = 120.0  # of a cluster that has answered before: a head node that starts again takes as long
NOT_FOUND = 127  # of a shell, for a command
FAILED, STOPPED = 1, 128 + signal.SIGTERM

Show = Callable[[str], None]


class Follower:
    """Shows what a job prints, nothing twice, over as many connections as it takes."""

    def __init__(self, jobs: Jobs, job: str, show: Show, tell: Show) -> None:
        """Takes an id.

        Args:
            jobs: of the cluster.
            job: its id.
            show: takes pieces of its logs.
            tell: takes lines about the connection.
        """
        self._jobs, self._job, self._show, self._tell = jobs, job, show, tell
        self._shown = 0  # characters

    def until_end(self) -> "JobDetails":
        """Follow the job; returns what Ray knows of it at its end.

        Raises:
            UsageError: there is no such job, or the cluster no longer answers.
        """
        info, lost_at = self._jobs.info(self._job), 0.0
        while not info.status.is_terminal():
            try:
                self._connect()
                info, lost_at = self._jobs.info(self._job), 0.0
                if info.status.value == "PENDING":  # for as long as SILENT_S
                    self._tell(f"pending: {info.message}")
            except UsageError:
                if not lost_at:
                    lost_at = time.monotonic()
                    self._tell(f"{self._jobs.address} no longer answers; trying again")
                if time.monotonic() > lost_at + GIVE_UP_S:
                    raise
            if not info.status.is_terminal():
                time.sleep(AGAIN_S)
        self._show(self._jobs.logs(self._job)[self._shown :])  # lines that came between the last look and the end
        return info

    def _connect(self) -> None:
        """One connection, which is followed as long as it lasts. That it ends says nothing about the job."""
        import aiohttp

        with suppress(aiohttp.ClientError, OSError, RuntimeError, TimeoutError):  # whether the cluster answers at all is asked next
            asyncio.run(self._show_new())

    async def _show_new(self) -> None:
        seen, pieces = 0, aiter(self._jobs.tail(self._job))
        while piece := await asyncio.wait_for(anext(pieces, ""), SILENT_S):
            new = piece[max(0, self._shown - seen) :]
            seen += len(piece)
            if new:
                self._show(new)
                self._shown = seen


def exit_code(info: "JobDetails") -> int:
    """Of a job that has ended, as a shell would give it: Ray has none for one that was stopped, and a negative one for a signal."""
    match info.status.value:
        case "SUCCEEDED":
            return 0
        case "STOPPED":
            return STOPPED
    code = info.driver_exit_code
    return FAILED if code is None else 128 - code if code < 0 else code


def ending(info: "JobDetails") -> str:
    """How a job ended, in a line."""
    code = info.driver_exit_code
    if info.status.value == "STOPPED":
        return "stopped"
    if code is None:  # it never started
        lines = [line for line in without_secrets(info.message or "nobody says why").splitlines() if line.strip()]
        return f"{info.status.value.lower()}: {lines[0][:400]}" if info.status.value == "FAILED" else info.status.value.lower()
    if code == NOT_FOUND:
        return "failed with exit code 127: dist-alexnet is not on the PATH of that node; start Ray where it is installed"
    return f"{info.status.value.lower()} with exit code {code}"
