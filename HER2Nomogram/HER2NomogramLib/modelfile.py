"""The model file: signatures, logistic models and what they were made from, as plain validated JSON.

Applying a model needs nothing but numpy. Loading checks every entry and refuses what it does not know, because a
coefficient that is silently ignored or misread is a wrong probability.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from . import RESEARCH_USE
from .cases import is_blank
from .errors import InputError
from .files import write_text_atomically

FORMAT = "HER2Nomogram model"
FORMAT_VERSION = 2
LOGISTIC_MODELS = ("nomogram", "radiomics", "clinical")
RAD_SCORE, CLINICAL = "rad_score", "clinical"
_OTHER_SOURCE = {"radiomics": CLINICAL, "clinical": RAD_SCORE}


@dataclass(frozen=True)
class SelectedFeature:
    """One feature of a signature with its value in one case.

    Attributes
    ----------
    region : str
        Region that the feature was computed in.
    feature : str
        pyradiomics' own name, ``<image type>_<class>_<feature>``.
    column : str
        Name in ``features.csv``.
    value, standardized : float
        The value, and its distance from the training mean in training standard deviations.
    coefficient, contribution : float
        Coefficient for the standardized value, and their product: what the feature adds to the Rad-score.
    """

    region: str
    feature: str
    column: str
    value: float
    standardized: float
    coefficient: float
    contribution: float


@dataclass(frozen=True)
class Signature:
    """Linear score of one region's selected features.

    Attributes
    ----------
    image, region : str
        Image of the case (``image``, ``low_energy_cc`` ...) and region that the features come from.
    features : tuple of str
        Columns of ``features.csv``, or of the table of other software; may be empty, the Rad-score then is the
        intercept.
    means, scales, coefficients : tuple of float
        Training mean and standard deviation of each feature, and the coefficient of the standardized feature.
    intercept : float
        Part of the Rad-score.
    """

    image: str
    region: str
    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def selected(self, row: Mapping[str, float]) -> list[SelectedFeature]:
        """Values and contributions of the selected features in one case, the largest contribution first.

        Parameters
        ----------
        row : mapping
            Feature values of the case by column name.

        Raises
        ------
        InputError
            Where a feature is missing or not finite.
        """
        found = []
        prefix = f"{self.image}__{self.region}__"
        for column, mean, scale, coefficient in zip(self.features, self.means, self.scales, self.coefficients):
            value = _finite_feature(row, column)
            standardized = (value - mean) / scale
            contribution = coefficient * standardized
            name = column.removeprefix(prefix)
            found.append(SelectedFeature(self.region, name, column, value, standardized, coefficient, contribution))
        return sorted(found, key=lambda feature: -abs(feature.contribution))

    def rad_score(self, row: Mapping[str, float]) -> float:
        """Rad-score of one case: the intercept plus the contributions of the selected features."""
        return self.intercept + math.fsum(feature.contribution for feature in self.selected(row))


@dataclass(frozen=True)
class Predictor:
    """One predictor of a logistic model.

    Attributes
    ----------
    name : str
        Region name for a Rad-score, column of ``cases.csv`` for a clinical factor.
    source : str
        ``rad_score`` or ``clinical``.
    label, unit : str
        For display.
    minimum, maximum : float
        Range in the training cases; 0 and the index of the last level of a factor with levels.
    levels : tuple of str
        Names of the levels of a categorical factor, the reference first, else empty. Its values are their indices.
    fill : float or None
        Value that stands for a missing one, learned from the training cases; None where a missing one is refused.
    """

    name: str
    source: str
    label: str
    unit: str
    minimum: float
    maximum: float
    levels: tuple[str, ...] = ()
    fill: float | None = None

    @property
    def width(self) -> int:
        """Number of coefficients: one, or one for every level but the reference."""
        return max(len(self.levels) - 1, 1)

    @property
    def fill_text(self) -> str:
        """What stands for a missing value, and why this; only where there is a ``fill``."""
        origin = "the most frequent level" if self.levels else "median"
        return f"{self.text(self.fill)} ({origin} of the training cases)"

    def text(self, value: float) -> str:
        """A value for display: the name of the level, or the number with its unit."""
        if self.levels:
            return self.levels[self.level_index(value)]
        return f"{value:.4g}{'' if self.unit == '%' else ' '}{self.unit}".rstrip()

    def level_index(self, value: float) -> int:
        """Index of the level that a value of a categorical factor stands for.

        Raises
        ------
        ValueError
            Where the value is no index of a level.
        """
        if value not in range(len(self.levels)):
            raise ValueError(f"{value} is no level of '{self.name}', which has {len(self.levels)}")
        return int(value)

    def parse(self, value: object) -> float:
        """Number for a value that a user gave.

        Raises
        ------
        InputError
            Where the value is missing, not a number, or not one of the levels.
        """
        text = str(value).strip()
        if is_blank(value):
            raise InputError(f"Clinical factor '{self.name}' ({self.label}) is missing: the model needs it.")
        if self.levels:
            return self._parse_level(text)
        number = _number_of(text)
        if number is None:
            wanted = f"in {self.unit}" if self.unit else "without unit"
            raise InputError(f"Clinical factor '{self.name}' is '{text}': give one number {wanted}.")
        if number < 0 <= self.minimum or (number == 0 < self.minimum and self.unit == "mm"):
            raise InputError(f"Clinical factor '{self.name}' is {text}: that cannot be, correct it.")
        return number

    def _parse_level(self, text: str) -> float:
        choices = {name.strip().lower(): float(index) for index, name in enumerate(self.levels)}
        if text.lower() in choices:
            return choices[text.lower()]
        # Spreadsheets make a float of a grade.
        numbers = {_number_of(name): index for name, index in choices.items()}
        binary = len(self.levels) == 2 and set(numbers) == {None}
        if binary:
            numbers = {0.0: 0.0, 1.0: 1.0}
        number = _number_of(text)
        if number is not None and number in numbers:
            return numbers[number]
        if binary:
            wanted = f"give {self.levels[0]} (0) or {self.levels[1]} (1)"
        else:
            wanted = f"the model knows {', '.join(self.levels[:-1])} and {self.levels[-1]}, give one of them"
        raise InputError(f"Clinical factor '{self.name}' is '{text}': {wanted}.")


@dataclass(frozen=True)
class LogisticModel:
    """Logistic regression on a few predictors, with what its confidence interval needs.

    Attributes
    ----------
    predictors : tuple of Predictor
    intercept : float
    coefficients : tuple of float
        In the order of the predictors: per unit of a number, per level but the reference of a categorical factor.
    covariance : tuple of tuple of float
        Of the intercept and the coefficients, in this order; shape (n_coefficients + 1, n_coefficients + 1).
    cutoff : float
        Probability from which a case counts as HER2-positive, fixed on the training cases.
    """

    predictors: tuple[Predictor, ...]
    intercept: float
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    cutoff: float

    @cached_property
    def _coefficients_of(self) -> dict[str, tuple[float, ...]]:
        ends = accumulate((p.width for p in self.predictors), initial=0)
        return {p.name: self.coefficients[end : end + p.width] for p, end in zip(self.predictors, ends)}

    def design(self, values: Mapping[str, float]) -> np.ndarray:
        """What the coefficients are multiplied with, for predictor values by name.

        Returns
        -------
        np.ndarray, shape (n_coefficients + 1,)
            1 for the intercept, then the columns of the predictors: the number itself, or 1 in the column of a level.
        """
        columns = [1.0]
        for predictor in self.predictors:
            columns += _columns(predictor, values[predictor.name])
        return np.array(columns)

    def effect(self, predictor: Predictor, value: float) -> float:
        """Log odds that one value of a predictor adds."""
        coefficients = self._coefficients_of[predictor.name]
        return math.fsum(c * column for c, column in zip(coefficients, _columns(predictor, value)))

    def linear_predictor(self, values: Mapping[str, float]) -> float:
        """Log odds for predictor values by name."""
        return self.intercept + math.fsum(self.effect(p, values[p.name]) for p in self.predictors)

    def probability(self, values: Mapping[str, float]) -> float:
        """Probability for predictor values by name."""
        return expit(self.linear_predictor(values))

    def interval(self, values: Mapping[str, float], level: float = 0.95) -> tuple[float, float]:
        """Wald confidence interval of the probability, computed on the log odds.

        It covers the uncertainty of the logistic coefficients given the Rad-scores; that of the feature selection
        behind the Rad-scores is not in it.
        """
        from statistics import NormalDist

        design = self.design(values)
        variance = float(design @ np.asarray(self.covariance) @ design)
        half_width = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(max(variance, 0.0))
        center = self.linear_predictor(values)
        return expit(center - half_width), expit(center + half_width)


@dataclass(frozen=True)
class Model:
    """Everything that turns an image, a lesion and clinical factors into a probability.

    Attributes
    ----------
    name, intended_use : str
        Shown wherever a result is shown.
    demonstration : bool
        True where the model was trained on synthetic images.
    extraction : dict or None
        Settings of the feature extraction, in pyradiomics' own structure; None where the features come from other
        software. Such a model applies to feature tables only, and nothing is known of its images.
    margins_mm : tuple of float
        Widths of the peritumoral rings; empty without extraction settings.
    kind, presentation : str or None
        Image kind (``recombined``, ``low_energy``) and DICOM Presentation Intent Type of the training images.
    spacing_range_mm : tuple of float or None
        Smallest and largest pixel spacing of the training images; None without extraction settings.
    signatures : dict of str to Signature
        By region; without extraction settings a region may have any name.
    nomogram, radiomics, clinical : LogisticModel
    training : dict
        Numbers of cases and events per split, performance, options.
    software : dict
        Versions that made the model.
    """

    name: str
    intended_use: str
    demonstration: bool
    extraction: dict[str, Any] | None
    margins_mm: tuple[float, ...]
    kind: str | None
    presentation: str | None
    spacing_range_mm: tuple[float, float] | None
    signatures: dict[str, Signature]
    nomogram: LogisticModel
    radiomics: LogisticModel
    clinical: LogisticModel
    training: dict[str, Any] = field(default_factory=dict)
    software: dict[str, str] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions that have a signature."""
        return tuple(self.signatures)

    @property
    def used_regions(self) -> tuple[str, ...]:
        """Regions whose Rad-scores enter the nomogram or the radiomics model: those that a case needs."""
        names = {p.name for m in (self.nomogram, self.radiomics) for p in m.predictors if p.source == RAD_SCORE}
        return tuple(region for region in self.signatures if region in names)

    @property
    def clinical_predictors(self) -> tuple[Predictor, ...]:
        """Clinical factors that a case needs, in the order of the models."""
        found: dict[str, Predictor] = {}
        for logistic in (self.nomogram, self.clinical):
            for predictor in logistic.predictors:
                if predictor.source == CLINICAL:
                    found.setdefault(predictor.name, predictor)
        return tuple(found.values())

    @cached_property
    def digest(self) -> str:
        """Digest over everything in the model, as its file carries it: two models with the same one are the same."""
        return _digest(_content_of(self))

    @property
    def notice(self) -> str:
        """Sentence that every display of a result of this model carries."""
        demonstration = "DEMONSTRATION MODEL, trained on synthetic images: says nothing about a patient. "
        return (demonstration if self.demonstration else "") + RESEARCH_USE


