"""Goes on with a run whose checkpoints are on other storage: fetches the newest whole one, unless this machine has it or a newer one."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.remote import Remote, first_line, parent_and_name
from dist_alexnet.checkpoints.resume import newest_whole
from dist_alexnet.config import UsageError
from dist_alexnet.runs.directory import RunDirectory

SETTING = "observers.storage.uri="


def from_storage(
    resume: str | None, name: str | None, output_dir: Path, overrides: Sequence[str], tell: Callable[[str], None]
) -> tuple[str | None, str | None]:
    """What to resume and the run's name, once what is on the storage is on this machine; as they are, if no storage is named.

    Args:
        resume: "auto", the URI of a run folder, or anything else.
        name: of the run.
        output_dir: where runs are on this machine.
        overrides: as typed; one of them may name the storage.
        tell: hears what is being fetched.

    Raises:
        UsageError: the storage does not answer, or has nothing that was asked for.
    """
    uri = next((typed.removeprefix(SETTING) for typed in reversed(overrides) if typed.startswith(SETTING)), "")
    named = resume if resume and "://" in resume else ""
    if named:
        uri, of_uri = parent_and_name(named)
        if name not in (None, of_uri):
            raise UsageError(f"--resume {named} goes on with the run {of_uri}; leave --name out, or copy that run to {name} first")
        resume, name = "auto", of_uri
    if resume != "auto" or not name or not uri:
        return resume, name
    if not _fetch(Remote(uri, name), RunDirectory(output_dir / name), tell) and named:
        raise UsageError(f"--resume {named}: there is no complete checkpoint; type the URI of a run folder")
    return resume, name


def _fetch(remote: Remote, directory: RunDirectory, tell: Callable[[str], None]) -> bool:
    """Fetch what is newer than what is here; returns whether there is anything to go on from."""
    here = list_checkpoints(directory.checkpoints)
    newest = here[-1].name if here else ""
    try:
        there, _ = remote.checkpoints()
        for name in reversed(there):
            if (len(name), name) <= (len(newest), newest):
                break
            tell(f"fetching {name}")
            directory.create()
            _, faults = newest_whole([remote.get_checkpoint(name, directory.checkpoints)])
            if not faults:
                _fetch_records(remote, directory)
                break
            tell(f"{faults[0]}: falling back on the one before it")
    except OSError as error:
        raise UsageError(f"the storage does not answer ({first_line(error)}); try again, or leave --storage out") from None
    return bool(there or here)


def _fetch_records(remote: Remote, directory: RunDirectory) -> None:
    """What earlier attempts have said, in place of less of it."""
    content = remote.read(directory.metrics.name) or b""
    if not directory.metrics.exists() or directory.metrics.stat().st_size < len(content):
        directory.metrics.write_bytes(content)
