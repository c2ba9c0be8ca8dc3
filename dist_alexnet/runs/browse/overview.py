"""A run in a line: how it stands, and its newest numbers, from the first and the last lines of its records."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_alexnet.runs.browse.folder import RunsFolder
from dist_alexnet.runs.browse.sample import COMMON, tolerant
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import Ended, Record, RunStarted, Steps, Validated

HEAD_BYTES, TAIL_BYTES = 2**14, 2**17
QUIET_S = 120.0  # that a run which goes on may say nothing, and
QUIET_REPORTS = 5  # so many times as long as its last report took, and a validation or a checkpoint, which may take longer than both
QUIET_STAGE_S = 1800.0


@dataclass(frozen=True)
class Overview:
    """What is known of a run from its ends."""

    state: str  # live | completed | stopped | failed | silent
    started: RunStarted | None = None
    steps: Steps | None = None  # the newest
    validated: Validated | None = None
    time: float = 0.0  # of its newest record, or of its folder; seconds since 1970
    later: str = ""  # what is said of lines that a later version has written


def overview(folder: RunsFolder, run: Path, locked: set[int], now: float | None = None) -> Overview:
    """Of one run.

    Args:
        locked: what `locked_files` says.
        now: in seconds since 1970; by itself the time.
    """
    directory = RunDirectory(run)
    metrics = folder.file(directory.metrics)
    newest, later = _ends(metrics) if metrics else ({}, "")
    last = newest.get("last")
    summary = _object(folder.text(directory.summary))
    validated, ended = newest.get("val"), newest.get("end")
    written = last.time if last else run.stat().st_mtime
    if summary.get("status") in ("completed", "stopped"):
        state = str(summary["status"])
    elif any(folder.file(path) for path in (run / "logs").glob("rank_*.error.json")):
        state = "failed"
    elif isinstance(ended, Ended):
        state = ended.status
    elif _inode(run / ".lock") in locked or (now or time.time()) - written < _patience(newest):
        state = "live"
    else:
        state = "silent"
    started, steps = newest.get("start"), newest.get("train")
    return Overview(
        state,
        started if isinstance(started, RunStarted) else None,
        steps if isinstance(steps, Steps) else None,
        validated if isinstance(validated, Validated) else None,
        written,
        later,
    )


def locked_files() -> set[int]:
    """Inodes of the files that a process on this machine has locked, as a run locks its folder; empty where the system does not say."""
    found = set()
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text().splitlines():
            if "FLOCK" in line:
                found.add(int(line.split()[5].rpartition(":")[2]))
    return found


def _patience(newest: dict[str, Record]) -> float:
    last, steps = newest.get("last"), newest.get("train")
    if last is not None and last.kind != "train":  # a validation, say
        return QUIET_STAGE_S
    return max(QUIET_S, QUIET_REPORTS * steps.steps * steps.step_seconds) if isinstance(steps, Steps) else QUIET_S


def _ends(metrics: Path) -> tuple[dict[str, Record], str]:
    """The newest record of each kind, "last" of all, from the last lines; and of the kinds that are not there, from the first."""
    newest: dict[str, Record] = {}
    later = ""
    with suppress(OSError), metrics.open("rb") as stream:
        size = stream.seek(0, 2)
        start = max(0, size - TAIL_BYTES)
        stream.seek(start)
        *lines, _ = stream.read().split(b"\n")
        done: tuple[bytes, ...] = ()
        for line in reversed(lines[1:] if start else lines):
            if "start" in newest and "train" in newest and "val" in newest:
                break
            if not line.startswith(done):
                later = _keep(newest, line, later)
                done = tuple(b'{"kind": "%s"' % kind.encode() for kind in newest)  # looking is cheaper than parsing
        if "start" not in newest:
            stream.seek(0)
            heads = [tolerant(line)[0] for line in stream.read(HEAD_BYTES).split(b"\n")[:-1] if not line.startswith(COMMON)]
            if begun := [record for record in heads if isinstance(record, RunStarted)]:
                newest["start"] = begun[-1]
    if "end" in newest and newest["end"].attempt < newest["last"].attempt:  # it has been resumed since
        del newest["end"]
    return newest, later


def _keep(newest: dict[str, Record], line: bytes, later: str) -> str:
    record, later = tolerant(line, later)
    if record:
        newest.setdefault("last", record)
        newest.setdefault(record.kind, record)
    return later


def _object(text: str) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        content = json.loads(text)
        return content if isinstance(content, dict) else {}
    return {}


def _inode(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_ino
    return -1
