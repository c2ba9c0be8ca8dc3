"""Archives in the form of ILSVRC 2012's, of generated photographs: what is published, at a size for tests."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from dist_alexnet.data.sources.devkit import DEVKIT, META, TRUTH
from dist_alexnet.data.sources.ilsvrc import TRAIN, VAL
from dist_alexnet.data.synth.drawing import SHAPES, draw

FIELDS = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images")


def build_archives(folder: Path, classes: int = 20, train_per_class: int = 8, val: int = 40, seed: int = 0) -> None:
    """Write the archive of archives of the training images, that of the validation images, and the development kit."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.random.default_rng(seed).permutation(classes) + 1  # ILSVRC2012_ID of each label: not their order, as in the real kit
    nested = {}
    for label in range(classes):
        synset = synset_of(label)
        images = {f"{synset}_{image}.JPEG": photograph(label, classes, (seed, 0, label, image)) for image in range(train_per_class)}
        nested[f"{synset}.tar"] = tar_of(images)
    (folder / TRAIN).write_bytes(tar_of(nested))
    labels = [image % classes for image in range(val)]
    images = {val_name(image): photograph(label, classes, (seed, 1, image)) for image, label in enumerate(labels)}
    (folder / VAL).write_bytes(tar_of(images))
    truth = "".join(f"{ids[label]}\n" for label in labels).encode()
    kit = {META: meta_of({int(identity): synset_of(label) for label, identity in enumerate(ids)}), TRUTH: truth, "readme.txt": b"synthetic"}
    write_devkit(folder / f"{DEVKIT}.tar.gz", kit)


def synset_of(label: int) -> str:
    """A synset id per label, in the order of the labels."""
    return f"n{1440764 + 37 * label:08d}"


def val_name(image: int) -> str:
    """Of the validation images, counted from 0."""
    return f"ILSVRC2012_val_{image + 1:08d}.JPEG"


def photograph(label: int, classes: int, seed: tuple[int, ...]) -> bytes:
    """A JPEG that a network can learn to tell from those of other classes."""
    content = io.BytesIO()
    jitter = 0.1 if classes <= len(SHAPES) else 0.02
    Image.fromarray(draw(label, jitter, np.random.default_rng(seed))).save(content, "JPEG", quality=90)
    return content.getvalue()


def tar_of(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """An archive of these files. The real ones are written with GNU tar, too."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def write_devkit(path: Path, files: Mapping[str, bytes]) -> None:
    """The kit as an archive."""
    path.write_bytes(tar_of({f"{DEVKIT}/{name}": data for name, data in files.items()}, "w:gz"))


def meta_of(synsets: Mapping[int, str]) -> bytes:
    """meta.mat: a struct array of these classes and, as in the real one, of a synset above them."""
    above = max(synsets, default=0) + 1
    rows = [(i, synset, f"words of {synset}", "gloss", 0, np.zeros(0), 0, 8) for i, synset in sorted(synsets.items())]
    rows.append((above, "n00001740", "entity", "gloss", max(1, len(synsets)), np.array(sorted(synsets)), 1, 0))
    table = np.empty((len(rows), 1), [(field, object) for field in FIELDS])
    for row, values in enumerate(rows):
        table[row, 0] = values
    content = io.BytesIO()
    savemat(content, {"synsets": table})
    return content.getvalue()


def files_of(archive: Path | bytes) -> dict[str, bytes]:
    """The reverse of tar_of, in the order of the archive."""
    content = io.BytesIO(archive if isinstance(archive, bytes) else archive.read_bytes())
    with tarfile.open(fileobj=content) as opened:
        return {info.name: file.read() for info in opened if (file := opened.extractfile(info))}
