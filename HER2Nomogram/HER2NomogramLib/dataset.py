"""Features, outcomes and clinical factors of the same cases side by side, and which cases were left out and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .batch import diameter_column
from .cases import Case, check_outcomes, is_blank, is_own, similar_column
from .clinical import LARGEST, MAXIMUM_LEVELS, Factor, describe_factor
from .derived import derived_variable, with_derived
from .errors import InputError
from .known_columns import tells_her2
from .prediction import TUMOR_DIAMETER
from .tables import FeatureTable

IMAGE = "image"
UNKNOWN_OUTCOME = "HER2 status unknown or equivocal without ISH"
# The region of features whose names say nothing of one, as other software writes them.
OTHER_REGION = "features"
# Training patients of each class, at least.
MINIMUM_OF_EACH_CLASS = 10
# A case that lacks more than this share of its features failed; with fewer gone the features are left out instead.
_MISSING_SHARE = 0.2
# Two lesions can agree in fewer features than these by chance.
_TELLING_FEATURES = 8
# A category can separate fewer cases than these of each class by chance.
_TELLING_CASES = 10


@dataclass(frozen=True)
class Exclusion:
    """One case that was left out."""

    case_id: str
    split: str
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """The cases that a model is developed with.

    Attributes
    ----------
    case_ids : tuple of str
    patients, split : np.ndarray of str, shape (n_cases,)
    y : np.ndarray of 0 and 1, shape (n_cases,)
        HER2 status.
    features : np.ndarray, shape (n_cases, n_features)
        NaN where one is missing or infinite, which in training cases none is.
    columns : tuple of str
        Names of the features.
    blocks : tuple of (str, np.ndarray of int)
        Region, and the indices of its features.
    factors : tuple of Factor
    clinical : np.ndarray, shape (n_cases, n_factors)
        Number or index of the level; NaN where it is missing.
    excluded : tuple of Exclusion
    lacking : tuple of (str, str)
        Column of each feature that some training case lacks, and the case_id of the first.
    measured_diameters : int
        Cases whose tumor diameter was measured from the segment.
    images : tuple of mapping, or None
        What is recorded of the image of every case; None for a table of other software.
    """

    case_ids: tuple[str, ...]
    patients: np.ndarray
    split: np.ndarray
    y: np.ndarray
    features: np.ndarray
    columns: tuple[str, ...]
    blocks: tuple[tuple[str, np.ndarray], ...]
    factors: tuple[Factor, ...]
    clinical: np.ndarray
    excluded: tuple[Exclusion, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    measured_diameters: int = 0
    images: tuple[Mapping[str, Any], ...] | None = None

    @property
    def dropped_features(self) -> int:
        """Features that some training case lacks."""
        return len(self.lacking)

    @property
    def n_given(self) -> int:
        """Cases in the case table."""
        return len(self.case_ids) + len(self.excluded)

    @property
    def x(self) -> np.ndarray:
        """Features and, after them, clinical factors: what the pipeline is fitted to, shape (n_cases, n_columns)."""
        return np.hstack([self.features, self.clinical])

    def rows(self, split: str) -> np.ndarray:
        """Indices of the cases of a split."""
        return np.flatnonzero(self.split == split)

    def complete(self, features: np.ndarray) -> np.ndarray:
        """Which cases have all of some features; shape (n_cases,)."""
        return ~np.isnan(self.features[:, features]).any(axis=1)

    def without(self, reasons: Mapping[int, str]) -> Dataset:
        """The dataset without some cases, given by index with the reason."""
        kept = [index for index in range(len(self.case_ids)) if index not in reasons]
        left_out = [Exclusion(self.case_ids[i], str(self.split[i]), reason) for i, reason in reasons.items()]
        return replace(
            self,
            case_ids=tuple(self.case_ids[i] for i in kept),
            patients=self.patients[kept],
            split=self.split[kept],
            y=self.y[kept],
            features=self.features[kept],
            clinical=self.clinical[kept],
            images=None if self.images is None else tuple(self.images[i] for i in kept),
            excluded=(*self.excluded, *left_out),
        )


def assemble(
    cases: Sequence[Case],
    table: FeatureTable,
    regions: Sequence[str] | None,
    factor_names: Sequence[str],
    categorical: Sequence[str] = (),
    impute: bool = True,
) -> Dataset:
    """Put features, outcomes and clinical factors of the same cases side by side.

    Which features and which levels of the factors there are is decided on the training cases that are used.

    Parameters
    ----------
    cases : sequence of Case
    table : FeatureTable
    regions : sequence of str or None
        Regions of the extraction; None for a table of other software, whose columns say which regions there are.
    factor_names, categorical : sequence of str
        Clinical factors, columns or derived ones, and those of them whose numbers name categories.
    impute : bool
        Whether cases with a missing factor stay; else they are left out.

    Raises
    ------
    InputError
        Where too few training cases are left, the columns are not those of the regions, one of them is the outcome, an
        entry of a training case cannot be used, or cases of different patients are the same.
    """
    # Entries of test cases that are not understood leave out the case, not the table.
    columns = {column for case in cases for column in case.clinical}
    cases = with_derived(cases, factor_names, strict=("train",))
    check_columns(cases, factor_names)
    table.check_cases([case.case_id for case in cases])
    blocks = _blocks(table.columns, regions)
    entries, measured = _entries(cases, factor_names, table)
    reasons = without_outcome(cases)
    reasons |= _without_features(cases, table, np.concatenate([columns for _, columns in blocks]), reasons)
    if not impute:
        for case_id, of_case in entries.items():
            missing = [name for name, text in of_case.items() if is_blank(text)]
            if missing:
                reasons.setdefault(case_id, f"no value of {missing[0]}")
    trained = training_cases(cases, reasons)
    factors = tuple(
        _described(name, {case.case_id: entries[case.case_id][name] for case in trained}, name in categorical, columns)
        for name in factor_names
    )
    values = _values(cases, factors, entries, reasons)
    kept = [case for case in cases if case.case_id not in reasons]
    excluded = [Exclusion(c.case_id, c.split, reasons[c.case_id]) for c in cases if c.case_id in reasons]
    dataset = _with_usable_features(kept, table, blocks, factors)
    dataset = replace(
        dataset,
        clinical=np.array([values[case.case_id] for case in kept], dtype=float).reshape(len(kept), len(factors)),
        excluded=tuple(excluded),
        measured_diameters=sum(case.case_id in measured for case in kept),
    )
    _refuse_the_outcome(dataset)
    _refuse_copies(dataset)
    return dataset


def _described(name: str, texts: Mapping[str, str], categorical: bool, columns: Collection[str]) -> Factor:
    """What sort of factor a column is; a derived one is called, and its levels are ordered, as it says itself."""
    factor = describe_factor(name, texts, categorical)
    derived = derived_variable(name) if name not in columns else None
    if derived is None:
        return factor
    levels = tuple(level for level in derived.levels if level in factor.levels)
    return replace(factor, label=derived.label, levels=levels)


def check_columns(cases: Sequence[Case], factor_names: Sequence[str]) -> None:
    """Refuse clinical factors that tell the HER2 status, and those that the case table has no column of; a tumor
    diameter can be measured instead.

    Raises
    ------
    InputError
    """
    refuse_outcomes(factor_names)
    columns = {column for case in cases for column in case.clinical}
    for name in factor_names:
        if name not in columns and name != TUMOR_DIAMETER:
            known = sorted(column for column in columns if not tells_her2(column))
            choice = f"name one of {', '.join(known)}, or leave the factor out" if known else "leave the factor out"
            if is_own(name):
                raise InputError(f"Column '{name}' of the case table is no clinical factor: {choice}.")
            raise InputError(f"The case table has no column '{name}'{similar_column(name, known)}: {choice}.")


def refuse_outcomes(factor_names: Sequence[str]) -> None:
    """Refuse clinical factors that tell whether a case is HER2-positive, as FISH and the immunophenotype do.

    Raises
    ------
    InputError
    """
    for name in factor_names:
        if tells_her2(name):
            raise InputError(f"'{name}' tells what the model predicts, it cannot be a clinical factor: leave it out.")


def without_outcome(cases: Sequence[Case]) -> dict[str, str]:
    """Cases that nothing can be learned from, and why; by case_id."""
    return {case.case_id: UNKNOWN_OUTCOME for case in cases if case.her2 is None}


def training_cases(cases: Sequence[Case], reasons: Mapping[str, str]) -> list[Case]:
    """Cases of the training split but for those that are left out for a reason.

    Raises
    ------
    InputError
        Where they are too few to train a model.
    """
    given = [case for case in cases if case.split == "train"]
    if not given:
        raise InputError("No case is in the training split: write 'train' into the column 'split' of the case table.")
    check_outcomes(cases)
    trained = [case for case in given if case.case_id not in reasons]
    events, others = (len({case.patient_id for case in trained if case.her2 == status}) for status in (1, 0))
    if min(events, others) < MINIMUM_OF_EACH_CLASS:
        why = Counter(reasons[case.case_id] for case in given if case.case_id in reasons).most_common(1)
        left_out = f" (left out: {why[0][1]} for '{why[0][0]}')" if why else ""
        raise InputError(
            f"The training split has {events} HER2-positive and {others} negative patients{left_out}: at least "
            f"{MINIMUM_OF_EACH_CLASS} of each are needed to choose a penalty by cross-validation."
        )
    return trained


def _without_features(
    cases: Sequence[Case], table: FeatureTable, used: np.ndarray, reasons: Mapping[str, str]
) -> dict[str, str]:
    """Cases without features, and why; those that are left out for another reason already decide nothing."""
    rest = [case for case in cases if case.case_id not in reasons]
    rows = {case.case_id: table.positions[case.case_id] for case in rest if case.case_id in table.positions}
    finite = _finite(table.values)[:, used]
    # A column that is blank in all training cases says nothing about one of them.
    trained = [rows[case.case_id] for case in rest if case.split == "train" and case.case_id in rows]
    offered = finite[trained].any(axis=0)
    failed = (~finite[:, offered]).sum(axis=1) > _MISSING_SHARE * offered.sum()
    lacking = f"more than {_MISSING_SHARE:.0%} of the features missing or infinite"
    found = {case.case_id: "no features" for case in rest if case.case_id not in rows}
    return found | {case_id: lacking for case_id, row in rows.items() if failed[row]}


def _finite(values: np.ndarray) -> np.ndarray:
    """Which values are there and can be computed with."""
    return np.abs(values) < LARGEST


def _entries(
    cases: Sequence[Case], names: Sequence[str], table: FeatureTable
) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Entries of the clinical factors by case, a blank tumor diameter as it was measured; and whose was measured."""
    entries = {case.case_id: {name: case.clinical.get(name, "") for name in names} for case in cases}
    column = diameter_column(IMAGE)
    measured = set()
    if TUMOR_DIAMETER in names and column in table.columns:
        diameters = table.values[:, table.columns.index(column)]
        for case_id, of_case in entries.items():
            found = diameters[table.positions[case_id]] if case_id in table.positions else math.nan
            if is_blank(of_case[TUMOR_DIAMETER]) and math.isfinite(found) and found > 0:
                of_case[TUMOR_DIAMETER] = repr(float(found))
                measured.add(case_id)
    return entries, measured


