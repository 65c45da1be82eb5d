"""Filtered images on the bounding box of a lesion, equal to pyradiomics' filtered whole images cropped to it.

What a filter gives in a box depends on the pixels near the box (wavelets, gradient, local binary patterns), on the
brightest pixel of the image (square, square root, logarithm, exponential) or on all rows and columns (Laplacian of
Gaussian). Only that much of the image is looked at, and no filtered image is larger than the box. Values and types are
those of pyradiomics, scikit-image, PyWavelets and ITK to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..feature_problems import DEFAULT_BIN_WIDTH, log_name
from .local_binary_pattern import local_binary_pattern_box
from .recursive_gaussian import laplacian_boxes
from .wavelets import wavelet_boxes

_STRIPE_PIXELS = 1 << 15  # computed at once where a filter has intermediate results
Box = tuple[slice, slice]


class FilteredBox(NamedTuple):
    """One filtered image on the box.

    Attributes
    ----------
    name : str
        pyradiomics' name of the image type, such as ``wavelet-LH``.
    values : np.ndarray, shape of the box
        In the type of pixels that pyradiomics' image has.
    arguments : dict
        Settings for the feature classes on this image.
    """

    name: str
    values: np.ndarray
    arguments: dict[str, Any]


class Source:
    """A whole image, the box that is wanted of it, and what several filters need to know of the image.

    Parameters
    ----------
    image : np.ndarray, shape (rows, columns)
        Whole image, of any real pixel type of ITK; it is only read, so that threads can share it.
    spacing_xy : tuple of float
        Pixel spacing in mm along the columns' index (x) and the rows' index (y).
    box : tuple of slice
        Rows and columns wanted, within the image.
    """

    def __init__(self, image: np.ndarray, spacing_xy: tuple[float, float], box: Box) -> None:
        self.image, self.box = image, box
        self.spacing_xy = (float(spacing_xy[0]), float(spacing_xy[1]))

    @cached_property
    def extremes(self) -> np.ndarray:
        """Smallest and largest pixel of the whole image; not a number or infinite where any pixel is."""
        return np.array([self.image.min(), self.image.max()], dtype=np.float64)


def filtered_boxes(
    source: Source,
    image_types: Mapping[str, Mapping[str, Any] | None],
    setting: Mapping[str, Any] | None = None,
) -> Iterator[FilteredBox]:
    """The image itself and its filtered versions on a box, one after the other.

    Parameters
    ----------
    source : Source
    image_types : mapping of str to mapping
        Image types with their own settings, such as ``{"LoG": {"sigma": [1.0, 2.0]}}``. Of those that
        :func:`.feature_problems.filter_refusal` and :func:`.feature_problems.log_refusal` refuse the values mean
        nothing.
    setting : mapping, optional
        Settings for all image types. The image counts as one slice: ``force2D`` need not be given.

    Yields
    ------
    FilteredBox
        In the order of the image types, within a type in pyradiomics' order.

    Raises
    ------
    ValueError
        Where a setting of a filter is wrong.
    """
    for image_type, custom in image_types.items():
        arguments = {"binWidth": DEFAULT_BIN_WIDTH, **(setting or {}), **(custom or {})}
        for name, values in _FILTERS[image_type](source, arguments):
            yield FilteredBox(name, values, dict(arguments))


_Images = Iterator[tuple[str, np.ndarray]]


def _original(source: Source, arguments: Mapping[str, Any]) -> _Images:
    yield "original", source.image[source.box].copy()


def _laplacian(source: Source, arguments: Mapping[str, Any]) -> _Images:
    sigmas = arguments["sigma"]
    boxes = laplacian_boxes(source.image, source.box, source.spacing_xy, [float(sigma) for sigma in sigmas])
    for sigma, values in zip(sigmas, boxes):
        yield log_name(sigma), values


def _wavelet(source: Source, arguments: Mapping[str, Any]) -> _Images:
    return wavelet_boxes(
        source.image,
        source.box,
        arguments.get("wavelet", "coif1"),
        arguments.get("start_level", 0),
        arguments.get("level", 1),
    )


def _in_stripes(box: Box, kind: Any, function: Callable[[Box], np.ndarray]) -> np.ndarray:
    """Values of a box, computed a few rows after the other so that intermediate results stay small."""
    rows, columns = box
    width = columns.stop - columns.start
    values = np.empty((rows.stop - rows.start, width), dtype=kind)
    height = max(1, _STRIPE_PIXELS // width)
    for start in range(rows.start, rows.stop, height):
        stripe = slice(start, min(start + height, rows.stop))
        values[stripe.start - rows.start : stripe.stop - rows.start] = function((stripe, columns))
    return values


def _scaled(name: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., _Images]:
    """A filter that needs the box and the extremes of the whole image, both in double precision."""

    def filtered(source: Source, arguments: Mapping[str, Any]) -> _Images:
        def stripe(box: Box) -> np.ndarray:
            return function(source.image[box].astype(np.float64), source.extremes)

        # An image of zeros has no scale. pyradiomics divides by zero there and goes on, and so does this.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = _in_stripes(source.box, np.float64, stripe)
        yield name, values

    return filtered


def _square(values: np.ndarray, extremes: np.ndarray) -> np.ndarray:
    return (1 / np.sqrt(np.abs(extremes).max()) * values) ** 2


def _square_root(values: np.ndarray, extremes: np.ndarray) -> np.ndarray:
    scale = np.abs(extremes).max()
    above, below = values > 0, values < 0
    values[above] = np.sqrt(values[above] * scale)
    values[below] = -np.sqrt(-values[below] * scale)
    return values


def _logarithm(values: np.ndarray, extremes: np.ndarray) -> np.ndarray:
    # The logarithm rises with its argument, so that the extremes stay the extremes.
    scale = np.abs(extremes).max() / np.abs(_signed_logarithm(extremes.copy())).max()
    return _signed_logarithm(values) * scale


def _signed_logarithm(values: np.ndarray) -> np.ndarray:
    above, below = values > 0, values < 0
    values[above] = np.log(values[above] + 1)
    values[below] = -np.log(-(values[below] - 1))
    return values


def _exponential(values: np.ndarray, extremes: np.ndarray) -> np.ndarray:
    scale = np.abs(extremes).max()
    return np.exp(np.log(scale) / scale * values)


def _gradient(source: Source, arguments: Mapping[str, Any]) -> _Images:
    used = bool(arguments.get("gradientUseSpacing", True))
    weights = [0.5 * (1.0 / spacing) if used else 0.5 for spacing in source.spacing_xy]

    def stripe(box: Box) -> np.ndarray:
        return _gradient_magnitude(source.image, box, weights)

    with np.errstate(invalid="ignore", over="ignore"):  # pixels that are no numbers concern only their neighbors
        values = _in_stripes(source.box, np.float32, stripe)
    yield "gradient", values


def _gradient_magnitude(image: np.ndarray, box: Box, weights_xy: list[float]) -> np.ndarray:
    """Magnitude of the central differences, in the steps of ``sitk.GradientMagnitude``."""
    near = [slice(max(part.start - 1, 0), part.stop + 1) for part in box]
    # Beyond the image border the filter finds the border's pixels once more.
    missing = [(int(part.start == 0), int(part.stop == size)) for part, size in zip(box, image.shape)]
    pixels = np.pad(image[tuple(near)].astype(np.float64), missing, "edge")
    inner = slice(1, -1)
    squares = 0.0
    for before, after, weight in (
        (pixels[inner, :-2], pixels[inner, 2:], weights_xy[0]),
        (pixels[:-2, inner], pixels[2:, inner], weights_xy[1]),
    ):
        # The pixel itself has no weight in ITK's sum, but takes part: so it spoils it where it is not finite.
        slope = before * -weight + pixels[inner, inner] * 0.0 + after * weight
        squares = squares + slope * slope
    return np.sqrt(squares).astype(np.float32)


def _patterns(source: Source, arguments: Mapping[str, Any]) -> _Images:
    wanted = [
        arguments.get(*default) for default in (("lbp2DSamples", 8), ("lbp2DRadius", 1), ("lbp2DMethod", "uniform"))
    ]

    def stripe(box: Box) -> np.ndarray:
        # pyradiomics writes patterns into an image of the original's pixel type, whether they fit or not.
        return local_binary_pattern_box(source.image, box, *wanted).astype(source.image.dtype)

    with np.errstate(invalid="ignore"):
        values = _in_stripes(source.box, source.image.dtype, stripe)
    yield "lbp-2D", values


_FILTERS: dict[str, Callable[[Source, Mapping[str, Any]], _Images]] = {
    "Original": _original,
    "LoG": _laplacian,
    "Wavelet": _wavelet,
    "Square": _scaled("square", _square),
    "SquareRoot": _scaled("squareroot", _square_root),
    "Logarithm": _scaled("logarithm", _logarithm),
    "Exponential": _scaled("exponential", _exponential),
    "Gradient": _gradient,
    "LBP2D": _patterns,
}
