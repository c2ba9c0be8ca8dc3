"""The loops of the fused op, compiled by numba. Only `fused.py` calls them.

Each image is worked on by one thread, row by row, in scratch rows that stay in cache. A scratch row is flat, with two zeros around the
channels of each tower of each pixel, so that the window of five needs no branch at a tower's ends and the arithmetic is one long loop
that the compiler vectorises. With two towers of n channels:

    0 0 | n of tower 0 | 0 0 | n of tower 1 | 0 0 | n of tower 0 | 0 0 | n of tower 1 | 0 0
         <------------- pixel 0 -----------> <------------- pixel 1 ----------->

Window size 5 and exponent 0.75 are in the code itself: d**-0.75 is 1 / sqrt(d) * sqrt(1 / sqrt(d)), which is ten times faster than pow.
Arrays are indexed from 0 up, through slices where an offset is needed: numba wraps negative indices, and where it cannot exclude them
the loop gathers element by element, 7 times slower (measured 2026-11, numba 0.68).

Letters: H W side of the input, h w of the output, C channels, N length of a scratch row, P = N per pixel.
Source: Krizhevsky et al. 2012, sections 3.3 and 3.4; the gradients are derived in `_through_lrn`.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

ZERO, ONE = np.float32(0), np.float32(1)

# Without "nnan" and "ninf": a run that diverges has to show its NaN, not lose it in a maximum.
_OPTIONS = {"fastmath": {"arcp", "afn", "contract", "nsz", "reassoc"}, "error_model": "numpy"}
_inner = njit(**_OPTIONS)
# One signature each: compiled once, while importing, and two processes that fill the cache at the same time write the same entry.
_forward_kernel = njit(
    "void(int64, boolean, float32, float32, float32[:,:,:,::1], float32[:,:,:,::1], uint8[:,:,:,::1])",
    parallel=True,
    cache=True,
    **_OPTIONS,
)
_backward_kernel = njit(
    "void(int64, boolean, float32, float32, float32[:,:,:,::1], uint8[:,:,:,::1], float32[:,:,:,::1], float32[:,:,:,::1])",
    parallel=True,
    cache=True,
    **_OPTIONS,
)


@_forward_kernel
def forward(towers: int, lrn: bool, alpha: float, k: float, x: Floats, pooled: Floats, position: Bytes) -> None:
    """Fill `pooled` and `position`, [B, h, w, C], from x [B, H, W, C]; without `lrn`, alpha and k are not used.

    `position` is 3 * row + column, in its window, of the first maximum in row-major order.
    """
    for image in prange(len(x)):
        _forward_image(towers, lrn, alpha, k, x[image], pooled[image], position[image])


@_backward_kernel
def backward(towers: int, lrn: bool, alpha: float, k: float, x: Floats, position: Bytes, grad_pooled: Floats, grad: Floats) -> None:
    """Fill `grad` [B, H, W, C] from what `forward` read and left and from `grad_pooled` [B, h, w, C]."""
    for image in prange(len(x)):
        _backward_image(towers, lrn, alpha, k, x[image], position[image], grad_pooled[image], grad[image])


@_inner
def _forward_image(towers: int, lrn: bool, alpha: float, k: float, x: Floats, pooled: Floats, position: Bytes) -> None:
    height, width, channels = x.shape
    per_pixel = channels + 2 * towers
    relu, normalised = np.zeros(width * per_pixel + 2, np.float32), np.zeros(width * per_pixel + 2, np.float32)
    # Maxima of three columns in the last three rows: the last row of a window is the first of the one below it.
    across, column = np.empty((3, pooled.shape[1] * per_pixel), np.float32), np.empty((3, pooled.shape[1] * per_pixel), np.uint8)
    best, where = np.zeros(across.shape[1] + 2, np.float32), np.zeros(across.shape[1] + 2, np.uint8)
    for y in range(len(pooled)):
        top, bottom = 2 * y, min(2 * y + 2, height - 1)
        for row in range(top + (y > 0), bottom + 1):
            _spread_relu(towers, x[row], relu)
            if lrn:
                _normalise(alpha, k, relu, normalised)
            _pool_across(per_pixel, normalised if lrn else relu, across[row % 3], column[row % 3])
        # A clipped window sees its last row twice; only a strictly greater value moves the maximum, so that changes nothing.
        _pool_down(top % 3, min(top + 1, bottom) % 3, bottom % 3, across, column, best, where)
        _compact(towers, best, pooled[y])
        _compact(towers, where, position[y])


@_inner
def _backward_image(towers: int, lrn: bool, alpha: float, k: float, x: Floats, position: Bytes, grad_pooled: Floats, grad: Floats) -> None:
    height, width, channels = x.shape
    length = width * (channels + 2 * towers) + 2
    relu, along, across = np.zeros(length, np.float32), np.zeros(length, np.float32), np.zeros(length, np.float32)
    for row in range(height):
        along[:] = ZERO
        for y in range(max(0, (row - 1) // 2), min(row // 2 + 1, len(grad_pooled))):
            _unpool(towers, row - 2 * y, width, position[y], grad_pooled[y], along)
        _spread_relu(towers, x[row], relu)
        if lrn:
            _through_lrn(alpha, k, relu, along, across)
        _through_relu(relu, along)
        _compact(towers, along, grad[row])


@_inner
def _spread_relu(towers: int, pixels: Floats, scratch: Floats) -> None:
    """[W, C] -> max(0, pixels) in a scratch row; its zeros around the towers stay."""
    n = pixels.shape[1] // towers
    for pixel in range(len(pixels)):
        for tower in range(towers):
            start = 2 + (pixel * towers + tower) * (n + 2)
            to, source = scratch[start : start + n], pixels[pixel, tower * n : tower * n + n]
            for c in range(n):
                to[c] = ZERO if source[c] <= ZERO else source[c]


@_inner
def _compact(towers: int, scratch: NDArray[np.generic], pixels: NDArray[np.generic]) -> None:
    """A scratch row -> [W, C], without the zeros."""
    n = pixels.shape[1] // towers
    for pixel in range(len(pixels)):
        for tower in range(towers):
            start = 2 + (pixel * towers + tower) * (n + 2)
            to, source = pixels[pixel, tower * n : tower * n + n], scratch[start : start + n]
            for c in range(n):
                to[c] = source[c]


@_inner
def _window(scratch: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Five views: element i of them are the channels i - 2 to i + 2 around element i of the middle one."""
    return scratch[:-4], scratch[1:-3], scratch[2:-2], scratch[3:-1], scratch[4:]


