"""Is this a file that the decoder of the pipeline decodes? Asked before it sees the file.

DALI 2.4 does not survive a file that it cannot decode: the pipeline is lost, and in half of our runs the process ended with SIGSEGV
soon after. So a JPEG with a sound header, one scan and an end, and a PNG of sound chunks, go to it unread, and any other file only if
Pillow decodes it; a JPEG with bytes between its segments, which Pillow skips, not at all. A square must have the size that it was stored
with, or a crop might not lie within it. What changes inside of the compressed data of a JPEG, DALI decodes to other pixels (a dozen
kinds tried).
"""

import io
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_SIDE = 65_500  # pixels that a JPEG can hold
STORABLE = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP")  # formats that DALI reads as well as Pillow; not GIF, ICO, TGA, AVIF
TIFF_MODES = ("L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I;16B")  # that DALI 2.4 decodes to the same pixels; not 1 nor LA
INVERTED = 262  # tag of a TIFF: 0 where zero is white
TAIL = 1024  # bytes; some cameras add a few after the end of the image
JPEG, END, START_OF_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
ONE_SCAN = (0xC0, 0xC1)  # markers of the segment of a JPEG that says how large it is, where it is not a progressive one
TRIAL = b"\0\x10\0\x10"  # 16 x 16 pixels
COMMON = range(1, 2**13)  # pixels, sides of an image that no decoder refuses for its size
PNG = b"\x89PNG\r\n\x1a\n"


def flaw(content: npt.NDArray[np.uint8], side: int | None = None) -> str | None:
    """What is wrong with the bytes of a file, as far as its outside tells; None: nothing.

    Args:
        content: uint8 [bytes].
        side: pixels, of a square; None: it may be of any size.
    """
    if content[:2].tobytes() == JPEG:
        segments = _segments(content.data)
        if START_OF_SCAN not in segments:
            return "it does not decode"
        if END in content[-TAIL:].tobytes() and (size := _sound_size(content[: segments[START_OF_SCAN][1]].tobytes(), segments)):
            return _wrong_size(size, side)
    if content[:8].tobytes() == PNG and side is None and _has_sound_chunks(content):
        return None
    return flaw_within(content, side)


def flaw_within(content: npt.NDArray[np.uint8], side: int | None = None) -> str | None:
    """What is wrong with the bytes of a file, by decoding it to its end; None: nothing. Arguments as of `flaw`."""
    try:
        with Image.open(io.BytesIO(content.tobytes())) as photograph:
            photograph.load()
    except Exception:  # Pillow lets through whatever its decoders trip over
        return "it does not decode"
    return wrong_format(photograph) or _wrong_size(photograph.size, side)


def wrong_format(photograph: Image.Image) -> str | None:
    """Why DALI does not read what Pillow does; None: it reads it."""
    if reason := without_levels(photograph):
        return reason
    if photograph.format == "TIFF" and photograph.mode not in TIFF_MODES:
        return f"format TIFF of mode {photograph.mode}, not one of {', '.join(TIFF_MODES)}"
    return None if photograph.format in STORABLE else f"format {photograph.format}, not one of {', '.join(STORABLE)}"


def without_levels(photograph: Image.Image) -> str | None:
    """Why nobody can say what is black and what is white in it; None: everybody agrees."""
    if photograph.mode in ("I", "F", "LAB"):
        return f"format {photograph.format} of mode {photograph.mode}, whose range of values nothing tells"
    if photograph.mode.startswith("I;16") and getattr(photograph, "tag_v2", {}).get(INVERTED) == 0:
        return f"format {photograph.format} of 16 bits whose zero is white"
    return None


def _wrong_size(size: tuple[int, int], side: int | None) -> str | None:
    return None if side is None or size == (side, side) else f"it has {size[0]} x {size[1]} pixels, not {side} x {side}"


def _segments(jpeg: memoryview) -> dict[int, tuple[int, int]]:
    """Marker -> start and end of the segments before the compressed data, whose own is the last; less where anything else comes first."""
    found: dict[int, tuple[int, int]] = {}
    end, marker, size = 2, 0, len(jpeg)
    while marker != START_OF_SCAN and end + 4 <= size and jpeg[end] == 0xFF:
        start, marker = end, jpeg[end + 1]
        if marker == 0xFF:  # fills
            end += 1
            continue
        length = 256 * jpeg[start + 2] + jpeg[start + 3]
        if length < 2 or not marker:
            break
        end += 2 + length
        found[marker] = start, end
    return found


def _sound_size(header: bytes, segments: Mapping[int, tuple[int, int]]) -> tuple[int, int] | None:
    """Width and height of the image of one scan that this header of a JPEG describes; None: it describes none, or one of several scans.

    An image of several scans may bring other tables with each of them.
    """
    frame = next((segments[marker][0] for marker in ONE_SCAN if marker in segments), None)
    if frame is None:
        return None
    in_all, in_first_scan = (header[start : start + 1] for start in (frame + 9, segments[START_OF_SCAN][0] + 4))  # components
    if in_all != in_first_scan:
        return None
    place = frame + 5
    height, width = (int.from_bytes(header[start : start + 2], "big") for start in (place, place + 2))
    if height in COMMON and width in COMMON:
        header = header[:place] + TRIAL + header[place + 4 :]
    return (width, height) if _decodes(header) else None


@lru_cache(maxsize=64)  # that of a photograph takes 50 us, and those of one program differ in the size of the image alone
def _decodes(header: bytes) -> bool:
    """Seen by decoding an image of this header without data."""
    try:
        with Image.open(io.BytesIO(header + END), formats=("JPEG",)) as photograph:
            if max(photograph.size) not in COMMON:
                photograph.draft(None, (1, 1))  # an eighth of it is enough
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
