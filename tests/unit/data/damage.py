"""The catalogue: kinds of damage to files and shards, each with its name. test_damage.py says what must come of them."""

import io
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dist_alexnet.data.sets.open import open_split

VICTIM = 2  # the photograph, or the image in shards, that is damaged
SOF, SOS, DHT, DQT, END = 0xC0, 0xDA, 0xC4, 0xDB, b"\xff\xd9"


def put(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def flip(content: bytes, place: int, count: int) -> bytes:
    return put(content, place, bytes(byte ^ 0xFF for byte in content[place : place + count]))


def segment(jpeg: bytes, marker: int, offset: int) -> int:
    """A place in the first segment of this kind, counted from its marker."""
    return jpeg.index(bytes([0xFF, marker])) + offset


def as_file(jpeg: bytes, kind: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def png(jpeg: bytes) -> bytes:
    return as_file(jpeg, "PNG")


def first_scan(jpeg: bytes) -> bytes:
    progressive = as_file(jpeg, "JPEG", progressive=True)
    return progressive[: progressive.index(b"\xff\xda", segment(progressive, SOS, 2))]


def later_tables(jpeg: bytes) -> bytes:
    progressive = as_file(jpeg, "JPEG", progressive=True)
    place = progressive.index(bytes([0xFF, DHT]), segment(progressive, SOS, 2))
    return put(progressive, place + 5, b"\xff" * 16)


def huge_png(jpeg: bytes) -> bytes:
    content = png(jpeg)
    chunk = b"IHDR" + struct.pack(">II", 65_000, 65_000) + content[24:29]
    return put(content, 12, chunk + struct.pack(">I", zlib.crc32(chunk)))


@dataclass(frozen=True)
class BadFile:
    """A photograph that training has to do without."""

    harm: Callable[[bytes], bytes | None]  # of a JPEG; None: the disk fails
    reason: str | None  # that `prepare` gives; None: it can read the file, though training cannot
    said: str = "it does not decode"  # in training and by `verify`


UNKNOWN, BROKEN, CUT = "UnidentifiedImageError: cannot identify image", "OSError: broken data stream", "OSError: image file is truncated"
BAD_FILES = {
    "zero bytes": BadFile(lambda c: b"", "it has zero bytes"),
    "one byte": BadFile(lambda c: c[:1], UNKNOWN),
    "cut in the header": BadFile(lambda c: c[:50], "OSError: Truncated File Read"),
    "cut in the middle": BadFile(lambda c: c[: len(c) // 2], CUT),
    "no end marker": BadFile(lambda c: c[:-2], CUT),
    "head gone": BadFile(lambda c: c[100:], UNKNOWN),
    "all zeros": BadFile(lambda c: bytes(len(c)), UNKNOWN),
    "first byte flipped": BadFile(lambda c: flip(c, 0, 1), UNKNOWN),
    "frame of another kind": BadFile(lambda c: put(c, segment(c, SOF, 1), b"\xc2"), BROKEN),
    "frame of 12 bits": BadFile(lambda c: put(c, segment(c, SOF, 4), b"\x0c"), UNKNOWN),
    "frame of no height": BadFile(lambda c: put(c, segment(c, SOF, 5), b"\0\0"), UNKNOWN),
    "frame of 65000 x 65000": BadFile(lambda c: put(c, segment(c, SOF, 5), struct.pack(">HH", 65_000, 65_000)), "DecompressionBombError"),
    "frame with wild sampling": BadFile(lambda c: put(c, segment(c, SOF, 11), b"\xff"), BROKEN),
    "quantisation table": BadFile(lambda c: flip(c, segment(c, DQT, 4), 1), UNKNOWN),
    "Huffman table": BadFile(lambda c: put(c, segment(c, DHT, 5), b"\xff" * 16), BROKEN),
    "scan of an unknown component": BadFile(lambda c: put(c, segment(c, SOS, 5), b"\x77"), BROKEN),
    "progressive, cut after the first scan": BadFile(first_scan, CUT),
    "bytes between segments": BadFile(lambda c: put(c, segment(c, SOF, 0), b"abcd" + c[segment(c, SOF, 0) :]), None),
    "segment of no length": BadFile(lambda c: c[:2] + b"\xff\xfe\0\0" + c[2:], None),
    "progressive, tables of a later scan": BadFile(later_tables, BROKEN),
    "text": BadFile(lambda c: b"this is no image\n", UNKNOWN),
    "web page": BadFile(lambda c: b"<!DOCTYPE html><html><body>404 Not Found</body></html>", UNKNOWN),
    "PNG cut": BadFile(lambda c: png(c)[: len(png(c)) // 2], CUT),
    "PNG cut, with an end": BadFile(lambda c: png(c)[: len(png(c)) // 2] + png(c)[-12:], CUT),
    "PNG with a flipped size": BadFile(lambda c: flip(png(c), 16, 4), UNKNOWN),
    "PNG with flipped pixels": BadFile(lambda c: flip(png(c), len(png(c)) // 2, 20), BROKEN),
    "PNG of 65000 x 65000": BadFile(huge_png, "DecompressionBombError"),
    "GIF in disguise": BadFile(lambda c: as_file(c, "GIF"), None, "format GIF, not one of JPEG, MPO, PNG"),
    "TIFF of 32-bit integers": BadFile(lambda c: as_file(c, "TIFF", "I"), "format TIFF of mode I", "format TIFF of mode I"),
    "disk that fails": BadFile(lambda c: None, "OSError: Input/output error", "Input/output error"),
}
ODD_FILES: dict[str, Callable[[bytes], bytes]] = {  # they decode, and are nobody's fault
    "PNG in disguise": png,
    "CMYK": lambda c: as_file(c, "JPEG", "CMYK"),
    "grey-scale": lambda c: as_file(c, "JPEG", "L"),
    "progressive": lambda c: as_file(c, "JPEG", progressive=True),
    "WebP in disguise": lambda c: as_file(c, "WEBP"),
    "bytes after the end": lambda c: c + bytes(100),
    "fill bytes": lambda c: c[: segment(c, SOF, 0)] + b"\xff\xff" + c[segment(c, SOF, 0) :],
}


@dataclass(frozen=True)
class BadShard:
    """Damage within shards of the right length: training goes on, and `verify` names it."""

    kind: str  # of the set: a fixture
    harm: Callable[[Path], None]
    bad: dict[int, str]  # images that training names, with the reason; none: other pixels, or other images, without a sign
    shards: tuple[int, ...] = (0,)  # that are not the bytes that were written


def within(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """The bytes of the victim's image in its shard, changed to as many others."""

    def harm(root: Path) -> None:
        train = open_split(root, "train")
        stored = train.encoded(VICTIM).tobytes()
        shard = train.paths[0].read_bytes()
        new = content(stored)
        assert len(new) == len(stored) != 0
        assert new != stored
        train.paths[0].write_bytes(put(shard, shard.index(stored), new))

    return harm


def number(place: str, row: int, value: bytes) -> Callable[[Path], None]:
    """A label or an offset in the first shard."""

    def harm(root: Path) -> None:
        train = open_split(root, "train")
        start = getattr(train.entries[0], place) + len(value) * row
        train.paths[0].write_bytes(put(train.paths[0].read_bytes(), start, value))

    return harm


def exchange(root: Path) -> None:
    """Two shards of the same length change places."""
    first, second = (root / "train" / f"0000{shard}.arrow" for shard in (0, 1))
    assert first.stat().st_size == second.stat().st_size
    first.rename(root / "other")
    second.rename(first)
    (root / "other").rename(second)


def whole(root: Path) -> None:
    path = root / "train/00000.arrow"
    path.write_bytes(bytes(path.stat().st_size))


SHARDS = {
    "jpeg shard: header of an image": BadShard("prepared", within(lambda c: bytes(64) + c[64:]), {VICTIM: "it does not decode"}),
    "jpeg shard: Huffman table": BadShard(
        "prepared", within(lambda c: put(c, segment(c, DHT, 5), b"\xff" * 16)), {VICTIM: "it does not decode"}
    ),
    "jpeg shard: size in the header": BadShard(
        "prepared", within(lambda c: put(c, segment(c, SOF, 5), struct.pack(">HH", 63, 64))), {VICTIM: "it has 64 x 63 pixels, not 64 x 64"}
    ),
    "jpeg shard: flipped bits": BadShard("prepared", within(lambda c: flip(c, (segment(c, SOS, 14) + len(c)) // 2, 20)), {}),
    "jpeg shard: zeroed disk block": BadShard("prepared", within(lambda c: put(c, segment(c, SOS, 14), bytes(512))), {}),
    "jpeg shard: end too early": BadShard("prepared", within(lambda c: put(c, len(c) // 2, END)), {}),
    "jpeg shard: markers in the data": BadShard("prepared", within(lambda c: put(c, len(c) // 2, b"\xff\xda\x00\x0c\xff\xc0\x00\x11")), {}),
    "jpeg shard: zeroed from end to end": BadShard("prepared", whole, dict.fromkeys(range(7), "it does not decode")),
    "label out of range": BadShard("prepared", number("labels", VICTIM, struct.pack("<i", 4)), {VICTIM: "its label 4 is none of the 4"}),
    "negative label": BadShard("raw", number("labels", VICTIM, struct.pack("<i", -1)), {VICTIM: "its label -1 is none of the 4"}),
    "wild offset": BadShard("prepared", number("offsets", 3, struct.pack("<q", 2**40)), dict.fromkeys((2, 3), "its shard is damaged")),
    "negative offset": BadShard("raw", number("offsets", 3, struct.pack("<q", -1)), dict.fromkeys((2, 3), "its shard is damaged")),
    "raw shard: short offset": BadShard(
        "raw", number("offsets", 3, struct.pack("<q", 30_000)), dict.fromkeys((2, 3), "pixels need 12,288")
    ),
    "raw shard: a byte": BadShard("raw", within(lambda c: flip(c, len(c) // 2 + 96, 1)), {}),
    "raw shard: zeroed disk block": BadShard("raw", within(lambda c: put(c, 2048, bytes(4096))), {}),
    "raw shards exchanged": BadShard("pixels", exchange, {}, (0, 1)),
    "original PNG: flipped pixels": BadShard("originals", within(lambda c: flip(c, len(c) // 2, 9)), {VICTIM: "it does not decode"}),
    "original PNG: flipped size": BadShard("originals", within(lambda c: flip(c, 16, 4)), {VICTIM: "it does not decode"}),
}


def edit(change: Callable[[dict[str, Any]], object], name: str = "dataset.json") -> Callable[[Path], None]:
    """Change a JSON file."""

    def harm(root: Path) -> None:
        content = json.loads((root / name).read_text())
        change(content)
        (root / name).write_text(json.dumps(content))

    return harm


def cut(name: str, keep: float) -> Callable[[Path], None]:
    """All but the beginning of a file is lost."""

    def harm(root: Path) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(keep * len(content))])

    return harm


def directory(root: Path) -> None:
    (root / FIRST).unlink()
    (root / FIRST).mkdir()


def other_arrow(root: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(root / FIRST), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("x", pa.int32())])) as writer:
        writer.write_batch(pa.record_batch({"x": pa.array([1, 2], pa.int32())}))


FIRST, OTHER = "train/00000.arrow", "not what was written"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {  # a set that does not open: what is done, what is said of it
    "shard cut": (cut(FIRST, 0.9), f"{FIRST}: .* bytes, but it was written with .*; copy it again, or run"),
    "shard emptied": (cut(FIRST, 0), f"{FIRST}: 0 bytes, but it was written with"),
    "shard longer": (lambda root: (root / FIRST).open("ab").write(b"\0"), f"{FIRST}: .* bytes, but it was written with"),
    "shard gone": (lambda root: (root / FIRST).unlink(), f"{FIRST}: this shard is missing; put it back, or run"),
    "shard is a folder": (directory, f"{FIRST}: this shard is missing"),
    "shard is a broken link": (
        lambda root: (root / FIRST).unlink() or (root / FIRST).symlink_to("gone"),
        f"{FIRST}: this shard is missing",
    ),
    "shard of another place": (lambda root: shutil.copy(root / "train/00001.arrow", root / FIRST), f"{FIRST}: .* was written with"),
    "shard is another Arrow file": (other_arrow, f"{FIRST}: .* bytes, but it was written with"),
    "index gone": (lambda root: (root / "dataset.json").unlink(), "shards, but no dataset.json: of an earlier version, or not all there"),
    "index cut": (cut("dataset.json", 0.5), "dataset.json: broken .*; run `dist-alexnet data prepare` again"),
    "index emptied": (cut("dataset.json", 0), "dataset.json: broken"),
    "index is not text": (lambda root: (root / "dataset.json").write_bytes(b"\xff\xfe" * 99), "dataset.json: broken"),
    "index is a list": (lambda root: (root / "dataset.json").write_text("[]"), "dataset.json: broken"),
    "index of another version": (edit(lambda i: i.update(format=2)), "dataset.json: format 2, but this program reads format 3"),
    "index without splits": (edit(lambda i: i.pop("splits")), f"dataset.json: {OTHER}"),
    "index without a shard": (edit(lambda i: i["splits"]["train"].pop()), f"dataset.json: {OTHER}"),
    "index with a word for a number": (edit(lambda i: i["splits"]["train"][0].update(images="seven")), f"dataset.json: {OTHER}"),
    "index with another number": (edit(lambda i: i["splits"]["train"][0].update(images=6)), f"dataset.json: {OTHER}"),
    "index with a class too many": (edit(lambda i: i["classes"].append("wolf")), f"dataset.json: {OTHER}"),
    "statistics cut": (cut("statistics.json", 0.5), "statistics.json: broken .*; type `dist-alexnet data stats .* --recompute --store`"),
    "statistics emptied": (cut("statistics.json", 0), "statistics.json: broken"),
    "statistics with another number": (edit(lambda i: i["mean"].reverse(), "statistics.json"), f"statistics.json: {OTHER}"),
    "mean gone": (lambda root: (root / "mean_image.npy").unlink(), "mean_image.npy: No such file or directory; type `dist-alexnet data st"),
    "mean cut": (cut("mean_image.npy", 0.9), f"mean_image.npy: {OTHER}"),
    "mean emptied": (cut("mean_image.npy", 0), f"mean_image.npy: {OTHER}"),
    "mean of another shape": (lambda root: np.save(root / "mean_image.npy", np.zeros((32, 32, 3), np.float32)), f"mean_image.npy: {OTHER}"),
}
