"""What `data prepare` reads: the photographs of a data set in a fixed order, whatever they were delivered in."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dist_alexnet.data.images import PassedOver, Split

EXTENSIONS = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".tif", ".tiff")  # what DALI decodes (wholeness.py)
PACKED = (".tar", ".tar.gz", ".tgz", ".zip", ".parquet", ".arrow")  # what images are delivered in
NOISE = ("thumbs.db", "desktop.ini", "__macosx")  # of other systems; like hidden files no images, and nobody's fault
Found = Callable[[int], None]  # called while a source is opened, with the number of photographs found so far


class Part(Protocol):
    """A run of photographs that a worker process reads by itself: small to send, and opened where it arrives."""

    def read(self) -> Iterator[bytes | str]:
        """The bytes of each file in order; or, of one that cannot be read, the reason."""
        ...


class Photographs(Protocol):
    """One split, numbered from 0 in an order that is the same each time the source is opened."""

    labels: npt.NDArray[np.int64]  # [N], indices into the classes of the source

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Where it came from, for shards, reports and messages: `<class>/<file>`, relative to the split."""
        ...

    def part(self, start: int, stop: int) -> Part:
        """Photographs [start, stop), for a worker."""
        ...


def unread(folders: Iterable[Path], read: Collection[Path]) -> PassedOver:
    """Files in these folders that, by their endings, hold images, but for those that are read."""
    found = PassedOver()
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        if path.name.lower().endswith((*EXTENSIONS, *PACKED)) and not path.name.startswith(".") and path not in read and path.is_file():
            found.add(str(path))
    return found


@dataclass(frozen=True)
class Source:
    """A data set as it was delivered."""

    classes: list[str]  # sorted; for ImageNet the synset ids
    splits: Mapping[Split, Photographs]  # both
    class_names: Mapping[str, str] = field(default_factory=dict)  # of a class, in words ("tench, Tinca tinca"), where they are known
    passed_over: PassedOver = field(default_factory=PassedOver)


def tell_nobody(found: int) -> None:
    """A Found for those who do not want to know."""


@dataclass(frozen=True)
class FileSpan:
    """A file, or some bytes of one."""

    path: Path
    start: int = 0
    size: int | None = None  # bytes; None: to the end


@dataclass(frozen=True)
class FileParts:
    """Photographs that lie in files as they are, or uncompressed in archives, one after the other."""

    spans: Sequence[FileSpan]

    def read(self) -> Iterator[bytes | str]:
        """The bytes of each, or the reason."""
        for span in self.spans:
            try:
                with span.path.open("rb") as file:
                    file.seek(span.start)
                    content = file.read(-1 if span.size is None else span.size)
            except OSError as error:
                yield f"{type(error).__name__}: {os.strerror(error.errno) if error.errno else error}"
                continue
            if span.size is not None and len(content) < span.size:
                yield f"the archive ends after {len(content):,} of its {span.size:,} bytes"
            else:
                yield content
