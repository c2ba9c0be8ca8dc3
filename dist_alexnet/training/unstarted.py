"""A run that never started leaves no folder behind: what was typed can be typed again."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dist_alexnet.training.job import RunDirectory


@contextmanager
def taken_back_unless_started(directory: RunDirectory, fresh: bool) -> Iterator[None]:
    """Take the folder of a run away again if it ends in an error before a rank has said that it starts.

    Logs that the error refers to are moved among the temporary files, and the error then names them there.

    Args:
        directory: of the run.
        fresh: it is of this attempt; one that was there before stays as it is.
    """
    try:
        yield
    except BaseException as error:
        if not fresh or directory.metrics.exists():  # of which "start" is the first line
            raise
        if str(directory.path) in str(error):
            _move_logs(directory, error)
        shutil.rmtree(directory.path, ignore_errors=True)
        raise


def _move_logs(directory: RunDirectory, error: BaseException) -> None:
    kept = Path(tempfile.mkdtemp(prefix=f"dist-alexnet-{directory.path.name[:40]}-"))
    shutil.move(directory.log(0).parent, kept)
    error.args = (str(error).replace(str(directory.path), str(kept)),)
