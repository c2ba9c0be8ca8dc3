"""Every kind of pixel that a file may hold: squares that are prepared, and images that DALI decodes in place, against numpy."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from dist_alexnet.config import AugmentConfig, DataConfig
from dist_alexnet.data.images import ImageError
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.pixels.wholeness import flaw
from dist_alexnet.data.prepare.photograph import open_image, square
from dist_alexnet.data.sets.open import open_split

SIDE = 64
Pixels = npt.NDArray[np.generic]
RAMP = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 16 + 5  # up to 65,525
GREY = (RAMP >> 8).astype(np.uint8)
RGB = np.dstack([GREY, GREY[::-1], GREY.T])
ALPHA = np.where(np.arange(SIDE)[None] < SIDE // 2, 0, 255).repeat(SIDE, 0).astype(np.uint8)
DEEP = RAMP.astype(np.uint16)
ROUNDED = np.rint(RAMP * (255 / 65_535)).astype(np.uint8)
INK = Image.fromarray(RGB).quantize(64)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def of(pixels: Pixels, kind: str, **options: object) -> bytes:
    return saved(Image.fromarray(pixels), kind, **options)


def deep_png(pixels: Pixels, color: int) -> bytes:
    """A PNG of 16 bits per channel, which Pillow does not write in colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_tiff(pixels: Pixels) -> bytes:
    """A TIFF of 16 bits per channel in one strip, which Pillow does not write in colour."""
    start, strip = 8 + 2 + 12 * 10 + 4 + 6, pixels.astype("<u2").tobytes()
    short, long = 3, 4
    entries = [(256, short, 1, SIDE), (257, short, 1, SIDE), (258, short, 3, start - 6), (259, short, 1, 1), (262, short, 1, 2)]
    entries += [(273, long, 1, start), (277, short, 1, 3), (278, short, 1, SIDE), (279, long, 1, len(strip)), (284, short, 1, 1)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I3H", 0, 16, 16, 16) + strip


def turned(kind: str, note: int = 6, **options: object) -> bytes:
    """Lying on its side, with a note of that: 6 is a quarter turn."""
    exif = Image.Exif()
    exif[0x112] = note
    return of(SMOOTH if kind == "JPEG" else RGB, kind, exif=exif, **options)


TURNS: dict[int, Callable[[Pixels], Pixels]] = {  # what makes an image upright, by the note in it
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 3),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, 1),
}
SMOOTH = np.dstack([4 * np.indices((SIDE, SIDE))[1], 4 * np.indices((SIDE, SIDE))[0], 2 * np.indices((SIDE, SIDE)).sum(0)]).astype(np.uint8)
CMYK = np.dstack([SMOOTH, GREY // 2])
OF_INK = np.rint((255.0 - CMYK[..., :3]) * (255 - CMYK[..., 3:]) / 255).astype(np.uint8)


BINARY = Image.fromarray(np.where(GREY > 127, 255, 0).astype(np.uint8)).convert("1", dither=Image.Dither.NONE)
CASES: dict[str, tuple[Callable[[], bytes], Pixels]] = {  # a file, and its pixels
    "RGB PNG": (lambda: of(RGB, "PNG"), RGB),
    "RGB TIFF": (lambda: of(RGB, "TIFF"), RGB),
    "RGB TIFF, LZW": (lambda: of(RGB, "TIFF", compression="tiff_lzw"), RGB),
    "RGB BMP": (lambda: of(RGB, "BMP"), RGB),
    "RGB WebP": (lambda: of(RGB, "WEBP", lossless=True), RGB),
    "L PNG": (lambda: of(GREY, "PNG"), GREY),
    "L TIFF": (lambda: of(GREY, "TIFF"), GREY),
    "L BMP": (lambda: of(GREY, "BMP"), GREY),
    "1 PNG": (lambda: saved(BINARY, "PNG"), np.asarray(BINARY.convert("L"))),
    "1 BMP": (lambda: saved(BINARY, "BMP"), np.asarray(BINARY.convert("L"))),
    "P PNG": (lambda: saved(INK, "PNG"), np.asarray(INK.convert("RGB"))),
    "P BMP": (lambda: saved(INK, "BMP"), np.asarray(INK.convert("RGB"))),
    "P PNG, some of it transparent": (lambda: saved(INK, "PNG", transparency=bytes(20) + b"\xff" * 44), np.asarray(INK.convert("RGB"))),
    "RGB PNG, a colour transparent": (lambda: of(RGB, "PNG", transparency=(0, 0, 0)), RGB),
    "LA PNG: what is transparent keeps its colour": (lambda: of(np.dstack([GREY, ALPHA]), "PNG"), GREY),
    "RGBA PNG": (lambda: of(np.dstack([RGB, ALPHA]), "PNG"), RGB),
    "RGBA TIFF": (lambda: of(np.dstack([RGB, ALPHA]), "TIFF"), RGB),
    "RGBA WebP": (lambda: of(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True), RGB),
    "16-bit grey PNG": (lambda: of(DEEP, "PNG"), ROUNDED),
    "16-bit grey TIFF": (lambda: of(DEEP, "TIFF"), ROUNDED),
    "16-bit grey TIFF, big-endian": (
        lambda: saved(Image.frombytes("I;16B", (SIDE, SIDE), DEEP.astype(">u2").tobytes()), "TIFF"),
        ROUNDED,
    ),
    "16-bit RGB PNG": (lambda: deep_png(np.dstack([DEEP, DEEP.T, DEEP]), 2), np.dstack([ROUNDED, ROUNDED.T, ROUNDED])),
    "16-bit RGBA PNG": (lambda: deep_png(np.dstack([DEEP, DEEP.T, DEEP, DEEP]), 6), np.dstack([ROUNDED, ROUNDED.T, ROUNDED])),
    "16-bit RGB TIFF": (lambda: deep_tiff(np.dstack([DEEP, DEEP.T, DEEP])), np.dstack([ROUNDED, ROUNDED.T, ROUNDED])),
    "16-bit grey PNG, some of it transparent": (lambda: deep_png(np.dstack([DEEP, DEEP.T]), 4), ROUNDED),
    "CMYK JPEG": (lambda: saved(Image.fromarray(CMYK, "CMYK"), "JPEG", quality=100, subsampling=0), OF_INK),
    "CMYK TIFF": (lambda: saved(Image.fromarray(CMYK, "CMYK"), "TIFF"), OF_INK),
    "P TIFF": (lambda: saved(INK, "TIFF"), np.asarray(INK.convert("RGB"))),
    **{
        f"JPEG turned, note {note}": (partial(turned, "JPEG", note, quality=100, subsampling=0), turn(SMOOTH))
        for note, turn in TURNS.items()
    },
    "animated WebP: the first": (
        lambda: of(RGB, "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        RGB,
    ),
    "PNG with a profile of colours, which is not looked at": (lambda: of(RGB, "PNG", icc_profile=b"\0" * 128), RGB),
    "PNG on its side": (lambda: turned("PNG"), np.rot90(RGB, 3)),
    "WebP on its side": (lambda: turned("WEBP", lossless=True), np.rot90(RGB, 3)),
    "TIFF on its side": (lambda: turned("TIFF"), np.rot90(RGB, 3)),
    "TIFF of two pages: the first": (lambda: of(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(255 - RGB)]), RGB),
    "animated PNG: the first": (lambda: of(RGB, "PNG", save_all=True, append_images=[Image.fromarray(255 - RGB)]), RGB),
}


TOLERANCES = {  # levels
    "16-bit RGB": 1,  # Pillow drops the lower byte, DALI rounds
    "16-bit grey PNG, some": 1,  # the same, of 16-bit grey
    "CMYK": 1,  # rounding of the product
    "P TIFF": 1,  # its palette has 16 bits
    "JPEG turned": 3,  # of the compression
}


def in_place(folder: Path, content: bytes) -> Pixels:
    """What training sees of such a file."""
    (folder / "train" / "a").mkdir(parents=True)
    (folder / "train" / "a" / "1.jpg").write_bytes(content)
    config = DataConfig(store_size=SIDE, augment=AugmentConfig(crop=False, mirror=False), mean=[0, 0, 0], std=1.0)
    batches = Loader(open_split(folder, "train"), config, SIDE, torch.device("cpu"), 0).train_batches(1, slice(0, 1), 0)
    (batch,) = itertools.islice(batches, 1)
    batches.close()
    return batch.images[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_of_the_file(case: str, tmp_path: Path) -> None:
    make, expected = CASES[case]
    content = make()
    expected = expected if expected.ndim == 3 else np.dstack([expected] * 3)
    tolerance = next((levels for kind, levels in TOLERANCES.items() if kind in case), 0)
    with open_image(content) as photograph:
        prepared = square(photograph, SIDE)
    np.testing.assert_allclose(prepared.astype(int), expected.astype(int), atol=tolerance)
    assert flaw(np.frombuffer(content, np.uint8)) is None
    np.testing.assert_allclose(in_place(tmp_path, content), expected, atol=tolerance)


REFUSED: dict[str, tuple[Callable[[], bytes], bool]] = {  # a file, and whether it can be prepared
    "32-bit integers": (lambda: of(GREY.astype(np.int32), "TIFF"), False),
    "floats": (lambda: of(GREY.astype(np.float32), "TIFF"), False),
    "LAB": (lambda: saved(Image.fromarray(RGB).convert("LAB"), "TIFF"), False),
    "16 bits whose zero is white": (lambda: of(DEEP, "TIFF", tiffinfo={262: 0}), False),
    "mode 1, not one of": (lambda: saved(BINARY, "TIFF"), True),
    "GIF": (lambda: saved(INK, "GIF", save_all=True, append_images=[INK.rotate(90)]), True),
    "mode LA, not one of": (lambda: of(np.dstack([GREY, ALPHA]), "TIFF"), True),
}


@pytest.mark.parametrize("case", REFUSED)
def test_pixels_of_which_nobody_is_sure_are_refused(case: str) -> None:
    make, can_be_prepared = REFUSED[case]
    content = make()
    assert (flaw(np.frombuffer(content, np.uint8)) or "").startswith(("format TIFF of ", "format GIF, not one of"))
    if can_be_prepared:
        with open_image(content) as photograph:
            assert square(photograph, SIDE).shape == (SIDE, SIDE, 3)
        return
    said = r"format TIFF of (mode \w+, whose range of values nothing tells|16 bits whose zero is white)"
    with pytest.raises(ImageError, match=said), open_image(content) as photograph:
        square(photograph, SIDE)


def test_a_jpeg_of_12_bits_is_refused() -> None:
    """Nothing here decodes one: better no image than another one."""
    content = bytearray(of(SMOOTH, "JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12  # bits of a sample
    assert flaw(np.frombuffer(bytes(content), np.uint8)) == "it does not decode"
    with pytest.raises(ImageError), open_image(bytes(content)) as photograph:
        square(photograph, SIDE)