def expit(log_odds: float) -> float:
    """Logistic function without overflow."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def default_model_path() -> Path:
    """Path of the demonstration model that is shipped with the module."""
    return Path(__file__).resolve().parents[1] / "Resources" / "Models" / "demonstration.json"


def save_model(model: Model, path: str | Path) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    InputError
        Where the model would not load again, or the file cannot be written.
    """
    content = _content_of(model)
    _model_from(content, str(path))
    content["digest"] = _digest(content)
    write_text_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def load_model(path: str | Path) -> Model:
    """Read and validate a model file.

    Raises
    ------
    InputError
        Where the file is missing, damaged, altered, of another version, or inconsistent.
    """
    path = Path(path)
    try:
        content = json.loads(
            path.read_text(encoding="utf-8"), parse_float=_finite, parse_int=_finite, parse_constant=_finite
        )
    except OSError as error:
        raise InputError(f"Model file '{path}' cannot be read ({error.strerror}): check the path.") from None
    except (ValueError, RecursionError):
        raise InputError(f"Model file '{path}' is not readable JSON: it is damaged, train or copy it again.") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"'{path}' is not a {FORMAT} file: choose the model.json that training wrote.")
    if content.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"Model file '{path}' has format version {content.get('format_version')!r}, this software reads version "
            f"{FORMAT_VERSION}: use the matching version of HER2Nomogram."
        )
    if content.pop("digest", None) != _digest(content):
        raise InputError(f"Model file '{path}' was altered or damaged (its digest does not match): copy it again.")
    return _model_from(content, str(path))


