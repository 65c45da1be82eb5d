"""Local binary patterns on a box of an image, number for number what scikit-image gives on the whole image.

A pattern asks which of the samples on a circle are at least as bright as the pixel. Samples between pixels are
interpolated at the sum of pixel index and offset, and that sum is rounded: between equal pixels the index decides which
side of a tie a sample falls on. So the box is computed with the indices of the whole image.
"""

from __future__ import annotations

import math

import numpy as np

from ..compiled import compiled
from .names import LBP_METHODS

_DEFAULT, _ROTATED, _UNIFORM, _VARIANCE = range(len(LBP_METHODS))


def local_binary_pattern_box(
    image: np.ndarray, box: tuple[slice, slice], samples: int = 8, radius: float = 1.0, method: str = "uniform"
) -> np.ndarray:
    """Local binary patterns on a box, as ``skimage.feature.local_binary_pattern`` makes them.

    Parameters
    ----------
    image : np.ndarray, shape (rows, columns)
        Whole image. Only pixels within the radius of the box are looked at.
    box : tuple of slice
        Rows and columns wanted.
    samples : int
        On the circle, with the method ``ror`` at most :data:`.names.MAXIMUM_ROTATED`.
    radius : float
        Of the circle, in pixels.
    method : str
        One of :data:`.names.LBP_METHODS`.

    Returns
    -------
    np.ndarray of float64, shape of the box
    """
    radius = float(np.float32(radius))  # scikit-image takes it in single precision
    angles = 2 * np.pi * np.arange(samples, dtype=np.double) / samples
    offsets = np.round(-radius * np.sin(angles), 5), np.round(radius * np.cos(angles), 5)
    near = _surroundings(image, box, math.ceil(abs(radius)) + 1)
    patterns = np.empty((box[0].stop - box[0].start, box[1].stop - box[1].start))
    _fill(near, (box[0].start, box[1].start), offsets[0], offsets[1], LBP_METHODS.index(method), patterns)
    return patterns


def _surroundings(image: np.ndarray, box: tuple[slice, slice], halo: int) -> np.ndarray:
    """The box with a halo, zero beyond the image."""
    near = np.zeros([part.stop - part.start + 2 * halo for part in box])
    inside = tuple(
        slice(max(part.start - halo, 0), min(part.stop + halo, size)) for part, size in zip(box, image.shape)
    )
    shifts = [part.start - halo for part in box]
    near[tuple(slice(part.start - shift, part.stop - shift) for part, shift in zip(inside, shifts))] = image[inside]
    return near


@compiled
def _fill(near, start, row_offsets, column_offsets, kind, patterns):
    """Fill the box, whose first row and column in the whole image are in start."""
    samples, height, width = row_offsets.size, patterns.shape[0], patterns.shape[1]
    halo = (near.shape[0] - height) // 2
    left = np.empty((samples, width), dtype=np.int64)
    right = np.empty((samples, width), dtype=np.int64)
    across = np.empty((samples, width))
    for k in range(samples):
        for j in range(width):
            column = start[1] + j + column_offsets[k]
            left[k, j], right[k, j], across[k, j] = _neighbors(column, start[1] - halo)
    texture = np.empty((samples, width))
    signs = np.empty((width, samples), dtype=np.int64)
    for i in range(height):
        for k in range(samples):
            top, bottom, down = _neighbors(start[0] + i + row_offsets[k], start[0] - halo)
            upper, lower, center = near[top], near[bottom], near[i + halo]
            for j in range(width):
                a, b, share = left[k, j], right[k, j], across[k, j]
                above = (1 - share) * upper[a] + share * upper[b]
                below = (1 - share) * lower[a] + share * lower[b]
                texture[k, j] = (1 - down) * above + down * below
                signs[j, k] = 1 if texture[k, j] - center[j + halo] >= 0 else 0
        for j in range(width):
            patterns[i, j] = _pattern(signs[j], kind) if kind != _VARIANCE else _variance(texture[:, j])


@compiled
def _neighbors(position, first):
    """Pixels on both sides of a position, counted from the first, and how far it is from the lower one."""
    low = math.floor(position)
    return np.int64(low) - first, np.int64(math.ceil(position)) - first, position - low


@compiled
def _pattern(signs, kind):
    if kind == _DEFAULT:
        return _code(signs)
    if kind == _ROTATED:
        return _smallest_rotation(_code(signs), signs.size)
    return float(_count(signs)) if _changes(signs) <= 2 else signs.size + 1.0


@compiled
def _changes(signs):
    # Not around the circle: scikit-image does not compare the last sample with the first.
    count = 0
    for k in range(signs.size - 1):
        count += abs(signs[k] - signs[k + 1])
    return count


@compiled
def _count(signs):
    ones = 0
    for sign in signs:
        ones += sign
    return ones


@compiled
def _code(signs):
    # Weights are 32-bit integers, that of sample 31 is the sign and those beyond it are zero.
    code = 0.0
    for k in range(min(signs.size, 32)):
        code += signs[k] * (float(1 << k) if k < 31 else -float(1 << 31))
    return code


@compiled
def _smallest_rotation(code, samples):
    """Smallest number among all rotations of the pattern."""
    rotated = np.int64(code)
    smallest = rotated
    for _ in range(1, samples):
        rotated = (rotated >> 1) | ((rotated & 1) << (samples - 1))
        smallest = min(smallest, rotated)
    return float(smallest)


@compiled
def _variance(texture):
    # In one pass, as scikit-image does it: where the samples are equal, rounding leaves what it leaves there.
    total, squares = 0.0, 0.0
    for value in texture:
        total += value
        squares += value * value
    variance = (squares - (total * total) / texture.size) / texture.size
    return variance if variance != 0 else np.nan
