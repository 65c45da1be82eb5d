"""Synthetic contrast-enhanced mammograms (CEM) with a known answer, for demonstrations and tests.

**A model trained on these images says nothing about patients.** The difference between HER2-positive and
HER2-negative lesions is put in by hand (`_VARIATION`), its size is a parameter (`effect`), and nothing about it was
measured on people. At ``effect=0`` image, diameter and clinical record do not depend on the label at all.

What is modeled, each in a function of its own: a craniocaudal recombined image with the chest wall at one border,
skin line, breast-in-breast contour and black air (`_breast_background`); background parenchymal enhancement at
several scales, its amount set by the density A-D (`_parenchyma`); a lesion of given diameter with an irregular outline
(`_outline`), heterogeneous enhancement and an enhancing rim (`_lesion_enhancement`); enhancement around it that
decays within a few mm and has a texture of its own (`_peritumoral_enhancement`), and spicules (`_spicules`); detector
noise (`_noise`). Every case varies around the given parameters (`_vary`), and that variation overlaps strongly
between the classes.

What is not: this is a drawing and no simulation of physics. There is no X-ray spectrum, scatter, dual-energy
weighting, contrast kinetics, nipple, pectoral muscle, vessel, clip, calcification, motion artifact, reader's contour
(the mask is the true outline) or low-energy image, and one lesion per breast. Gray values are arbitrary.

A seed gives the same random numbers on every platform (PCG64, one stream per ingredient). Mathematical libraries may
differ in the last bit of a floating-point result, so between platforms a pixel may, rarely, differ by one gray value.
"""

from __future__ import annotations

import csv
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError

DEFAULT_SIZES = {"train": 84, "internal_test": 22, "prospective_test": 25}
HER2_PREVALENCE = 1.0 / 3.0
BITS_STORED = 14
DIAMETER_RANGE_MM = (8.0, 40.0)
CLEARANCE_MM = 12.0  # wished for between lesion and skin or chest wall, so that a 10 mm ring lies in the breast
MAGNIFICATION = 1.05  # of the patient plane on the detector, for the DICOM files

# How single cases scatter around PhantomParameters, and what HER2 does to them: standard deviation of the logarithm,
# and shift of the logarithm in HER2-positive cases at effect 1. The ratio of the two says how far the classes overlap.
_VARIATION = {
    "breast_depth_mm": (0.05, 0.0),
    "breast_height_mm": (0.04, 0.0),
    "noise_gray": (0.10, 0.0),
    "parenchyma_gray": (0.35, 0.0),
    "lesion_enhancement_gray": (0.20, 0.0),
    "lesion_texture_fraction": (0.30, 0.62),
    "lesion_texture_length_mm": (0.20, 0.30),
    "rim_fraction": (0.40, 0.35),
    "peritumoral_enhancement_fraction": (0.28, 0.35),
    "peritumoral_decay_mm": (0.18, 0.07),
    "peritumoral_texture_fraction": (0.30, 0.36),
    "irregularity_fraction": (0.30, 0.0),
}

_TISSUE_OFFSET = {"A": -1.7, "B": -0.8, "C": 0.1, "D": 1.0}  # standard deviations; higher = more parenchyma
_PARENCHYMA_SCALES_MM = {0.7: 0.35, 2.5: 0.7, 7.0: 1.0}  # correlation length: weight
_NOISE_SCALES_MM = {0.08: 1.0, 0.9: 0.12}


