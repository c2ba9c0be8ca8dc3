"""Standard output and error that nobody need read: a closed pipe, a terminal that is gone or a full disk ends no command.

Nor does a name that the encoding of a terminal cannot say: it is shown with escapes.
"""

import errno
import io
import os
import sys
from typing import TextIO

MIN_COLUMNS = 20
UNREAD = {errno.EPIPE, errno.EIO, errno.EBADF}  # whoever read it has had enough, has gone, or was never there


class Outlet(io.FileIO):
    """A file descriptor whose writes never fail; after the first that would have, they go nowhere."""

    needed = True  # what the command prints is what it is for
    lost: OSError | None = None  # why a part of that is not there

    def write(self, data: object) -> int:
        """Write, or let go; what C++ and child processes write to this descriptor from then on goes nowhere too."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in UNREAD:
                Outlet.lost = error
            _to_nowhere(self.fileno())
            return len(memoryview(data).cast("B"))  # type: ignore[arg-type]


def open_outlets() -> None:
    """Replace the standard streams of this process. What was closed before it started is open to nowhere afterwards.

    Were it left closed, the next file to be opened would get its number, and what libraries print would go there.
    A width in which nothing can be shown, as terminals without a size leave it, is forgotten: of a table nothing would be left.
    """
    if os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]) < MIN_COLUMNS:
        del os.environ["COLUMNS"]
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _to_nowhere(descriptor)
    sys.stdout, sys.stderr = _outlet(1, sys.stdout), _outlet(2, sys.stderr)


def exit_code(code: str | int | None) -> str | int | None:
    """That of a command which is about to end with `code`: 1 where a full disk has cost a part of what it was asked to print."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code or Outlet.lost is None or not Outlet.needed:
        return code
    print(f"error: a part of the output could not be written: {Outlet.lost.strerror}", file=sys.stderr)
    return 1


def _outlet(descriptor: int, before: TextIO | None) -> TextIO:
    if before is not None and not _writes_to(before, descriptor):  # somebody has replaced it already
        return before
    encoding = before.encoding if before else "utf-8"
    if before:
        before.flush()
    lines = descriptor == 2 or os.isatty(descriptor)
    return io.TextIOWrapper(io.BufferedWriter(Outlet(descriptor, "w", closefd=False)), encoding, "backslashreplace", line_buffering=lines)


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except OSError:
        return False


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
