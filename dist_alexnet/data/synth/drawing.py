"""How a generated image looks: one figure or pattern per class, on a background that says nothing about the class.

A class is a shape; after the ten shapes are used up a shape and a hue; after those a shape, a hue and the fineness of a weave on it.
Every shape is its own mirror image, so that mirroring never turns one class into another.
"""

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Shape = Callable[[Floats, Floats], Floats]

# Negative inside the figure. u runs right and v down, in units of the figure's radius; the middle of the figure is (0, 0).
SHAPES: dict[str, Shape] = {
    "disc": lambda u, v: np.hypot(u, v) - 0.9,
    "stripes-horizontal": lambda u, v: np.sin(6 * v),
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.75) - 0.25,
    "stripes-vertical": lambda u, v: np.sin(6 * u),
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.8,
    "checkerboard": lambda u, v: 2 * np.sin(4 * u) * np.sin(4 * v),
    "triangle": lambda u, v: np.maximum(0.866 * np.abs(u) - 0.5 * v, v) - 0.5,
    "dots": lambda u, v: 1 - np.cos(6 * u) - np.cos(6 * v),
    "cross": lambda u, v: np.maximum(np.minimum(np.abs(u), np.abs(v)) - 0.25, np.maximum(np.abs(u), np.abs(v)) - 1),
    "arches": lambda u, v: np.sin(7 * np.hypot(u, v - 2)),
}
HUES = ("red", "orange", "yellow", "lime", "green", "cyan", "azure", "blue", "violet", "pink")
WEAVES = 9  # degrees of fineness
MAX_CLASSES = len(SHAPES) * len(HUES) * (1 + WEAVES)


def class_name(label: int) -> str:
    """A name for each label in [0, MAX_CLASSES), none twice: `disc`, then `disc-orange`, then `disc-orange-weave1`."""
    shape, hue, weave = _parts(label)
    return "-".join([list(SHAPES)[shape], *([HUES[hue]] if label >= len(SHAPES) else []), *([f"weave{weave}"] if weave else [])])


def _parts(label: int) -> tuple[int, int, int]:
    """Shape, hue and weave of a class. Among the first ten no two share a hue either."""
    rest, shape = divmod(label, len(SHAPES))
    weave, turn = divmod(rest, len(HUES))
    return shape, (shape + turn) % len(HUES), weave


def draw(label: int, hue_jitter: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """An image of the class, uint8 [height, width, 3], with a shorter side of 64 to 96 pixels.

    Position, size, colours, light and noise vary and mean nothing.

    Args:
        label: in [0, MAX_CLASSES).
        hue_jitter: standard deviation of the hue in turns of the colour circle: 0.1 lets neighbours overlap, 0.02 separates them.
        rng: source of all that varies.
    """
    shape, hue, weave = _parts(label)
    short = int(rng.integers(64, 97))
    long = int(short * rng.uniform(1, 1.4))
    height, width = (short, long) if rng.random() < 0.5 else (long, short)
    radius = short * rng.uniform(0.26, 0.4)
    middle_y, middle_x = (side / 2 + rng.uniform(-0.1, 0.1) * short for side in (height, width))
    v = ((np.arange(height, dtype=np.float32) - middle_y) / radius)[:, None]
    u = ((np.arange(width, dtype=np.float32) - middle_x) / radius)[None, :]
    inside = np.clip(0.5 - list(SHAPES.values())[shape](u, v) * radius / 4, 0, 1)  # an edge about four pixels soft
    if weave:
        inside = inside * (0.7 + 0.3 * np.sin((2 + 2 * weave) * u) * np.sin((2 + 2 * weave) * v))
    back, front = _colors((hue / len(HUES) + rng.normal(0, hue_jitter)) % 1, rng)
    light = 1 + rng.uniform(-0.15, 0.15) * u + rng.uniform(-0.15, 0.15) * v
    pixels = (back + inside[..., None] * (front - back)) * light[..., None] + rng.normal(0, 12, (height, width, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _colors(hue: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Background, nearly grey and of any hue, and figure, at least 70 grey levels brighter or darker."""
    dark, bright = rng.uniform(0.15, 0.4), rng.uniform(0.7, 0.95)
    values = (dark, bright) if rng.random() < 0.5 else (bright, dark)
    back = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.25), values[0])
    front = colorsys.hsv_to_rgb(hue, rng.uniform(0.4, 0.9), values[1])
    return 255 * np.array(back, np.float32), 255 * np.array(front, np.float32)
