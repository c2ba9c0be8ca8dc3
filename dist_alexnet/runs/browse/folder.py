"""A folder of runs whose names may be anything, asked for by whoever can type an address: nothing outside of it is read.

A name travels as its key: the bytes of the name, percent-encoded, so that it is plain ASCII in addresses, JSON and pages.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

MOST_BYTES = 2**20  # of a small file that is read whole: a configuration, a summary


def key_of(name: str) -> str:
    """What stands for a name in an address."""
    return quote(os.fsencode(name), safe="")


def name_of(key: str) -> str:
    """The name that a key stands for, as the file system has it."""
    return os.fsdecode(unquote_to_bytes(key))


def shown(name: str) -> str:
    """A name as a page shows it: what is not printable as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def cell(text: str) -> str:
    """Text for a spreadsheet; with an apostrophe before it where it would be taken for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


@dataclass(frozen=True)
class RunsFolder:
    """The folders in a folder."""

    path: Path

    def names(self) -> list[str]:
        """Of the folders in it, but for those that lead out of it."""
        with os.scandir(self.path) as found:
            return sorted(entry.name for entry in found if self._holds(entry))

    def find(self, key: str) -> Path | None:
        """The folder that a key names; None: there is none in here."""
        name = name_of(key)
        if "/" in name or "\0" in name or name in ("", ".", ".."):
            return None
        path = self.path / name
        with suppress(OSError):
            if path.is_dir() and self._inside(path):
                return path
        return None

    def file(self, path: Path) -> Path | None:
        """A file in here, if it is a plain one and leads nowhere else; a pipe would keep whoever opens it waiting."""
        with suppress(OSError):
            if stat.S_ISREG(path.stat().st_mode) and self._inside(path):
                return path
        return None

    def text(self, path: Path) -> str:
        """What a small file in here says; empty: it is not there, or too large to be what its name says."""
        with suppress(OSError):
            if (file := self.file(path)) and file.stat().st_size <= MOST_BYTES:
                return file.read_text(encoding="utf-8", errors="replace")
        return ""

    def tail(self, path: Path, size: int) -> str:
        """The last lines of a file in here, at most so many bytes of them."""
        with suppress(OSError):
            if file := self.file(path):
                with file.open("rb") as stream:
                    start = max(0, file.stat().st_size - size)
                    stream.seek(start)
                    text = stream.read(size).decode("utf-8", errors="replace")
                return text.partition("\n")[2] if start else text
        return ""

    def _holds(self, entry: "os.DirEntry[str]") -> bool:
        with suppress(OSError):
            return entry.is_dir() and (not entry.is_symlink() or self._inside(Path(entry.path)))
        return False

    def _inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.path))