def _values(
    cases: Sequence[Case],
    factors: Sequence[Factor],
    entries: Mapping[str, Mapping[str, str]],
    reasons: dict[str, str],
) -> dict[str, list[float]]:
    """Values of the clinical factors by case; test cases whose entries cannot be used are added to the reasons."""
    values = {}
    for case in cases:
        if case.case_id in reasons:
            continue
        of_case = []
        for factor in factors:
            text = entries[case.case_id][factor.name]
            try:
                of_case.append(factor.parse(text))
            except InputError:
                why = "does not occur in training" if factor.levels else "is no possible value"
                reasons[case.case_id] = f"{factor.name} '{text}' {why}"
                break
        values[case.case_id] = of_case
    return values


def _with_usable_features(
    kept: Sequence[Case], table: FeatureTable, blocks: Sequence[tuple[str, np.ndarray]], factors: tuple[Factor, ...]
) -> Dataset:
    """Dataset of the cases that stay, without the features that one of the training cases lacks."""
    rows = np.array([table.positions[case.case_id] for case in kept])
    split = np.array([case.split for case in kept])
    used = np.concatenate([columns for _, columns in blocks])
    training = np.flatnonzero(split == "train")
    finite = _finite(table.values[np.ix_(rows[training], used)])
    usable = finite.all(axis=0)
    first = [kept[training[finite[:, place].argmin()]].case_id for place in np.flatnonzero(~usable)]
    place = np.full(len(table.columns), -1)
    place[used[usable]] = np.arange(usable.sum())
    new_blocks = tuple((region, place[columns][place[columns] >= 0]) for region, columns in blocks)
    for region, columns in new_blocks:
        if not len(columns):
            raise InputError(
                f"No feature of region '{region}' has a finite value in every training case: extract it again, or "
                "leave out the cases that lack it."
            )
    features = table.values[np.ix_(rows, used[usable])]
    return Dataset(
        case_ids=tuple(case.case_id for case in kept),
        patients=np.array([case.patient_id for case in kept]),
        split=split,
        y=np.array([case.her2 for case in kept]),
        features=np.where(_finite(features), features, np.nan),
        columns=tuple(table.columns[c] for c in used[usable]),
        blocks=new_blocks,
        factors=factors,
        clinical=np.empty((len(kept), 0)),
        lacking=tuple(zip((table.columns[c] for c in used[~usable]), first)),
    )


