"""Laplacian of Gaussian on a box of an image, number for number what ITK's recursive filter gives on the whole image.

The fourth-order recursions are those of R. Deriche, "Recursively implementing the Gaussian and its derivatives" (INRIA
RR-1893, 1993), with ITK's border condition: the first and the last pixel of a line go on for ever. They never forget
the far end of a line, and rounding is amplified so much that lines which are cut short round differently. So every line
is run over its full length, but only where something of it is needed: the first pass skips what lies behind the box in
either direction and stores the box's part alone, the second pass runs on the lines of the box. ITK stores single
precision between the passes, and so does this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..compiled import compiled

# Lines that are filtered side by side: one line alone would wait for its own previous pixel at every step.
_LANES = 32
# Lines in double precision that are filtered in one call, within this memory: after each call Python's lock is taken.
_CHUNK_BYTES = 2 << 20
# A pass keeps one array for each width. More widths in a pass save conversions of the image, within this memory.
_PASS_BYTES = 16 << 20
# The two damped oscillations (amplitudes of cosine and sine, frequency, decay) that together look like a Gaussian, and
# the amplitudes that look like its second derivative: Deriche's table.
_GAUSSIAN = (1.3530, 1.8151, -0.3531, 0.0902)
_SECOND_DERIVATIVE = (-1.3563, 5.2318, 0.3446, -2.2355)
_FREQUENCIES = (0.6681, 2.0787)
_DECAYS = (-1.3932, -1.3732)
_MINIMUM_PIXELS = 4  # of a line, for a recursion of fourth order


def laplacian_boxes(
    image: np.ndarray, box: tuple[slice, slice], spacing_xy: tuple[float, float], sigmas_mm: Sequence[float]
) -> Iterator[np.ndarray]:
    """Scale-normalized Laplacian of Gaussian on a box, as ``sitk.LaplacianRecursiveGaussian`` makes it.

    Parameters
    ----------
    image : np.ndarray, shape (rows, columns)
        Whole image, all pixels finite: a recursion carries any other along its whole line.
    box : tuple of slice
        Rows and columns wanted.
    spacing_xy : tuple of float
        Pixel spacing in mm along the columns' index (x) and the rows' index (y).
    sigmas_mm : sequence of float
        Widths of the Gaussian in mm.

    Yields
    ------
    np.ndarray of float32, shape of the box
        For each width in turn.

    Raises
    ------
    ValueError
        Where a line of the image has fewer than four pixels.
    """
    if min(image.shape) < _MINIMUM_PIXELS:
        raise ValueError(f"the image has {min(image.shape)} pixels along one side, at least {_MINIMUM_PIXELS} needed")
    rows, columns = box
    height, width = rows.stop - rows.start, columns.stop - columns.start
    stored = max(image.shape[0] * width, height * image.shape[1])
    share = max(1, min(_PASS_BYTES // (4 * stored), len(sigmas_mm)))
    # Got once: threads that take turns would each keep as much memory from the last time.
    memory = np.empty(share * stored, dtype=np.float32)
    for start in range(0, len(sigmas_mm), share):
        group = [float(sigma) for sigma in sigmas_mm[start : start + share]]
        # ITK's order: x first, each direction differentiated before it is smoothed across.
        along_x = _second_derivatives(image, 1, box, spacing_xy, group, memory)
        along_y = _second_derivatives(image, 0, box, spacing_xy, group, memory)
        for part_x, part_y in zip(along_x, along_y):
            yield _weighted_sum(part_x, part_y, spacing_xy)


def _weighted_sum(part_x: np.ndarray, part_y: np.ndarray, spacing_xy: tuple[float, float]) -> np.ndarray:
    """In place of the first part, computed in double precision and rounded to ITK's single one after each step."""
    double = {"dtype": np.float64, "casting": "same_kind"}
    np.multiply(part_x, 1.0 / (spacing_xy[0] * spacing_xy[0]), out=part_x, **double)
    weighted = np.multiply(part_y, 1.0 / (spacing_xy[1] * spacing_xy[1]), **double)
    return np.add(part_x, weighted, out=part_x, **double)


