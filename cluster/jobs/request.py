"""What was typed for a job, as Ray takes it. Pure: nothing is asked of a cluster, and nothing of a file."""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dist_alexnet.config import UsageError

STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"  # read by the process that starts the driver, which has the variables of the job
STOP_WAIT_S = 120  # Ray waits 3 s for a driver before it kills it; a checkpoint takes as long as it takes
SECRETS = ("RAY_AUTH_TOKEN",)  # whoever may look at jobs sees their variables
MAX_ID = 128  # it is part of the name of a file, and of an address


@dataclass(frozen=True)
class Asked:
    """What was typed, but for what follows `train`."""

    env: Sequence[str] = ()  # NAME=VALUE
    pip: Sequence[str] = ()
    metadata: Sequence[str] = ()  # KEY=VALUE
    submission_id: str | None = None
    num_cpus: float = 0.0  # that the driver takes besides those of its ranks
    num_gpus: float = 0.0
    stop_wait_s: int = STOP_WAIT_S


@dataclass(frozen=True)
class JobRequest:
    """A job as Ray's API names its parts."""

    entrypoint: str
    submission_id: str | None
    metadata: dict[str, str]
    entrypoint_num_cpus: float
    entrypoint_num_gpus: float
    runtime_env: dict[str, Any] = field(default_factory=dict)


def job_request(words: Sequence[str], as_json: bool, asked: Asked) -> JobRequest:
    """A job that trains.

    Args:
        words: what follows `train`.
        as_json: `--json` is among them; without it it is added, for the summary to be in the logs.
        asked: everything else.

    Raises:
        UsageError: it cannot be asked of Ray so.
    """
    for word in (*words, *asked.env, *asked.pip, *asked.metadata):
        _check_text(word)
    environment = dict(_pair("--env", typed) for typed in asked.env)
    for name in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(f"--env {name}=...: no variable can have that name; type NAME=VALUE with letters, digits and _")
        if name in SECRETS:
            raise UsageError(f"--env {name}: everybody who may look at jobs would see it; set it, or RAY_AUTH_TOKEN_PATH, on the nodes")
    if asked.stop_wait_s < 0:
        raise UsageError(f"--stop-wait {asked.stop_wait_s}: must be seconds from 0 on")
    runtime_env: dict[str, Any] = {"env_vars": {STOP_WAIT: str(asked.stop_wait_s), **environment}}
    if asked.pip:
        runtime_env["pip"] = list(asked.pip)
    return JobRequest(
        entrypoint=shlex.join(["dist-alexnet", "train", *([] if as_json else ["--json"]), *words]),
        submission_id=None if asked.submission_id is None else checked_id(asked.submission_id),
        metadata=dict(_pair("--metadata", typed) for typed in asked.metadata),
        entrypoint_num_cpus=_amount("--num-cpus", asked.num_cpus),
        entrypoint_num_gpus=_amount("--num-gpus", asked.num_gpus),
        runtime_env=runtime_env,
    )


def checked_id(submission_id: str) -> str:
    """A submission id that can be part of an address and of a file's name.

    Raises:
        UsageError: this one cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", submission_id) or len(submission_id) > MAX_ID:
        raise UsageError(f"{submission_id[:40]!r} is no id of a job; type up to {MAX_ID} of a-z, A-Z, 0-9, _, . and -")
    return submission_id


def _pair(option: str, typed: str) -> tuple[str, str]:
    name, given, value = typed.partition("=")
    if not given or not name:
        raise UsageError(f"{option} {typed}: type it as {'NAME' if option == '--env' else 'KEY'}=VALUE")
    return name, value


def _check_text(word: str) -> None:
    """A job is sent as JSON in UTF-8, and its command goes through a shell."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{word[:40]!a}: is no UTF-8, which a job must be; rename it") from None
    if "\0" in word:
        raise UsageError(f"{word[:40]!a}: no command can hold a zero byte; leave it out")


def _amount(option: str, value: float) -> float:
    """Of what Ray counts: parts up to one, and whole ones from there on."""
    if not 0 <= value < math.inf or (value > 1 and value != int(value)):
        raise UsageError(f"{option} {value:g}: must be a part of one from 0 on, or whole")
    return value
