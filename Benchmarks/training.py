"""Development with internal validation, side by side with scikit-learn's LogisticRegressionCV.

The cohort has 131 cases, five regions and 1,000 features a region. Ours is measured whole: training, repeated nested
cross-validation and the bootstrap. Of the script that a researcher would write with scikit-learn one signature is
measured, because the whole would take days: the penalty of one region's LASSO by ten-fold cross-validation over the
same penalties. The same signature is measured with ours beside it, and the ratio is that of the two.

    .venv/bin/python Benchmarks/training.py [--replicates 200] [--repeats 10] [--jobs 2]
"""

from __future__ import annotations

import argparse
import inspect
import os
import resource
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from HER2NomogramLib.pipeline import RadiomicsNomogram
from HER2NomogramLib.resampling import OUTER_FOLDS, validate_internally
from HER2NomogramLib.signature import LassoSignature

CASES, REGIONS, FEATURES = 131, 5, 1000
FOLDS = 10
# Since version 1.8 of scikit-learn the share of the L1 penalty says all; before, the penalty has to be named.
_SHARES = "use_legacy_attributes" in inspect.signature(LogisticRegressionCV).parameters
LASSO = {"l1_ratio": 1.0} if _SHARES else {"penalty": "l1"}
LASSO_CV = {"l1_ratios": (1.0,), "use_legacy_attributes": False} if _SHARES else {"penalty": "l1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    x, y = make_features()
    print(f"{CASES} cases, {y.sum()} events, {REGIONS} regions of {FEATURES} features, {os.cpu_count()} cores")
    started = time.perf_counter()
    LassoSignature(n_folds=2, n_penalties=2).fit(x[:, :5], y)
    print(f"compiled code ready after {time.perf_counter() - started:.1f} s (once per machine; then from the disk)")
    one_signature(x[:, :FEATURES], y, options.jobs)
    whole_development(x, y, options)


def make_features(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features, as radiomics features are: a few latent textures of which two go with the outcome."""
    rng = np.random.default_rng(seed)
    textures = rng.normal(size=(CASES, 15))
    risk = textures[:, 0] + 0.7 * textures[:, 1] - 0.7
    y = (rng.random(CASES) < 1 / (1 + np.exp(-risk))).astype(int)
    loadings = rng.normal(size=(15, REGIONS * FEATURES)) * (rng.random((15, REGIONS * FEATURES)) < 0.4)
    return textures @ loadings + rng.normal(size=(CASES, REGIONS * FEATURES)), y


def one_signature(x: np.ndarray, y: np.ndarray, jobs: int) -> None:
    """One region's LASSO with its penalty by cross-validation, both ways, on the same folds and penalties."""
    seconds, ours = min((timed(lambda: LassoSignature(n_folds=FOLDS).fit(x, y)) for _ in range(3)), key=lambda t: t[0])
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y))
    print("\nOne signature: 50 penalties, 10 folds")
    print(f"  this software, one thread                       {seconds:9.3f} s")
    for solver, remark in (("saga", ""), ("liblinear", " (also penalizes the intercept: other coefficients)")):
        cv = LogisticRegressionCV(
            Cs=np.sort(1 / (len(y) * ours.penalties_)), cv=folds, solver=solver, scoring="neg_log_loss", max_iter=1000,
            n_jobs=jobs, random_state=0, **LASSO_CV,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            reference, _ = timed(lambda cv=cv: make_pipeline(StandardScaler(), cv).fit(x, y))
        name = f"LogisticRegressionCV, {solver}, {jobs} processes"
        print(f"  {name:<46} {reference:9.3f} s   ratio {reference / seconds:.0f}{remark}")
    print(f"  largest difference of a coefficient from saga at our penalty: {coefficient_difference(x, y, ours):.1e}")


def coefficient_difference(x: np.ndarray, y: np.ndarray, ours: LassoSignature) -> float:
    """Against scikit-learn's solver run until it no longer moves."""
    reference = LogisticRegression(
        solver="saga", C=1 / (len(y) * ours.penalty_), tol=1e-9, max_iter=1_000_000, **LASSO
    ).fit(StandardScaler().fit_transform(x), y)
    return float(np.abs(reference.coef_[0] - ours.coef_).max())


def whole_development(x: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> None:
    """Training, nested cross-validation and bootstrap, all five regions candidates of a selection by AIC."""
    blocks = [(f"region{i}", range(i * FEATURES, (i + 1) * FEATURES)) for i in range(REGIONS)]
    pipeline = RadiomicsNomogram(blocks, selection="aic", n_jobs=options.jobs)
    seconds, _ = timed(lambda: pipeline.fit(x, y))
    names = [f"feature{i}" for i in range(x.shape[1])]
    total = options.replicates + OUTER_FOLDS * options.repeats
    cpu = time.process_time()
    with tqdm(total=total, unit="development", desc="Validating internally") as bar:
        rest, internal = timed(
            lambda: validate_internally(
                pipeline,
                x,
                y,
                np.arange(CASES),
                names,
                options.replicates,
                options.repeats,
                options.jobs,
                lambda done, _: bar.update(done - bar.n),
            )  # fmt: skip
        )
    used = (time.process_time() - cpu) / rest
    signatures = (total + 1) * REGIONS * (1 + pipeline.cross_fit_folds)
    nested = internal.nested["cross-fitted"].auc["nomogram"] if internal.nested else None
    print(f"\nWhole development: {options.replicates} replicates, {options.repeats} x {OUTER_FOLDS} nested folds")
    print(f"  training {seconds:.1f} s, internal validation {rest:.0f} s with {used:.1f} cores busy")
    print(f"  {signatures} signatures, {(seconds + rest) / signatures * 1000:.0f} ms each")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if nested:
        print(f"  nested AUC {nested.value:.3f} ({nested.low:.3f} to {nested.high:.3f})")


def timed(work) -> tuple[float, object]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
