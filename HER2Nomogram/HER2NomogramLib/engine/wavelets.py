"""Stationary wavelet decompositions on a box of an image, number for number what pyradiomics makes of the whole image.

pyradiomics repeats the first row or column behind the last where their number is odd, and lets the image begin anew
behind its end. Every level is one undilated step of PyWavelets, made of the approximation of the level before. A pixel
depends on as many neighbors as the filter is long, so the box is cut out with those of all levels around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..compiled import compiled


def wavelet_boxes(
    image: np.ndarray, box: tuple[slice, slice], wavelet: str = "coif1", start_level: int = 0, level: int = 1
) -> Iterator[tuple[str, np.ndarray]]:
    """Wavelet decompositions on a box, as ``radiomics.imageoperations.getWaveletImage`` makes them in the plane.

    Parameters
    ----------
    image : np.ndarray, shape (rows, columns)
        Whole image. Only pixels near the box are looked at, at the border those of the opposite border, too.
    box : tuple of slice
        Rows and columns wanted.
    wavelet : str
    start_level : int
        Levels that are left out before the first one.
    level : int
        Levels wanted.

    Yields
    ------
    name : str
        Such as ``wavelet-LH``: low-pass along x, high-pass along y; ``wavelet2-LH`` at the second level.
    values : np.ndarray of float64 (float32 where the image is), shape of the box

    Raises
    ------
    ValueError
        Where PyWavelets does not know the wavelet.
    """
    import pywt

    wavelet = pywt.Wavelet(wavelet)
    steps = start_level + level
    padded = tuple(size + size % 2 for size in image.shape)
    if wavelet.dec_len > min(padded):
        yield from _whole(image, box, wavelet, start_level, steps)
        return
    kind = np.float32 if image.dtype == np.float32 else np.float64
    filters = low, _ = _filters(wavelet, kind)
    after = wavelet.dec_len // 2
    before = wavelet.dec_len - 1 - after
    reach = [slice(part.start - steps * before, part.stop + steps * after) for part in box]
    data = _cut(image, reach, padded).astype(kind)
    for step in range(steps):
        # What the next levels need around the box; details are needed on the box alone.
        reach = [slice(part.start + before, part.stop - after) for part in reach]
        low_x = _filtered(data, 1, low, reach[1], padded[1])
        if step >= start_level:
            yield from _details(data, low_x, filters, box, reach, padded, f"{_prefix(step - start_level + 1)}-")
        data = _filtered(low_x, 0, low, reach[0], padded[0])
    yield f"{_prefix(level)}-LL", data


def _filters(wavelet: Any, kind: type) -> tuple[np.ndarray, np.ndarray]:
    """Low-pass and high-pass filter in this precision.

    PyWavelets keeps its own filters in single precision, and some are not the rounded ones in double precision. Its
    answer to a single bright pixel shows them.
    """
    import pywt

    size = wavelet.dec_len
    pixel = np.zeros(size + size % 2, dtype=kind)
    pixel[0] = 1
    answers = pywt.swt(pixel, wavelet, level=1)[0]
    return tuple(answer[(np.arange(size) - size // 2) % pixel.size] for answer in answers)


def _prefix(level: int) -> str:
    return "wavelet" if level == 1 else f"wavelet{level}"


def _cut(image: np.ndarray, reach: list[slice], padded: tuple[int, int]) -> np.ndarray:
    rows, columns = (
        np.arange(part.start, part.stop) % period % size for part, period, size in zip(reach, padded, image.shape)
    )
    return image[rows[:, np.newaxis], columns]


def _details(
    data: np.ndarray,
    low_x: np.ndarray,
    filters: tuple[np.ndarray, np.ndarray],
    box: tuple[slice, slice],
    reach: list[slice],
    padded: tuple[int, int],
    prefix: str,
) -> Iterator[tuple[str, np.ndarray]]:
    low, high = filters
    more = low.size - 1  # pixels that a filter takes away from a line
    rows, columns = (slice(part.start - wide.start, part.stop - wide.start) for part, wide in zip(box, reach))
    rows = slice(rows.start, rows.stop + more)
    high_x = _filtered(data[rows, columns.start : columns.stop + more], 1, high, box[1], padded[1])
    yield f"{prefix}LH", _filtered(low_x[rows, columns], 0, high, box[0], padded[0])
    yield f"{prefix}HL", _filtered(high_x, 0, low, box[0], padded[0])
    yield f"{prefix}HH", _filtered(high_x, 0, high, box[0], padded[0])


def _filtered(data: np.ndarray, axis: int, weights: np.ndarray, part: slice, period: int) -> np.ndarray:
    """Convolve along an axis; part says where the result lies on the periodic image."""
    # Close to the end of the image PyWavelets adds what comes from its beginning first, and backwards.
    from_beginning = np.arange(part.start, part.stop) % period + weights.size // 2 - period + 1
    shape = list(data.shape)
    shape[axis] = part.stop - part.start
    result = np.zeros(shape, dtype=data.dtype)
    convolve = _convolve_rows if axis == 1 else _convolve_columns
    convolve(np.ascontiguousarray(data), weights, np.maximum(from_beginning, 0), result)
    return result


@compiled
def _convolve_rows(data, weights, turned, result):
    size, width = weights.size, result.shape[1]
    for i in range(result.shape[0]):
        line, sums = data[i], result[i]
        for j in range(size):
            for k in range(width):
                sums[k] += weights[j] * line[k + size - 1 - j]
        for k in range(width):
            if turned[k]:
                sums[k] = 0
                for t in range(size):
                    j = turned[k] - 1 - t if t < turned[k] else t
                    sums[k] += weights[j] * line[k + size - 1 - j]


@compiled
def _convolve_columns(data, weights, turned, result):
    size, width = weights.size, result.shape[1]
    for i in range(result.shape[0]):
        sums = result[i]
        for t in range(size):
            j = turned[i] - 1 - t if t < turned[i] else t
            line = data[i + size - 1 - j]
            for k in range(width):
                sums[k] += weights[j] * line[k]


def _whole(
    image: np.ndarray, box: tuple[slice, slice], wavelet: Any, start_level: int, steps: int
) -> Iterator[tuple[str, np.ndarray]]:
    """The same from PyWavelets itself, for images that are smaller than the filter."""
    import pywt

    data = np.pad(image, [(0, size % 2) for size in image.shape], "wrap")
    for step in range(steps):
        bands = pywt.swtn(data, wavelet, level=1, start_level=0, axes=(1, 0))[0]
        data = bands["aa"]
        if step >= start_level:
            for name, letters in (("LH", "ad"), ("HL", "da"), ("HH", "dd")):
                yield f"{_prefix(step - start_level + 1)}-{name}", bands[letters][box].copy()
    yield f"{_prefix(steps - start_level)}-LL", data[box].copy()