def _second_derivatives(
    image: np.ndarray,
    axis: int,
    box: tuple[slice, slice],
    spacing_xy: tuple[float, float],
    sigmas: list[float],
    memory: np.ndarray,
) -> list[np.ndarray]:
    """Second derivative along one axis, smoothed along the other, for each width."""
    across = 1 - axis
    pixels = spacing_xy[::-1]
    coefficients = [second_derivative_coefficients(sigma, pixels[axis]) for sigma in sigmas]
    derived = filter_lines(image, axis, coefficients, box[axis], memory)
    return [
        filter_lines(part, across, [smoothing_coefficients(sigma, pixels[across])], box[across])[0]
        for part, sigma in zip(derived, sigmas)
    ]


def filter_lines(
    array: np.ndarray, axis: int, coefficients: Sequence[np.ndarray], kept: slice, memory: np.ndarray | None = None
) -> np.ndarray:
    """Run recursions over all lines along one axis and keep a part of each line.

    Parameters
    ----------
    array : np.ndarray, shape (rows, columns)
    axis : int
        Along which the lines run.
    coefficients : sequence of np.ndarray
        As :func:`smoothing_coefficients` and :func:`second_derivative_coefficients` make them.
    kept : slice
        Part of each line that is wanted.
    memory : np.ndarray of float32, optional
        Of one dimension and large enough for the result, which is put into it.

    Returns
    -------
    np.ndarray of float32, shape (sets of coefficients, rows, columns)
        For each set of coefficients the array with its lines cut to the part.
    """
    shape = list(array.shape)
    shape[axis] = kept.stop - kept.start
    size = len(coefficients) * math.prod(shape)
    outcomes = np.empty(size, dtype=np.float32) if memory is None else memory[:size]
    outcomes = outcomes.reshape(len(coefficients), *shape)
    length, count = array.shape[axis], array.shape[1 - axis]
    blocks = max(1, min(_CHUNK_BYTES // (8 * _LANES * length), math.ceil(count / _LANES)))
    lines, results = np.zeros((blocks, length, _LANES)), np.empty((2, length, _LANES))
    numbers = np.array(coefficients)
    for start in range(0, count, blocks * _LANES):
        _fill(array, axis, start, lines)
        _filter(lines, numbers, axis, start, kept.start, kept.stop, results, outcomes)
    return outcomes


def smoothing_coefficients(sigma: float, spacing: float) -> np.ndarray:
    """Coefficients of the smoothing recursion.

    Parameters
    ----------
    sigma, spacing : float
        Width of the Gaussian and distance of pixels, in the same unit.

    Returns
    -------
    np.ndarray, shape (5, 4)
        Weights of input pixels forward, and backward, of earlier results, and of the edge's pixel where it stands in
        for results from beyond the first, and beyond the last pixel.
    """
    waves = _waves(sigma / spacing)
    results = _result_weights(waves)
    inputs = _input_weights(waves, _GAUSSIAN)
    area = 2 * _moments(inputs)[0] / _moments((1.0, *results))[0] - inputs[0]
    return _all_coefficients([weight * (1.0 / area) for weight in inputs], results)


def second_derivative_coefficients(sigma: float, spacing: float) -> np.ndarray:
    """Coefficients of the recursion for the second derivative, times sigma squared.

    Parameters and result as of :func:`smoothing_coefficients`.
    """
    waves = _waves(sigma / spacing)
    results = _result_weights(waves)
    smooth, bent = _input_weights(waves, _GAUSSIAN), _input_weights(waves, _SECOND_DERIVATIVE)
    zeroth, first, second = _moments((1.0, *results))
    smooth_moments, bent_moments = _moments(smooth), _moments(bent)
    # As much smoothing is mixed in as makes a constant image vanish.
    mixed_in = -(2 * bent_moments[0] - zeroth * bent[0]) / (2 * smooth_moments[0] - zeroth * smooth[0])
    inputs = [b + mixed_in * s for b, s in zip(bent, smooth)]
    in_zeroth, in_first, in_second = (b + mixed_in * s for b, s in zip(bent_moments, smooth_moments))
    curvature = in_second * zeroth * zeroth - second * in_zeroth * zeroth - 2 * in_first * first * zeroth
    curvature += 2 * first * first * in_zeroth
    curvature /= zeroth * zeroth * zeroth
    factor = sigma * sigma / curvature
    return _all_coefficients([weight * factor for weight in inputs], results)


def _waves(width: float) -> tuple[float, ...]:
    """Sine, cosine and decay per pixel of both oscillations, for a Gaussian of this width in pixels."""
    return tuple(
        function(number / width)
        for numbers, function in ((_FREQUENCIES, math.sin), (_FREQUENCIES, math.cos), (_DECAYS, math.exp))
        for number in numbers
    )


def _result_weights(waves: tuple[float, ...]) -> tuple[float, float, float, float]:
    _, _, cos1, cos2, exp1, exp2 = waves
    third = -2 * cos1 * exp1 * exp2 * exp2
    third += -2 * cos2 * exp2 * exp1 * exp1
    second = 4 * cos2 * cos1 * exp1 * exp2
    second += exp1 * exp1 + exp2 * exp2
    return -2 * (exp2 * cos2 + exp1 * cos1), second, third, exp1 * exp1 * exp2 * exp2


def _input_weights(waves: tuple[float, ...], amplitudes: tuple[float, ...]) -> tuple[float, float, float, float]:
    # Sums are taken in ITK's order, here and above: its results are to be met to the last bit.
    sin1, sin2, cos1, cos2, exp1, exp2 = waves
    a1, b1, a2, b2 = amplitudes
    first = exp2 * (b2 * sin2 - (a2 + 2 * a1) * cos2)
    first += exp1 * (b1 * sin1 - (a1 + 2 * a2) * cos1)
    second = (a1 + a2) * cos2 * cos1
    second -= b1 * cos2 * sin1 + b2 * cos1 * sin2
    second *= 2 * exp1 * exp2
    second += a2 * exp1 * exp1 + a1 * exp2 * exp2
    third = exp2 * exp1 * exp1 * (b2 * sin2 - a2 * cos2)
    third += exp1 * exp2 * exp2 * (b1 * sin1 - a1 * cos1)
    return a1 + a2, first, second, third


def _moments(weights: Sequence[float]) -> tuple[float, float, float]:
    """Sums of weights, of weights times their place and of weights times its square."""
    places = range(1, len(weights))
    zeroth, first, second = weights[0], weights[1], weights[1]
    for place in places:
        zeroth += weights[place]
    for place in places[1:]:
        first += place * weights[place]
        second += place * place * weights[place]
    return zeroth, first, second


def _all_coefficients(forward: Sequence[float], results: Sequence[float]) -> np.ndarray:
    backward = [weight - result * forward[0] for weight, result in zip((*forward[1:], 0.0), results)]
    total = _moments((1.0, *results))[0]
    before = [result * _moments(forward)[0] / total for result in results]
    beyond = [result * _moments(backward)[0] / total for result in results]
    return np.array([forward, backward, results, before, beyond])


@compiled
def _fill(array, axis, start, lines):
    """Lines of an array from number start on, side by side: all that is compiled anew for each type of pixels."""
    blocks, length, _ = lines.shape
    if axis == 0:  # all blocks of a row together, for the next row is far off in memory
        for i in range(length):
            for block in range(blocks):
                pixels = array[i, start + block * _LANES : start + (block + 1) * _LANES]
                for k in range(len(pixels)):
                    lines[block, i, k] = pixels[k]
    else:
        for block in range(blocks):
            pixels = array[start + block * _LANES : start + (block + 1) * _LANES]
            for i in range(length):
                for k in range(len(pixels)):
                    lines[block, i, k] = pixels[k, i]


@compiled
def _filter(lines, coefficients, axis, start, first, last, results, outcomes):
    """All recursions over lines from number start on; what they give from pixel first to before last is stored."""
    for number in range(len(lines)):
        block = lines[number]  # by its number, because numba knows only then that it is in one piece
        if start < outcomes.shape[2 - axis]:
            for index in range(len(coefficients)):
                for backward in range(2):
                    steps = len(block) - first if backward else last
                    _sweep(block, backward, coefficients[index], steps, results[backward])
                _store(results, axis, start, first, last, outcomes[index])
        start += _LANES


@compiled
def _store(results, axis, start, first, last, outcome):
    """Sum of both directions, where it belongs."""
    if axis == 0:
        for i in range(first, last):
            pixels = outcome[i - first, start : start + _LANES]
            for k in range(len(pixels)):
                pixels[k] = results[0, i, k] + results[1, i, k]
    else:
        part = outcome[start : start + _LANES]
        for i in range(first, last):
            for k in range(len(part)):
                part[k, i - first] = results[0, i, k] + results[1, i, k]


@compiled
def _start(lines, backward, coefficients, outcome):
    """The first four results of a recursion: what would lie beyond the edge is made of the edge's pixel."""
    weights, recurring, stand_in = coefficients[backward], coefficients[2], coefficients[3 + backward]
    edge, onward = (len(lines) - 1, -1) if backward else (0, 1)
    for i in range(4):
        nearest = i - backward
        for k in range(_LANES):
            value, recurred = 0.0, 0.0
            for back in range(4):
                value += weights[back] * lines[edge + onward * max(nearest - back, 0), k]
                if back < i:
                    recurred += outcome[edge + onward * (i - back - 1), k] * recurring[back]
                else:
                    recurred += lines[edge, k] * stand_in[back]
            outcome[edge + onward * i, k] = value - recurred


@compiled
def _sweep(lines, backward, coefficients, steps, outcome):
    """One recursion over lines that lie side by side, a number of steps from one edge.

    The backward one starts at the far edge and does not take the pixel itself, which the forward one has taken.
    """
    _start(lines, backward, coefficients, outcome)
    n0, n1, n2, n3 = coefficients[backward]
    d1, d2, d3, d4 = coefficients[2]
    pixels, found, end = lines.ravel(), outcome.ravel(), len(lines) - 1
    # The loops over the lines become vector instructions only if all distances in memory are known and no index can be
    # negative: so one slice has all results that a step reads and writes, and both directions have a loop.
    for i in range(4, steps):
        if backward:
            x = pixels[(end - i + 1) * _LANES : (end - i + 5) * _LANES]
            y = found[(end - i) * _LANES : (end - i + 5) * _LANES]
            for k in range(_LANES):
                value = x[k] * n0 + x[k + _LANES] * n1 + x[k + 2 * _LANES] * n2 + x[k + 3 * _LANES] * n3
                earlier = y[k + _LANES] * d1 + y[k + 2 * _LANES] * d2 + y[k + 3 * _LANES] * d3 + y[k + 4 * _LANES] * d4
                y[k] = value - earlier
        else:
            x = pixels[(i - 3) * _LANES : (i + 1) * _LANES]
            y = found[(i - 4) * _LANES : (i + 1) * _LANES]
            for k in range(_LANES):
                value = x[k + 3 * _LANES] * n0 + x[k + 2 * _LANES] * n1 + x[k + _LANES] * n2 + x[k] * n3
                earlier = y[k + 3 * _LANES] * d1 + y[k + 2 * _LANES] * d2 + y[k + _LANES] * d3 + y[k] * d4
                y[k + 4 * _LANES] = value - earlier
