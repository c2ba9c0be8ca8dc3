"""What lies in a folder that is no data set, and what to type instead: a person who names it has the images, and need not guess."""

import os
import shlex
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from dist_alexnet.data.images import SPLITS
from dist_alexnet.data.sources.devkit import SYNSET
from dist_alexnet.data.sources.hugging_face import is_saved
from dist_alexnet.data.sources.photographs import EXTENSIONS, PACKED

MANY = 2000  # entries of the folder itself, which may be a thousand archives
LOOKED_AT = 100  # folders, and entries of each: enough to see what it is
DEPTH = 6  # of folders below; ImageNet's from Kaggle lies in ILSVRC/Data/CLS-LOC
NEED = "a data set is a folder with train/<class>/ and val/<class>/"


def instead(folder: Path, holds_images: Callable[[Path], bool]) -> str | None:
    """What lies there and what to type, but for the folder's name; None: nothing of the kind.

    Args:
        folder: that is no data set.
        holds_images: whether a folder is one.
    """
    entries = sorted(islice(_seen(folder), MANY))
    packed = [entry for entry in entries if entry.name.lower().endswith(PACKED) and entry.is_file()]
    if classes := [entry for entry in packed if entry.suffix == ".tar" and SYNSET.fullmatch(entry.stem)]:
        return _class_archives(folder, classes)
    if is_saved(folder):
        return "it holds one split that `save_to_disk` wrote; put it into a folder as train/, and beside it the other split as validation/"
    if tables := [entry for entry in packed if entry.suffix in (".parquet", ".arrow")]:
        name = f"train-00000-of-{len(tables):05d}{tables[0].suffix}"
        return f"it holds {len(tables)} files such as {tables[0].name}, whose names say no split; make links to them, named as {name}"
    if inner := next((place for place in _below(folder) if holds_images(place)), None):
        return f"the images lie in {inner}; name that folder"
    whole = folder.resolve().parent
    if folder.resolve().name in SPLITS and holds_images(whole):
        return f"it is a part of {whole}; name that folder"
    if packed:
        return f"it holds {len(packed)} archives such as {packed[0].name}, which cannot be read as they are; unpack them, for {NEED}"
    if named := [entry for entry in entries if entry.is_dir() and _has_image(entry)]:
        return f"it holds folders of images such as {named[0].name}, but neither train/ nor val/; share the images out to both, for {NEED}"
    if _has_image(folder):
        return f"images lie in it directly; move each into a folder of its class, for {NEED}"
    return None


def other_name(folder: Path, split: str) -> str | None:
    """The same for a folder that holds one split, but not this one: what it may be called there."""
    names = ("validation", "valid", "test") if split == "val" else ("training",)
    found = next((name for name in names if (folder / name).is_dir()), None)
    command = shlex.join(["ln", "-s", str(found), str(folder / split)])
    return f"it has no {split}/, but {found}/; if that is what you mean, type `{command}`" if found else None


def _class_archives(folder: Path, archives: list[Path]) -> str:
    loop = f'cd {shlex.quote(str(folder))} && for a in n*.tar; do mkdir -p "train/${{a%.tar}}" && tar -xf "$a" -C "train/${{a%.tar}}"; done'
    many = f"{len(archives):,} archives of classes such as {archives[0].name}"
    return f"it holds {many}: the training archive, unpacked once; type `{loop}`, and put the validation images into val/<class>/"


def _seen(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _below(folder: Path) -> Iterator[Path]:
    """Folders in it that may be read, the nearest first; links are not followed, for they may lead in a circle."""
    waiting = deque([(folder, 0)])
    for _ in range(LOOKED_AT):
        if not waiting:
            return
        place, depth = waiting.popleft()
        inner = sorted(entry for entry in islice(_seen(place), LOOKED_AT) if entry.is_dir() and not entry.is_symlink())
        inner = [entry for entry in inner if os.access(entry, os.R_OK | os.X_OK)]
        yield from inner
        waiting += [(entry, depth + 1) for entry in inner if depth < DEPTH]


def _has_image(folder: Path) -> bool:
    return any(entry.name.lower().endswith(EXTENSIONS) for entry in islice(_seen(folder), LOOKED_AT))
