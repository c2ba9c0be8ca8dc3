"""A run that never started leaves no folder behind: what was typed can be typed again."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import RunStarted
from dist_alexnet.runs.writable import Place


@contextmanager
def taken_back_unless_started(directory: RunDirectory, fresh: bool) -> Iterator[None]:
    """Take the folder of a run away again if it ends in an error before a rank has said that it starts.

    Logs that the error refers to are moved among the temporary files, and the error then names them there.

    Args:
        directory: of the run.
        fresh: it is of this attempt; one that was there before stays as it is.
    """
    place = Place(directory.path)
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # no room for the logs elsewhere, say: the folder stays, so that what the error says is true
            if fresh and not place.gone() and not any(isinstance(record, RunStarted) for record in directory.records()):
                _take_back(directory, error)
        raise


def _take_back(directory: RunDirectory, error: BaseException) -> None:
    logs = directory.log(0).parent
    if str(logs) in str(error) and logs.is_dir():
        _move(logs, directory.path.name, error)
    shutil.rmtree(directory.path, ignore_errors=True)


def _move(logs: Path, name: str, error: BaseException) -> None:
    kept = Path(tempfile.mkdtemp(prefix=f"dist-alexnet-logs-{name[:40]}-"))
    shutil.move(logs, kept)
    error.args = (str(error).replace(str(logs), str(kept / logs.name)),)
