"""A run on storage that is no folder of this machine: whatever `pyarrow.fs` knows by a URI, as s3://, gs://, hdfs:// and file:///.

Objects have no rename, so a checkpoint there is one from the moment on that it has its state.json, which comes last and goes first.
"""

import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from dist_alexnet.checkpoints.files import TEMPORARY
from dist_alexnet.checkpoints.state import STATE_FILE
from dist_alexnet.config import UsageError
from dist_alexnet.redact import without_secrets

WITHOUT_FOLDERS = ("s3", "gcs", "abfs")  # there a name may hold slashes, and what is called a folder would be an empty object
MEANS_ELSE = frozenset("#?%")  # than itself, in a URI
CHUNK_BYTES = 2**23
RECORD_BYTES = 2**16  # of a line of records, which are shorter
SHOWN_LETTERS = 160  # of what a library says


class Remote:
    """One run's files there, by their names in the run folder. What does not answer is an OSError."""

    def __init__(self, uri: str, run: str) -> None:
        """`uri`: of the place where runs are (UsageError: it is none that is known here, or holds credentials; or the name has none)."""
        check_uri(uri)
        if MEANS_ELSE.intersection(run):
            raise UsageError(f"--storage takes no run whose name holds #, ? or %, as {run!r}: in its URI that means something else")
        from pyarrow import ArrowInvalid, fs  # here: it takes a tenth of a second, and most runs have none

        try:
            self._files, path = fs.FileSystem.from_uri(uri)
        except (ArrowInvalid, NotImplementedError, OSError) as error:
            raise UsageError(
                f"--storage {uri}: {first_line(error)}; type a URI as s3://BUCKET/PATH, gs://BUCKET/PATH or file:///PATH"
            ) from None
        self._fs, self._root, self._uri = fs, f"{path.rstrip('/')}/{run}", uri

    def check(self) -> None:
        """Write, read back and delete a few bytes (UsageError: that does not work)."""
        name, content = f".writable-{uuid.uuid4().hex}", b"dist-alexnet"
        try:
            self.write(name, content)
            back = self.read(name)
            self._files.delete_file(self._at(name))
        except OSError as error:
            raise UsageError(f"--storage {self._uri} cannot be written: {first_line(error)}; mend that, or leave it out") from None
        if back != content:
            raise UsageError(f"--storage {self._uri} does not give back what is written to it; type another")

    def read(self, name: str) -> bytes | None:
        """A small file; None: there is none."""
        try:
            with self._files.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def first_record(self, name: str) -> bytes:
        """The first line of a file of records, which tells a run from others of its name; empty: there is none."""
        try:
            with self._files.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read(RECORD_BYTES)).partition(b"\n")[0]
        except FileNotFoundError:
            return b""

    def write(self, name: str, content: bytes) -> None:
        """A small file."""
        with self._stream(name) as stream:
            stream.write(content)

    def put(self, file: Path, name: str) -> None:
        """A file of any size (FileNotFoundError: it is not there any more)."""
        with file.open("rb") as source, self._stream(name) as stream:
            shutil.copyfileobj(source, stream, CHUNK_BYTES)

    def get(self, name: str, file: Path) -> None:
        """The other way round."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._files.open_input_stream(self._at(name)) as stream, file.open("wb") as target:
            shutil.copyfileobj(stream, target, CHUNK_BYTES)

    def delete(self, name: str) -> None:
        """A file, which need not be there."""
        with suppress(FileNotFoundError):
            self._files.delete_file(self._at(name))

    def has_another(self, metrics: Path) -> bool:
        """Whether its records are of another run than those of a file here (OSError: it does not answer); False where either has none."""
        if not metrics.exists():
            return False
        with metrics.open("rb") as file:
            here, there = file.read(RECORD_BYTES).partition(b"\n")[0], self.first_record(metrics.name)
        return bool(here and there) and here != there

    def checkpoints(self) -> tuple[list[str], list[str]]:
        """Names of the complete ones, by step, and of what else is called like one."""
        found: dict[str, set[str]] = {}
        for name in self._below("checkpoints"):
            checkpoint, _, file = name.partition("/")
            if re.fullmatch(r"step-\d{8,}", checkpoint):
                found.setdefault(checkpoint, set()).add(file)
        names = sorted(found, key=lambda name: int(name[5:]))
        return [name for name in names if STATE_FILE in found[name]], [name for name in names if STATE_FILE not in found[name]]

    def put_checkpoint(self, checkpoint: Path) -> None:
        """All of it or nothing; one of the same name is replaced (FileNotFoundError: it is being deleted)."""
        files = [file for file in checkpoint.rglob("*") if file.is_file()]
        self.delete(f"checkpoints/{checkpoint.name}/{STATE_FILE}")
        for file in sorted(files, key=lambda file: file.name == STATE_FILE):
            self.put(file, f"checkpoints/{checkpoint.name}/{file.relative_to(checkpoint)}")

    def get_checkpoint(self, name: str, folder: Path) -> Path:
        """Fetch one into a folder of checkpoints, under its name when it is complete; returns where it is."""
        place, target = folder / f"{TEMPORARY}{name}", folder / name
        shutil.rmtree(place, ignore_errors=True)
        for file in self._below(f"checkpoints/{name}"):
            if not {"", ".", ".."}.intersection(file.split("/")):  # names of objects, which may lead anywhere: none that we have written
                self.get(f"checkpoints/{name}/{file}", place / file)
        if target.exists():
            shutil.rmtree(target)
        place.rename(target)
        return target

    def delete_checkpoint(self, name: str) -> None:
        """Take it away, so that there is never half of one."""
        self.delete(f"checkpoints/{name}/{STATE_FILE}")
        with suppress(FileNotFoundError):
            self._files.delete_dir(self._at(f"checkpoints/{name}"))

    def _below(self, folder: str) -> Sequence[str]:
        """Paths of the files there, as seen from it."""
        base = self._at(folder)
        found = self._files.get_file_info(self._fs.FileSelector(base, allow_not_found=True, recursive=True))
        return [info.path[len(base) + 1 :] for info in found if info.type == self._fs.FileType.File]

    def _stream(self, name: str):  # type: ignore[no-untyped-def] # pyarrow has no types
        at = self._at(name)
        if self._files.type_name not in WITHOUT_FOLDERS:
            self._files.create_dir(at.rpartition("/")[0], recursive=True)
        return self._files.open_output_stream(at)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


def check_uri(uri: str) -> None:
    """Refuse what would write a secret into config.yaml, env.json and logs (UsageError, which does not repeat it)."""
    try:
        parts = urlsplit(uri)
        password = parts.password
    except ValueError:
        raise UsageError("--storage: that is no URI; type one as s3://BUCKET/PATH, gs://BUCKET/PATH or file:///PATH") from None
    if parts.fragment:
        raise UsageError("--storage: what follows a # is no part of a place; type a URI, and a --name, without it")
    if password is not None or without_secrets(f"?{parts.query}") != f"?{parts.query}":
        raise UsageError(
            "--storage holds credentials, which would be written down with it; leave them out, and set them in the environment, "
            "as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def parent_and_name(uri: str) -> tuple[str, str]:
    """Of the URI of a run: that of the place where runs are, and the run's name (UsageError: as of `check_uri`)."""
    check_uri(uri)
    parts = urlsplit(uri)
    parent, _, name = parts.path.rstrip("/").rpartition("/")
    return urlunsplit(parts._replace(path=parent)), unquote(name)


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a line."""
    line = str(error).strip().partition("\n")[0]
    return line if len(line) <= SHOWN_LETTERS else f"{line[:SHOWN_LETTERS]}..."
