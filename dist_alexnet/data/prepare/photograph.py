"""One photograph becomes one stored image (paper, section 2): shorter side scaled to the size, the centre cut out, JPEG or raw pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from dist_alexnet.data.images import Encoding, ImageError
from dist_alexnet.data.pixels.scaling import scale_and_crop
from dist_alexnet.data.pixels.wholeness import flaw, without_levels
from dist_alexnet.data.prepare.moments import Moments
from dist_alexnet.data.sources.photographs import Part


@dataclass(frozen=True)
class Storage:
    """How images are stored."""

    encoding: Encoding = "jpeg"
    size: int | None = 256  # pixels, side of the squares; None, and only then, for originals
    quality: int = 95  # of JPEGs


@dataclass(frozen=True)
class Encoded:
    """A part of a data set, stored."""

    images: list[bytes | str]  # the bytes; or, of a file that does not decode, the reason
    moments: Moments | None  # of the squares, before they were compressed; None of originals, or where nobody asked


def encode(part: Part, storage: Storage, with_moments: bool) -> Encoded:
    """Store each photograph of a part, in order."""
    moments = Moments.none(storage.size) if storage.size and with_moments else None
    images = [content if isinstance(content, str) else _encode(content, storage, moments) for content in part.read()]
    return Encoded(images, moments.packed() if moments else None)


def _encode(content: bytes, storage: Storage, moments: Moments | None) -> bytes | str:
    try:
        with open_image(content) as photograph:
            if storage.size is None:
                photograph.load()
                return flaw(np.frombuffer(content, np.uint8)) or content
            pixels = square(photograph, storage.size)
    except ImageError as error:
        return str(error)
    if moments:
        moments.add(pixels)
    if storage.encoding == "raw":
        return pixels.tobytes()
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=storage.quality)
    return jpeg.getvalue()


@contextmanager
def open_image(content: bytes) -> Iterator[Image.Image]:
    """The image of these bytes of a file.

    Raises:
        ImageError: it does not decode, whether that shows now or in what is done with it.
    """
    if not content:
        raise ImageError("it has zero bytes")
    try:
        with Image.open(io.BytesIO(content)) as image:
            yield image
    except ImageError:
        raise
    except Exception as error:  # Pillow lets through whatever its decoders trip over; one bad file must not end hours of work
        said = "cannot identify image" if isinstance(error, UnidentifiedImageError) else error
        raise ImageError(f"{type(error).__name__}: {said}") from error


def square(photograph: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """The central square of an image whose shorter side is scaled to the size, uint8 [size, size, 3]."""
    photograph.draft(None, (2 * size, 2 * size))  # JPEG only: skips frequencies that scaling by more than 2 throws away anyway
    ImageOps.exif_transpose(photograph, in_place=True)
    pixels = _rgb(photograph)
    # Bilinear with antialiasing, as the training pipeline does it, and close to the area average of 2012.
    return np.ascontiguousarray(scale_and_crop(torch.from_numpy(pixels), size).numpy())


def _rgb(photograph: Image.Image) -> npt.NDArray[np.uint8]:
    """Its pixels, uint8 [H, W, 3]; 16-bit grey levels are rounded, as DALI does it: Pillow makes all above 255 white."""
    if reason := without_levels(photograph):
        raise ImageError(reason)
    if not photograph.mode.startswith("I;16"):
        return np.array(photograph if photograph.mode == "RGB" else photograph.convert("RGB"))
    levels = (np.array(photograph).astype(np.uint32) * 255 + 32_767) // 65_535
    return np.repeat(levels.astype(np.uint8)[:, :, None], 3, axis=2)
