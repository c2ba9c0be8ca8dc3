"""Where Prometheus finds the runs that go on: a file each in the hidden folder .prometheus beside the run folders (file_sd)."""

import json
from contextlib import suppress
from pathlib import Path

from dist_alexnet.json_text import to_json
from dist_alexnet.runs.directory import RunDirectory

FOLDER = ".prometheus"  # in the output directory: a pattern of file_sd may have stars in its last part only


class Target:
    """The file of one run. It stays where a run has failed, so that Prometheus finds nobody there and says so."""

    def __init__(self, directory: RunDirectory, address: str) -> None:
        """Write it, and delete those of runs that are no more, or whose port this one has got."""
        folder = directory.path.parent / FOLDER
        self._file, self._url = folder / f"{directory.path.name}.json", directory.path / "metrics.url"
        folder.mkdir(exist_ok=True)
        for other in folder.glob("*.json"):
            if not (directory.path.parent / other.stem).is_dir() or _address(other) == address:
                other.unlink(missing_ok=True)
        content = [{"targets": [address], "labels": {"run": directory.path.name}}]
        part = self._file.with_name(f"{self._file.name}.unfinished")
        part.write_text(to_json(content) + "\n")
        part.rename(self._file)
        self._url.write_text(f"http://{address}/metrics\n")

    def remove(self, well: bool) -> None:
        """Nobody answers there any more. `well`: and nothing is wrong with that."""
        with suppress(OSError):
            self._url.unlink(missing_ok=True)
            if well or not self._url.parent.is_dir():
                self._file.unlink(missing_ok=True)


def _address(file: Path) -> str | None:
    with suppress(OSError, ValueError, LookupError, TypeError):
        return str(json.loads(file.read_text())[0]["targets"][0])
    return None