def _finite(text: str) -> int | float:
    # Python reads NaN and Infinity although JSON has neither, 1e999 as infinity, and whole numbers beyond any float.
    if not math.isfinite(float(text)):
        raise ValueError(f"{text} is not a finite number")
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _content_of(model: Model) -> dict[str, Any]:
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(model)}
    # One pass through JSON turns tuples into lists, so that the digest is that of what will be read back.
    try:
        return json.loads(json.dumps(content, allow_nan=False))
    except ValueError:
        raise InputError(
            f"Model '{model.name}' has a coefficient that is not finite: its training failed, nothing is saved."
        ) from None


class _Checked:
    """A JSON object whose entries are taken one by one with their types checked, none left over."""

    def __init__(self, content: object, where: str):
        if not isinstance(content, dict):
            raise InputError(f"{where} must be an object: the model file is damaged.")
        self._content = dict(content)
        self._where = where

    def take(self, key: str, *types: type) -> Any:
        if key not in self._content:
            raise InputError(f"{self._where}: '{key}' is missing: the model file is damaged.")
        value = self._content.pop(key)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise InputError(f"{self._where}: '{key}' is not of the expected type: the model file is damaged.")
        return value

    def number(self, key: str) -> float:
        return float(self.take(key, int, float))

    def or_null(self, key: str, read: Callable[..., Any], *arguments: Any) -> Any:
        """What ``read`` makes of an entry, None where it is null."""
        if key in self._content and self._content[key] is None:
            return self._content.pop(key)
        return read(key, *arguments)

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        values = self.take(key, list)
        if len(values) != length or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
            raise InputError(f"{self._where}: '{key}' must be {length} numbers: the model file is damaged.")
        return tuple(float(v) for v in values)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list)
        if not all(isinstance(v, str) for v in values) or len(set(values)) != len(values):
            raise InputError(f"{self._where}: '{key}' must be different texts: the model file is damaged.")
        return tuple(values)

    def done(self) -> None:
        if self._content:
            unknown = ", ".join(sorted(self._content))
            raise InputError(f"{self._where}: unknown entries ({unknown}): use the version that wrote this model.")


