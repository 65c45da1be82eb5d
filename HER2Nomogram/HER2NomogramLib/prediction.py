"""Applying a model to one case: from features and clinical factors to a probability that explains itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .cases import Case, is_blank, similar_column
from .errors import InputError
from .feature_problems import FeatureProblem, problem_lines
from .features import ExtractionSettings, feature_row
from .mammogram import Mammogram
from .modelfile import RAD_SCORE, LogisticModel, Model, SelectedFeature
from .regions import Region, feret_diameter_mm, make_regions, margins_of, region_warnings
from .scale import PointsScale

TUMOR_DIAMETER = "tumor_diameter_mm"
# Texture depends on the pixel size; beyond this factor a model's features mean something else.
_SPACING_TOLERANCE = 1.25
# Among some dozens of features one or two this far out are chance; see also the share that makes a case unusable.
_FAR_OUT_SDS = 3.0
_FAR_OUT_SHARE = 0.25
# Who applies a model cannot change the settings of its features.
_SETTINGS_OF_MODEL = "the settings are the model's, so compare image and outline with those that it was trained on"


class ImageFacts(Protocol):
    """What the checks of an image need: a ``Mammogram``, or what ``features.json`` says of one."""

    spacing_mm: tuple[float, float]
    kind: str | None
    presentation: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """What a model says of one case.

    Attributes
    ----------
    probability : float
        Probability of HER2-positive from the nomogram.
    interval : tuple of float
        95% confidence interval of the probability.
    cutoff, positive
        Cut-off from training, and whether the probability reaches it.
    predictors, points : dict of str to float
        Value and points of every predictor of the nomogram; of a categorical factor the value is the level's index.
    total_points : float
    rad_scores : dict of str to float
        By region, for every signature that the nomogram or the radiomics model uses.
    selected_features : tuple of SelectedFeature
        Of the signatures in the nomogram, which are those that move the probability.
    extrapolated : bool
        Whether a predictor lies outside of its training range, or many features lie far from the training cases: the
        probability is then a guess of the formula.
    radiomics_probability, clinical_probability : float
        Of the two models that the nomogram is compared with.
    warnings : tuple of str
        What should make the reader trust the number less.
    notice : str
        Sentence that every display must show.
    model_name, model_digest : str
        Of the model that made it.
    predictor_texts : dict of str to str
        Value of every predictor of the nomogram for display: with its unit, or the name of the level.
    filled : tuple of str
        Names of the clinical factors that were missing, for which the model's own value was used.
    """

    probability: float
    interval: tuple[float, float]
    cutoff: float
    positive: bool
    predictors: dict[str, float]
    points: dict[str, float]
    total_points: float
    rad_scores: dict[str, float]
    selected_features: tuple[SelectedFeature, ...]
    radiomics_probability: float
    clinical_probability: float
    warnings: tuple[str, ...]
    notice: str
    model_name: str
    extrapolated: bool = False
    model_digest: str = ""
    predictor_texts: dict[str, str] = field(default_factory=dict)
    filled: tuple[str, ...] = ()

    @property
    def selectedFeatures(self) -> tuple[SelectedFeature, ...]:  # noqa: N802 - the name Slicer users call it by
        """Same as ``selected_features``, under the name of the Slicer interface."""
        return self.selected_features


def predict_row(
    model: Model, row: Mapping[str, float], clinical: Mapping[str, object], warnings: tuple[str, ...] = ()
) -> Prediction:
    """Apply a model to the features and clinical factors of one case.

    Parameters
    ----------
    model : Model
    row : mapping of str to float
        Features by column name.
    clinical : mapping
        Clinical factors by column name; factors that the model does not use are ignored. For a missing one the value
        that the model has for this is used, with a warning.
    warnings : tuple of str
        Warnings from earlier steps, kept in front.

    Raises
    ------
    InputError
        Where a feature or a clinical factor that the model needs is missing and it has no value for this, or unusable.
    """
    rad_scores = {region: model.signatures[region].rad_score(row) for region in model.used_regions}
    regions = [p.name for p in model.nomogram.predictors if p.source == RAD_SCORE]
    selected = [feature for region in regions for feature in model.signatures[region].selected(row)]
    factors, filled = _factors(model, clinical)

    def values_for(logistic: LogisticModel) -> dict[str, float]:
        return {p.name: (rad_scores if p.source == RAD_SCORE else factors)[p.name] for p in logistic.predictors}

    values = values_for(model.nomogram)
    scale = PointsScale(model.nomogram)
    probability = model.nomogram.probability(values)
    outside = _range_warnings(model.nomogram, values)
    far_out = [feature for feature in selected if abs(feature.standardized) > _FAR_OUT_SDS]
    extrapolated = bool(outside) or len(far_out) > _FAR_OUT_SHARE * len(selected)
    if far_out:
        outside.append(
            f"{len(far_out)} of {len(selected)} selected features lie more than {_FAR_OUT_SDS:g} standard deviations "
            "from the mean of the training cases."
        )
    return Prediction(
        probability=probability,
        interval=model.nomogram.interval(values),
        cutoff=model.nomogram.cutoff,
        positive=probability >= model.nomogram.cutoff,
        predictors=values,
        points={name: scale.points(name, value) for name, value in values.items()},
        total_points=scale.total(values),
        rad_scores=rad_scores,
        selected_features=tuple(selected),
        extrapolated=extrapolated,
        radiomics_probability=model.radiomics.probability(values_for(model.radiomics)),
        clinical_probability=model.clinical.probability(values_for(model.clinical)),
        warnings=tuple(dict.fromkeys((*warnings, *filled.values(), *outside))),
        notice=model.notice,
        model_name=model.name,
        model_digest=model.digest,
        predictor_texts={p.name: p.text(values[p.name]) for p in model.nomogram.predictors},
        filled=tuple(filled),
    )


def predict_case(
    model: Model,
    mammogram: Mammogram,
    lesion: np.ndarray,
    clinical: Mapping[str, object],
    exclude: np.ndarray | None = None,
    extract: Callable[[Mammogram, Mapping[str, Region], ExtractionSettings], dict[str, float]] | None = None,
    engine: str | None = None,
    threads: int = 1,
) -> tuple[Prediction, dict[str, Region], dict[str, float]]:
    """Regions, features and prediction of one lesion.

    Parameters
    ----------
    model : Model
    mammogram : Mammogram
    lesion : np.ndarray of bool, shape (rows, columns)
    clinical : mapping
        Clinical factors; a blank tumor diameter is measured from the lesion.
    exclude : np.ndarray of bool, shape (rows, columns), optional
        Where rings must not lie: pectoral muscle, clips, burned-in text.
    extract : callable, optional
        Makes the feature row from the mammogram, the regions and the settings; by default
        :func:`.features.feature_row`.
    engine, threads
        Of the features, see :func:`.features.extract_regions`.

    Returns
    -------
    prediction : Prediction
    regions : dict of str to Region
    row : dict of str to float

    Raises
    ------
    InputError
        Where the image or the lesion is not what the model was made for, or the model is not for images.
    """
    check_extraction(model)
    check_image(model, mammogram)
    # One margin at least: a lesion is checked together with its surroundings even where no ring is used.
    needed = margins_of(model.used_regions) or model.margins_mm[:1]
    made = case_regions(mammogram, lesion, needed, exclude)
    regions = {name: made[name] for name in model.used_regions}
    settings, problems = ExtractionSettings.from_dict(model.extraction), []
    if extract is None:
        row = feature_row(mammogram, regions, settings, engine=engine, threads=threads, problems=problems)
    else:
        row = extract(mammogram, regions, settings)
    of_features = feature_warnings(model, row, problems)
    clinical, of_diameter = fill_diameter(model, clinical, lambda: feret_diameter_mm(lesion, mammogram.spacing_mm))
    warnings = (*image_warnings(model, mammogram), *region_warnings(made, mammogram.breast), *of_features, *of_diameter)
    return predict_row(model, row, clinical, warnings), regions, row


def case_regions(
    mammogram: Mammogram, lesion: np.ndarray, margins_mm: tuple[float, ...], exclude: np.ndarray | None = None
) -> dict[str, Region]:
    """Regions of one lesion, the rings clipped to the breast and to what is not excluded."""
    available = mammogram.breast if exclude is None else mammogram.breast & ~exclude
    return make_regions(lesion, mammogram.spacing_mm, margins_mm, available)


def fill_diameter(
    model: Model, clinical: Mapping[str, object], measure: Callable[[], float | None]
) -> tuple[dict[str, object], tuple[str, ...]]:
    """Clinical factors with a blank tumor diameter measured where the model uses it, and what to say of it.

    Parameters
    ----------
    model : Model
    clinical : mapping
    measure : callable
        Gives the diameter in mm, None where it cannot be measured; called only where it is needed.
    """
    wanted = any(p.name == TUMOR_DIAMETER for p in model.clinical_predictors)
    diameter = measure() if wanted and is_blank(clinical.get(TUMOR_DIAMETER)) else None
    if diameter is None:
        return dict(clinical), ()
    warning = f"Tumor diameter {diameter:.1f} mm was measured from the segment, not given."
    return {**clinical, TUMOR_DIAMETER: diameter}, (warning,)


def check_factors(model: Model, cases: Sequence[Case], measured: bool) -> None:
    """Refuse a case table without a column for a clinical factor of the model, such as one under another name.

    Parameters
    ----------
    model : Model
    cases : sequence of Case
    measured : bool
        Whether the tumor diameter can be measured instead.

    Raises
    ------
    InputError
    """
    columns = dict.fromkeys(column for case in cases for column in case.clinical)
    used = {p.name: p for p in model.clinical_predictors if not (measured and p.name == TUMOR_DIAMETER)}
    for name, predictor in used.items() if cases else ():
        if name not in columns:
            similar = similar_column(name, [column for column in columns if column not in used])
            what = "rename it" if similar else "add the column"
            blank = "" if predictor.fill is None else "; a blank column is filled as in training"
            raise InputError(
                f"The case table has no column '{name}', which model '{model.name}' uses{similar}: {what}{blank}."
            )


def check_extraction(model: Model) -> None:
    """Refuse to measure an image for a model whose features come from other software.

    Raises
    ------
    InputError
    """
    if model.extraction is None:
        raise InputError(
            f"Model '{model.name}' was trained on features of other software and cannot be applied to an image: "
            "predict from a table of these features with her2nomogram predict --features."
        )


def check_image(model: Model, image: ImageFacts) -> None:
    """Refuse an image of another kind than the model's: their grey values do not compare.

    Raises
    ------
    InputError
    """
    for what, of_model, of_image in (
        ("kind", model.kind, image.kind),
        ("presentation intent", model.presentation, image.presentation),
    ):
        if of_model and of_image and of_model != of_image:
            raise InputError(
                f"The image's {what} is {of_image}, model '{model.name}' was trained on {of_model}: "
                "choose the matching image or another model."
            )


def image_warnings(model: Model, image: ImageFacts) -> tuple[str, ...]:
    """What to say of an image that the model is applied to: its own warnings, and where it differs from training."""
    unknown = ()
    if image.kind and model.presentation and not image.presentation:
        unknown = (f"Nothing says whether the image is {model.presentation}, as those of the training are.",)
    return (*image.warnings, *unknown, *_spacing_warnings(model, image))


def _spacing_warnings(model: Model, image: ImageFacts) -> tuple[str, ...]:
    low, high = model.spacing_range_mm
    smallest, largest = min(image.spacing_mm), max(image.spacing_mm)
    too_fine, too_coarse = smallest * _SPACING_TOLERANCE < low, largest > high * _SPACING_TOLERANCE
    if not (too_fine or too_coarse):
        return ()
    spacing = smallest if too_fine else largest
    trained = f"{low:.3g} mm" if low == high else f"{low:.3g} to {high:.3g} mm"
    return (
        f"Pixel spacing {spacing:.3g} mm is not that of the training images ({trained}): texture does not compare.",
    )


def feature_warnings(model: Model, row: Mapping[str, float], problems: Sequence[FeatureProblem]) -> tuple[str, ...]:
    """What to say of the features that the model uses; what is wrong with others does not matter.

    Parameters
    ----------
    model : Model
    row : mapping of str to float
        Features by column, without those that are missing.
    problems : sequence of FeatureProblem
        Of the image.

    Raises
    ------
    InputError
        Where one of them could not be computed.
    """
    meant = []
    for region in model.used_regions:
        signature = model.signatures[region]
        prefix = f"{signature.image}__{signature.region}__"
        for problem in (problem for problem in problems if problem.region == signature.region):
            concerned = [column for column in signature.features if problem.is_about(column.removeprefix(prefix))]
            if problem.missing and any(column not in row for column in concerned):
                raise InputError(str(problem.under_fixed_settings(_SETTINGS_OF_MODEL)))
            if concerned and not problem.missing:
                meant.append(problem.under_fixed_settings(_SETTINGS_OF_MODEL))
    return problem_lines(meant, model.used_regions)


def _factors(model: Model, clinical: Mapping[str, object]) -> tuple[dict[str, float], dict[str, str]]:
    """Clinical factors as numbers, and what to say of those that were missing and filled; both by name."""
    predictors = model.clinical_predictors
    filled = [p for p in predictors if p.fill is not None and is_blank(clinical.get(p.name))]
    factors = {p.name: p.fill if p in filled else p.parse(clinical.get(p.name)) for p in predictors}
    return factors, {p.name: f"{p.label} is missing: {p.fill_text} was used." for p in filled}


def _range_warnings(logistic: LogisticModel, values: Mapping[str, float]) -> list[str]:
    return [
        f"{p.label} {p.text(values[p.name])} is outside the training range ({p.minimum:.4g} to {p.maximum:.4g}): "
        "extrapolated."
        for p in logistic.predictors
        if not p.levels and not p.minimum <= values[p.name] <= p.maximum
    ]
