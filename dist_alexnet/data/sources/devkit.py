"""The development kit of ILSVRC 2012: which classes there are, and which of them each validation image shows.

`data/meta.mat` lists the synsets of the hierarchy; those without children are the classes. `data/ILSVRC2012_validation_ground_truth.txt`
holds one ILSVRC2012_ID per line, in the order of the names of the validation images.
"""

import io
import re
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError

DEVKIT = "ILSVRC2012_devkit_t12"  # the folder; its archive has .tar.gz after it
META, TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
SYNSET = re.compile(r"n\d{8}")
VAL_FILE = re.compile(r"ILSVRC2012_val_\d{8}\.JPEG")
LARGEST = 64 * 2**20  # bytes of a file in the kit; the real ones have less than one MiB


@dataclass(frozen=True)
class Devkit:
    """The classes and the labels of the validation images."""

    path: Path
    synsets: dict[int, str]  # ILSVRC2012_ID -> synset id, of the classes
    words: dict[str, str]  # synset id -> "tench, Tinca tinca"
    truth: npt.NDArray[np.int64]  # [validation images], ILSVRC2012_IDs, in the order of the file names

    def labels(self, files: Sequence[str], classes: Sequence[str], where: Path) -> npt.NDArray[np.int64]:
        """Labels of the validation images, indices into classes.

        Args:
            files: names of the images, sorted, `ILSVRC2012_val_00000001.JPEG` and so on.
            classes: synset ids of the training set.
            where: of these images, for messages.

        Raises:
            UsageError: these are not the images of the ground truth, or the training set lacks one of their classes.
        """
        expected = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, len(self.truth) + 1)]
        if list(files) != expected:
            odd = min(set(files) ^ set(expected))
            raise UsageError(
                f"{where}: its {len(files):,} images are not the {len(expected):,} of the ground truth in {self.path.name}: {odd} is "
                f"{'not among those' if odd in files else 'missing'}; download the images and the development kit again"
            )
        number = {name: label for label, name in enumerate(classes)}
        for file, identity in zip(files, self.truth.tolist(), strict=True):
            if self.synsets[identity] not in number:
                raise UsageError(f"{where}: {file} is of class {self.synsets[identity]}, which the training set lacks; complete that")
        return np.array([number[self.synsets[identity]] for identity in self.truth.tolist()], np.int64)


def find_devkit(folder: Path) -> Path | None:
    """The kit in a folder, unpacked or as an archive."""
    return next((path for path in (folder / DEVKIT, folder / f"{DEVKIT}.tar.gz") if path.exists()), None)


def open_devkit(path: Path) -> Devkit:
    """Read the kit.

    Raises:
        UsageError: a file of it is missing or cannot be understood, or the two do not fit together.
    """
    meta, truth = _read(path)
    synsets, words = _classes(meta, f"{path}: {META}")
    return Devkit(path, synsets, words, _ground_truth(truth, synsets, f"{path}: {TRUTH}"))


def _read(path: Path) -> tuple[bytes, bytes]:
    """The contents of the two files."""
    found = _from_folder(path) if path.is_dir() else _from_archive(path)
    if missing := [name for name in (META, TRUTH) if name not in found]:
        raise UsageError(f"{path}: it lacks {missing[0]}; download {DEVKIT}.tar.gz again")
    return found[META], found[TRUTH]


def _from_folder(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in (META, TRUTH) if (path / name).is_file()}


def _from_archive(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            while len(found) < 2 and (info := archive.next()):
                name = info.name.removeprefix("./").removeprefix(f"{DEVKIT}/")
                if name in (META, TRUTH) and info.isfile() and info.size <= LARGEST and (file := archive.extractfile(info)):
                    found[name] = file.read()
    except (tarfile.TarError, EOFError, ValueError, zlib.error, OSError) as error:
        raise UsageError(f"{path}: no complete archive of the development kit ({error}); download it again") from error
    return found


def _classes(content: bytes, where: str) -> tuple[dict[int, str], dict[str, str]]:
    """Synset id of each ILSVRC2012_ID, and the words for each synset id."""
    from scipy.io import loadmat  # here, for it takes long to import and the command line must be quick

    try:
        table = np.atleast_1d(loadmat(io.BytesIO(content), squeeze_me=True, variable_names=["synsets"])["synsets"])
        leaves = [row for row in table if int(row["num_children"]) == 0]
        rows = [(int(row["ILSVRC2012_ID"]), str(row["WNID"]), str(row["words"])) for row in leaves]
    except Exception as error:  # the reader lets through whatever it trips over in a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{where} is not the table of ILSVRC's classes ({reason}); download the development kit again") from error
    synsets, words = {identity: synset for identity, synset, _ in rows}, {synset: text for _, synset, text in rows}
    if not rows or not len(rows) == len(synsets) == len(words) or not all(map(SYNSET.fullmatch, words)):
        raise UsageError(f"{where} lists no classes, one twice, or others than synset ids; download the development kit again")
    return synsets, words


def _ground_truth(content: bytes, synsets: dict[int, str], where: str) -> npt.NDArray[np.int64]:
    lines = content.decode("ascii", errors="replace").split("\n")
    for number, line in enumerate(lines := lines[:-1] if not lines[-1] else lines, start=1):
        if not re.fullmatch(r"\d{1,9}\s*", line) or int(line) not in synsets:
            raise UsageError(
                f"{where}, line {number}: {line[:40]!r} is none of the {len(synsets):,} ids of classes; download the development kit again"
            )
    return np.array([int(line) for line in lines], np.int64)
