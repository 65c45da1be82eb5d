"""Performance of the models on the cases of a split, and of an existing model on a cohort.

What is measured follows TRIPOD+AI (BMJ 2024;385:e078378) and Van Calster (BMC Med 2019;17:230): discrimination,
calibration, overall error and clinical utility, each with what is needed to doubt it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy.special import expit

from .calibration import Calibration, calibrate, to_log_odds
from .cases import SPLITS, Case, check_outcomes, ihc_remark
from .dataset import UNKNOWN_OUTCOME, Exclusion
from .decision import DecisionCurve, decision_curve
from .errors import InputError
from .metrics import (
    Classification,
    Difference,
    Estimate,
    Reclassification,
    brier,
    classification,
    delong_test,
    reclassification,
    roc_auc,
    scaled_brier,
)
from .modelfile import LOGISTIC_MODELS, Model
from .prediction import Prediction
from .recalibration import probabilities_of, recalibrate_model

# Fewer cases of the rarer class make external validation unreliable (Collins, Stat Med 2016;35:214).
EVENTS_FOR_VALIDATION = 100
# What the cases of a table without splits are.
COHORT = "cohort"


@dataclass(frozen=True, eq=False)
class ModelPerformance:
    """Figures of one model on the cases of a split.

    Attributes
    ----------
    auc : Estimate or None
        None where the cases are of one class.
    brier, scaled_brier : float
    classification : Classification
        At the cut-off of training.
    calibration : Calibration
    """

    auc: Estimate | None
    brier: float
    scaled_brier: float
    classification: Classification
    calibration: Calibration | None


@dataclass(frozen=True, eq=False)
class SplitPerformance:
    """Figures of all models on the same cases, and comparisons between the models.

    Attributes
    ----------
    split : str
    y : np.ndarray of 0 and 1, shape (n_cases,)
    probabilities : dict of str to np.ndarray, shape (n_cases,)
        By model.
    models : dict of str to ModelPerformance
    comparisons : dict of (str, str) to Difference
        AUC of the first model less that of the second, with DeLong's test; empty where the cases are of one class.
    reclassification : Reclassification or None
        Nomogram against clinical model.
    decision : DecisionCurve or None
    remarks : tuple of str
        What could not be computed, and what the numbers of cases mean for the figures.
    """

    split: str
    y: np.ndarray
    probabilities: dict[str, np.ndarray]
    models: dict[str, ModelPerformance]
    comparisons: dict[tuple[str, str], Difference]
    reclassification: Reclassification | None
    decision: DecisionCurve | None
    remarks: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.y)

    @property
    def events(self) -> int:
        """Number of HER2-positive cases."""
        return int(self.y.sum())


@dataclass(frozen=True, eq=False)
class RecalibratedModel:
    """A model recalibrated to a cohort, with its figures on that very cohort.

    Attributes
    ----------
    model : Model
    method : {"intercept", "logistic"}
    n, her2_positive : int
        Cases that it was recalibrated to.
    intercept, slope : dict of str to float
        By model: what the log odds were multiplied by, and what was then added.
    splits : dict of str to SplitPerformance
        On the cases that it was recalibrated to: how good it is on new ones they do not tell.
    remarks : tuple of str
    """

    model: Model
    method: str
    n: int
    her2_positive: int
    intercept: dict[str, float]
    slope: dict[str, float]
    splits: dict[str, SplitPerformance]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ModelValidation:
    """An existing model on a cohort.

    Attributes
    ----------
    model : Model
    splits : dict of str to SplitPerformance
        For every split that has cases.
    case_ids : dict of str to tuple of str
        By split, in the order of the outcomes and probabilities there.
    predictions : dict of str to Prediction
        By case_id, of the cases that were evaluated.
    excluded : tuple of Exclusion
    messages : tuple of str
    recalibrated : RecalibratedModel or None
        Set by :func:`with_recalibration`.
    """

    model: Model
    splits: dict[str, SplitPerformance]
    case_ids: dict[str, tuple[str, ...]]
    predictions: dict[str, Prediction]
    excluded: tuple[Exclusion, ...] = ()
    messages: tuple[str, ...] = ()
    recalibrated: RecalibratedModel | None = field(default=None)

    @property
    def n(self) -> int:
        """Number of cases evaluated, over all splits."""
        return sum(split.n for split in self.splits.values())

    @property
    def events(self) -> int:
        """Number of HER2-positive cases evaluated, over all splits."""
        return sum(split.events for split in self.splits.values())


def assess(
    split: str,
    y: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    cutoffs: Mapping[str, float],
    fitted_here: bool = False,
) -> SplitPerformance:
    """Measure models on the cases of one split.

    Parameters
    ----------
    split : str
        For messages.
    y : np.ndarray of 0 and 1, shape (n_cases,)
    probabilities : mapping of str to np.ndarray, shape (n_cases,)
        By model.
    cutoffs : mapping of str to float
        By model.
    fitted_here : bool
        Whether the models were fitted to these cases.

    Raises
    ------
    InputError
        Where there are no cases, or a probability is not a number from 0 to 1.
    """
    y = np.asarray(y).astype(int)
    # In one order, so that comparisons are always of the nomogram against the others.
    order = sorted(probabilities, key=LOGISTIC_MODELS.index)
    probabilities = {name: np.asarray(probabilities[name], dtype=float) for name in order}
    _check(split, y, probabilities)
    both = len(np.unique(y)) == 2
    reclassified = None
    if both and {"nomogram", "clinical"} <= probabilities.keys():
        reclassified = reclassification(y, probabilities["nomogram"], probabilities["clinical"], "clinical")
    pairs = combinations(probabilities, 2) if both else ()
    return SplitPerformance(
        split=split,
        y=y,
        probabilities=probabilities,
        models={name: _performance(y, p, cutoffs[name], fitted_here) for name, p in probabilities.items()},
        comparisons={pair: delong_test(y, *(probabilities[name] for name in pair)) for pair in pairs},
        reclassification=reclassified,
        decision=decision_curve(y, probabilities),
        remarks=_remarks(y, fitted_here),
    )


def validate_model(
    cases: Sequence[Case], model: Model, predictions: Mapping[str, Prediction], failed: Mapping[str, str]
) -> ModelValidation:
    """Measure an existing model on the cases of a cohort.

    Cases whose predictors lie outside the training range are kept, and counted in a message: leaving them out would
    flatter the model on the very cases that it will meet.

    Parameters
    ----------
    cases : sequence of Case
        Where none of them has a split written, all are one split ``cohort``.
    model : Model
    predictions : mapping of str to Prediction
        By case_id.
    failed : mapping of str to str
        By case_id: why there is no prediction.

    Raises
    ------
    InputError
        Where no case has both an outcome and a prediction.
    """
    check_outcomes(cases)
    if not any(case.split_given for case in cases):
        cases = [replace(case, split=COHORT) for case in cases]
    excluded = []
    kept: dict[str, list[Case]] = {split: [] for split in (*SPLITS, COHORT)}
    for case in cases:
        reason = _exclusion(case, predictions, failed)
        if reason is None:
            kept[case.split].append(case)
        else:
            excluded.append(Exclusion(case.case_id, case.split, reason))
    kept = {split: members for split, members in kept.items() if members}
    if not kept:
        reason = f" (case '{excluded[0].case_id}': {excluded[0].reason.rstrip('.')})" if excluded else ""
        raise InputError(f"No case has both a known HER2 status and a prediction{reason}: check the case table.")
    evaluated = {case.case_id: predictions[case.case_id] for members in kept.values() for case in members}
    cutoffs = {name: getattr(model, name).cutoff for name in LOGISTIC_MODELS}
    splits = {}
    for split, members in kept.items():
        y = np.array([case.her2 for case in members])
        of_split = [predictions[case.case_id] for case in members]
        splits[split] = assess(split, y, probabilities_of(of_split), cutoffs)
    return ModelValidation(
        model=model,
        splits=splits,
        case_ids={split: tuple(case.case_id for case in members) for split, members in kept.items()},
        predictions=evaluated,
        excluded=tuple(excluded),
        messages=_messages(model, kept, evaluated, excluded),
    )


def with_recalibration(validation: ModelValidation, method: str, cohort: str) -> ModelValidation:
    """The validation with the model recalibrated to all its cases, and measured again on them.

    Parameters
    ----------
    validation : ModelValidation
    method : {"intercept", "logistic"}
        See :func:`.recalibration.recalibrate`.
    cohort : str
        Name of the cohort, for the record in the model.

    Raises
    ------
    InputError
        Where the cases cannot carry a recalibration.
    """
    order = [case_id for members in validation.case_ids.values() for case_id in members]
    y = np.concatenate([split.y for split in validation.splits.values()])
    model = recalibrate_model(validation.model, y, [validation.predictions[i] for i in order], method, cohort)
    record = model.training["recalibration"]
    cutoffs = {name: getattr(model, name).cutoff for name in LOGISTIC_MODELS}
    splits = {}
    for name, split in validation.splits.items():
        probabilities = {
            which: expit(record["intercept"][which] + record["slope"][which] * to_log_odds(p))
            for which, p in split.probabilities.items()
        }
        splits[name] = assess(name, split.y, probabilities, cutoffs, fitted_here=True)
    recalibrated = RecalibratedModel(
        model=model,
        method=method,
        n=record["n"],
        her2_positive=record["her2_positive"],
        intercept=record["intercept"],
        slope=record["slope"],
        splits=splits,
        remarks=tuple(
            f"The {name} model gives no usable slope in these cases: only its intercept was fitted anew."
            for name in record["intercept_only"]
        ),
    )
    return replace(validation, recalibrated=recalibrated)


def auc_table(splits: Mapping[str, SplitPerformance]) -> str:
    """Area under the curve with its 95% interval per split and model, as text."""
    lines = [f"{'AUC (95% CI)':<20}{'n':>6}{'HER2+':>7}  " + "".join(f"{name:<22}" for name in LOGISTIC_MODELS)]
    for name, split in splits.items():
        areas = [split.models[model].auc for model in LOGISTIC_MODELS]
        lines.append(f"{name:<20}{split.n:>6}{split.events:>7}  " + "".join(f"{auc_text(a):<22}" for a in areas))
    return "\n".join(line.rstrip() for line in lines)


def auc_text(auc: Estimate | None) -> str:
    """Area with its interval; a dash where there is none."""
    if auc is None:
        return "-"
    return f"{auc.value:.3f}" + ("" if np.isnan(auc.low) else f" ({auc.low:.3f}-{auc.high:.3f})")


def _check(split: str, y: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> None:
    if not len(y):
        raise InputError(f"Split {split} has no cases: nothing can be measured.")
    for name, p in probabilities.items():
        if p.shape != y.shape or not ((p >= 0) & (p <= 1)).all():
            raise InputError(f"Split {split}: the {name} model does not give every case a probability from 0 to 1.")


def _performance(y: np.ndarray, p: np.ndarray, cutoff: float, fitted_here: bool) -> ModelPerformance:
    return ModelPerformance(
        auc=roc_auc(y, p) if len(np.unique(y)) == 2 else None,
        brier=brier(y, p),
        scaled_brier=scaled_brier(y, p),
        classification=classification(y, p, cutoff),
        calibration=calibrate(y, p, fitted_here),
    )


def _remarks(y: np.ndarray, fitted_here: bool) -> tuple[str, ...]:
    events, n = int(y.sum()), len(y)
    if events in (0, n):
        status = "positive" if events else "negative"
        return (f"All {n} cases are HER2-{status}: no AUC, comparison, reclassification or calibration.",)
    if fitted_here or min(events, n - events) >= EVENTS_FOR_VALIDATION:
        return ()
    return (
        f"{events} HER2-positive and {n - events} negative cases: calibration needs about {EVENTS_FOR_VALIDATION} of "
        "each to be judged (Collins, Stat Med 2016;35:214); the intervals say what these can tell.",
    )


def _exclusion(case: Case, predictions: Mapping[str, Prediction], failed: Mapping[str, str]) -> str | None:
    """Why a case cannot be evaluated, or None."""
    if case.her2 is None:
        return UNKNOWN_OUTCOME
    if case.case_id in predictions:
        return None
    return failed.get(case.case_id, "no prediction")


def _messages(
    model: Model,
    kept: Mapping[str, Sequence[Case]],
    evaluated: Mapping[str, Prediction],
    excluded: Sequence[Exclusion],
) -> tuple[str, ...]:
    reasons = Counter(exclusion.reason.rstrip(".") for exclusion in excluded)
    messages = [f"{_cases(count)} left out: {reason}." for reason, count in reasons.items()]
    population = ihc_remark([case for members in kept.values() for case in members])
    messages += [population] if population else []
    filled = Counter(name for prediction in evaluated.values() for name in prediction.filled)
    messages += [
        f"{p.label} was missing in {_cases(filled[p.name])} and was filled as in training."
        for p in model.clinical_predictors
        if filled[p.name]
    ]
    extrapolated = sum(prediction.extrapolated for prediction in evaluated.values())
    if extrapolated:
        messages.append(
            f"{_cases(extrapolated)} of {len(evaluated)} outside of what the model was trained on: the probabilities "
            "there are extrapolated, but counted in all figures."
        )
    if "train" in kept:
        messages.append(
            f"{_cases(len(kept['train']))} in split train: if the model was trained on them, their figures are too "
            "good."
        )
    patients = {case.patient_id for members in kept.values() for case in members}
    if len(patients) < len(evaluated):
        messages.append(
            f"{len(evaluated)} lesions of {len(patients)} patients: intervals and p-values take lesions as independent "
            "and are too narrow by what lesions of a patient have in common."
        )
    return tuple(messages)


def _cases(count: int) -> str:
    return f"{count} case{'' if count == 1 else 's'}"
