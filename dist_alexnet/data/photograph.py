"""One photograph becomes one stored square (paper, section 2): shorter side scaled to the size, the centre cut out, JPEG."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps


@dataclass(frozen=True)
class Square:
    """A photograph as it is stored."""

    jpeg: bytes
    channel_sums: npt.NDArray[np.int64]  # [3], sum of R, G, B over all pixels, before they were compressed


def square(path: Path, size: int, quality: int) -> Square | str:
    """The central square of a photograph, size x size pixels; or, if it cannot be decoded, the reason."""
    try:
        pixels = _scale_and_crop(path, size)
    except Exception as error:  # Pillow lets through whatever its decoders trip over; one bad file must not end hours of work
        return f"{type(error).__name__}: {error}".replace(str(path), path.name)
    jpeg = io.BytesIO()
    pixels.save(jpeg, "JPEG", quality=quality)
    return Square(jpeg.getvalue(), np.asarray(pixels).sum(axis=(0, 1), dtype=np.int64))


def _scale_and_crop(path: Path, size: int) -> Image.Image:
    with Image.open(path) as photograph:
        photograph.draft(None, (2 * size, 2 * size))  # JPEG only: skips frequencies that scaling by more than 2 throws away anyway
        upright = ImageOps.exif_transpose(photograph).convert("RGB")
    scale = size / min(upright.size)
    width, height = (max(size, round(side * scale)) for side in upright.size)
    # Bilinear with antialiasing: what the pipeline does with photographs that were not prepared, and close to the area average of 2012.
    scaled = upright.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return scaled.crop((left, top, left + size, top + size))
