"""The working tree as one file: what a job finds where it starts.

Ray would pack a folder, too, but it sends `.git`, says nothing of what is large before it fails, and counts to another limit than the
dashboard, which takes no request of over 100 MiB.
"""

import os
import shlex
import subprocess
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from dist_alexnet.config import UsageError

MIB = 2**20
MAX_FILE_MIB = 20  # no source is as large
MAX_FILES = 50_000  # a home folder, or the root of a machine, is not looked at to its end
MAX_PACKAGE_MIB = 100  # of a request to the dashboard (DASHBOARD_CLIENT_MAX_SIZE of Ray 2.60)
TOP = ("data", "runs")  # of the tree itself: a package may have folders of these names
ANYWHERE = {".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".hypothesis", ".tox", ".nox", ".cache"}
ANYWHERE |= {".mypy_cache", ".pytest_cache", ".ruff_cache"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same tree makes the same file, which Ray then need not be sent again


@dataclass(frozen=True)
class Tree:
    """What of a folder is sent."""

    folder: Path
    files: dict[str, int]  # relative path -> bytes, sorted
    too_large: dict[str, int]  # left out for their size


def look_at(folder: Path, exclude: Sequence[str] = ()) -> Tree:
    """Which files of a folder a job gets: those that git would, where it is a working tree, without data, runs, environments and caches.

    Args:
        folder: the working tree.
        exclude: patterns of paths in it, or of names, that are left out too.

    Raises:
        UsageError: it is no folder that can be read, or too much to send; says what is largest.
    """
    if not folder.is_dir():
        raise UsageError(f"--working-dir {folder}: there is no such folder; type one, or --working-dir none")
    listed = list(islice((path for path in _listed(folder) if not _left_out(path, exclude)), MAX_FILES + 1))
    if len(listed) > MAX_FILES:
        raise UsageError(f"--working-dir {folder}: has over {MAX_FILES:,} files; type --exclude, another folder, or --working-dir none")
    files: dict[str, int] = {}
    too_large: dict[str, int] = {}
    for path in sorted(listed):
        size = os.stat(folder / path).st_size
        (too_large if size > MAX_FILE_MIB * MIB else files)[path] = size
    if (total := sum(files.values())) > MAX_PACKAGE_MIB * MIB:
        tops: Counter[str] = Counter()
        for path, size in files.items():
            tops[path.partition("/")[0]] += size
        name, size = tops.most_common(1)[0]
        raise UsageError(
            f"--working-dir {folder}: {total / MIB:,.0f} MiB, and {MAX_PACKAGE_MIB} MiB can be sent; the largest is {name} "
            f"of {size / MIB:,.0f} MiB; type --exclude {shlex.quote(name)}, another folder, or --working-dir none"
        )
    return Tree(folder, files, too_large)


def pack(tree: Tree, target: Path) -> None:
    """Write a tree as a zip file, byte for byte the same for the same content.

    Raises:
        UsageError: a file cannot be read, or the target not be written.
    """
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in tree.files:
                entry = zipfile.ZipInfo(path, EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (os.stat(tree.folder / path).st_mode & 0o777) << 16
                archive.writestr(entry, (tree.folder / path).read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot pack {error.filename or target}: {error.strerror}; type --exclude with it, or --working-dir none"
        ) from None
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!a}: a name that is no UTF-8 cannot be sent; rename it, or type --exclude with it") from None


def _left_out(path: str, exclude: Sequence[str]) -> bool:
    parts = path.split("/")
    if (len(parts) > 1 and parts[0] in TOP) or not ANYWHERE.isdisjoint(parts):
        return True
    return any(
        fnmatch("/".join(parts[: end + 1]), pattern.rstrip("/")) or fnmatch(part, pattern.rstrip("/"))
        for pattern in exclude
        for end, part in enumerate(parts)
    )


def _listed(folder: Path) -> Iterator[str]:
    """Relative paths of regular files, and of links to some."""
    if known := _listed_by_git(folder):
        yield from known
        return
    for place, folders, names in os.walk(folder):
        here = os.path.relpath(place, folder)
        inside = "" if here == "." else f"{here}/"
        folders[:] = [name for name in folders if not _unwanted(place, inside, name)]
        yield from (inside + name for name in names if os.path.isfile(os.path.join(place, name)))


def _unwanted(place: str, inside: str, name: str) -> bool:
    """Whether a folder need not be entered; an environment is known by what it holds, whatever its name."""
    return name in ANYWHERE or (not inside and name in TOP) or os.path.exists(os.path.join(place, name, "pyvenv.cfg"))


def _listed_by_git(folder: Path) -> list[str]:
    """What git does not ignore there; nothing where it is no working tree, is ignored as a whole, or there is no git."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [path for path in map(os.fsdecode, listed.split(b"\0")) if path and (folder / path).is_file()]