def _model_from(content: dict[str, Any], path: str) -> Model:
    entry = _Checked(content, f"Model file '{path}'")
    entry.take("format", str), entry.take("format_version", int)
    extraction = entry.take("extraction", dict, type(None))
    margins = entry.take("margins_mm", list)
    signatures = entry.take("signatures", dict)
    model = Model(
        name=entry.take("name", str),
        intended_use=entry.take("intended_use", str),
        demonstration=entry.take("demonstration", bool),
        extraction=extraction,
        margins_mm=() if extraction is None and not margins else _margins(margins, path),
        kind=entry.take("kind", str, type(None)),
        presentation=entry.take("presentation", str, type(None)),
        spacing_range_mm=entry.or_null("spacing_range_mm", entry.numbers, 2),
        signatures={r: _signature_from(s, r, path, extraction is None) for r, s in signatures.items()},
        **{name: _logistic_from(entry.take(name, dict), name, path) for name in LOGISTIC_MODELS},
        training=entry.take("training", dict),
        software=entry.take("software", dict),
    )
    entry.done()
    _check_consistency(model, path)
    return model


def _margins(values: list, path: str) -> tuple[float, ...]:
    from .regions import check_margins

    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
        raise InputError(f"Model file '{path}': 'margins_mm' must be numbers: the model file is damaged.")
    try:
        return check_margins(values)
    except InputError as error:
        raise InputError(f"Model file '{path}': {error} The model file is damaged.") from None


