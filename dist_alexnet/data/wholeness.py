"""Is this a file that the decoder of the pipeline decodes? Asked before it sees the file.

DALI 2.4 does not survive a file that it cannot decode: the pipeline is lost, and in half of our runs the process ended with SIGSEGV
soon after. So a JPEG with a sound header and an end, and a PNG of sound chunks, go to it unread, and any other file only if Pillow
decodes it. What changes inside of the compressed data of a JPEG, DALI decodes to other pixels (a dozen kinds tried).
"""

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

STORABLE = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP")  # formats that DALI reads as well as Pillow; not GIF, ICO, TGA, AVIF
TAIL = 1024  # bytes; some cameras add a few after the end of the image
START_OF_SCAN, END = 0xDA, b"\xff\xd9"  # of a JPEG
PNG = b"\x89PNG\r\n\x1a\n"


def flaw(content: npt.NDArray[np.uint8]) -> str | None:
    """What is wrong with the bytes of a file, uint8 [bytes], as far as its outside tells; None: nothing."""
    if END in content[-TAIL:].tobytes() and (header := _jpeg_header(content)) and _is_sound(header):
        return None
    if content[:8].tobytes() == PNG and _has_sound_chunks(content):
        return None
    return flaw_within(content)


def flaw_within(content: npt.NDArray[np.uint8]) -> str | None:
    """What is wrong with the bytes of a file, uint8 [bytes], by decoding it to its end; None: nothing."""
    try:
        with Image.open(io.BytesIO(content.tobytes())) as photograph:
            photograph.load()
    except Exception:  # Pillow lets through whatever its decoders trip over
        return "it does not decode"
    return wrong_format(photograph)


def wrong_format(photograph: Image.Image) -> str | None:
    """Why DALI does not read what Pillow does; None: it reads it."""
    if (photograph.format, photograph.mode) == ("TIFF", "I"):
        return "format TIFF of 32-bit integers"
    return None if photograph.format in STORABLE else f"format {photograph.format}, not one of {', '.join(STORABLE)}"


def _jpeg_header(jpeg: npt.NDArray[np.uint8]) -> bytes | None:
    """Everything before the compressed data; None: there is no such place."""
    place, marker = 2, 0
    while marker != START_OF_SCAN:
        if place + 4 > len(jpeg) or jpeg[place] != 0xFF:
            return None
        marker = int(jpeg[place + 1])
        place += 2 + 256 * int(jpeg[place + 2]) + int(jpeg[place + 3])
    return jpeg[:place].tobytes()


@lru_cache(maxsize=16)  # prepared squares share one; the header of a photograph takes 60 us
def _is_sound(header: bytes) -> bool:
    """Whether this header of a JPEG describes an image, seen by decoding one without data at an eighth of its size."""
    try:
        with Image.open(io.BytesIO(header + END), formats=("JPEG",)) as photograph:
            photograph.draft(None, (1, 1))
            photograph.load()
    except Exception:  # as above
        return False
    return True


def _has_sound_chunks(png: npt.NDArray[np.uint8]) -> bool:
    """Whether the checksums of its chunks are right, up to the last one."""
    try:
        with Image.open(io.BytesIO(png.tobytes()), formats=("PNG",)) as photograph:
            photograph.verify()
    except Exception:  # as above
        return False
    return True
