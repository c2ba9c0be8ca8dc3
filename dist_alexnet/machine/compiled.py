"""numba's compiler. What it has compiled is kept on disk where there is a place for it, and nothing fails where there is none.

numba's own cache ends a program that cannot write beside its source nor in its home (a read-only image, another user), whose disk or
quota is full, or that finds a file which a crash cut short. It is there to save seconds: without it a process compiles for itself.

The files are pickles, so that who can write one can run code as whoever reads it: no folder is used that others can write to.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator, UserProvidedCacheLocator

logger = getLogger(__name__)


def compiled(*signatures: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`numba.njit`, which keeps what it compiles.

    Args:
        signatures: compiled at once, and then no others; none: whatever comes, when it comes.
        options: of `numba.njit`.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        dispatcher: Any = njit(**options)(function)
        with suppress(RuntimeError):  # no place is left
            dispatcher._cache = _Cache(function)  # what `cache=True` does with numba's own
        for signature in signatures:
            dispatcher.compile(signature)
        if signatures:
            dispatcher.disable_compile()
        answer: Callable[..., None] = dispatcher
        return answer

    return decorate


class _OwnFolder(InTreeCacheLocator):
    """A folder that is this user's alone: in the home, or else among the temporary ones."""

    def __init__(self, py_func: Callable[..., None], py_file: str, parent: Path) -> None:
        super().__init__(py_func, py_file)
        self._cache_path = str(parent / self.get_suitable_cache_subpath(py_file))

    @classmethod
    def from_function(cls, py_func: Callable[..., None], py_file: str) -> "_OwnFolder | None":
        """The first folder that can be written, or None."""
        for parent in _own_folders():
            with suppress(OSError):
                parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if _is_private(parent):
                    locator = cls(py_func, py_file, parent)
                    locator.ensure_cache_path()
                    return locator
        return None


def _own_folders() -> Iterator[Path]:
    home = Path(os.path.expanduser("~"))
    if home.is_dir() and home.is_absolute():  # of a user without an entry in /etc/passwd it is "~"
        yield Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "dist-alexnet"
    with suppress(FileNotFoundError):
        yield Path(tempfile.gettempdir()) / f"dist-alexnet-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    """Ours, writable by nobody else, and no link: anybody can make one of this name in /tmp before us."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


class _Places(CompileResultCacheImpl):
    """NUMBA_CACHE_DIR, __pycache__ beside the source, a folder of the user's."""

    _locator_classes = [UserProvidedCacheLocator, InTreeCacheLocator, _OwnFolder]  # type: ignore[list-item]  # noqa: RUF012 - numba's


class _Cache(FunctionCache):
    """Does without what it cannot read or write."""

    _impl_class = _Places

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for this signature, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # bytes that are no pickle raise anything
            logger.warning("%s cannot be read (%s) and is made anew", self.cache_path, error)
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it, if that can be."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.warning("what was compiled cannot be kept in %s (%s): the next process compiles again", self.cache_path, error.strerror)
