"""What a terminal, or a script, gets to see of jobs: no secret that was typed for one, its variables not at all."""

import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dist_alexnet.cli.screen.shown import shown
from dist_alexnet.redact import tree_without_secrets, without_secrets, words_without_secrets

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails


def as_dict(info: "JobDetails") -> dict[str, Any]:
    """A job for scripts. Times are seconds since 1970."""
    return {
        "submission_id": info.submission_id,
        "status": info.status.value,
        "exit_code": info.driver_exit_code,
        "message": info.message and without_secrets(info.message),
        "entrypoint": _entrypoint(info),
        "metadata": tree_without_secrets(info.metadata or {}),
        "start_time": info.start_time and info.start_time / 1000,
        "end_time": info.end_time and info.end_time / 1000,
    }


def line(info: "JobDetails") -> str:
    """A job in a list: id, status, when it started, how long it took or takes, its command."""
    if not info.start_time:
        began, seconds = "-", 0.0
    else:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(info.start_time / 1000))
        seconds = (info.end_time or 1000 * time.time()) / 1000 - info.start_time / 1000
    return shown(f"{info.submission_id or '-':28} {info.status.value:10} {began:19} {max(0.0, seconds):8.0f} s  {_entrypoint(info)}")


def details(info: "JobDetails") -> list[str]:
    """A job by itself, a line for each thing."""
    known = as_dict(info)
    message = (known["message"] or "").partition("\n")[0]
    rows = {"job": line(info), "exit code": known["exit_code"], "message": message, **known["metadata"]}
    return [shown(f"{label:12}{value}") for label, value in rows.items() if value not in (None, "")]


def _entrypoint(info: "JobDetails") -> str:
    """Anybody's command, as it was typed unless there is a secret in it."""
    try:
        words = shlex.split(info.entrypoint)
    except ValueError:  # what a shell would not understand, either
        return without_secrets(info.entrypoint)
    kept = words_without_secrets(words)
    return info.entrypoint if kept == words else " ".join(kept)


def command(address: str, *words: str) -> str:
    """A command about jobs of this cluster, as it can be pasted."""
    return shlex.join(["dist-alexnet", "jobs", *words, "--address", address])


def table(jobs: Sequence["JobDetails"]) -> list[str]:
    """Jobs, a line each, under what its columns are."""
    return [f"{'id':28} {'status':10} {'began':19} {'took':>10}  command", *map(line, jobs)]