def _signature_from(content: object, region: str, path: str, other_software: bool) -> Signature:
    where = f"Model file '{path}', signature '{region}'"
    entry = _Checked(content, where)
    features = entry.texts("features")
    signature = Signature(
        image=entry.take("image", str),
        region=entry.take("region", str),
        features=features,
        means=entry.numbers("means", len(features)),
        scales=entry.numbers("scales", len(features)),
        coefficients=entry.numbers("coefficients", len(features)),
        intercept=entry.number("intercept"),
    )
    entry.done()
    if signature.region != region:
        raise InputError(f"{where} names region '{signature.region}': the model file is damaged.")
    # Columns of other software may say nothing of an image and a region.
    named = [name for name in features if not other_software or name.count("__") > 1]
    prefix = f"{signature.image}__{region}__"
    if not all(name.startswith(prefix) for name in named):
        raise InputError(f"{where} has features of another image or region: the model file is damaged.")
    if not all(scale > 0 for scale in signature.scales):
        raise InputError(f"{where} has a scale that is not positive: the model file is damaged.")
    return signature


def _predictor_from(content: object, where: str) -> Predictor:
    entry = _Checked(content, where)
    predictor = Predictor(
        name=entry.take("name", str),
        source=entry.take("source", str),
        label=entry.take("label", str),
        unit=entry.take("unit", str),
        minimum=entry.number("minimum"),
        maximum=entry.number("maximum"),
        levels=entry.texts("levels"),
        fill=entry.or_null("fill", entry.number),
    )
    entry.done()
    problem = _problem_of(predictor)
    if problem:
        raise InputError(f"{where}: predictor '{predictor.name}' {problem}: the model file is damaged.")
    return predictor


def _problem_of(predictor: Predictor) -> str:
    """What is wrong with a predictor, empty where nothing is."""
    levels, rad_score = predictor.levels, predictor.source == RAD_SCORE
    if predictor.source not in (RAD_SCORE, CLINICAL) or len(levels) == 1 or (rad_score and levels):
        return "is of an unknown sort"
    # A level that could be read as another one, or as a missing value, could not be told apart in a case table.
    if len({name.strip().lower() for name in levels}) != len(levels) or any(map(is_blank, levels)):
        return "has levels that cannot be told apart"
    if levels and (predictor.minimum, predictor.maximum) != (0.0, len(levels) - 1.0):
        return f"does not range from 0 to {len(levels) - 1}, as its levels do"
    if not predictor.minimum < predictor.maximum:
        return "has no range"
    if predictor.fill is not None and (rad_score or (levels and predictor.fill not in range(len(levels)))):
        return "has an impossible value for missing ones"
    return ""


def _logistic_from(content: object, name: str, path: str) -> LogisticModel:
    where = f"Model file '{path}', {name} model"
    entry = _Checked(content, where)
    predictors = tuple(_predictor_from(p, where) for p in entry.take("predictors", list))
    if len({p.name for p in predictors}) != len(predictors):
        raise InputError(f"{where} has a predictor twice: the model file is damaged.")
    size = sum(p.width for p in predictors) + 1
    rows = entry.take("covariance", list)
    covariance = tuple(_Checked({"covariance": row}, where).numbers("covariance", size) for row in rows)
    logistic = LogisticModel(
        predictors=predictors,
        intercept=entry.number("intercept"),
        coefficients=entry.numbers("coefficients", size - 1),
        covariance=covariance,
        cutoff=entry.number("cutoff"),
    )
    entry.done()
    if not 0 < logistic.cutoff < 1:
        raise InputError(f"{where}: the cut-off is not between 0 and 1: the model file is damaged.")
    matrix = np.array(covariance)
    if matrix.shape != (size, size) or not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] < -1e-8:
        raise InputError(f"{where}: the covariance is not a covariance matrix: the model file is damaged.")
    return logistic


