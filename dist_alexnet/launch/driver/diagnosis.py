"""What is known of failures that many runs have in common: what to do about each, in one line."""

import re
from collections.abc import Sequence
from pathlib import Path

LAST_LINES = 4  # of a log, that are shown
LOG_TAIL_BYTES = 2**14
FAILED = re.compile(r"\] ERROR dist_alexnet\.launch\.rank: rank \d+ failed")  # after it comes a traceback, which is for the log

KNOWN: Sequence[tuple[str, str]] = (
    (
        r"SIGKILL|its process crashed or was killed",
        "if nobody killed it, the kernel did, for want of memory: `explain` says what each rank needs; `dmesg` says whom it killed",
    ),
    (
        r"out of memory|can't allocate memory|Cannot allocate memory|MemoryError|bad_alloc",
        "out of memory: type a smaller -b, train.accumulation=2 or more, or more --gpus; `explain` says what each rank needs",
    ),
    (r"SIGBUS|Bus error", "shared memory is full: make /dev/shm larger (docker run --shm-size=1g)"),
    (r"No space left on device|ENOSPC|Disk quota exceeded", "the disk is full: make room, then --resume auto"),
    (r"EADDRINUSE|[Aa]ddress already in use", "a port was taken by another program in the meantime: run this again"),
    (
        r"NCCL|nccl[A-Z]",
        "NCCL failed: NCCL_DEBUG=INFO in the environment says more in the logs; launch.interface names the network interface to use",
    ),
    (
        r"[Cc]onnection (reset|closed|refused) by peer|Broken pipe|Connection closed",
        "the connection to another rank broke: that rank, its node or the network went away first",
    ),
)


def diagnosis(text: str) -> str:
    """What to do about a failure that says this; empty: nothing is known of it."""
    return next((advice for pattern, advice in KNOWN if re.search(pattern, text)), "")


def last_lines(log: Path) -> list[str]:
    """What a rank printed last before it failed; nothing if it printed nothing or its log cannot be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - LOG_TAIL_BYTES, 0))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    failed = list(FAILED.finditer(text))
    if failed:  # the newest, whose line is left out with its traceback; what lies before the one before it is of another attempt
        text = text[failed[-2].end() if len(failed) > 1 else 0 : text.rfind("\n", 0, failed[-1].start()) + 1]
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
