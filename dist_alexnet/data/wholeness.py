"""Is this a whole image file? Asked before the decoder of the pipeline sees it.

DALI 2.4 does not survive a file that it cannot decode: the pipeline is lost, and in half of our runs the process ended with SIGSEGV
soon after. So a file whose outside is in order goes to it unread, a few microseconds, and any other one only if Pillow decodes it.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

TAIL = 1024  # bytes; some cameras add a few after the end of the image
START_OF_SCAN, TABLES = 0xDA, (0xDB, 0xC4)  # of a JPEG: quantisation, Huffman


def is_whole(content: npt.NDArray[np.uint8]) -> bool:
    """Whether the bytes of a file, uint8 [bytes], are a JPEG or PNG from its first to its last mark, or decode with Pillow."""
    tail = content[-TAIL:].tobytes()
    head = content[:8].tobytes()
    if head[:3] == b"\xff\xd8\xff" and b"\xff\xd9" in tail and _has_sound_segments(content):
        return True
    if head == b"\x89PNG\r\n\x1a\n" and b"IEND" in tail:
        return True
    return decodes(content)


def decodes(content: npt.NDArray[np.uint8]) -> bool:
    """Whether Pillow decodes the bytes of a file, uint8 [bytes], to its end."""
    try:
        with Image.open(io.BytesIO(content.tobytes())) as photograph:
            photograph.load()
    except Exception:  # Pillow lets through whatever its decoders trip over
        return False
    return True


def _has_sound_segments(jpeg: npt.NDArray[np.uint8]) -> bool:
    """Whether its segments follow each other up to the compressed data, with tables and a frame among them."""
    place, seen = 2, set()
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = int(jpeg[place + 1])
        seen.add(marker)
        if marker == START_OF_SCAN:
            frame = any(0xC0 <= each <= 0xCF and each not in (0xC4, 0xC8, 0xCC) for each in seen)
            return frame and seen.issuperset(TABLES)
        place += 2 + 256 * int(jpeg[place + 2]) + int(jpeg[place + 3])
    return False
