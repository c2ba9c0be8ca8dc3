"""How ranks fail, on record in the folder of their run, and how a run that failed is told."""

import json
import os
import re
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from dist_alexnet.json_text import to_json
from dist_alexnet.redact import tree_without_secrets
from dist_alexnet.runs.directory import ATTEMPT, RunDirectory

WAITING_FAILED = ("RuntimeError", "DistBackendError", "DistNetworkError", "DistStoreError")  # what torch raises in a collective
BROKEN = r"connection (reset|closed|refused|was )|broken pipe|remote process exited"


@dataclass(frozen=True)
class RankFailure:
    """How one rank failed."""

    rank: int
    kind: str  # class of the exception, or "signal"
    message: str
    trace: str
    attempt: str = ""  # a name that no other has; empty: of whoever is running

    @property
    def timed_out(self) -> bool:
        """It waited in vain for another rank. Torch says so in the text alone."""
        return "timed out" in self.message.lower() and self.kind in WAITING_FAILED

    @property
    def lost_another(self) -> bool:
        """Its connection to another rank broke: that one ended first."""
        return self.kind in WAITING_FAILED and re.search(BROKEN, self.message, re.IGNORECASE) is not None

    @staticmethod
    def record(directory: RunDirectory, rank: int, error: BaseException) -> "RankFailure":
        """Write down how this rank failed, for the driver to find."""
        kind, attempt = type(error).__name__, os.environ.get(ATTEMPT, "")
        failure = RankFailure(rank, kind, str(error) or kind, traceback.format_exc(), attempt)
        with suppress(OSError):  # a full disk, say: the failure itself must go on its way
            directory.error(rank).write_text(to_json(tree_without_secrets(failure.__dict__)))
        return failure

    @staticmethod
    def all(directory: RunDirectory, attempt: str = "") -> "list[RankFailure]":
        """The failures on record, the earliest first: it is the cause, the others follow from it.

        Not those of another attempt than this one: a rank whose node was cut off may write its own when the next one is under way.

        The order is that of the files, whose times are of one clock, the file system's; each node has its own.
        A record that a full disk cut short, or that somebody has deleted, is left out.
        """
        failures = []
        for path in directory.log(0).parent.glob("rank_*.error.json"):
            with suppress(ValueError, TypeError, OSError, RecursionError):
                failures.append((path.stat().st_mtime_ns, path.name, RankFailure(**json.loads(path.read_text()))))
        ordered = [failure for *_, failure in sorted(failures, key=lambda found: found[:2])]
        return [failure for failure in ordered if not attempt or failure.attempt in ("", attempt)]


class TrainingFailed(RuntimeError):  # noqa: N818 - what happened, not an error of ours
    """A run ended without a result; the message is for the person who started it (exit code 1)."""

    def __init__(self, message: str, *, killed: bool = False, exit_code: int = 1, again: bool = True, details: Sequence[str] = ()) -> None:
        """How it ended.

        Args:
            message: in one line.
            killed: a rank died of a signal, and what the others report only follows from it.
            exit_code: of the program.
            again: another attempt may end otherwise.
            details: lines that say more.
        """
        super().__init__(message)
        self.killed, self.exit_code, self.again, self.details = killed, exit_code, again, details


class Lost(RuntimeError):  # noqa: N818
    """What a run leaves at its end could not be written; says what, and what is there."""


class RoomTaken(TrainingFailed):
    """There was room for the ranks when it was looked for, and others were faster."""


class NonFiniteLoss(ArithmeticError):  # noqa: N818
    """The loss is no number any more."""