def _check_consistency(model: Model, path: str) -> None:
    if model.extraction is None:
        _check_unknown_images(model, path)
    else:
        _check_images(model, path)
    images = {signature.image for signature in model.signatures.values()}
    if images - {"image"}:
        raise InputError(
            f"Model file '{path}' uses the image '{images.pop()}': this version applies models of one image."
        )
    if not model.nomogram.predictors:
        raise InputError(f"Model file '{path}': the nomogram has no predictor, so there is nothing to apply.")
    known: dict[str, tuple] = {}
    for name in LOGISTIC_MODELS:
        for predictor in getattr(model, name).predictors:
            same = (predictor.levels, predictor.fill)
            if predictor.source == CLINICAL and known.setdefault(predictor.name, same) != same:
                raise InputError(
                    f"Model file '{path}': factor '{predictor.name}' has two sets of levels or fills: damaged."
                )
            if predictor.source == RAD_SCORE and predictor.name not in model.signatures:
                raise InputError(f"Model file '{path}': the {name} model needs the signature '{predictor.name}'.")
            if predictor.source == _OTHER_SOURCE.get(name):
                raise InputError(f"Model file '{path}': '{predictor.name}' does not belong in the {name} model.")


def _check_unknown_images(model: Model, path: str) -> None:
    """Without extraction settings nothing can be said of images, and a region is no more than a name."""
    about_images = (model.kind, model.presentation, model.spacing_range_mm)
    if model.margins_mm or any(fact is not None for fact in about_images):
        raise InputError(f"Model file '{path}' describes images without extraction settings: it is damaged.")
    if not all(region.strip() for region in model.regions):
        raise InputError(f"Model file '{path}' has a signature of a region without a name: it is damaged.")


def _check_images(model: Model, path: str) -> None:
    from .features import ExtractionSettings
    from .mammogram import LOW_ENERGY, RECOMBINED
    from .regions import region_names

    ExtractionSettings.from_dict(model.extraction, source=f"Model file '{path}', extraction")
    made = region_names(model.margins_mm)
    absent = [region for region in model.regions if region not in made]
    if absent:
        raise InputError(f"Model file '{path}' has a signature of '{absent[0]}', which its margins do not make.")
    for what, value, known in (
        ("kind", model.kind, (RECOMBINED, LOW_ENERGY)),
        ("presentation", model.presentation, ("FOR PROCESSING", "FOR PRESENTATION")),
    ):
        if value is not None and value not in known:
            raise InputError(f"Model file '{path}': {what} '{value}' is not one of {', '.join(known)}.")
    if model.spacing_range_mm is None:
        raise InputError(f"Model file '{path}': the spacing range is missing: the model file is damaged.")
    low, high = model.spacing_range_mm
    if not 0 < low <= high:
        raise InputError(f"Model file '{path}': the spacing range {low:g} to {high:g} mm is none: the file is damaged.")


def _finite_feature(row: Mapping[str, float], column: str) -> float:
    value = row.get(column)
    if value is None:
        raise InputError(f"Feature '{column}' is missing: the model needs it, extract with the model's own settings.")
    if not math.isfinite(value):
        raise InputError(f"Feature '{column}' is {value}: the model needs it, check the region that it comes from.")
    return float(value)


def _columns(predictor: Predictor, value: float) -> list[float]:
    """Columns of the design that a value of a predictor makes."""
    if not predictor.levels:
        return [value]
    index = predictor.level_index(value)
    return [float(index == level) for level in range(1, len(predictor.levels))]


def _number_of(text: str) -> float | None:
    """Finite number that a text stands for, None where it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
