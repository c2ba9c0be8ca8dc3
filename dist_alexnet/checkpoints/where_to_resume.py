"""Which checkpoint `--resume` means. Never silently another, or none."""

import difflib
from collections.abc import Callable
from pathlib import Path

from dist_alexnet.checkpoints.files import find_checkpoint, list_checkpoints
from dist_alexnet.checkpoints.resume import check_usable, newest_whole
from dist_alexnet.config import UsageError
from dist_alexnet.runs.directory import RunDirectory


def where_to_resume(
    resume: str | None, output_dir: Path, name: str | None, tell: Callable[[str], None] = lambda line: None
) -> tuple[Path | None, list[str]]:
    """The checkpoint that a run goes on from, None: from none; and what there is to say about it.

    Args:
        resume: "auto", a checkpoint or a run folder; None: not asked for.
        output_dir: where runs are.
        name: of the run.
        tell: hears what is being read, which takes the seconds in which its strategy loads PyTorch.

    Raises:
        UsageError: what is asked for is not there, or not whole.
    """
    if resume is None:
        return None, []
    if resume != "auto":
        named = find_checkpoint(Path(resume).absolute())
        tell(f"reading {named.name}")
        check_usable(named)
        return named, []
    if not name:
        raise UsageError("--resume auto continues a run by its name; type --name NAME, or --resume with a checkpoint or run folder")
    directory = RunDirectory(output_dir / name)
    if not directory.path.exists():
        return None, [_no_such_run(directory)]
    if there := list_checkpoints(directory.checkpoints):
        tell(f"reading {there[-1].name}")
    checkpoint, faults = newest_whole(there)
    if checkpoint:
        return checkpoint, [f"{fault}: falling back on {checkpoint.name}" for fault in faults]
    if faults:
        raise UsageError(f"no checkpoint of {name} is whole ({faults[0]}); type another --name, or move {directory.checkpoints} away")
    return None, [f"{name} has no checkpoint yet: it starts at step 0, with the settings that it had unless you type others"]


def _no_such_run(directory: RunDirectory) -> str:
    """For a batch system, whose first attempt this is; and for a person, who may have mistyped the name."""
    try:
        runs = sorted(path.name for path in directory.path.parent.iterdir() if RunDirectory(path).config.is_file())
    except OSError:
        runs = []
    close = difflib.get_close_matches(directory.path.name, runs, n=1)
    others = f"; there are {', '.join(runs[:10])}{', ...' if len(runs) > 10 else ''}" if runs else ""
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"nothing to resume: no run is called {directory.path.name} here, so this is a new one{others}{meant}"
