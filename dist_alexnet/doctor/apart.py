"""Runs checks, each in a process of its own: one that hangs is ended, and one that dies takes no other with it.

A check may be anybody's, and ours touch drivers, mounts and clusters, any of which may never answer. What a check prints, libraries
included, goes to a file: the terminal is for findings.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from dist_alexnet import registry
from dist_alexnet.config import UsageError
from dist_alexnet.doctor.checks import Asked, Check, Finding
from dist_alexnet.json_text import to_json
from dist_alexnet.launch.fate import die_with_parent

QUICK_S, MEASURE_S = 60.0, 600.0  # that a check may take; a busy machine needs ten times what an idle one does
MEASURES, NOT_NOW, OVER = b"measures", b"not now", b"over"  # what is said besides findings


class Left(Exception):  # noqa: N818 - what happened, not an error
    """A check that measures, and was not asked to."""


def run_check(name: str, asked: Asked, timeout_s: float | None = None) -> Iterator[Finding]:
    """The findings of a check, as they come; whatever it raises, its death and its silence are the last.

    Args:
        name: that is installed.
        asked: what to look at.
        timeout_s: after which it is ended; None: QUICK_S, or MEASURE_S if it measures.

    Raises:
        Left: it was not asked for.
    """
    context = get_context("spawn")  # no libraries, threads or handlers of ours
    answers, theirs = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="dist-alexnet-doctor-") as log:
        process = context.Process(target=_work, args=(name, asked, theirs, Path(log.name)), daemon=False)
        process.start()
        theirs.close()
        try:
            yield from _findings(name, answers, timeout_s)
        except EOFError:
            process.join()
            yield Finding(name, _died(process, Path(log.name)))
        finally:
            answers.close()
            _end(process)


def _findings(name: str, answers: "Connection[None, None]", timeout_s: float | None) -> Iterator[Finding]:
    began, limit = time.monotonic(), timeout_s or QUICK_S
    while True:
        if not answers.poll(max(0.0, began + limit - time.monotonic())):
            yield Finding(name, f"it did not answer within {limit:g} s and was ended; type doctor {name} --timeout {10 * limit:g}")
            return
        message = answers.recv_bytes()  # JSON: a check may be anybody's
        if message == OVER:
            return
        if message == NOT_NOW:
            raise Left
        if message == MEASURES:
            limit = timeout_s or MEASURE_S
        else:
            yield Finding(**json.loads(message))


def _died(process: SpawnProcess, log: Path) -> str:
    code = process.exitcode or 0
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    words = log.read_text(errors="replace").strip().splitlines()
    return f"the check died {how}{f', saying {words[-1].strip()[:200]!r}' if words else ''}; run its library by itself to see why"


def _end(process: SpawnProcess) -> None:
    """Kill the process and what it has started: it is the head of a session of its own."""
    if process.pid:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _work(name: str, asked: Asked, answers: "Connection[None, None]", log: Path) -> None:
    os.setsid()
    die_with_parent()
    with log.open("a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    for message in _messages(name, asked):
        answers.send_bytes(message)
    answers.send_bytes(OVER)
    os._exit(0)  # exit handlers of libraries may hang, too


def _messages(name: str, asked: Asked) -> Iterator[bytes]:
    try:
        check: Check = registry.load_any(registry.CHECKS, name)
        if getattr(check, "measures", False):
            if not asked.measure:
                yield NOT_NOW
                return
            yield MEASURES
        for finding in check(asked):
            yield _said(finding)
    except UsageError as error:
        yield _said(Finding(name, str(error)))
    except Exception as error:  # somebody else's check: it must not cost the others
        yield _said(Finding(name, f"the check itself failed: {type(error).__name__}: {error}"))


def _said(finding: Finding) -> bytes:
    return to_json(asdict(finding)).encode()


def chosen(names: Sequence[str]) -> list[str]:
    """The checks that were named, or all.

    Raises:
        UsageError: one is not installed.
    """
    for name in names:
        registry.find(registry.CHECKS, name)
    return list(dict.fromkeys(names)) or registry.names(registry.CHECKS)