@dataclass(frozen=True)
class PhantomParameters:
    """What a phantom looks like on average; every case varies around it.

    ``_fraction`` values of the lesion and the ring are relative to the lesion's enhancement, texture fractions to the
    mean enhancement of their own region. ``her2`` changes the image in proportion to ``effect``.
    """

    her2: bool = False
    effect: float = 1.0
    diameter_mm: float = 20.0
    density: str = "B"
    laterality: str = "L"
    spacing_mm: float = 0.2
    rows: int = 640
    columns: int = 448
    breast_depth_mm: float = 77.0
    breast_height_mm: float = 112.0
    baseline_gray: float = 4000.0
    parenchyma_gray: float = 550.0
    noise_gray: float = 330.0
    lesion_enhancement_gray: float = 1900.0
    lesion_texture_fraction: float = 0.15
    lesion_texture_length_mm: float = 1.0
    rim_fraction: float = 0.22
    rim_width_mm: float = 1.5
    edge_width_mm: float = 0.5
    irregularity_fraction: float = 0.08
    spicules: int = 8
    peritumoral_enhancement_fraction: float = 0.28
    peritumoral_decay_mm: float = 3.5
    peritumoral_texture_fraction: float = 0.35
    peritumoral_texture_length_mm: float = 0.9

    def __post_init__(self):
        if self.density not in _TISSUE_OFFSET:
            raise InputError(f"phantom: density must be A, B, C or D, not {self.density!r}")
        if self.laterality not in ("L", "R"):
            raise InputError(f"phantom: laterality must be L or R, not {self.laterality!r}")
        if not (math.isfinite(self.effect) and self.effect >= 0.0):
            raise InputError(f"phantom: effect must be zero or a positive number, not {self.effect!r}")
        for name in ("diameter_mm", "spacing_mm", "breast_depth_mm", "breast_height_mm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"phantom: {name} must be a positive number, not {value!r}")
        if self.rows < 32 or self.columns < 32:
            raise InputError(f"phantom: an image of {self.rows} x {self.columns} pixels is too small; at least 32 x 32")


@dataclass(frozen=True, eq=False)
class Phantom:
    """One synthetic study.

    Attributes
    ----------
    pixels : ndarray of uint16, shape (rows, columns)
        Recombined image, gray values of `BITS_STORED` bits, contrast medium bright.
    lesion : ndarray of bool, shape (rows, columns)
        True outline of the lesion, spicules left out.
    spacing_mm : tuple of float
        (x, y), along the columns index and along the rows index.
    parameters : PhantomParameters
        What was asked for.
    clinical : dict
        Columns of cases.csv.
    seed : int
    """

    pixels: np.ndarray
    lesion: np.ndarray
    spacing_mm: tuple[float, float]
    parameters: PhantomParameters
    clinical: dict = field(default_factory=dict)
    seed: int = 0


def make_phantom(seed: int, parameters: PhantomParameters | None = None, clinical: Mapping | None = None) -> Phantom:
    """Draw one synthetic study; the same seed and parameters give the same study.

    Parameters
    ----------
    seed : int
        Not negative.
    parameters : PhantomParameters, optional
    clinical : mapping, optional
        Clinical record to go with it; by default diameter, density and HER2 status as in `parameters`.

    Raises
    ------
    InputError
        The seed is no whole number >= 0, or the lesion has no room in the breast or the image.
    """
    parameters = parameters or PhantomParameters()
    stream = _streams(seed)
    case = _vary(parameters, stream("case"))
    x, y = _grid_mm(case)
    skin_mm = _skin_distance_mm(case, x, y)
    outline = _outline(case, stream("outline"))
    center = _place(case, outline, stream("place"))
    distance, offset_x, offset_y = _lesion_distance_mm(outline, center, x, y)

    signal = _breast_background(case, skin_mm, y, stream("background"))
    signal += _parenchyma(case, skin_mm, stream("parenchyma"))
    signal += _lesion_enhancement(case, distance, stream("lesion"))
    signal += _peritumoral_enhancement(case, distance, stream("peritumoral"))
    signal += _spicules(case, distance, offset_x, offset_y, stream("spicules"))
    signal += _noise(case, stream("noise"))
    signal *= _air_falloff(skin_mm)

    pixels = np.clip(np.rint(signal), 0, 2**BITS_STORED - 1).astype(np.uint16)
    lesion = distance <= 0.0
    if parameters.laterality == "R":
        pixels, lesion = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(lesion[:, ::-1])
    record = dict(clinical) if clinical is not None else _minimal_record(parameters)
    return Phantom(pixels, lesion, (case.spacing_mm, case.spacing_mm), parameters, record, int(seed))


def _minimal_record(parameters: PhantomParameters) -> dict:
    """What the parameters themselves say about the case, as columns of cases.csv."""
    return {
        "tumor_diameter_mm": parameters.diameter_mm,
        "breast_density": parameters.density,
        "her2_ihc": "2+",
        "her2_ish": "positive" if parameters.her2 else "negative",
    }


# --- randomness -----------------------------------------------------------------------------------------------------

_STREAMS = ("case", "outline", "place", "background", "parenchyma", "lesion", "peritumoral", "spicules", "noise")


def _streams(seed: int) -> Callable[[str], np.random.Generator]:
    """Return a generator for each ingredient, so that a change to one leaves the others as they were."""
    seed = _check_seed(seed)
    return lambda name: np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _STREAMS.index(name)])))


