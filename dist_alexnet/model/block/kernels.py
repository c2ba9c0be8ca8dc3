"""The loops of the fused op, compiled by numba. Only `fused.py` calls them. To be read from the bottom.

Each image is worked on row by row, in scratch rows that stay in cache. A scratch row is flat, with two zeros around the
channels of each tower of each pixel, so that the window of five needs no branch at a tower's ends and the arithmetic is one long loop
that the compiler vectorises. With two towers of n channels:

    0 0 | n of tower 0 | 0 0 | n of tower 1 | 0 0 | n of tower 0 | 0 0 | n of tower 1 | 0 0
         <------------- pixel 0 -----------> <------------- pixel 1 ----------->

Window size 5 and exponent 0.75 are in the code itself: d**0.75 is sqrt(d * sqrt(d)), without the pow that makes the stock operator slow.

No fastmath. Its reciprocal square roots differ between the vector loop and the few elements that are left over, so that equal pixels came
out unequal and the wrong one of tied maxima got the gradient; its maximum may also drop a NaN, by which a run shows that it diverged.
Exact arithmetic costs 4 ms of a step of 900 ms (2026-11, batch 64, 2 threads, numba 0.68) and gives the same bits on every processor.

Maps are float32, or bfloat16 as uint16, which numpy has no type for; scratch rows are float32 always, so that only results are rounded.

Arrays are indexed from 0 up, through slices where an offset is needed: numba wraps negative indices, and where it cannot exclude them
the loop gathers element by element, 7 times slower.

Letters: B images, H W sides of the input, h w sides of the output, C channels. Source: Krizhevsky et al. 2012, sections 3.3 and 3.4.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

from dist_alexnet.machine.compiled import compiled

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Map = NDArray[np.float32] | NDArray[np.uint16]

ZERO = np.float32(0)
NAN_BITS = np.uint16(0x7FC0)  # of bfloat16

_inner = njit(error_model="numpy")


# numba chooses the body of each of these three by the type of the map; it wants the annotations of both signatures to be the same.
def _floats(row: Map, room: Floats) -> Floats:
    """[W, C] of a map as float32: the row itself, or `room` filled with it."""
    raise NotImplementedError("compiled by type")


@overload(_floats)
def _floats_of(row: Any, room: Any) -> Callable[..., Any]:
    def same(row: Any, room: Any) -> Any:
        return row

    def widen(row: Any, room: Any) -> Any:
        bits = room.view(np.uint32)
        for pixel in range(len(row)):
            for c in range(row.shape[1]):
                bits[pixel, c] = np.uint32(row[pixel, c]) << np.uint32(16)
        return room

    return same if row.dtype == types.float32 else widen


def _room_for(row: Map, room: Floats) -> Floats:
    """Where to compute a row of a map: in place, or in `room`, from which `_round` takes it."""
    raise NotImplementedError("compiled by type")


@overload(_room_for)
def _room_of(row: Any, room: Any) -> Callable[..., Any]:
    def in_place(row: Any, room: Any) -> Any:
        return row

    def apart(row: Any, room: Any) -> Any:
        return room

    return in_place if row.dtype == types.float32 else apart


def _round(room: Floats, row: Map) -> None:
    """To the nearest bfloat16, ties to even, as torch does; nothing for float32."""
    raise NotImplementedError("compiled by type")


@overload(_round)
def _round_to(room: Any, row: Any) -> Callable[..., Any]:
    def nothing(room: Any, row: Any) -> Any:
        pass

    def narrow(room: Any, row: Any) -> Any:
        bits = room.view(np.uint32)
        for pixel in range(len(row)):
            for c in range(row.shape[1]):
                number = bits[pixel, c]
                rounded = np.uint16((number + np.uint32(0x7FFF) + ((number >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
                row[pixel, c] = NAN_BITS if room[pixel, c] != room[pixel, c] else rounded

    return nothing if row.dtype == types.float32 else narrow


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
        to[i] = a2[i] / np.sqrt(d * np.sqrt(d))


@_inner
def _through_lrn(alpha: float, k: float, relu: Floats, along: Floats, across: Floats) -> None:
    """The gradient of LRN, in place: `along` holds it at the output before and at the input after. `across` is scratch.

    y_i = a_i d_i^-b with d_i = k + alpha * sum of a_j^2 over the window of i, and b = 0.75. j is in the window of i when i is in that of j:
    grad a_j = g_j d_j^-b - 2 alpha b a_j * sum over the window of j of (g_i a_i d_i^-b / d_i).
    """
    a0, a1, a2, a3, a4 = _window(relu)
    to, term = along[2:-2], across[2:-2]
    for i in range(len(to)):
        d = k + alpha * (a0[i] * a0[i] + a1[i] * a1[i] + a2[i] * a2[i] + a3[i] * a3[i] + a4[i] * a4[i])
        scaled = to[i] / np.sqrt(d * np.sqrt(d))
        to[i] = scaled
        term[i] = a2[i] * scaled / d
    t0, t1, t2, t3, t4 = _window(across)
    factor = np.float32(2 * 0.75) * alpha
    for i in range(len(to)):
        to[i] -= factor * a2[i] * (t0[i] + t1[i] + t2[i] + t3[i] + t4[i])


@_inner
def _through_relu(relu: Floats, along: Floats) -> None:
    for i in range(len(along)):
        along[i] = ZERO if relu[i] <= ZERO else along[i]


@_inner
def _pool_across(per_pixel: int, scratch: Floats, best: Floats, column: Bytes) -> None:
    """Maximum of three pixels of a row and its place (0 to 2), for each window; NaN counts as the greatest, as in torch."""
    last = len(scratch) // per_pixel - 1
    for x in range(len(best) // per_pixel):
        left, middle, right = 2 * x * per_pixel, min(2 * x + 1, last) * per_pixel, min(2 * x + 2, last) * per_pixel
        a, b, c = scratch[left : left + per_pixel], scratch[middle : middle + per_pixel], scratch[right : right + per_pixel]
        to, where = best[x * per_pixel : (x + 1) * per_pixel], column[x * per_pixel : (x + 1) * per_pixel]
        for i in range(per_pixel):
            value, place = a[i], np.uint8(0)
            if b[i] > value or b[i] != b[i]:
                value, place = b[i], np.uint8(1)
            if c[i] > value or c[i] != c[i]:
                value, place = c[i], np.uint8(2)
            to[i], where[i] = value, place


@_inner
def _pool_down(top: int, middle: int, bottom: int, across: Floats, column: Bytes, best: Floats, where: Bytes) -> None:
    """Maximum of three rows of `across` and its position (0 to 8) in the 3x3 window."""
    a, b, c = across[top], across[middle], across[bottom]
    in_a, in_b, in_c = column[top], column[middle], column[bottom]
    for i in range(len(best)):
        value, place = a[i], in_a[i]
        if b[i] > value or b[i] != b[i]:
            value, place = b[i], np.uint8(in_b[i] + 3)
        if c[i] > value or c[i] != c[i]:
            value, place = c[i], np.uint8(in_c[i] + 6)
        best[i], where[i] = value, place


@_inner
def _unpool(towers: int, down: int, width: int, position: Bytes, grad_pooled: Floats, along: Floats) -> None:
    """Add to a scratch row what one row of windows [w, C] gives back to it; it is row `down` (0 to 2) of those windows."""
    n = position.shape[1] // towers
    for x in range(len(position)):
        for column in range(min(3, width - 2 * x)):
            place = np.uint8(3 * down + column)
            for tower in range(towers):
                start = 2 + ((2 * x + column) * towers + tower) * (n + 2)
                to, channels = along[start : start + n], slice(tower * n, tower * n + n)
                source, at = grad_pooled[x, channels], position[x, channels]
                for c in range(n):
                    to[c] += source[c] if at[c] == place else ZERO


@_inner
def _forward_image(towers: int, lrn: bool, alpha: float, k: float, x: Map, pooled: Map, position: Bytes) -> None:
    height, width, channels = x.shape
    room, room_pooled = np.empty((width, channels), np.float32), np.empty((pooled.shape[1], channels), np.float32)
    per_pixel = channels + 2 * towers
    relu, normalised = np.zeros(width * per_pixel + 2, np.float32), np.zeros(width * per_pixel + 2, np.float32)
    # Maxima of three columns in the last three rows: the last row of a window is the first of the one below it.
    across, column = np.empty((3, pooled.shape[1] * per_pixel), np.float32), np.empty((3, pooled.shape[1] * per_pixel), np.uint8)
    best, where = np.empty(across.shape[1], np.float32), np.empty(across.shape[1], np.uint8)
    for y in range(len(pooled)):
        top, bottom = 2 * y, min(2 * y + 2, height - 1)
        for row in range(top + (y > 0), bottom + 1):
            _spread_relu(towers, _floats(x[row], room), relu)
            if lrn:
                _normalise(alpha, k, relu, normalised)
            _pool_across(per_pixel, normalised if lrn else relu, across[row % 3], column[row % 3])
        # A clipped window sees its last row twice; only a strictly greater value moves the maximum, so that changes nothing.
        _pool_down(top % 3, min(top + 1, bottom) % 3, bottom % 3, across, column, best, where)
        _compact(towers, best, _room_for(pooled[y], room_pooled))
        _round(room_pooled, pooled[y])
        _compact(towers, where, position[y])


@_inner
def _backward_image(towers: int, lrn: bool, alpha: float, k: float, x: Map, position: Bytes, grad_pooled: Map, grad: Map) -> None:
    height, width, channels = x.shape
    room, room_pooled = np.empty((width, channels), np.float32), np.empty((grad_pooled.shape[1], channels), np.float32)
    length = width * (channels + 2 * towers) + 2
    relu, along, across = np.zeros(length, np.float32), np.zeros(length, np.float32), np.zeros(length, np.float32)
    for row in range(height):
        along[:] = ZERO
        for y in range(max(0, (row - 1) // 2), min(row // 2 + 1, len(grad_pooled))):
            _unpool(towers, row - 2 * y, width, position[y], _floats(grad_pooled[y], room_pooled), along)
        _spread_relu(towers, _floats(x[row], room), relu)
        if lrn:
            _through_lrn(alpha, k, relu, along, across)
        _through_relu(relu, along)
        _compact(towers, along, _room_for(grad[row], room))
        _round(room, grad[row])


def _forward(towers: int, lrn: bool, alpha: float, k: float, x: Map, pooled: Map, position: Bytes) -> None:
    """Fill `pooled` and `position`, [B, h, w, C], from x [B, H, W, C]; without `lrn`, alpha and k are not used.

    `position` is 3 * row + column, in its window, of the first maximum in row-major order.
    """
    for image in range(len(x)):
        _forward_image(towers, lrn, alpha, k, x[image], pooled[image], position[image])


def _backward(towers: int, lrn: bool, alpha: float, k: float, x: Map, position: Bytes, grad_pooled: Map, grad: Map) -> None:
    """Fill `grad` [B, H, W, C] from what `_forward` read and left and from `grad_pooled` [B, h, w, C]."""
    for image in range(len(x)):
        _backward_image(towers, lrn, alpha, k, x[image], position[image], grad_pooled[image], grad[image])


@cache
def kernels(number: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """Forward and backward for maps of "float32" or "uint16" (bfloat16), compiled when they are first asked for.

    One signature each: two processes that fill the cache at the same time write the same entry. Without the interpreter's lock, and
    without numba's own threads (fused.py says why).
    """
    of_map, settings = f"{number}[:,:,:,::1]", "int64, boolean, float32, float32"
    compile_forward = compiled(f"void({settings}, {of_map}, {of_map}, uint8[:,:,:,::1])", nogil=True, error_model="numpy")
    compile_backward = compiled(f"void({settings}, {of_map}, uint8[:,:,:,::1], {of_map}, {of_map})", nogil=True, error_model="numpy")
    return compile_forward(_forward), compile_backward(_backward)