def _blocks(columns: Sequence[str], regions: Sequence[str] | None) -> list[tuple[str, np.ndarray]]:
    """Indices of the feature columns of every region."""
    names = [_region_of(column, regions is None) for column in columns]
    wanted = regions if regions is not None else list(dict.fromkeys(name for name in names if name))
    blocks = [(region, np.array([i for i, name in enumerate(names) if name == region], dtype=int)) for region in wanted]
    empty = [region for region, found in blocks if not len(found)]
    if empty:
        raise InputError(f"The feature table has no column of region '{empty[0]}': extract it again.")
    if not blocks:
        raise InputError("The feature table has no column of a feature: one column per feature is needed.")
    return blocks


def _region_of(column: str, other_software: bool) -> str | None:
    """Region of a feature column, None for a diagnostic one or, in our own tables, one of another image."""
    parts = column.split("__", 2)
    if parts[-1].startswith("diagnostics_"):
        return None
    if other_software and tells_her2(parts[-1]):
        raise InputError(f"Column '{column}' of the feature table tells what the model predicts: remove the column.")
    if len(parts) < 3:
        return OTHER_REGION if other_software else None
    image, region, _ = parts
    if other_software and (image != IMAGE or not region.strip()):
        raise InputError(
            f"Column '{column}' of the feature table: double underscores separate the image, which must be '{IMAGE}', "
            "a region and a feature. Rename the column or remove it."
        )
    return region if image == IMAGE else None


