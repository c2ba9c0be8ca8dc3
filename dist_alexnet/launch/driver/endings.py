"""How a run ended: its summary, or the first thing that went wrong, in one line."""

import json
import time
import traceback
from contextlib import suppress
from typing import Any

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.config import LaunchConfig, UsageError
from dist_alexnet.data.images import TooManyBadImages
from dist_alexnet.launch.driver.diagnosis import diagnosis, last_lines
from dist_alexnet.redact import without_secrets
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import Lost, NonFiniteLoss, RankFailure, RoomTaken, TrainingFailed
from dist_alexnet.runs.writable import remedy

SHOWN_WAIT_S = 90.0  # for a file that another node wrote to be seen here: an NFS client keeps for up to 60 s that there was none
SHOWN_POLL_S = 0.5
STACKS = "where each rank was: the stacks at the end of {logs}/rank_*.log; a rank without one was stopped, or lost its node"

# Whose message says all; a line break in it is of a name. Of others the first line is shown, and the log has the rest.
WHOLE = (NonFiniteLoss.__name__, UsageError.__name__, TooManyBadImages.__name__, Lost.__name__)


def read_summary(directory: RunDirectory) -> dict[str, Any]:
    """What rank 0 left, which may take its time over a network file system (TrainingFailed: it never came)."""
    deadline = time.monotonic() + SHOWN_WAIT_S
    while True:
        try:
            summary: dict[str, Any] = json.loads(directory.summary.read_text())
            return summary
        except (OSError, ValueError):
            if time.monotonic() > deadline:
                break
        time.sleep(SHOWN_POLL_S)
    raise TrainingFailed(
        f"the ranks have ended, but {directory.summary} has not come within {SHOWN_WAIT_S:.0f} s; "
        "type --output-dir with a folder that this machine and the nodes of all ranks share"
    )


def gone(directory: RunDirectory, saves: bool) -> str:
    """In one line, that the ranks have lost the folder that they write to, and so were ended."""
    rest = ", or, if it was moved, --resume with where it is now" if saves else ""
    return f"{directory.path} was deleted, moved or replaced while its ranks were running, so they were ended; start again{rest}"


def explain(error: BaseException, directory: RunDirectory, launch: LaunchConfig, saves: bool, attempt: str = "") -> BaseException:
    """The first thing that went wrong, in one line, with the place to read on; and how to go on, where checkpoints are saved."""
    if isinstance(error, RoomTaken):
        return error
    failures = RankFailure.all(directory, attempt)
    if isinstance(error, TrainingFailed) and error.killed and all(failure.timed_out or failure.lost_another for failure in failures):
        failures = []  # they only follow from it
    try:
        directory.probe()
    except OSError as blocked:
        mend, again = remedy(blocked) or "have it made writable", _again(directory) if saves else "run this again"
        return TrainingFailed(f"cannot write {blocked.filename}: {blocked.strerror}; {mend}, then {again}", again=False)
    if not failures:
        return _explain_launcher(error, directory)
    silent = sorted(set(range(launch.ranks)) - {failure.rank for failure in failures})
    if silent and failures[0].timed_out:
        return TrainingFailed(_silence(silent, launch, directory), details=[STACKS.format(logs=directory.log(0).parent)])
    if silent and all(failure.lost_another for failure in failures):
        first = failures[0]
        gone = f"{_named(silent)} ended without a word: killed, or gone with {'their' if len(silent) > 1 else 'its'} node"
        return TrainingFailed(f"{gone}; rank {first.rank} noticed: {_first_line(first.message)}; logs: {directory.log(0).parent}")
    return _explain_rank(failures[0], directory, saves)


def _again(directory: RunDirectory) -> str:
    with suppress(UsageError):
        if there := list_checkpoints(directory.checkpoints):
            return f"--resume auto goes on from {there[-1].name}"
    return "--resume auto"


def _explain_launcher(error: BaseException, directory: RunDirectory) -> BaseException:
    """No rank has failed: the launcher has. What it did not expect is one line here, and whole in a file."""
    if isinstance(error, UsageError):
        return error
    if isinstance(error, TrainingFailed):
        return TrainingFailed(f"{error}; logs: {directory.log(0).parent}", again=error.again, details=_advice(str(error)))
    log = directory.log(0).with_name("launcher.log")
    try:
        log.write_text(without_secrets("".join(traceback.format_exception(error))), encoding="utf-8", errors="backslashreplace")
        where = f"the traceback: {log}"
    except OSError as second:
        where = f"{log} cannot be written: {second.strerror}"
    first_line = _first_line(str(error))
    return TrainingFailed(f"the ranks could not be run: {type(error).__name__}{first_line and ': '}{first_line}; {where}")


def _explain_rank(failure: RankFailure, directory: RunDirectory, saves: bool) -> TrainingFailed:
    name = f"rank {failure.rank} failed: "
    if failure.kind in WHOLE:
        again = ", then --resume auto" if failure.kind == TooManyBadImages.__name__ and saves else ""
        return TrainingFailed(f"{name}{failure.message}{again}", again=False)
    log = directory.log(failure.rank)
    said = [f"rank {failure.rank} said last: {line}" for line in last_lines(log)]
    details = [*_advice(f"{failure.kind}: {failure.message}"), *said]
    return TrainingFailed(f"{name}{_first_line(failure.message) or failure.kind}; its log: {log}", details=details)


def _advice(text: str) -> list[str]:
    return list(filter(None, [diagnosis(text)]))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _silence(silent: list[int], launch: LaunchConfig, directory: RunDirectory) -> str:
    """Whoever waited in vain has said so; the others are who was waited for."""
    return (
        f"{_named(silent)} did not answer for {launch.timeout_s} s (launch.timeout_s): stopped, hung, or slower than that; "
        f"see {directory.log(silent[0])}, or type a larger launch.timeout_s"
    )


def _named(ranks: list[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