def _check_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"phantom: the seed must be a whole number, zero or more, not {seed!r}")
    return int(seed)


def _vary(parameters: PhantomParameters, rng: np.random.Generator) -> PhantomParameters:
    """Return the parameters of one case: log-normal around the given ones, shifted by HER2 in proportion to effect."""
    strength = parameters.effect * parameters.her2
    return replace(
        parameters,
        **{
            name: getattr(parameters, name) * math.exp(deviation * rng.standard_normal() + strength * shift)
            for name, (deviation, shift) in _VARIATION.items()
        },
    )


def _correlated_noise(case: PhantomParameters, scales_mm: Mapping[float, float], rng) -> np.ndarray:
    """Return Gaussian noise of the image's size, zero mean, SD 1: white noise smoothed at several scales and summed.

    The noise is drawn in Fourier space, and the filters are Gaussians there. It is periodic, which nobody sees.
    """
    shape = (case.rows, case.columns // 2 + 1)
    white = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    squared = (
        np.fft.fftfreq(case.rows, case.spacing_mm)[:, np.newaxis] ** 2
        + np.fft.rfftfreq(case.columns, case.spacing_mm)[np.newaxis, :] ** 2
    )
    transfer = np.zeros(shape)
    for length_mm, weight in scales_mm.items():
        gaussian = np.exp(-2.0 * (math.pi * length_mm) ** 2 * squared)
        gaussian[0, 0] = 0.0
        transfer += weight * gaussian / math.sqrt((gaussian**2).sum())
    noise = np.fft.irfft2(white * transfer, s=(case.rows, case.columns))
    return noise / noise.std()


# --- geometry (chest wall at column 0; right breasts are mirrored at the end) ---------------------------------------


_SKIN_EXPONENT = 2.15  # of the superellipse; 2 is an ellipse, a compressed breast is a little squarer


def _grid_mm(case: PhantomParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel centers: x from the chest wall, shape (1, columns), and y from the middle, shape (rows, 1)."""
    x = (np.arange(case.columns) + 0.5) * case.spacing_mm
    y = (np.arange(case.rows) - (case.rows - 1) / 2.0) * case.spacing_mm
    return x[np.newaxis, :], y[:, np.newaxis]


def _skin_distance_mm(case: PhantomParameters, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the distance to the skin, shape (rows, columns), positive inside; to first order, so exact at the skin."""
    depth, half = case.breast_depth_mm, case.breast_height_mm / 2.0
    level = ((x / depth) ** _SKIN_EXPONENT + np.abs(y / half) ** _SKIN_EXPONENT) ** (1.0 / _SKIN_EXPONENT)
    along_y, along_x = np.gradient(level, case.spacing_mm)
    return (1.0 - level) / np.hypot(along_x, along_y)


def _outline(case: PhantomParameters, rng: np.random.Generator, points: int = 720) -> np.ndarray:
    """Return the lesion's radius in mm at equally spaced angles; its largest diameter is ``diameter_mm``."""
    angles = np.arange(points) * (2.0 * math.pi / points)
    radius = np.ones(points)
    for order in range(2, 12):
        amplitude = case.irregularity_fraction * rng.standard_normal() * (2.0 / order) ** 1.1
        radius += amplitude * np.cos(order * angles + rng.uniform(0.0, 2.0 * math.pi))
    radius = np.maximum(radius, 0.45)
    contour = (radius * np.exp(1j * angles))[::4]
    largest = np.abs(contour[:, np.newaxis] - contour[np.newaxis, :]).max()
    return radius * (case.diameter_mm / largest)


def _place(case: PhantomParameters, outline: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return a center (x, y) in mm that keeps `CLEARANCE_MM` to skin and chest wall, or the one with most room."""
    depth, half = case.breast_depth_mm, case.breast_height_mm / 2.0
    angles = np.linspace(-math.pi / 2.0, math.pi / 2.0, 181)
    skin_x = depth * np.cos(angles).clip(0.0) ** (2.0 / _SKIN_EXPONENT)
    skin_y = half * np.sign(angles) * np.abs(np.sin(angles)) ** (2.0 / _SKIN_EXPONENT)
    x, y = depth * rng.random(1500), half * (2.0 * rng.random(1500) - 1.0)
    inside = (x / depth) ** _SKIN_EXPONENT + np.abs(y / half) ** _SKIN_EXPONENT < 1.0
    to_skin = np.hypot(x[:, np.newaxis] - skin_x, y[:, np.newaxis] - skin_y).min(axis=1)
    to_image = np.minimum(case.columns * case.spacing_mm - x, case.rows * case.spacing_mm / 2.0 - np.abs(y))
    room = np.where(inside, np.minimum.reduce([to_skin, x, to_image]), 0.0) - outline.max()
    best = int(room.argmax())
    if room[best] < 2.0 * case.spacing_mm:
        size = f"{case.diameter_mm:g} mm"
        raise InputError(f"phantom: a lesion of {size} does not fit; make it smaller or the breast larger")
    chosen = int((room >= CLEARANCE_MM).argmax()) if room[best] >= CLEARANCE_MM else best
    return float(x[chosen]), float(y[chosen])


def _lesion_distance_mm(outline, center, x, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the radial distance to the lesion's edge (negative inside), and x and y from its center, all in mm."""
    offset_x, offset_y = x - center[0], y - center[1]
    angle = np.arctan2(offset_y, offset_x)
    index = np.rint(angle * (outline.size / (2.0 * math.pi))).astype(np.intp) % outline.size
    return np.hypot(offset_x, offset_y) - outline[index], offset_x, offset_y


# --- ingredients of the image, in gray values -----------------------------------------------------------------------


def _air_falloff(skin_mm: np.ndarray) -> np.ndarray:
    """Return 0 in air, rising to 1 within the first mm under the skin."""
    return 1.0 - np.exp(-np.maximum(skin_mm, 0.0) / 0.4)


def _breast_background(case: PhantomParameters, skin_mm: np.ndarray, y: np.ndarray, rng) -> np.ndarray:
    """Return the unenhanced breast: near flat, brighter to the periphery, a dark band and a bright skin line."""
    depth = np.maximum(skin_mm, 0.0)
    periphery = rng.uniform(0.15, 0.35) * np.exp(-depth / 18.0)
    # Breast-in-breast contour: where the compressed thickness begins to fall, nearer to the skin here than there.
    edge = rng.uniform(6.0, 11.0) + 2.5 * np.sin(2.0 * math.pi * (y / case.breast_height_mm + rng.random()))
    band = -rng.uniform(0.10, 0.25) / (1.0 + np.exp(np.clip((depth - edge) / rng.uniform(0.6, 2.0), -50.0, 50.0)))
    skin = rng.uniform(0.3, 0.6) * np.exp(-(((depth - 0.9) / 1.2) ** 2))
    return case.baseline_gray * (1.0 + periphery + band + skin)


def _parenchyma(case: PhantomParameters, skin_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return background parenchymal enhancement: patches at several scales, more of them at higher density."""
    texture = _correlated_noise(case, _PARENCHYMA_SCALES_MM, rng)
    patches = 1.0 / (1.0 + np.exp(-(texture + _TISSUE_OFFSET[case.density]) / 0.45))
    not_subcutaneous = 1.0 / (1.0 + np.exp(-(skin_mm - 12.0) / 2.0))
    return case.parenchyma_gray * patches * not_subcutaneous


def _lesion_enhancement(case: PhantomParameters, distance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return enhancement inside the lesion: heterogeneous, with a rim, and a soft edge."""
    texture = _correlated_noise(case, {case.lesion_texture_length_mm: 1.0}, rng)
    rim = np.exp(-(((distance + case.rim_width_mm) / case.rim_width_mm) ** 2))
    body = 1.0 + case.lesion_texture_fraction * texture + case.rim_fraction * rim
    inside = 1.0 / (1.0 + np.exp(np.clip(distance / case.edge_width_mm, -50.0, 50.0)))
    return case.lesion_enhancement_gray * np.maximum(body, 0.0) * inside


def _peritumoral_enhancement(case: PhantomParameters, distance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return enhancement around the lesion: decays with the distance and has a texture of its own."""
    texture = _correlated_noise(case, {case.peritumoral_texture_length_mm: 1.0}, rng)
    decay = np.exp(-np.maximum(distance, 0.0) / case.peritumoral_decay_mm)
    outside = 1.0 / (1.0 + np.exp(np.clip(-distance / case.edge_width_mm, -50.0, 50.0)))
    amount = case.lesion_enhancement_gray * case.peritumoral_enhancement_fraction
    return amount * decay * outside * np.maximum(1.0 + case.peritumoral_texture_fraction * texture, 0.0)


def _spicules(case: PhantomParameters, distance, offset_x, offset_y, rng: np.random.Generator) -> np.ndarray:
    """Return faint, slightly bent lines that radiate from the lesion's edge and fade out."""
    signal = np.zeros_like(distance)
    for _ in range(case.spicules):
        angle, bend = rng.uniform(0.0, 2.0 * math.pi), 0.008 * rng.standard_normal()
        length = rng.uniform(3.0, 5.0 + 0.25 * case.diameter_mm)
        strength = rng.uniform(0.1, 0.35) * case.lesion_enhancement_gray
        near = _near_spicule(distance, offset_x, offset_y, length)
        u, v, outside = offset_x[:, near[1]], offset_y[near[0]], distance[near]
        along = u * math.cos(angle) + v * math.sin(angle)
        across = v * math.cos(angle) - u * math.sin(angle) - bend * along**2
        fade = np.where((outside > 0.0) & (along > 0.0), np.clip(1.0 - outside / length, 0.0, 1.0), 0.0)
        signal[near] += strength * fade * np.exp(-((across / 0.35) ** 2))
    return signal


def _near_spicule(distance, offset_x, offset_y, length) -> tuple[slice, slice]:
    """Return the part of the image that a spicule of that length can reach (drawing on all of it would be slow)."""
    rows = np.flatnonzero((distance <= length).any(axis=1))
    columns = np.flatnonzero((distance <= length).any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _noise(case: PhantomParameters, rng: np.random.Generator) -> np.ndarray:
    """Return detector noise: nearly white, with a little structure left from subtracting two exposures."""
    return case.noise_gray * _correlated_noise(case, _NOISE_SCALES_MM, rng)


# --- clinical record ------------------------------------------------------------------------------------------------


def draw_case(rng: np.random.Generator, her2: bool | None = None, effect: float = 1.0) -> dict:
    """Draw the clinical record of one case whose immunohistochemistry is 2+.

    Parameters
    ----------
    rng : numpy.random.Generator
    her2 : bool, optional
        Drawn with `HER2_PREVALENCE` where not given.
    effect : float
        0 makes everything but ``her2_ish`` independent of HER2.

    Returns
    -------
    dict
        age (years), tumor_diameter_mm (the true one), breast_density, microcalcifications (0/1), er, pr, ki67
        (percent), her2_ihc, her2_ish: columns of cases.csv.
    """
    chance = rng.random()
    her2 = bool(chance < HER2_PREVALENCE) if her2 is None else bool(her2)
    strength = effect * her2
    diameter = 18.0 * math.exp(0.35 * rng.standard_normal() + 0.22 * strength)
    er = rng.random() < _shifted(0.78, -0.5 * strength)
    pr = rng.random() < _shifted(0.80 if er else 0.06, -0.4 * strength)
    return {
        "age": int(np.clip(round(53.0 + 10.0 * rng.standard_normal()), 28, 84)),
        "tumor_diameter_mm": round(float(np.clip(diameter, *DIAMETER_RANGE_MM)), 1),
        "breast_density": "ABCD"[int(np.searchsorted([0.10, 0.50, 0.88], rng.random(), side="right"))],
        "microcalcifications": int(rng.random() < _shifted(0.16, 0.65 * strength)),
        "er": "positive" if er else "negative",
        "pr": "positive" if pr else "negative",
        "ki67": int(np.clip(round(22.0 * math.exp(0.55 * rng.standard_normal() + 0.25 * strength)), 1, 95)),
        "her2_ihc": "2+",
        "her2_ish": "positive" if her2 else "negative",
    }


def _shifted(probability: float, log_odds: float) -> float:
    """Return the probability with its log odds shifted."""
    return 1.0 / (1.0 + (1.0 / probability - 1.0) * math.exp(-log_odds))


# --- files ----------------------------------------------------------------------------------------------------------


def make_cohort(
    directory,
    sizes: Mapping[str, int] | None = None,
    seed: int = 1,
    effect: float = 1.0,
    image_format: str = "nrrd",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a cohort of synthetic cases and its cases.csv.

    Everything is made in a temporary folder and moved when it is complete; cases.csv comes last, in one step. Where
    the folder holds a cohort already, files of the same names are replaced.

    Parameters
    ----------
    directory : path-like
        Made where missing.
    sizes : mapping of split name to number of cases, optional
        `DEFAULT_SIZES`. A third of each split, rounded, is HER2-positive.
    seed : int
    effect : float
        Difference between the classes; 0 for none.
    image_format : "nrrd" or "dicom"
    progress : callable(done, total), optional
        Called after every case.

    Returns
    -------
    Path
        Of cases.csv.

    Raises
    ------
    InputError
        Unusable sizes, seed or image format, or a folder that cannot be written.
    """
    directory = Path(directory)
    if image_format not in ("nrrd", "dicom"):
        raise InputError(f"phantom: image_format must be nrrd or dicom, not {image_format!r}")
    plan = _plan(sizes if sizes is not None else DEFAULT_SIZES, _check_seed(seed))
    with _writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        workspace = tempfile.TemporaryDirectory(prefix=".phantoms-", dir=directory)
    with workspace as temporary:
        rows = []
        for number, (split, her2) in enumerate(plan, start=1):
            phantom = _cohort_case(seed, number, her2, effect)
            with _writing(directory):
                rows.append(_write_case(phantom, Path(temporary), f"phantom_{number:04d}", split, image_format))
            if progress is not None:
                progress(number, len(plan))
        with _writing(directory):
            _write_table(rows, Path(temporary) / "cases.csv")
            _move(Path(temporary), directory, rows)
    return directory / "cases.csv"


def _plan(sizes: Mapping[str, int], seed: int) -> list[tuple[str, bool]]:
    """Return (split, HER2-positive) of every case; the positives are a fixed part of each split in random order."""
    plan = []
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
    for split, size in sizes.items():
        if split not in DEFAULT_SIZES:
            raise InputError(f"phantom: unknown split {split!r}; the splits are {', '.join(DEFAULT_SIZES)}")
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
            raise InputError(f"phantom: the size of split {split} must be a whole number, zero or more, not {size!r}")
        labels = np.arange(size) < round(size * HER2_PREVALENCE)
        plan += [(split, bool(label)) for label in rng.permutation(labels)]
    if not plan:
        raise InputError("phantom: the cohort has no cases; give at least one split a size above zero")
    return plan


def _cohort_case(seed: int, number: int, her2: bool, effect: float) -> Phantom:
    """Draw case `number` of a cohort; its table holds the measured diameter, its image has the true one."""
    sequence = np.random.SeedSequence([seed, number])
    rng = np.random.Generator(np.random.PCG64(sequence))
    record = draw_case(rng, her2, effect)
    parameters = PhantomParameters(
        her2=her2,
        effect=effect,
        diameter_mm=record["tumor_diameter_mm"],
        density=record["breast_density"],
        laterality="L" if rng.random() < 0.5 else "R",
    )
    record["tumor_diameter_mm"] = round(max(parameters.diameter_mm + 1.0 * rng.standard_normal(), 4.0), 1)
    return make_phantom(int(sequence.generate_state(1)[0]), parameters, record)


def _write_case(phantom: Phantom, directory: Path, case_id: str, split: str, image_format: str) -> dict:
    """Write image and segmentation below `directory` and return the row of cases.csv."""
    image = Path("images") / f"{case_id}.{'dcm' if image_format == 'dicom' else 'nrrd'}"
    segmentation = Path("segmentations") / f"{case_id}.seg.nrrd"
    for path in (image, segmentation):
        (directory / path).parent.mkdir(exist_ok=True)
    if image_format == "dicom":
        write_dicom(phantom, directory / image)
    else:
        sitk.WriteImage(_image(phantom.pixels, phantom.spacing_mm), str(directory / image), True, 1)
    write_segmentation(phantom, directory / segmentation)
    return {
        "case_id": case_id,
        "patient_id": case_id.replace("phantom", "patient"),
        "split": split,
        "image": image.as_posix(),
        "segmentation": segmentation.as_posix(),
        "segment": "lesion",
        **phantom.clinical,
    }


def _write_table(rows: list[dict], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _move(source: Path, target: Path, rows: list[dict]) -> None:
    """Move a complete cohort to its place; a table that is there already goes first, since its images change."""
    (target / "cases.csv").unlink(missing_ok=True)
    for row in rows:
        for column in ("image", "segmentation"):
            (target / row[column]).parent.mkdir(exist_ok=True)
            os.replace(source / row[column], target / row[column])
    os.replace(source / "cases.csv", target / "cases.csv")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the system or ITK says about a failed write into one line for the user."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "the image file could not be written"
        raise InputError(f"{path}: cannot write there ({reason}); choose another folder or free some space") from error


def _image(array: np.ndarray, spacing_mm: tuple[float, float]) -> sitk.Image:
    """Return the array (rows, columns) as a 3-D image of one slice, 1 mm thick, axes along those of LPS."""
    image = sitk.GetImageFromArray(array[np.newaxis])
    image.SetSpacing((*spacing_mm, 1.0))
    return image


def write_segmentation(phantom: Phantom, path) -> None:
    """Write the lesion as a Slicer segmentation (.seg.nrrd) with one segment, "lesion", on the image's grid."""
    image = _image(phantom.lesion.astype(np.uint8), phantom.spacing_mm)
    rows, columns = np.nonzero(phantom.lesion)
    header = {
        "Segment0_ID": "lesion",
        "Segment0_Name": "lesion",
        "Segment0_NameAutoGenerated": "0",
        "Segment0_Color": "0.901961 0.294118 0.235294",
        "Segment0_ColorAutoGenerated": "0",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Extent": f"{columns.min()} {columns.max()} {rows.min()} {rows.max()} 0 0",
        "Segment0_Tags": "Segmentation.Status:completed|",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for key, value in header.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), True, 1)


# ImageType and AcquisitionDeviceProcessingCode of either image; in the standard's own terms the recombined image is
# a SUBTRACTION (value 4), and the energy is value 5.
_IMAGE_TYPES = {
    ("ge", "recombined"): (["DERIVED", "PRIMARY", "", "RECOMBINED"], "GEMS_CESM_1"),
    ("ge", "low_energy"): (["DERIVED", "PRIMARY", "", "LOW_ENERGY"], "GEMS_FFDM_PV"),
    ("standard", "recombined"): (["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION", ""], None),
    ("standard", "low_energy"): (["DERIVED", "PRIMARY", "POST_CONTRAST", "", "LOW_ENERGY"], None),
}


def write_dicom(phantom: Phantom, path, kind: str = "recombined", convention: str = "ge") -> None:
    """Write the phantom as a Digital Mammography X-Ray Image, For Presentation.

    The pixels are the phantom's recombined ones whatever `kind` says; a low-energy image is tagged, not drawn.

    Parameters
    ----------
    phantom : Phantom
    path : path-like
    kind : "recombined" or "low_energy"
    convention : "ge" or "standard"
        Whose words ImageType uses for it.

    Raises
    ------
    InputError
        Unknown kind or convention.
    """
    if (convention, kind) not in _IMAGE_TYPES:
        raise InputError(f"phantom: no DICOM tags for kind {kind!r}, convention {convention!r}")
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    identity = [str(phantom.seed), repr(phantom.parameters)]
    instance = generate_uid(entropy_srcs=["instance", kind, convention, *identity])
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = generate_uid(entropy_srcs=["HER2Nomogram phantom"])
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\x00" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = instance
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", *identity])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", kind, convention, *identity])
    _describe_study(dataset, phantom)
    _describe_acquisition(dataset, phantom, kind, convention)
    _describe_pixels(dataset, phantom)
    if int(pydicom.__version__.split(".")[0]) < 3:  # Slicer 5.10 has 2.4
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(str(path), write_like_original=False)
    else:
        dataset.save_as(str(path), enforce_file_format=True)


def _describe_study(dataset, phantom: Phantom) -> None:
    """Set patient, study, series and equipment: obviously synthetic, and the same whenever it is written."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "PHANTOM^SYNTHETIC"
    dataset.PatientID = f"PHANTOM-{phantom.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "F"
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, name, "20000101")
    for name in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(dataset, name, "120000")
    dataset.ReferringPhysicianName = ""
    dataset.AccessionNumber = ""
    dataset.StudyID = "1"
    dataset.StudyDescription = "Synthetic image, not a patient"
    dataset.Modality = "MG"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Manufacturer = "HER2Nomogram"
    dataset.ManufacturerModelName = "phantom"


def _describe_acquisition(dataset, phantom: Phantom, kind: str, convention: str) -> None:
    """Set image type, anatomy, view and geometry."""
    left = phantom.parameters.laterality == "L"
    dataset.ImageType, processing_code = _IMAGE_TYPES[convention, kind]
    if processing_code is not None:
        dataset.AcquisitionDeviceProcessingCode = processing_code
    dataset.SeriesDescription = f"{'L' if left else 'R'} CC synthetic"
    dataset.ImageLaterality = "L" if left else "R"
    dataset.PatientOrientation = ["A", "R"] if left else ["P", "L"]
    dataset.BodyPartExamined = "BREAST"
    dataset.OrganExposed = "BREAST"
    dataset.BreastImplantPresent = "NO"
    dataset.ViewPosition = "CC"
    dataset.AnatomicRegionSequence = [_code("76752008", "SCT", "Breast")]
    view = _code("399162004", "SCT", "cranio-caudal")
    view.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [view]
    dataset.AcquisitionContextSequence = []
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.DetectorType = "SCINTILLATOR"
    x_mm, y_mm = phantom.spacing_mm
    dataset.PixelSpacing = [f"{y_mm:.10g}", f"{x_mm:.10g}"]
    dataset.PixelSpacingCalibrationType = "GEOMETRY"
    dataset.PixelSpacingCalibrationDescription = "Patient plane of a synthetic image"
    dataset.ImagerPixelSpacing = [f"{y_mm * MAGNIFICATION:.10g}", f"{x_mm * MAGNIFICATION:.10g}"]
    dataset.EstimatedRadiographicMagnificationFactor = f"{MAGNIFICATION:g}"


def _code(value: str, scheme: str, meaning: str):
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _describe_pixels(dataset, phantom: Phantom) -> None:
    """Set the pixels and how to show them."""
    inside = phantom.pixels[phantom.pixels > 0]
    low, high = np.percentile(inside, [1.0, 99.8]) if inside.size else (0.0, 1.0)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = phantom.pixels.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = BITS_STORED
    dataset.HighBit = BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.WindowCenter = f"{(low + high) / 2.0:.0f}"
    dataset.WindowWidth = f"{max(high - low, 1.0):.0f}"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PixelData = phantom.pixels.astype("<u2").tobytes()