def _refuse_the_outcome(dataset: Dataset) -> None:
    """Refuse a feature or factor that is the outcome in other words.

    A feature with one number in all positive cases and another in all others; a category, or one of a few numbers, that
    is never in both.
    """
    rows = dataset.rows("train")
    features, positive = dataset.features[rows], dataset.y[rows] == 1
    if positive.all() or not positive.any():
        return
    same = (np.ptp(features[positive], axis=0) == 0) & (np.ptp(features[~positive], axis=0) == 0)
    differ = features[positive][0] != features[~positive][0]
    for column in np.flatnonzero(same & differ):
        raise InputError(
            f"Column '{dataset.columns[column]}' of the feature table is the HER2 status of the training cases: remove "
            "the column."
        )
    for factor, values in zip(dataset.factors, dataset.clinical[rows].T):
        of_class = [values[of & ~np.isnan(values)] for of in (positive, ~positive)]
        telling = min(map(len, of_class)) >= _TELLING_CASES
        few_values = len(np.unique(np.concatenate(of_class))) <= MAXIMUM_LEVELS
        if telling and few_values and not np.isin(*of_class).any():
            raise InputError(
                f"Clinical factor '{factor.name}' tells the HER2 status of every training case, as a molecular subtype "
                "does: leave it out."
            )


def _refuse_copies(dataset: Dataset) -> None:
    """Refuse cases of different patients with the same features: one lesion twice, perhaps on both sides of a fold."""
    if (np.ptp(dataset.features, axis=0) != 0).sum() < _TELLING_FEATURES:
        return
    seen: dict[bytes, int] = {}
    for index, features in enumerate(dataset.features):
        first = seen.setdefault(features.tobytes(), index)
        if dataset.patients[first] != dataset.patients[index]:
            raise InputError(
                f"Cases '{dataset.case_ids[first]}' and '{dataset.case_ids[index]}' have exactly the same features but "
                "different patients: remove one, or give both the same patient_id."
            )