@_inner
def _normalise(alpha: float, k: float, relu: Floats, normalised: Floats) -> None:
    a0, a1, a2, a3, a4 = _window(relu)
    to = normalised[2:-2]
    for i in range(len(to)):
        d = k + alpha * (a0[i] * a0[i] + a1[i] * a1[i] + a2[i] * a2[i] + a3[i] * a3[i] + a4[i] * a4[i])
        root = ONE / np.sqrt(d)
        to[i] = a2[i] * root * np.sqrt(root)


@_inner
def _through_lrn(alpha: float, k: float, relu: Floats, along: Floats, across: Floats) -> None:
    """The gradient of LRN, in place: `along` holds it at the output before and at the input after. `across` is scratch.

    y_i = a_i d_i^-b with d_i = k + alpha * sum of a_j^2 over the window of i, and b = 0.75. j is in the window of i when i is in that of j, so
    grad a_j = g_j d_j^-b - 2 alpha b a_j * sum over the window of j of (g_i a_i d_i^-b / d_i).
    """
    a0, a1, a2, a3, a4 = _window(relu)
    to, term = along[2:-2], across[2:-2]
    for i in range(len(to)):
        d = k + alpha * (a0[i] * a0[i] + a1[i] * a1[i] + a2[i] * a2[i] + a3[i] * a3[i] + a4[i] * a4[i])
        root = ONE / np.sqrt(d)
        scaled = to[i] * root * np.sqrt(root)
        to[i] = scaled
        term[i] = a2[i] * scaled * root * root
    t0, t1, t2, t3, t4 = _window(across)
    factor = np.float32(1.5) * alpha
    for i in range(len(to)):
        to[i] -= factor * a2[i] * (t0[i] + t1[i] + t2[i] + t3[i] + t4[i])


@_inner
def _through_relu(relu: Floats, along: Floats) -> None:
    for i in range(len(along)):
        along[i] = ZERO if relu[i] <= ZERO else along[i]
