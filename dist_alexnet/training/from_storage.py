"""Goes on with a run whose checkpoints are on other storage: fetches the newest whole one, unless this machine has it or a newer one."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dist_alexnet.checkpoints.files import list_checkpoints
from dist_alexnet.checkpoints.remote import Remote, first_line, parent_and_name
from dist_alexnet.checkpoints.resume import newest_whole
from dist_alexnet.config import UsageError
from dist_alexnet.runs.directory import RunDirectory, check_name

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
        check_name(of_uri)
        if name not in (None, of_uri):
            raise UsageError(f"--resume {named} goes on with the run {of_uri}; leave --name out, or copy that run to {name} first")
        resume, name = "auto", of_uri
    if resume != "auto" or not name or not uri:
        return resume, name
    _fetch(Remote(uri, name), RunDirectory(output_dir / name), named, tell)
    return resume, name


def _fetch(remote: Remote, directory: RunDirectory, named: str, tell: Callable[[str], None]) -> None:
    """Fetch what is newer than what is whole here, and what earlier attempts have said; `named`: a URI that must have a checkpoint."""
    here = list_checkpoints(directory.checkpoints)
    newest, _ = newest_whole(here)
    step = int(newest.name[5:]) if newest else -1
    try:
        if remote.has_another(directory.metrics):
            raise UsageError(
                f"{directory.path} is another run than the one of this name on the storage; type another --output-dir to go on with that "
                "one, or leave the storage out"
            )
        there, _ = remote.checkpoints()
        wanted = [name for name in reversed(there) if int(name[5:]) > step]
        if named and not there and not here:
            raise UsageError(f"--resume {named}: there is no complete checkpoint; type the URI of a run folder")
        if wanted or (not newest and remote.read(directory.metrics.name)):
            directory.create()
            with directory.lock():  # somebody may be training in it, and writing the same checkpoint
                _fetch_newest(remote, wanted, directory, tell)
                _fetch_records(remote, directory)
    except OSError as error:
        raise UsageError(f"the storage does not answer ({first_line(error)}); try again, or leave --storage out") from None


def _fetch_newest(remote: Remote, wanted: Sequence[str], directory: RunDirectory, tell: Callable[[str], None]) -> None:
    """The first of these that is whole."""
    for name in wanted:
        tell(f"fetching {name}")
        _, faults = newest_whole([remote.get_checkpoint(name, directory.checkpoints)])
        if not faults:
            return
        tell(f"{faults[0]}: falling back on the one before it")


def _fetch_records(remote: Remote, directory: RunDirectory) -> None:
    """What earlier attempts have said, in place of less of it; and their settings, for one that was killed before its first checkpoint."""
    for file in (directory.metrics, directory.config):
        content = remote.read(file.name) or b""
        if content and (not file.exists() or (file == directory.metrics and file.stat().st_size < len(content))):
            file.write_bytes(content)
